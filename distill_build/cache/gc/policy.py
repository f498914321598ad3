"""What `cache gc` may remove beside what is of no use to anybody. Words → a policy; knows no cache.

Every flag narrows: what is removed is what all that were given allow. `--keep-last` alone lets versions go; without it
all of them stay, and what they reach.
"""

import re
from datetime import timedelta

import msgspec

from distill_build.errors import UsageError

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|[KMGT]i?B)", re.IGNORECASE)
BYTES = {"B": 1} | {
    unit: base**power
    for power, letter in enumerate("KMGT", start=1)
    for unit, base in ((f"{letter}B", 1000), (f"{letter}IB", 1024))
}
AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([hdwy])", re.IGNORECASE)
HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}
LONGEST_HOURS = 1000 * HOURS["y"]


class Policy(msgspec.Struct, frozen=True):
    """None for what was not given. `max_bytes` is what the cache may take on disk; `older_than` an age."""

    keep_last: int | None = None
    max_bytes: int | None = None
    older_than: timedelta | None = None

    @property
    def removes_responses(self) -> bool:
        """Whether anything that was paid for may go."""
        return (self.keep_last, self.max_bytes, self.older_than) != (None, None, None)


def policy_of(keep_last: int | None, max_size: str | None, older_than: str | None) -> Policy:
    """The policy that the flags ask for, as typed. Raises UsageError for a size or an age that cannot be read."""
    return Policy(
        keep_last,
        None if max_size is None else _bytes(max_size),
        None if older_than is None else _age(older_than),
    )


def _bytes(text: str) -> int:
    match = SIZE.fullmatch(text.strip())
    if match is None and text.strip() != "0":
        raise UsageError(f"--max-size takes a size with its unit, as in 500MB, 2GB or 1.5GiB, not '{text}'")
    return 0 if match is None else int(float(match[1]) * BYTES[match[2].upper()])


def _age(text: str) -> timedelta:
    match = AGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"--older-than takes a number of hours, days, weeks or years, as in 12h, 30d, 6w or 1y, not '{text}'"
        )
    hours = float(match[1]) * HOURS[match[2].lower()]
    if hours > LONGEST_HOURS:
        raise UsageError(f"--older-than {text} is longer than any cache has been there")
    return timedelta(hours=hours)
