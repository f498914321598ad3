import asyncio
import builtins
import inspect
import ssl
from types import ModuleType

import aiohttp
import aiohttp.client_exceptions
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from distill_build.models.transport_errors import MEANINGS, translated

MODULES = (aiohttp, aiohttp.client_exceptions)


def exceptions_of(module: ModuleType) -> set[str]:
    """The exception classes that a module shows; servers' and warnings are not a client's."""
    shown = {value for value in vars(module).values() if inspect.isclass(value)}
    return {
        cls.__name__
        for cls in shown
        if issubclass(cls, Exception) and not issubclass(cls, Warning) and cls.__module__.startswith("aiohttp")
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_exception_of_the_libraries_has_a_meaning(module: ModuleType) -> None:
    known_elsewhere = {"EofStream", "PayloadEncodingError", "WebSocketError", "InvalidURL"}
    assert exceptions_of(module) - known_elsewhere - MEANINGS.keys() == set()


def as_it_is(text: str) -> str:
    return text


def test_a_bug_is_not_a_failure() -> None:
    assert translated(aiohttp.InvalidURL("http://"), 1.0, as_it_is) is None
    assert translated(KeyError("x"), 1.0, as_it_is) is None


SECRET = "Top-Secret-Key"  # noqa: S105 - nobody's
ADDRESS = URL(f"https://api.example.com/v1/chat/completions?key={SECRET}")
REQUEST = aiohttp.RequestInfo(ADDRESS, "POST", CIMultiDictProxy(CIMultiDict()), ADDRESS)
PLACE = ConnectionKey(
    "api.example.com", 443, is_ssl=True, ssl=True, proxy=ADDRESS, proxy_auth=None, proxy_headers_hash=None
)
FAILURES = [name for name, meaning in MEANINGS.items() if meaning != "bug"]


def raised(name: str, words: str) -> Exception:
    """An exception as the library makes it of the `words` of a server or of the system."""
    rooms = (aiohttp.client_exceptions, aiohttp, asyncio, builtins)
    cls = next(getattr(room, name) for room in rooms if hasattr(room, name))
    made: Exception
    if issubclass(cls, aiohttp.ClientResponseError):
        made = cls(REQUEST, (), status=407, message=words)
    elif issubclass(cls, aiohttp.ClientConnectorCertificateError):
        made = cls(PLACE, ssl.SSLCertVerificationError(1, words))
    elif name == "UnixClientConnectorError":
        made = cls("/socket", PLACE, OSError(1, words))
    elif issubclass(cls, aiohttp.ClientConnectorError):
        made = cls(PLACE, OSError(1, words))
    elif issubclass(cls, asyncio.IncompleteReadError):
        made = cls(words.encode(), None)
    elif issubclass(cls, aiohttp.ServerFingerprintMismatch):
        made = cls(words.encode(), b"", "api.example.com", 443)
    else:
        made = cls(words)
    return made


@pytest.mark.parametrize("name", FAILURES)
def test_no_reason_holds_the_address(name: str) -> None:
    failure = translated(raised(name, "Nothing but words"), 1.0, as_it_is)
    assert failure is not None
    assert SECRET.lower() not in str(failure).lower()


@pytest.mark.parametrize("name", FAILURES)
def test_what_others_say_goes_through_who_knows_the_secrets(name: str) -> None:
    failure = translated(raised(name, f"No way to {ADDRESS}"), 1.0, lambda text: text.replace(SECRET, "***"))
    assert failure is not None
    assert SECRET.lower() not in str(failure).lower()
