"""What a failure below HTTP means: the exceptions of aiohttp, translated at one place.

Their own words may hold the address, and with it secrets: of a reply that is none the message is taken, and whatever
is taken goes through who knows the secrets.
Classes are named, not imported: this module costs nothing to load, and a class that an installed version does not have
does no harm. A test holds the table complete.
"""

from collections.abc import Callable
from typing import Literal

from distill_build.models.retry import RetryableError

Meaning = Literal["unreachable", "connection", "timeout", "bad_response", "bug"]

MEANINGS: dict[str, Meaning] = {
    # Python: asyncio.timeout() around a request, and what may come through unwrapped
    "TimeoutError": "timeout",
    "OSError": "connection",
    "IncompleteReadError": "connection",
    # aiohttp: no connection could be made
    "ClientConnectorError": "unreachable",
    "ClientConnectorDNSError": "unreachable",
    "ClientConnectorSSLError": "unreachable",
    "ClientConnectorCertificateError": "unreachable",
    "ClientSSLError": "unreachable",
    "ClientProxyConnectionError": "unreachable",
    "ClientHttpProxyError": "unreachable",
    "ConnectionTimeoutError": "unreachable",
    "ServerFingerprintMismatch": "unreachable",
    "UnixClientConnectorError": "unreachable",
    # aiohttp: a connection that broke
    "ClientError": "connection",
    "ClientConnectionError": "connection",
    "ClientConnectionResetError": "connection",
    "ClientOSError": "connection",
    "ServerConnectionError": "connection",
    "ServerDisconnectedError": "connection",
    "ClientPayloadError": "connection",
    "UploadAbortedError": "connection",
    # aiohttp: time
    "ServerTimeoutError": "timeout",
    "SocketTimeoutError": "timeout",
    # aiohttp: something came that is not HTTP, or not what was announced
    "ClientResponseError": "bad_response",
    "ContentTypeError": "bad_response",
    "BadContentDispositionHeader": "bad_response",
    "BadContentDispositionParam": "bad_response",
    # aiohttp: cannot happen with a checked address, without redirects and web sockets
    "InvalidURL": "bug",
    "InvalidUrlClientError": "bug",
    "NonHttpUrlClientError": "bug",
    "RedirectClientError": "bug",
    "InvalidUrlRedirectClientError": "bug",
    "NonHttpUrlRedirectClientError": "bug",
    "TooManyRedirects": "bug",
    "WSServerHandshakeError": "bug",
    "WSMessageTypeError": "bug",
}


def meaning_of(error: BaseException) -> Meaning:
    """The table's word for an exception, by its nearest class; "bug" for what is not there."""
    for cls in type(error).__mro__:
        meaning = MEANINGS.get(cls.__name__)
        if meaning:
            return meaning
    return "bug"


def translated(error: Exception, timeout_s: float | None, quote: Callable[[str], str]) -> RetryableError | None:
    """The failure that an exception stands for, or None: it is a bug, and is to be raised as it is.

    `quote` takes secrets out of the words of the library and of the system.
    """
    meaning = meaning_of(error)
    if meaning == "bug":
        return None
    if meaning == "timeout":
        return RetryableError("timeout", f"no complete reply within limits.timeout_s={timeout_s:g} seconds")
    reason = quote(_reason(error)).lower()[:200]
    if meaning == "unreachable":
        return RetryableError("connection", reason, unreachable=True)
    return RetryableError(meaning, reason)


def _reason(error: BaseException) -> str:
    """What happened, in the operating system's words where it has some."""
    system = getattr(error, "os_error", error)
    if isinstance(system, ConnectionRefusedError):
        return "connection refused"
    if type(error).__name__ == "ConnectionTimeoutError":
        return "no connection in time"
    if type(error).__name__ == "ServerDisconnectedError":
        return "the server closed the connection before it answered"
    if type(error).__name__ == "ClientHttpProxyError":
        return f"the proxy answers {getattr(error, 'status', '')} {getattr(error, 'message', '')}"
    # Of a reply: the text of the exception itself ends in the address.
    own = getattr(error, "message", None) if hasattr(error, "request_info") else str(error)
    words = getattr(system, "strerror", None) or own or type(error).__name__
    return str(words).rstrip(" ^")
