"""The folder of one dataset: names of its files, and the state that the last build left.

    <folder>/<stage>.jsonl …, dataset/, failures.jsonl, checks.jsonl, distill.lock    for the user
    <folder>/runs/state.json     what the last build saw and wrote: a build that finds it unchanged has nothing to do
    <folder>/runs/units.json     for each segment of a unit: digest of all that went in, and where its rows lie
    <folder>/runs/sources.jsonl  for each tag, the responses that what is directly below it was read from
    <folder>/runs/responses/     those responses themselves, as they came: see `builds.kept_responses`
    <folder>/runs/lock, runs/<run id>/

State is trusted for what it says of files whose size and time are still those it recorded. Without it a build
walks the cache once more and comes to the same bytes.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec

from distill_build.dataset.lockfile import LOCK, recipe_in, sound_lock
from distill_build.dataset.outcome import Outcome, Rows
from distill_build.dataset.rows import SourcesRow, read_rows
from distill_build.engine.artefacts import FileState, open_file, sync
from distill_build.engine.manifest import digest
from distill_build.graph import Graph
from distill_build.records import JsonObject

FAILURES = "failures.jsonl"
CHECKS = "checks.jsonl"
NO_ARTEFACTS = frozenset({FAILURES, CHECKS})
EXPORTS = "dataset"
SOURCES = "runs/sources.jsonl"
RESPONSES = "runs/responses"
STATE = "runs/state.json"
UNITS = "runs/units.json"
STATE_SCHEME = 8
Note = TypeVar("Note")
RowSpan = tuple[int, int, int]
"""Start, length and count of rows in a file."""


class _UnitNote(msgspec.Struct, array_like=True, frozen=True):
    """An item of units.json: what `Outcome` says, with places in the artefacts."""

    memo: str
    rows: dict[str, RowSpan]
    sources: RowSpan
    requests: dict[str, int]
    spared: dict[str, int]
    dropped: dict[str, dict[str, int]]
    rows_dropped: dict[str, int]


class ReviewNote(msgspec.Struct, array_like=True, frozen=True):
    """What became of a person's review of a row below the tag with the id `tag`. `said` stands for what the row depends
    on of it, `fault` says why it was not applied; nothing where it was."""

    said: str
    tag: str
    fault: str


class KeptCalls(msgspec.Struct, frozen=True):
    """What the packs in a folder suffice for: all that the file of sources with the SHA-256 `sources` names.

    It is empty where something was not to be had. They hold so many `calls`, in use or not.
    """

    sources: str
    calls: int


class CheckExample(msgspec.Struct, frozen=True):
    """A label of the tree that so many `rows` of a check have."""

    label: str
    rows: int


class CheckCount(msgspec.Struct, frozen=True):
    """How many `rows` of a stage, `of` those that were looked at, show what `check` names.

    `texts` counts what they say, each once; `examples` are some of it, where it is labels of the tree. See
    `stages.checks`.
    """

    check: str
    stage: str
    rows: int
    of: int
    texts: int
    examples: tuple[CheckExample, ...]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the last build left. `build` is the digest of all that went in; `recipe` is what it was, by stage.

    `complete` says that nothing was missing; `requests` counts those behind the rows, by stage; `spared` the rows that
    were not to be made since what they would hang on was dropped, less those that are there besides; `dropped` counts
    by transform and reason; `unmade` the rows that no model was asked for and that failed all the same, by stage,
    exports by END; `outputs` maps relative paths to files as they were written.
    `generation` and `losses` are the cache's as the rows were read; `holds_others` says that some of them came from
    responses that are not those that stand there. `failed` are keys of calls that came to nothing. `rebuilding` are
    globs of a --rebuild that has begun, at `rebuilding_since` (UTC, ISO 8601), and not come to its end.
    `stages` describes the graph. `stopped` is the sentence of what left something unasked that is missing, else None;
    `grown` says that it ended the growth of a complete version, whose rows are all there still. `kept` is None where
    the folder keeps no responses. `checks` counts what checks.jsonl and flags name.
    `unmatched` are sentences on what people say of parts of the dataset that are not there,
    and `reviews` what became of theirs of rows, by id.
    Who makes a state says all of it: whatever else writes a dataset's files would forget a field that has a default.
    `losses` has one for states from before there was that word.
    """

    build: str
    complete: bool
    version: str
    until: str
    generation: str
    losses: str = ""
    cache_dir: str
    counts: dict[str, int]
    requests: dict[str, int]
    spared: dict[str, int]
    dropped: dict[str, dict[str, int]]
    outputs: dict[str, FileState]
    recipe: JsonObject
    holds_others: bool
    failed: tuple[str, ...]
    rebuilding: tuple[str, ...]
    rebuilding_since: str
    stages: dict[str, str]
    unmade: dict[str, int]
    stopped: str | None
    grown: bool
    kept: KeptCalls | None
    checks: tuple[CheckCount, ...]
    unmatched: tuple[str, ...]
    reviews: dict[str, ReviewNote]
    scheme: int = STATE_SCHEME

    @property
    def graph(self) -> Graph:
        """The stages that the build had."""
        return Graph.parse(self.stages)

    @property
    def stands(self) -> bool:
        """Whether the rows are those of a complete version: a build that is stopped drops and replaces none of them."""
        return self.complete or self.grown

    @property
    def of_cache(self) -> tuple[str, str]:
        """The words of the cache that the rows were read from: see `CacheDirectory.words`."""
        return self.generation, self.losses

    @property
    def packs(self) -> dict[str, FileState]:
        """The files that the folder keeps its responses in."""
        return {name: facts for name, facts in self.outputs.items() if name.startswith(f"{RESPONSES}/")}

    def files(self, dataset: "Dataset") -> tuple[Path, ...]:
        """The files for the user."""
        return tuple(dataset.artefact(name) for name in self.outputs if not name.startswith("runs/"))

    def encode(self) -> bytes:
        return json.dumps(msgspec.to_builtins(self), ensure_ascii=False, indent=1).encode()


class Dataset(msgspec.Struct, frozen=True):
    """`folder` is `output_dir/name`."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def lock(self) -> Path:
        return self.runs / "lock"

    def note_cache(self, cache: Path) -> str:
        """How the state names the cache: in a project as seen from the dataset, so that the project can be moved."""
        place, project = cache.absolute(), Path.cwd()
        if place.is_relative_to(project) and self.folder.absolute().is_relative_to(project):
            return os.path.relpath(place, self.folder.absolute())
        return str(place)

    def cache(self, state: State) -> Path:
        """The cache that the last build used."""
        return Path(os.path.normpath(self.folder.absolute() / state.cache_dir))

    def artefact(self, name: str) -> Path:
        return self.folder / name

    @property
    def name(self) -> str:
        """What its settings call it, by whose files of people's it goes: a sweep's job is called as its dataset is."""
        lock = sound_lock(self.artefact(LOCK))
        return lock.name if lock is not None else self.folder.resolve().name

    def graph(self) -> Graph | None:
        """The stages that the files here are of, by the state, else by the lock; None where neither tells."""
        if (state := self.state()) is not None:
            return state.graph
        lock = sound_lock(self.artefact(LOCK))
        return lock.graph if lock is not None else None

    def recipe(self) -> JsonObject:
        """The settings that the files here are of, by stage: by the state, else by the lock; empty where neither tells.

        A lock has long texts by their digests.
        """
        if (state := self.state()) is not None:
            return state.recipe
        lock = sound_lock(self.artefact(LOCK))
        return recipe_in(lock.recipe) if lock is not None else {}

    def state(self) -> State | None:
        """The state of the last build, None where there is none to go by."""
        return read_state(self.artefact(STATE))

    def outputs(self) -> dict[str, FileState]:
        """The files as the last build wrote them, by name; none where there is no state."""
        state = self.state()
        return {} if state is None else state.outputs

    def write_state(self, state: State) -> None:
        """Replaces the state alone."""
        temporary = self.artefact(f"{STATE}.new")
        temporary.write_bytes(state.encode())
        sync(temporary)
        temporary.replace(self.artefact(STATE))

    def sources(self) -> Iterator[SourcesRow]:
        """The tags with the responses behind what is directly below them, in tree order; the topic's text is first."""
        return read_rows(self.artefact(SOURCES), SourcesRow)

    def tells_responses(self) -> bool:
        """Whether the file of sources is of the rows here: git brings rows without it, or beside that of others."""
        state, lock = self.state(), sound_lock(self.artefact(LOCK))
        if state is None or (lock is not None and lock.version != state.version):
            return False
        return SOURCES in state.outputs and state.outputs[SOURCES].same_content(self.artefact(SOURCES))

    def outcomes(self) -> dict[str, Outcome]:
        """Memo → outcome of each complete segment of a unit of the last build, its rows marked as kept."""
        return {note.memo: _outcome(note) for note in _read(self.artefact(UNITS), list[_UnitNote]) or []}


def rows_by_check(checks: tuple[CheckCount, ...]) -> dict[str, dict[str, int]]:
    """Stage → check → rows, for programs to read."""
    rows: dict[str, dict[str, int]] = {}
    for each in checks:
        rows.setdefault(each.stage, {})[each.check] = each.rows
    return rows


def read_state(path: Path) -> State | None:
    """The state at `path`, None where there is none to go by.

    A folder may have come from anywhere: one that names files outside of it is none of ours.
    """
    state = _read(path, State)
    if state is None or state.scheme != STATE_SCHEME or not all(map(_is_inside, state.outputs)):
        return None
    return state


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name)
    return not parts.is_absolute() and ".." not in parts.parts


def _read(path: Path, kind: type[Note]) -> Note | None:
    """A note under runs/, None where it is missing or damaged: a build comes to the same end without any."""
    try:
        with open_file(path) as file:
            return msgspec.json.decode(file.read(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def encode_outcomes(outcomes: list[Outcome]) -> bytes:
    """The complete ones, with places in the artefacts as they were just written."""
    notes = [
        _UnitNote(
            each.memo,
            {name: _span(rows) for name, rows in each.rows.items()},
            _span(each.sources),
            each.requests,
            each.spared,
            each.dropped,
            each.rows_dropped,
        )
        for each in outcomes
        if each.memo is not None
    ]
    return msgspec.json.encode(notes)


def _span(rows: Rows) -> RowSpan:
    return rows.start, rows.length, rows.count


def _outcome(note: _UnitNote) -> Outcome:
    return Outcome(
        note.memo,
        {name: Rows(True, *span) for name, span in note.rows.items()},
        Rows(True, *note.sources),
        note.requests,
        note.spared,
        note.dropped,
        note.rows_dropped,
    )


def version_of(sha256: dict[str, str]) -> str:
    """The version of a dataset: a digest over the digests of its artefacts, as far as there are any.

    `sha256` may hold those of other files too: their names are not artefacts' (see `is_artefact`).
    """
    return digest({name: digest for name, digest in sha256.items() if is_artefact(name)})


def kept_files(graph: Graph) -> tuple[str, ...]:
    """The files that a version with the stages of `graph` is kept with. Exports are made again from them."""
    return (*graph.files, FAILURES, SOURCES)


def is_artefact(name: str) -> bool:
    """Whether a file of a dataset, by its name within the folder, holds the rows of a stage."""
    return name.endswith(".jsonl") and "/" not in name and name not in NO_ARTEFACTS
