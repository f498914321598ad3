"""What a cache holds, added up by stage and model. Reads every entry once, and keeps none."""

from dataclasses import dataclass
from pathlib import Path

from distill_build.engine.entry import Entry
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError
from distill_build.records import JsonObject
from distill_build.stages.reply import read_usage


@dataclass(slots=True)
class Group:
    """The calls of one stage to one model.

    `attempts` are the responses stored for them; `accepted` calls have one that stands, `open` ones none. Tokens
    are those of all responses, as the endpoints counted them.
    """

    calls: int = 0
    attempts: int = 0
    accepted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def open(self) -> int:
        return self.calls - self.accepted

    def add(self, entry: Entry) -> None:
        """Counts one call."""
        self.calls += 1
        self.attempts += len(entry.attempts)
        self.accepted += entry.accepted is not None
        for attempt in entry.attempts:
            usage = read_usage(attempt.response)
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens

    def row(self) -> JsonObject:
        """The figures by name."""
        return {
            "calls": self.calls,
            "attempts": self.attempts,
            "accepted": self.accepted,
            "open": self.open,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """`size` is in bytes on disk; `damaged` entries cannot be read back and are in no group."""

    entries: int
    size: int
    damaged: int
    groups: dict[tuple[str, str], Group]


def count_cache(directory: Path) -> CacheFigures:
    """Adds up the cache in `directory`. Raises StorageError where it cannot be used."""
    store = Store(directory)
    try:
        entries, size = store.size()
        groups: dict[tuple[str, str], Group] = {}
        damaged = 0
        for key in store.keys():  # noqa: SIM118 - a Store is no mapping
            try:
                entry = store.get(key)
            except CorruptEntryError:
                damaged += 1
                continue
            if entry is not None:
                groups.setdefault(_place(entry), Group()).add(entry)
        return CacheFigures(entries, size, damaged, groups)
    finally:
        store.close()


def _place(entry: Entry) -> tuple[str, str]:
    """Stage and model's name."""
    return str(entry.manifest["stage"]), str(entry.manifest["body"]["model"])
