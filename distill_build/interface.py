"""The Python interface: overrides in, a dataset out.

    from distill_build import build, load, plan

A command runs in a process of its own, as from a shell: so Hydra's state, signals, memory and the working directory of
whoever calls stay theirs, in a notebook too. What it says while it works goes to `sys.stderr`, line by line.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from distill_build import errors
from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.dataset.rows import FailureRow, read_objects, read_rows
from distill_build.errors import MISSING_ITEMS, DistillError, StoppedError, UsageError
from distill_build.export import TrainingRow
from distill_build.project import project_around
from distill_build.records import JsonObject
from distill_build.stages.default import graph_in
from distill_build.stages.training.rows import training_rows

__all__ = ["LoadedDataset", "PastVersion", "PlanResult", "build", "load", "plan"]

COMMAND = (sys.executable, "-m", "distill_build")
BUILT = frozenset({0, MISSING_ITEMS, StoppedError.exit_code})
"""Exit codes of a build that wrote its files."""


class PlanResult(msgspec.Struct, frozen=True):
    """What a build would do. `calls` is how many requests it would send, `exact` whether that is certain; `stages` has
    for each stage how many are `cached`, to `ask` and `unknown`. `usd` is None without prices, `seconds` an estimate.
    """

    calls: int
    exact: bool
    stages: dict[str, dict[str, int]]
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float


class PastVersion(msgspec.Struct, frozen=True):
    """A version that a dataset has been: its digest, when it was made (UTC, ISO 8601), and how many rows it has."""

    version: str
    at: str
    counts: dict[str, int]


class LoadedDataset:
    """A dataset that lies in a folder. Rows are read from its files when they are asked for.

    `stopped` is the sentence of what ended the build early (a budget, a daily limit), None where nothing did.
    """

    def __init__(self, folder: Path, stopped: str | None = None) -> None:
        self.folder = folder.absolute()
        self._dataset = Dataset(self.folder)
        state = self._dataset.state()
        self.stopped = stopped if stopped is not None or state is None else state.stopped
        self._graph = graph_in(self._dataset)

    def __repr__(self) -> str:
        counts = ", ".join(f"{number:,} {stage}" for stage, number in self.counts.items())
        return f"<dataset {self.name}: {counts}>"

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that have rows, in order."""
        return tuple(shape.name for shape in self._graph if self._dataset.artefact(shape.file).is_file())

    @property
    def version(self) -> str | None:
        """The digest of its rows, which stands in distill.lock too; None before there is a build."""
        state = self._dataset.state()
        return None if state is None else state.version

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each stage."""
        state = self._dataset.state()
        return {} if state is None else {name: state.counts.get(name, 0) for name in self.stages}

    @property
    def failures(self) -> list[JsonObject]:
        """What could not be made: `stage`, `path`, `missing`, `cause`, `detail`. The next build tries again."""
        rows = read_rows(self._dataset.artefact(FAILURES), FailureRow)
        return [{name: value for name, value in msgspec.to_builtins(row).items() if value is not None} for row in rows]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        state = self._dataset.state()
        return self.stopped is None and state is not None and state.complete

    def rows(self, stage: str) -> Iterator[JsonObject]:
        """The rows of a stage as its file has them, in the order of the tree.

        Raises UsageError for a stage that the dataset does not have, StorageError for a line that cannot be read.
        """
        if stage not in self.stages:
            raise UsageError(f"{self.name} has no {stage}: it has {', '.join(self.stages)}")
        return read_objects(self._dataset.artefact(self._graph[stage].file), "id")

    def training_rows(self) -> Iterator[TrainingRow]:
        """What a student learns from: `question`, `reasoning`, `answer`, `path`, ids and the `side` of a split, of the
        rows that every stage has kept. Raises StorageError for a line that cannot be read."""
        return training_rows(self._dataset.artefact, self._graph, self._dataset.recipe(), _nobody)

    def versions(self) -> list[PastVersion]:
        """The versions that it has been, the newest first. Raises DistillError without its cache."""
        document = _document("history", "-o", str(self.folder), "--json")
        found = document["versions"]
        return [PastVersion(each["version"], each["at"], each["counts"]) for each in found]


def build(
    *overrides: str,
    until: str | None = None,
    offline: bool = False,
    locked: bool = False,
    frozen: bool = False,
    rebuild: Sequence[str] = (),
    root: str | Path | None = None,
    progress: Callable[[str], object] | None = None,
) -> LoadedDataset:
    """Brings a dataset up to date: `build("topic=sports", "depth=3")`.

    `overrides` are settings as they are typed, `root` the project's folder or one below it (by default the working
    directory), and the rest are flags of the command. `progress` takes each line of what it says; by default it is
    printed to `sys.stderr`. Rows that are missing are no error: see `complete`, `failures` and `stopped`.

    Raises DistillError, as the errors in `distill_build.errors` have it: ConfigurationError, DifferenceError, …
    """
    flags = {"--offline": offline, "--locked": locked, "--frozen": frozen}
    words = [
        *(flag for flag, chosen in flags.items() if chosen),
        *(["--until", until] if until is not None else []),
        *(word for glob in rebuild for word in ("--rebuild", glob)),
    ]
    document = _document("build", "--json", "--yes", *words, *overrides, root=root, progress=progress)
    return LoadedDataset(Path(root or ".") / document["folder"], document["stopped"])


def plan(
    *overrides: str,
    until: str | None = None,
    root: str | Path | None = None,
    progress: Callable[[str], object] | None = None,
) -> PlanResult:
    """What `build` with the same words would do. Sends nothing. Arguments and errors are as those of `build`."""
    words = ["--until", until] if until is not None else []
    document = _document("plan", "--json", *words, *overrides, root=root, progress=progress)
    tokens = document["tokens"]
    return PlanResult(
        calls=document["calls"],
        exact=document["exact"],
        stages=document["stages"],
        prompt_tokens=tokens["prompt"],
        completion_tokens=tokens["completion"],
        usd=document["usd"],
        seconds=document["seconds"],
    )


def load(place: str | Path, root: str | Path | None = None) -> LoadedDataset:
    """A dataset that was built, by its folder or its name (below the project's outputs/).

    `root` is the project's folder or one below it, as for `build`; a folder is named from there. Raises UsageError
    where there is none.
    """
    base = Path(root or ".").resolve()
    project = project_around(base).root
    for folder in dict.fromkeys((base / place, project / "outputs" / place)):
        if (folder / "runs").is_dir() or (folder / "distill.lock").is_file():
            return LoadedDataset(folder)
    raise UsageError(f"there is no dataset {place} in {project}: build it, or name its folder")


def _document(
    *words: str, root: str | Path | None = None, progress: Callable[[str], object] | None = None
) -> JsonObject:
    """The document that a command prints. Raises the error that it ends with."""
    with subprocess.Popen(  # noqa: S603 - the words are whole, and no shell reads them
        [*COMMAND, *words],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # an interruption reaches it by us alone: two would end it at once
    ) as process:
        document = _followed(process, progress or _print)
    if process.returncode not in BUILT:
        _raise(process.returncode, document)
    return document


def _followed(process: "subprocess.Popen[str]", progress: Callable[[str], object]) -> JsonObject:
    """What a process prints in the end, while each line that it says goes to `progress`."""
    from threading import Thread

    printed: list[str] = []
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
    reader = Thread(target=lambda: printed.append(process.stdout.read() if process.stdout else ""))
    reader.start()
    try:
        for line in process.stderr:
            progress(line.rstrip("\n"))
        reader.join()
        process.wait()
    except BaseException:  # an interruption, or an error of `progress`: nobody waits for what would still be asked
        process.terminate()  # ends as an interruption does, which may be ignored here: what came is kept
        for _ in process.stderr:  # else it could wait for somebody to read it
            pass
        process.wait()
        reader.join()
        raise
    text = "".join(printed)
    found: JsonObject = json.loads(text) if text.strip() else {}
    return found


def _raise(status: int, document: JsonObject) -> NoReturn:
    """Raises what a command ended with."""
    told: dict[str, Any] = document.get("error", {})
    kind = getattr(errors, told.get("kind", ""), None)
    if isinstance(kind, type) and issubclass(kind, DistillError):
        raise kind(told["message"])
    raise RuntimeError(f"distill-build ended with {status}; what it said stands above, and in its log")


def _print(line: str) -> None:
    print(line, file=sys.stderr)


def _nobody(_: object) -> None:
    """Told of rows that make no training row: failures.jsonl has them."""
