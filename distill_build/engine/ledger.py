"""What a run did: events appended to runs/<run id>/events.jsonl, one JSON object a line, as they happen.

An event carries names and numbers, never a request's headers. Handed to the system line by line, so that a killed
run has told all that it did.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec


def new_run_id() -> str:
    """Sorts by time, and is not the same for two runs of one second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class Ledger:
    """The events of one run. The file is made with the first event, so a run that did nothing leaves none."""

    def __init__(self, runs: Path, run_id: str) -> None:
        self.run_id = run_id
        self.folder = runs / run_id
        self._file: BinaryIO | None = None

    def write(self, event: str, **facts: Any) -> None:
        """Appends one event with the time in UTC."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / "events.jsonl").open("ab", buffering=0)
        row = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        self._file.write(msgspec.json.encode(row) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
