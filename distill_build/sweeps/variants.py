"""One job of a sweep as it is composed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill_build.errors import DistillError
from distill_build.settings import Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """One swept setting: its key as typed, and its value in words: 5, [10,5], null, 网球."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Variant:
    """`choices` are the settings that differ among the jobs."""

    choices: tuple[Choice, ...]
    settings: Settings


def told_with(choices: Sequence[Choice], error: DistillError) -> DistillError:
    """An error with the job that it is about, where it does not begin with one of the job's choices by itself."""
    words = list(map(str, choices))
    if any(str(error).startswith((f"{word}:", f"{word} ")) for word in words):
        return error
    return type(error)(f"{' '.join(words)}: {error}")


def is_of_all(error: DistillError, last: Callable[[], object]) -> bool:
    """Whether the first job's `error` is of nothing that is swept: the last job, made by `last`, has the same."""
    try:
        last()
    except DistillError as other:
        return str(other) == str(error)
    return False
