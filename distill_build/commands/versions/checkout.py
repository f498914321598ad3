"""`checkout VERSION`: brings a version's files back from the cache, without a model."""

import os
import sys
from collections.abc import Iterator

from distill_build.commands.locate import as_reached, find_place
from distill_build.console.notes import notes, say
from distill_build.console.page import HANG, Line, print_document, print_lines
from distill_build.dataset.layout import Dataset
from distill_build.dataset.lockfile import LOCK
from distill_build.errors import MISSING_ITEMS
from distill_build.export import KD
from distill_build.history.restoring import LeftOut, Restored, RestoreTarget, bring_back
from distill_build.options import Options
from distill_build.records import JsonObject, rows_of, short
from distill_build.versions.archive import Version
from distill_build.versions.names import LATEST, lock_named


def run(options: Options) -> int:
    """Brings back what the first of the arguments names; 0 where that was done, whether or not items are missing, and 1
    where a format is left out."""
    wanted, *name = as_reached(options.arguments[0]), *options.arguments[1:]
    dataset, names = find_place(options, wanted, name[0] if name else None)
    note = notes(quiet=options.quiet)
    lock = None if LATEST.fullmatch(wanted) else lock_named(wanted, names.folder)
    target = RestoreTarget(names.version(wanted), lock)
    restored = bring_back(dataset, names.archive, target, note)
    if options.json:
        print_document(_document(dataset, restored))
    print_lines(
        _text(dataset, target.version, restored, quiet=options.quiet), sys.stderr if options.json else sys.stdout
    )
    if restored.left_out is None:
        return 0
    say(_without_kd(dataset, restored.left_out))
    return MISSING_ITEMS


def _without_kd(dataset: Dataset, left_out: LeftOut) -> str:
    return (
        f"all but {', '.join(left_out.files)} is back: {left_out.why}. Check out again when that model is there, or "
        f"make rows for another: `export {dataset.folder.name} formats=[kd] kd.tokenizer=…`. Until then {LOCK} names "
        "the format kd, and not what is left out of it"
    )


def _document(dataset: Dataset, restored: Restored) -> JsonObject:
    """The document of `checkout --json`."""
    lock = restored.lock
    return {
        "folder": str(dataset.folder),
        "version": lock.version,
        "name": lock.name,
        "until": lock.until,
        "counts": lock.counts,
        "missing": lock.missing,
        "files": [str(path) for path in restored.files],
        "edited": [str(path) for path in restored.edited],
        "removed": [str(path) for path in restored.removed],
        "left_out": {} if restored.left_out is None else {KD: restored.left_out.why},
    }


def _text(dataset: Dataset, version: Version, restored: Restored, *, quiet: bool) -> Iterator[str | Line]:
    """What was done; `quiet` leaves what nobody may miss."""
    lock = restored.lock
    if not quiet:
        counts = ", ".join(rows_of(lock.counts[stage], stage) for stage in version.graph.names)
        yield f"{dataset.folder} holds version {short(lock.version)} again: {counts}"
        files = "  ".join(str(path.relative_to(dataset.folder)) for path in restored.files)
        yield ("  ", "plain"), HANG, (files, "plain")
    left_out = restored.left_out.files if restored.left_out is not None else ()
    removed = [str(path.relative_to(dataset.folder)) for path in restored.removed]
    if not quiet and (others := [name for name in removed if name not in left_out]):
        yield f"removed, being no file of this version: {', '.join(others)}"
    if not quiet and (unknown := [name for name in removed if name in left_out]):
        yield f"removed, as no lock says that it is as this version has it: {', '.join(unknown)}"
    for copy in restored.edited:
        yield f"{copy.name} was not as it was last written here; the file that was there is kept as {copy}"
    if lock.missing:
        missing = ", ".join(rows_of(number, stage) for stage, number in lock.missing.items())
        yield f"this version lacks {missing}: see {dataset.artefact('failures.jsonl')}"
    if not str(dataset.folder.absolute()).endswith(os.sep + version.name):
        yield f"it is a version of {version.name}"
    if not restored.as_named:
        yield f"the exports or failures came out otherwise than that lock says, so {LOCK} names those that are there"
    if not quiet:
        yield "the next build follows the settings again: what they ask for else is made a new version"
