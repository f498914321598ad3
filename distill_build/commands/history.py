"""`history`: lists the versions of a dataset, newest first, with what changed from one to the next."""

import json
from collections.abc import Iterator

from distill_build.commands.kept import find_kept
from distill_build.console.words import local_time, money
from distill_build.errors import DifferenceError
from distill_build.options import Options
from distill_build.records import JsonObject, short
from distill_build.stages.dataset import Dataset
from distill_build.stages.folder_version import folder_version
from distill_build.stages.history import Step, record_row, steps
from distill_build.stages.setting_wording import listed, said
from distill_build.stages.tally import STAGES
from distill_build.versions.archive import Version
from distill_build.versions.lockfile import LOCK, read_lock

HEADINGS = ("version", "built", *STAGES, "calls", "cost")
HELD = "*"
CHANGES_SHOWN = 3


def run(options: Options) -> int:
    """Prints the versions of the dataset that `options` name; -v adds tokens, time and all changes."""
    dataset, names = find_kept(options, *options.arguments)
    made = steps(names.archive, names.archive.history(names.folder, names.name))[::-1]
    held = folder_version(dataset)
    if options.json:
        print(json.dumps(document(dataset, held, made), ensure_ascii=False, indent=2))
        return 0
    for line in text(dataset, held, made, verbose=options.verbose, quiet=options.quiet):
        print(line)
    return 0


def version_locked(dataset: Dataset) -> str | None:
    """The version that the folder's lock names; None where there is none to go by."""
    try:
        lock = read_lock(dataset.artefact(LOCK))
    except DifferenceError:
        return None
    return None if lock is None else lock.version


def document(dataset: Dataset, held: str | None, made: list[Step]) -> JsonObject:
    """The document of `history --json`; versions are newest first."""
    place = newest_of(made, held)
    return {
        "folder": str(dataset.folder),
        "held": held,
        "locked": version_locked(dataset),
        "versions": [record_row(step) | {"current": step is place} for step in made],
    }


def newest_of(made: list[Step], version: str | None) -> Step | None:
    """The newest step with a version: the same one may have been built more than once."""
    return next((step for step in made if step.version.version == version), None)


def text(dataset: Dataset, held: str | None, made: list[Step], *, verbose: bool, quiet: bool) -> Iterator[str]:
    """The versions for people."""
    if not made:
        yield f"{dataset.folder.name} has no version in the cache yet: a build makes one, and cache import brings them"
        return
    current = newest_of(made, held)
    if not quiet:
        number = f"{len(made)} versions" if len(made) > 1 else "1 version"
        yield f"{dataset.folder.name}: {number}, the newest first"
        yield ""
    yield from table(made, current, verbose=verbose)
    if not quiet:
        yield from remarks(dataset, held, current)


def table(made: list[Step], current: Step | None, *, verbose: bool) -> Iterator[str]:
    """A line for each version, what changed at its end; `verbose` puts that and more below it."""
    rows = [HEADINGS, *(_cells(step.version) for step in made)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield f"  {_aligned(HEADINGS, widths)}" + "  what changed" * (not verbose)
    for step, row in zip(made, rows[1:], strict=True):
        line = f"{HELD if step is current else ' '} {_aligned(row, widths)}"
        yield line if verbose else f"{line}  {summary(step)}"
        if verbose:
            yield from (f"    {detail}" for detail in details(step))


def summary(step: Step) -> str:
    """What changed, in a line: the first few changes, and what is missing."""
    changes = listed(map(said, step.changes), CHANGES_SHOWN)
    return "; ".join([*_missing(step.version), changes or step.reason])


def details(step: Step) -> Iterator[str]:
    """All that there is to say of a version."""
    version, spent = step.version, step.version.spent
    yield version.version
    tokens = f"{spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens"
    yield f"of {version.name}, built up to {version.until} in {spent.seconds:,.1f} s with {tokens}"
    yield from _missing(version)
    yield from (said(change) for change in step.changes)
    yield from filter(None, [step.reason])


def remarks(dataset: Dataset, held: str | None, current: Step | None) -> Iterator[str]:
    """Which version is in the folder, and where lock and folder disagree."""
    locked = version_locked(dataset)
    yield ""
    if current is not None:
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
    if locked is not None and locked != held:
        yield f"{dataset.artefact(LOCK)} names {short(locked)}"


def _cells(version: Version) -> tuple[str, ...]:
    counts = (f"{version.counts.get(stage, 0):,}" for stage in STAGES)
    cost = money(version.spent.usd)
    return (short(version.version), local_time(version.at), *counts, f"{version.spent.calls:,}", cost)


def _missing(version: Version) -> list[str]:
    missing = ", ".join(f"{number:,} {stage}" for stage, number in version.missing.items())
    return [f"! {missing} missing"] if missing else []


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    """Digest and time to the left, figures to the right."""
    pairs = list(zip(cells, widths, strict=True))
    return "  ".join([*(c.ljust(w) for c, w in pairs[:2]), *(c.rjust(w) for c, w in pairs[2:])])
