"""`history`: lists the versions of a dataset, newest first, with what changed from one to the next."""

from collections.abc import Iterator

import msgspec

from distill_build.commands.locate import find_kept
from distill_build.console.page import line_width, print_document, print_lines
from distill_build.console.words import UNKNOWN, local_time, money
from distill_build.console.wrapping import cells
from distill_build.dataset.layout import Dataset
from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.history.history import HistoryStep, record_row, step_of
from distill_build.history.setting_wording import cause_words, listed
from distill_build.history.verifying import folder_version
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, rows_of, short
from distill_build.versions.archive import Spent, Version

HELD = "*"
GAP = "  "
NARROW = 80
"""Cells that the columns may take; the counts of stages for which there is no room are told below."""
CHANGES_SHOWN = 3
STRANGERS_SHOWN = 5


def run(options: Options) -> int:
    """Prints the versions of the dataset that `options` name; -v adds tokens, time and all changes."""
    dataset, names = find_kept(options, *options.arguments)
    archive = names.archive
    made = [step_of(archive, version) for version in archive.history(names.folder, names.name)[::-1]]
    history = History(dataset, folder_version(dataset), made, archive.strangers(names.folder, names.name))
    if options.json:
        print_document(_document(history))
        return 0
    print_lines(_text(history, line_width(), verbose=options.verbose, quiet=options.quiet))
    return 0


class History(msgspec.Struct, frozen=True):
    """`held` is the version of the folder's files; `made` are the dataset's versions, newest first.

    `strangers` have the dataset's name, and are of another one.
    """

    dataset: Dataset
    held: str | None
    made: list[HistoryStep]
    strangers: list[Version]

    @property
    def current(self) -> HistoryStep | None:
        """The newest step with the version that is held: the same one may have been built more than once."""
        return next((step for step in self.made if step.version.version == self.held), None)


def version_locked(dataset: Dataset) -> str | None:
    """The version that the folder's lock names; None where there is none to go by."""
    lock = sound_lock(dataset.artefact(LOCK))
    return None if lock is None else lock.version


def _document(history: History) -> JsonObject:
    """The document of `history --json`; versions are newest first."""
    return {
        "folder": str(history.dataset.folder),
        "held": history.held,
        "locked": version_locked(history.dataset),
        "versions": [record_row(step) | {"current": step is history.current} for step in history.made],
        "others": [version.version for version in history.strangers],
    }


def _text(history: History, width: int, *, verbose: bool, quiet: bool) -> Iterator[str]:
    """The versions for people, in lines for `width` cells."""
    name, made = history.dataset.folder.name, history.made
    if not made:
        yield f"{name} has no version in the cache yet: a build makes one, and cache import brings them"
        return
    if not quiet:
        yield f"{name}: {number_of(len(made), 'versions')}, the newest first"
        yield ""
    yield from _table(history, width, verbose=verbose)
    if not quiet:
        yield ""
        yield from _remarks(history)


def _table(history: History, width: int, *, verbose: bool) -> Iterator[str]:
    """A line for each version, with what changed at its end, or below it where that would not fit.

    `verbose` puts all that there is to say below.
    """
    made, stages = history.made, counted_stages(history.made)
    columns = len(stages)
    while columns > 1 and 2 + len(_aligned(*_rows(made, stages[:columns])[0])) > NARROW:
        columns -= 1
    rows = _rows(made, stages[:columns])
    lines = [
        f"{HELD if step is history.current else ' '} {_aligned(*row)}" for step, row in zip(made, rows[1:], strict=True)
    ]
    older = [*(step.version.version for step in made[1:]), None]
    said_of = [summary(step, before, stages[columns:]) for step, before in zip(made, older, strict=True)]
    beside = not verbose and max(map(len, lines)) + max(map(cells, said_of)) + len(GAP) <= width
    yield f"  {_aligned(*rows[0])}" + f"{GAP}what changed" * beside
    for step, line, changed in zip(made, lines, said_of, strict=True):
        yield f"{line}{GAP}{changed}" if beside else line
        below = _details(step, stages[columns:]) if verbose else [] if beside else [changed]
        yield from (f"    {detail}" for detail in below)


def counted_stages(made: list[HistoryStep]) -> list[str]:
    """The stages of any version that have rows of their own, in order; a verdict is no more than its judged row."""
    shapes = [shape for step in made for shape in step.version.graph]
    return list(dict.fromkeys(shape.name for shape in shapes if shape.kind != "transform"))


def summary(step: HistoryStep, older: str | None, further: list[str]) -> str:
    """What changed, in a line: the first few changes, what is missing, and the counts of stages without a column,
    which are `further`.

    It names the version that was replaced where that is not `older`, the one below it.
    """
    changes = listed(map(cause_words, step.changes), CHANGES_SHOWN)
    before = step.version.predecessor
    against = f" (from {short(before.version)})" if before is not None and before.version != older else ""
    counts = _counts(step.version, further)
    return "; ".join([*_missing(step.version), *counts, (changes or step.reason) + against])


def _details(step: HistoryStep, further: list[str]) -> Iterator[str]:
    """All that there is to say of a version."""
    version = step.version
    yield version.version
    yield f"of {version.name}, built up to {version.until}{_effort(version.spent)}"
    yield from _counts(version, further)
    yield from _missing(version)
    if version.predecessor is not None:
        yield f"from {short(version.predecessor.version)}:"
    yield from (cause_words(change) for change in step.changes)
    yield from filter(None, [step.reason])


def _effort(spent: Spent | None) -> str:
    if spent is None:
        return "; what that took is not known"
    return f" in {spent.seconds:,.1f} s with {spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens"


def _remarks(history: History) -> Iterator[str]:
    """Which version is in the folder, where lock and folder disagree, and what else has the dataset's name."""
    dataset, held = history.dataset, history.held
    if history.current is not None:
        yield f"{HELD} is what {dataset.folder} holds; `distill-build checkout VERSION` brings another one back"
    elif held is None:
        yield f"nothing is built in {dataset.folder} yet; `distill-build checkout VERSION` brings one of these there"
    elif (state := dataset.state()) is not None and held != state.version:
        yield (
            f"{dataset.folder} was edited, and holds none of these: `distill-build verify {dataset.folder}` says which "
            "files, and the way out"
        )
    else:
        yield f"{dataset.folder} holds {short(held)}, which is not in this cache: cache pull may bring it"
    locked = version_locked(dataset)
    if locked is not None and locked != held:
        yield f"{dataset.artefact(LOCK)} names {short(locked)}"
    if history.strangers:
        digests = listed([short(version.version) for version in history.strangers], STRANGERS_SHOWN)
        yield f"of another dataset called {dataset.folder.name}, come by import or pull: {digests}"


Cells = tuple[str, ...]


def _rows(made: list[HistoryStep], stages: list[str]) -> list[tuple[Cells, list[int]]]:
    """The headings, then a row for each version with its counts of `stages`; each with the widths of all columns."""
    headings = ("version", "built", *stages, "calls", "cost")
    rows = [headings, *(_cells(step.version, stages) for step in made)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(row, widths) for row in rows]


def _cells(version: Version, stages: list[str]) -> Cells:
    counts = (f"{version.counts.get(stage, 0):,}" for stage in stages)
    spent = (UNKNOWN, UNKNOWN) if version.spent is None else (f"{version.spent.calls:,}", money(version.spent.usd))
    return (short(version.version), local_time(version.at), *counts, *spent)


def _counts(version: Version, stages: list[str]) -> list[str]:
    counts = ", ".join(rows_of(version.counts[stage], stage) for stage in stages if version.counts.get(stage))
    return [counts] if counts else []


def _missing(version: Version) -> list[str]:
    missing = ", ".join(rows_of(number, stage) for stage, number in version.missing.items())
    return [f"! {missing} missing"] if missing else []


def _aligned(cells: Cells, widths: list[int]) -> str:
    """Digest and time to the left, figures to the right."""
    pairs = list(zip(cells, widths, strict=True))
    return "  ".join([*(c.ljust(w) for c, w in pairs[:2]), *(c.rjust(w) for c, w in pairs[2:])])
