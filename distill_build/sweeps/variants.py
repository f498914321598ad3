"""One job of a sweep as it is composed."""

from dataclasses import dataclass

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
