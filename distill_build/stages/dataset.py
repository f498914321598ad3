"""The folder of one dataset: names of its files, and the state that the last build left.

    <folder>/tags.jsonl questions.jsonl answers.jsonl dataset/ failures.jsonl    for the user
    <folder>/runs/state.json     what the last build saw and wrote: a build that finds it unchanged has nothing to do
    <folder>/runs/leaves.json    for each leaf: digest of all that went in, and where its rows lie
    <folder>/runs/calls.json     for each tag, the keys of the requests for what is below it
    <folder>/runs/lock, runs/<run id>/

State is trusted for what it says of files whose size and time are still those it recorded. Without it a build
walks the cache once more and comes to the same bytes.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from distill_build.engine.artefacts import FileState
from distill_build.engine.manifest import digest
from distill_build.records import JsonObject
from distill_build.stages.tree import LeafOutcome, Rows

ARTEFACTS = ("tags.jsonl", "questions.jsonl", "answers.jsonl")
FAILURES = "failures.jsonl"
EXPORTS = "dataset"
STATE_SCHEME = 1
Note = TypeVar("Note")
LeafRow = tuple[str, int, int, int, int, int, int, int, int, tuple[str, ...]]
"""A line of leaves.json: memo, then start, length and count of its questions and of its answers, requests, calls."""


@dataclass(frozen=True, slots=True)
class State:
    """What the last build left. `build` is the digest of all that went in; `recipe` is what it was, by stage.

    `complete` says that nothing was missing; `requests` counts those behind the rows, by stage; `duplicates` the
    questions that stand under an earlier parent too; `outputs` maps relative paths to files as they were written.
    """

    build: str
    complete: bool
    version: str
    until: str
    generation: str
    cache_dir: str
    counts: dict[str, int]
    requests: dict[str, int]
    duplicates: int
    outputs: dict[str, FileState]
    recipe: JsonObject
    scheme: int = STATE_SCHEME

    def encode(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Dataset:
    """`folder` is `output_dir/name`."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def lock(self) -> Path:
        return self.runs / "lock"

    def artefact(self, name: str) -> Path:
        return self.folder / name

    def state(self) -> State | None:
        """The state of the last build, None where there is none to go by."""
        state = _read(self.runs / "state.json", State)
        return state if state is not None and state.scheme == STATE_SCHEME else None

    def write_state(self, state: State) -> None:
        """Replaces the state alone."""
        temporary = self.runs / "state.json.new"
        temporary.write_bytes(state.encode())
        temporary.replace(self.runs / "state.json")

    def calls(self) -> dict[str, list[str]]:
        """Id of a tag (level 0: the topic's text) → keys of the requests for what is directly below it."""
        return _read(self.runs / "calls.json", dict[str, list[str]]) or {}

    def leaves(self) -> dict[str, LeafOutcome]:
        """Memo → outcome of each complete leaf of the last build, its rows marked as kept."""
        rows = _read(self.runs / "leaves.json", list[LeafRow]) or []
        return {row[0]: _leaf(row) for row in rows}


def _read(path: Path, kind: type[Note]) -> Note | None:
    """A note under runs/, None where it is missing or damaged: a build comes to the same end without any."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def encode_leaves(leaves: list[LeafOutcome]) -> bytes:
    """The complete leaves, with places in the artefacts as they were just written."""
    return json.dumps(
        [[leaf.memo, *_rows(leaf.questions), *_rows(leaf.answers), *leaf.requests, leaf.calls] for leaf in leaves],
        separators=(",", ":"),
    ).encode()


def _rows(rows: Rows) -> list[int]:
    return [rows.start, rows.length, rows.count]


def _leaf(row: LeafRow) -> LeafOutcome:
    memo, q_start, q_length, q_count, a_start, a_length, a_count, q_requests, a_requests, calls = row
    return LeafOutcome(
        memo,
        Rows(True, q_start, q_length, q_count),
        Rows(True, a_start, a_length, a_count),
        (q_requests, a_requests),
        calls=calls,
    )


def version_of(sha256: dict[str, str]) -> str:
    """The version of a dataset: a digest over the digests of its three artefacts, absent ones as null."""
    return digest({name: sha256.get(name) for name in ARTEFACTS})
