"""Amounts and times as people read them: "11 tags", "$0.0123", "1.2M", "3 min 20 s". Knows nothing of builds."""

from datetime import datetime

UNKNOWN = "—"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
YEAR = 365 * DAY


def money(usd: float | None) -> str:
    """US dollars; what has no price is a dash. Cents alone would hide what one request costs."""
    if usd is None:
        return UNKNOWN
    if 0 < usd < 0.0001:
        return "<$0.0001"
    if usd == 0:
        return "$0"
    return f"${usd:.4f}" if usd < 1 else f"${usd:,.2f}"


def rough_money(usd: float | None) -> str:
    """US dollars that are guessed, to two figures below a dollar."""
    if usd is None or usd < 0.0001 or usd >= 0.1:
        return money(usd) if usd is None or usd < 0.1 else f"${usd:,.2f}"
    return f"${usd:.2g}"


def tokens(amount: float) -> str:
    """Tokens to two or three figures: "812", "1.2k", "45k", "1.2M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= size * 0.9995:
            figure = amount / size
            return f"{figure:.1f}{letter}" if figure < 9.95 else f"{figure:.0f}{letter}"
    return f"{amount:.0f}"


def volume(amount: int) -> str:
    """Bytes for people, in units of a thousand."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if amount >= size:
            return f"{amount / size:,.1f} {unit}"
    return f"{amount} bytes"


def duration(seconds: float) -> str:
    """A time that was measured, in two units: "0.4 s", "3 min 20 s", "2 h 5 min", "3 days 4 h"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0 s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return _two(whole // MINUTE, "min", whole % MINUTE, "s")
    if whole < DAY:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _two(whole // DAY, "day" if whole < 2 * DAY else "days", whole % DAY // HOUR, "h")


def elapsed(seconds: float) -> str:
    """A time that is still running, in whole seconds."""
    return f"{int(seconds)} s" if seconds < MINUTE else duration(int(seconds))


def rough_duration(seconds: float) -> str:
    """A time that is guessed, in one unit: "20 s", "40 min", "2.5 h", "3 days", "2,000 years"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * MINUTE:
        return f"{seconds / MINUTE:.0f} min"
    if seconds < 2 * DAY:
        hours = seconds / HOUR
        return f"{hours:.1f} h".replace(".0 ", " ") if hours < 10 else f"{hours:.0f} h"
    if seconds < 2 * YEAR:
        return f"{seconds / DAY:.0f} days"
    return f"{seconds / YEAR:,.0f} years"


def local_time(at: str) -> str:
    """A time in UTC (ISO 8601), as the clock here shows it."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")


def rate(per_second: float) -> str:
    """Requests per second, or per minute where they are rare."""
    if per_second >= 1:
        return f"{per_second:.1f} requests/s" if per_second < 9.95 else f"{per_second:,.0f} requests/s"
    return f"{per_second * MINUTE:.0f} requests/min"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large:,} {large_unit} {small} {small_unit}" if small else f"{large:,} {large_unit}"
