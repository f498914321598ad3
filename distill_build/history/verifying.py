"""Whether a dataset's files are what its lock says, and fit each other. Hashes each file once, and changes none."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from distill_build.dataset.layout import (
    CHECKS,
    EXPORTS,
    FAILURES,
    SOURCES,
    STATE,
    Dataset,
    is_artefact,
    kept_files,
    version_of,
)
from distill_build.dataset.lockfile import LOCK, Lock, read_lock, recipe_in
from distill_build.dataset.transaction import finish_moves
from distill_build.engine.artefacts import file_sha256, replacing
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import CorruptEntryError, DifferenceError
from distill_build.graph import Graph
from distill_build.history.row_checks import RowChecks
from distill_build.records import short
from distill_build.stages.checks import check_rows
from distill_build.stages.default import graph_in


class FileProblem(msgspec.Struct, frozen=True):
    """A file, by its name within the dataset's folder, and what is wrong with it. A `foreign` one is none of ours."""

    file: str
    problem: str
    foreign: bool = False


class Verification(msgspec.Struct, frozen=True):
    """`version` is that of the artefacts as they are; `locked` that of the lock, None where none can be gone by.

    `checked` maps every file that was looked at to its SHA-256, `rows` every artefact that can be read to its number of
    rows.
    """

    version: str
    locked: str | None
    checked: dict[str, str]
    rows: dict[str, int]
    findings: tuple[FileProblem, ...]


class ResponseCounts(msgspec.Struct):
    """The responses that the rows were read from: how many are named, and of these not in the cache, or damaged."""

    named: int = 0
    lacking: int = 0
    damaged: int = 0

    @property
    def absent(self) -> int:
        """Those that nothing can be read from."""
        return self.lacking + self.damaged


def verify(dataset: Dataset, note: Callable[[str], None]) -> Verification:
    """Compares the files of `dataset` with its lock and with each other; again where a run replaces them meanwhile.

    `note` is told of what a killed run left half moved, which is carried out first: errors are those of `finish_moves`.
    """
    while True:
        finish_moves(dataset, note)
        before = _last_replaced(dataset)
        if replacing(dataset.runs):
            continue  # some files were moved already when `before` was seen
        verdict = _compared(dataset)
        if not replacing(dataset.runs) and _last_replaced(dataset) == before:
            return verdict


def _last_replaced(dataset: Dataset) -> list[tuple[int, int]]:
    """What changes with every run that replaces files, somewhere between the coming and going of its journal."""
    stats = [place.stat() for name in (STATE, LOCK) if (place := dataset.artefact(name)).exists()]
    return [(stat.st_ino, stat.st_mtime_ns) for stat in stats]


def _compared(dataset: Dataset) -> Verification:
    findings: list[FileProblem] = []
    graph, lock = graph_in(dataset), _lock(dataset, findings)
    exports = sorted(path.name for path in dataset.artefact(EXPORTS).glob("*") if path.is_file())
    names = [*_ours(graph, lock), *(f"{EXPORTS}/{name}" for name in exports)]
    checked = {name: file_sha256(path) for name in names if (path := dataset.artefact(name)).is_file()}
    findings += _against_state(dataset, lock, checked)
    rows = RowChecks(dataset, graph)
    findings += [FileProblem(file, problem) for file, problem in rows.problems()]
    if lock is not None:
        findings += [*_against_lock(lock, checked), *_unknown(dataset, lock, checked), *_counted(lock, rows.counts)]
    if lock is not None and not findings:  # else the rows are none to go by
        findings += _against_rows(dataset, graph, lock, checked)
    in_the_way = {finding.file: finding for finding in _in_the_way(dataset, graph, lock)}  # all there is to say of them
    findings = [*(finding for finding in findings if finding.file not in in_the_way), *in_the_way.values()]
    findings.sort(key=lambda finding: finding.file)
    return Verification(
        version_of(checked), lock.version if lock is not None else None, checked, rows.counts, tuple(findings)
    )


def _ours(graph: Graph, lock: Lock | None) -> list[str]:
    """The files that lie in a dataset's folder: by its stages, and by the lock, which may be of other ones."""
    locked = lock.artefacts if lock is not None else {}
    return list(dict.fromkeys([*kept_files(graph), CHECKS, *filter(is_artefact, locked)]))


def stored_responses(dataset: Dataset, cache: Path) -> ResponseCounts:
    """Whether the cache has the responses behind the rows. Raises StorageError for a cache that cannot be read."""
    found = ResponseCounts()
    with closing(ReadOnlyStore(cache)) as store:
        for row in dataset.sources():
            for key, digest in row.responses:
                _look_up(store, key, digest, found)
    return found


def _look_up(store: ReadOnlyStore, key: str, digest: str, found: ResponseCounts) -> None:
    found.named += 1
    try:
        entry = store.get(key)
    except CorruptEntryError:
        found.damaged += 1
        return
    if entry is None or all(attempt.digest != digest for attempt in entry.attempts):
        found.lacking += 1


def _lock(dataset: Dataset, findings: list[FileProblem]) -> Lock | None:
    try:
        lock = read_lock(dataset.artefact(LOCK))
    except DifferenceError as error:
        findings.append(FileProblem(LOCK, str(error)))
        return None
    if lock is None:
        findings.append(FileProblem(LOCK, "it is missing: the next build writes it, or git has it"))
    return lock


def _in_the_way(dataset: Dataset, graph: Graph, lock: Lock | None) -> Iterator[FileProblem]:
    """Folders in the place of files, and a file in that of the exports: neither a build nor a checkout removes them.

    Where there has to be a file, it is missing too; elsewhere all is well once the folder is moved away.
    """
    wanted = {LOCK, *(_wanted(lock) if lock is not None else ())}
    for name in sorted({*wanted, *_ours(graph, lock)}):
        if dataset.artefact(name).is_dir():
            yield FileProblem(name, "it is a folder: move it away", foreign=name not in wanted)
    if dataset.artefact(EXPORTS).is_file():
        yield FileProblem(EXPORTS, "it is no folder: move it away", foreign=True)


def _against_lock(lock: Lock, checked: Mapping[str, str]) -> Iterator[FileProblem]:
    for name, digest in _named(lock).items():
        if name not in checked:
            yield FileProblem(name, "it is missing")
        elif checked[name] != digest:
            yield FileProblem(name, f"its SHA-256 is {short(checked[name])}…, and the lock has {short(digest)}…")
    if (made := version_of(lock.artefacts)) != lock.version:
        yield FileProblem(LOCK, f"it names version {short(lock.version)}, and its digests make {short(made)}")
    if lock.missing and FAILURES not in checked:
        yield FileProblem(FAILURES, "it is missing: the lock counts items that could not be made")


def _named(lock: Lock) -> dict[str, str]:
    """The files that a lock names, with their digests."""
    return lock.artefacts | {f"{EXPORTS}/{name}": digest for name, digest in lock.exports.items()}


def _wanted(lock: Lock) -> set[str]:
    """The files that have to be there."""
    return {*_named(lock), *([FAILURES] if lock.missing else [])}


def _unknown(dataset: Dataset, lock: Lock, checked: Mapping[str, str]) -> Iterator[FileProblem]:
    """Files that the lock does not name. Builds and checkouts remove those that they wrote, and touch no other."""
    state = dataset.state()
    written = state.outputs if state is not None else {}
    for name in sorted(checked.keys() - _wanted(lock) - {SOURCES, CHECKS}):
        problem = "the lock says that nothing is missing" if name == FAILURES else "the lock does not know it"
        if name in written:
            yield FileProblem(name, problem)
        else:
            yield FileProblem(
                name, f"{problem}, and the last build here did not write it: move or remove it", foreign=True
            )


def _against_rows(dataset: Dataset, graph: Graph, lock: Lock, checked: Mapping[str, str]) -> Iterator[FileProblem]:
    """Whether checks.jsonl tells of just these rows: no lock names it, since they say all that is in it."""
    told = check_rows(dataset.artefact, graph.up_to(lock.until), recipe_in(lock.recipe)).encoded
    if (hashlib.sha256(told).hexdigest() if told else None) != checked.get(CHECKS):
        yield FileProblem(CHECKS, "it is missing" if CHECKS not in checked else "it does not tell of these rows")


def _counted(lock: Lock, rows: Mapping[str, int]) -> Iterator[FileProblem]:
    for name, number in rows.items():
        counted = lock.counts.get(name.removesuffix(".jsonl"), 0)
        if name in lock.artefacts and number != counted:
            yield FileProblem(name, f"the number of its rows is {number:,}, and the lock says {counted:,}")


def _against_state(dataset: Dataset, lock: Lock | None, checked: Mapping[str, str]) -> Iterator[FileProblem]:
    """Files that no lock names are compared with what was last written here, where that is the same version."""
    state = dataset.state()
    if state is None or (lock is not None and state.version != lock.version):
        return
    for name in (FAILURES, SOURCES):
        if name in checked and name in state.outputs and state.outputs[name].sha256 != checked[name]:
            yield FileProblem(name, "it is not as it was last written here")


def folder_version(dataset: Dataset) -> str | None:
    """The version that the artefacts of `dataset` make as they lie there, which the lock may not name; None for none.

    One whose size and time are those of the last build or checkout is taken to be what that wrote; any other is read.
    """
    state = dataset.state()
    written = state.outputs if state is not None else {}
    sha256: dict[str, str] = {}
    for name in graph_in(dataset).files:
        place = dataset.artefact(name)
        if name in written and written[name].untouched(place):
            sha256[name] = written[name].sha256
        elif place.is_file():
            sha256[name] = file_sha256(place)
    return version_of(sha256) if sha256 else None
