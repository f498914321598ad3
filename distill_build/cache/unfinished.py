"""Builds that did not come to their end: killed, interrupted, or stopped with items missing. Their events say it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

LATE = timedelta(seconds=60)
"""A response is stored before its event is written: so long may a killed run have been between the two."""


@dataclass(frozen=True, slots=True)
class Run:
    """`target` is the digest of what it was to make, empty where that was not written down; `calls` are keys."""

    target: str
    start: datetime
    end: datetime
    complete: bool
    calls: frozenset[str]


def unfinished_runs(runs: Path) -> list[Run]:
    """The runs of a dataset that did not come to their end, and whose target none has reached since.

    A run with other settings, or up to an earlier stage, has another target, and completes nothing of theirs.
    Raises OSError where one may not look.
    """
    found = [run for folder in _folders(runs) if (run := _read_run(folder / "events.jsonl")) is not None]
    reached: dict[str, datetime] = {}
    for run in found:
        if run.complete and run.target:
            reached[run.target] = max(run.end, reached.get(run.target, run.end))
    return [run for run in found if not run.complete and not (run.target in reached and reached[run.target] > run.end)]


def _folders(runs: Path) -> Iterator[Path]:
    """What lies in a folder, nothing where it is not there. A glob would find nothing where one may not look, too."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from list(runs.iterdir())


class _Event(msgspec.Struct):
    at: datetime
    event: str
    call: str = ""
    failures: int = 0
    target: str = ""


def _read_run(ledger: Path) -> Run | None:
    """What a run's events say; None where there are none.

    A kill or a full disk cuts lines off. What such a line told of came while the run was at work, so it is kept too.
    """
    decode = msgspec.json.Decoder(_Event).decode
    events = []
    with suppress(FileNotFoundError, NotADirectoryError), ledger.open("rb") as lines:
        for line in lines:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                events.append(decode(line))
    if not events:
        return None
    target = next((event.target for event in events if event.target), "")
    complete = any(event.event == "end" and not event.failures for event in events)
    calls = frozenset(event.call for event in events if event.call)
    return Run(target, events[0].at, events[-1].at, complete, calls)
