"""How long an endpoint asks to wait: from the headers of its reply, the fields of its body, else from its sentence.

Knows nothing of retries. Headers: RFC 9110 section 10.2.3 (seconds or an HTTP date), `retry-after-ms`, which Azure and
OpenAI send, and `x-ratelimit-reset`, a time in seconds or milliseconds since 1970, which OpenRouter has in bodies too.
Fields: Gemini's `retryDelay` and `retry_after`. Sentences: what OpenAI, Groq, SiliconFlow and Moonshot write.
"""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
AMOUNT = (
    r"(\d+(?:\.\d+)?)\s*"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)(?![a-z])"
)
PART = re.compile(AMOUNT, re.IGNORECASE)
ASKED = re.compile(
    r"(?:try again|retry|wait|available again|resets?)[^0-9]{0,20}?" + rf"((?:{AMOUNT}[\s,]*)+)", re.IGNORECASE
)
RESET = re.compile(r'x-ratelimit-reset"?\s*:\s*"?(\d{9,})', re.IGNORECASE)
MILLISECONDS = 1e11
"""From here on a time since 1970 is one in milliseconds."""
FIELD = re.compile(r'retry[_-]?(?:after|delay)"?\s*[:=]\s*"?(\d+(?:\.\d+)?)s?\b', re.IGNORECASE)


def retry_after_s(headers: Mapping[str, str], body: str, now: float) -> float | None:
    """Seconds to wait, at least 0; None where the reply does not say. `now` is in seconds since 1970."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    header = headers.get("retry-after") or ""
    for seconds in (_number(header), until_date(header, now), in_field(body), until_reset(headers, body, now)):
        if seconds is not None:
            return seconds
    return in_sentence(body)


def _number(text: str | None) -> float | None:
    """A finite number, not below 0; None for anything else."""
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def until_date(text: str, now: float) -> float | None:
    """Seconds from `now` until an HTTP date; None where it is not one."""
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None


def in_field(body: str) -> float | None:
    """Seconds that a field of the body names; None where there is none."""
    field = FIELD.search(body)
    return _number(field[1]) if field else None


def until_reset(headers: Mapping[str, str], body: str, now: float) -> float | None:
    """Seconds from `now` until the time that `x-ratelimit-reset` names; None where it names none."""
    reset = RESET.search(f"x-ratelimit-reset: {headers.get('x-ratelimit-reset', '')}\n{body}")
    if reset is None:
        return None
    at = float(reset[1])
    return max(0.0, (at / 1000 if at > MILLISECONDS else at) - now)


def in_sentence(body: str) -> float | None:
    """Seconds named in a sentence such as "Please try again in 1m2.5s"; None where there is none."""
    asked = ASKED.search(body)
    return sum(float(amount) * unit_s(unit) for amount, unit in PART.findall(asked[1])) if asked else None


def unit_s(unit: str) -> float:
    """How many seconds a unit has."""
    unit = unit.lower()
    return UNITS_S["ms"] if unit.startswith(("ms", "milli")) else UNITS_S[unit[0]]
