import inspect
from types import ModuleType

import aiohttp
import aiohttp.client_exceptions
import pytest

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


def test_a_bug_is_not_a_failure() -> None:
    assert translated(aiohttp.InvalidURL("http://"), 1.0) is None
    assert translated(KeyError("x"), 1.0) is None
