"""Where an endpoint is and what is needed to get in: its checked address, the API key, the proxy on the way.

Knows nothing of HTTP libraries, so that settings can be checked before one is loaded.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings, SettingOf, setting_of_model

USER = re.compile(r"(?:^|(?<=//))[^/]*@")
SHORTEST_SECRET = 6
"""In characters."""
API_VERSION = "api-version"
"""What Azure's addresses have behind the ?: it is in its manuals."""


def _has_port(parts: SplitResult) -> bool:
    """Whether the port of an address is one, where it names any."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def split_address(address: str) -> SplitResult:
    """The parts of an address that a request can be sent to. Raises ValueError with what was expected of another."""
    try:
        parts = urlsplit(address)
    except ValueError:
        raise ValueError("expected an IPv6 address in brackets, as in http://[::1]:8000/v1") from None
    if not _has_port(parts):
        raise ValueError("expected a port from 1 to 65535")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address with http:// or https://, for example http://127.0.0.1:8000/v1")
    try:
        parts.hostname.encode("idna")  # as a look-up of the name does it
    except UnicodeError:
        raise ValueError("expected a host of which no part is empty or longer than 63 letters") from None
    return parts


def checked_address(model: ModelSettings, setting: SettingOf = setting_of_model) -> str:
    """`base_url` without a slash at its end. Raises ConfigurationError where it is not an http(s) address."""
    address, key = (model.base_url or "").strip().rstrip("/"), setting("base_url")
    if not address:
        raise ConfigurationError(
            f"model {model.name!r} has no address: set {key}, for example http://127.0.0.1:8000/v1"
        )
    try:
        parts = split_address(address)
    except ValueError as error:
        raise ConfigurationError(f"{key}={address_in_words(address)}: {error}") from None
    if parts.username or parts.password:
        raise ConfigurationError(
            f"{key} holds a user name or password: put a key into the environment variable named in "
            f"{setting('api_key_env')}"
        )
    return address


def address_in_words(address: str) -> str:
    """An address, be it none, as sentences name it. What stands before an @ or behind a ? may be a secret."""
    return USER.sub("", re.split("[?#]", address, maxsplit=1)[0])


def secrets_in(address: str) -> list[str]:
    """What `address_in_words` leaves out of a checked address, whole and in parts, as they stand and as they are meant.

    A part of few letters is none by itself: it would be found in any text. Nor is `api-version`, which a service names
    when it refuses it.
    """
    parts = urlsplit(address)
    user = parts.netloc.rpartition("@")[0]
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    values = [value for name, _, value in pairs if name != API_VERSION]
    query = parts.query if any(name != API_VERSION for name, _, _ in pairs) else ""
    meant = [*map(unquote, (*user.split(":", 1), *values)), *map(unquote_plus, values)]
    own = [part for part in (*user.split(":", 1), *values, *meant) if len(part) >= SHORTEST_SECRET]
    return [*filter(None, (user, query)), *own]


def address_below(address: str, path: str) -> str:
    """Where something is below a checked address. What stands behind a ? there stays behind the path, as Azure's
    api-version does."""
    parts = urlsplit(address)
    return parts._replace(path=parts.path.rstrip("/") + path, fragment="").geturl()


def api_key(
    model: ModelSettings, environment: Mapping[str, str] = os.environ, setting: SettingOf = setting_of_model
) -> str | None:
    """The key from the variable named in `api_key_env`; None where none is set and none is required.

    Raises ConfigurationError naming the variable and the model.
    """
    variable = model.api_key_env
    key = environment.get(variable, "").strip() if variable else ""
    if not key and model.api_key_required:
        wanted = f"set the environment variable {variable}" if variable else f"set {setting('api_key_env')}"
        raise ConfigurationError(f"model {model.name!r} needs an API key: {wanted}")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            f"the environment variable {variable} holds no API key for model {model.name!r}: "
            "a key has no line breaks and no characters outside ASCII"
        )
    return key or None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def is_within(host: str, ranges: str) -> bool:
    """Whether a host is an IP address in one of the ranges that a NO_PROXY names, as 10.0.0.0/8. Python knows none, and
    most other programs do."""
    for each in ranges.split(","):
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(each.strip(), strict=False):
                return True
        except ValueError:  # a name
            continue
    return False


def environment_proxy(address: str) -> str | None:
    """The proxy that the environment names for an address, None for this machine.

    Raises ConfigurationError for one that is no HTTP proxy. Its address is in no sentence: it may hold a password.
    """
    from urllib.request import getproxies, proxy_bypass  # costs start-up time

    parts = urlsplit(address)
    host = parts.hostname or ""
    proxies = getproxies()
    if is_loopback(host) or proxy_bypass(host) or is_within(host, proxies.get("no", "")):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        return split_address(proxy).geturl() if proxy else None
    except ValueError:
        raise ConfigurationError(
            f"the environment's proxy for {parts.scheme} is not an HTTP proxy: "
            f"set {parts.scheme.upper()}_PROXY to one, as in http://proxy.example:3128, or NO_PROXY={host}"
        ) from None
