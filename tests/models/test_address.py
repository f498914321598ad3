import pytest

from distill_build.errors import ConfigurationError
from distill_build.models.address import (
    address_below,
    address_in_words,
    api_key,
    checked_address,
    environment_proxy,
    is_loopback,
    secrets_in,
)
from distill_build.models.base import ModelSettings


def model(base_url: str | None = None, variable: str | None = None, required: bool = True) -> ModelSettings:
    return ModelSettings(
        engine="openai_compatible",
        name="m",
        base_url=base_url,
        api_key_env=variable,
        api_key_required=required,
    )


def test_a_slash_at_the_end_of_an_address_is_no_difference() -> None:
    assert checked_address(model("http://x/v1/")) == "http://x/v1"


def test_what_stands_behind_a_question_mark_stays_behind_the_path() -> None:
    assert address_below("http://x/v1", "/chat/completions") == "http://x/v1/chat/completions"
    assert address_below("http://x", "/chat/completions") == "http://x/chat/completions"
    assert (
        address_below("https://x/v1/?api-version=1&a=b/c", "/chat/completions")
        == "https://x/v1/chat/completions?api-version=1&a=b/c"
    )
    assert address_below("http://[::1]:8000/v1#top", "/chat/completions") == "http://[::1]:8000/v1/chat/completions"


IMPOSSIBLE = ["http://x:abc/v1", "http://x:99999/v1", "http://[::1/v1", "http://a..b/v1", f"http://{'a' * 64}.de/v1"]
NO_ADDRESS = [None, "", "localhost:8000/v1", "ftp://x", "http://", "https://me:pw@x/v1"]


@pytest.mark.parametrize("address", [*NO_ADDRESS, *IMPOSSIBLE])
def test_what_is_no_address_is_a_sentence(address: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.base_url") as error:
        checked_address(model(address))
    assert "pw" not in str(error.value).replace("http", "")


def test_a_key_comes_from_the_variable_that_is_named() -> None:
    assert api_key(model(variable="A"), {"A": " k\n", "B": "other"}) == "k"


def test_a_key_that_is_not_required_may_be_missing() -> None:
    assert api_key(model(variable="A", required=False), {}) is None
    assert api_key(model(required=False), {}) is None


@pytest.mark.parametrize("environment", [{}, {"A": ""}, {"A": "  "}, {"A": "schlüssel"}, {"A": "a\nb"}])
def test_a_key_that_is_missing_or_none_names_its_variable(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"variable A\b"):
        api_key(model(variable="A"), environment)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "a.localhost"])  # noqa: S104 - an address to look at
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


def test_no_proxy_is_obeyed_and_socks_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "no_proxy", "NO_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    assert environment_proxy("https://api.example.com/v1") == "http://proxy.example:3128"
    assert environment_proxy("https://localhost/v1") is None
    monkeypatch.setenv("no_proxy", "api.example.com")
    assert environment_proxy("https://api.example.com/v1") is None
    monkeypatch.setenv("no_proxy", "api.example.com, 10.0.0.0/8,192.168.7.1,fd00::/8")
    for within in ("10.255.1.2", "192.168.7.1", "[fd00::1]"):
        assert environment_proxy(f"https://{within}/v1") is None
    for beyond in ("11.0.0.1", "192.168.7.2", "[fe80::1]", "ten.example.org"):
        assert environment_proxy(f"https://{beyond}/v1") == "http://proxy.example:3128"
    for proxy in ("socks5://127.0.0.1:1080", "http://[::1", "http://", "me:secret@p:abc", "proxy:99999"):
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as error:
            environment_proxy("https://other.example.com/v1")
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://api.example.com/v1?key=secret", "https://api.example.com/v1"),
        ("http://me:secret@proxy.example:3128", "http://proxy.example:3128"),
        ("me:secret@proxy.example", "proxy.example"),
        ("ftp://me:secret@x:99999/v1#secret", "ftp://x:99999/v1"),
        ("http://[::1]:8000/v1/@me", "http://[::1]:8000/v1/@me"),
    ],
)
def test_a_sentence_names_an_address_without_its_secrets(address: str, told: str) -> None:
    assert address_in_words(address) == told


def test_the_secrets_of_an_address_are_known_as_they_stand_and_as_they_are_meant() -> None:
    found = secrets_in("https://me:pass%2Fword@x/v1?key=top+secret%21&v=1")
    assert {"me:pass%2Fword", "pass%2Fword", "pass/word", "key=top+secret%21&v=1", "top+secret%21"} <= set(found)
    assert {"top secret!", "top+secret!"} <= set(found)
    assert "1" not in found, "it would be found in any text"
    assert secrets_in("https://x/v1") == []


def test_the_version_of_an_interface_is_no_secret() -> None:
    assert secrets_in("https://x/v1?api-version=2024-06-01") == []
    both = "api-version=2024-06-01&key=top-secret"
    assert set(secrets_in(f"https://x/v1?{both}")) == {both, "top-secret"}
