"""`verify`: checks a dataset's files and its lock against each other, every digest. Changes nothing."""

import sys
from collections.abc import Iterator

import msgspec

from distill_build.commands.locate import find_cache, find_dataset, tell_unfinished
from distill_build.console.notes import notes, say
from distill_build.console.page import print_document, print_lines
from distill_build.dataset.layout import EXPORTS, SOURCES, Dataset, is_artefact
from distill_build.dataset.transaction import has_rows_so_far
from distill_build.errors import DifferenceError, DistillError
from distill_build.history.verifying import ResponseCounts, Verification, stored_responses, verify
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, rows_of, short
from distill_build.versions.archive import Archive


def run(options: Options) -> int:
    """Prints what is wrong, 4 where anything is; -v prints each file with its digest."""
    dataset = find_dataset(options, *options.arguments)
    tell_unfinished(dataset, options)
    verdict = verify(dataset, notes(quiet=options.quiet))
    responses = look_in_cache(options, dataset)
    if options.quiet and _lacks(responses):
        say(_of_responses(responses))
    if options.json:
        print_document(_document(dataset, verdict, responses))
    print_lines(_text(dataset, verdict, responses, options), sys.stderr if options.json else sys.stdout)
    return DifferenceError.exit_code if verdict.findings else 0


def look_in_cache(options: Options, dataset: Dataset) -> ResponseCounts | str:
    """The responses behind the rows in the cache; or why they were not looked for, which is no fault of the dataset."""
    if not dataset.tells_responses():
        there = "is not known to be of these rows" if dataset.artefact(SOURCES).is_file() else "is not here"
        return f"the responses were not looked for: {dataset.artefact(SOURCES)}, which names them, {there}"
    try:
        return stored_responses(dataset, find_cache(options, dataset))
    except DistillError as error:
        return f"the responses were not looked for: {error}"


def _document(dataset: Dataset, verdict: Verification, responses: ResponseCounts | str) -> JsonObject:
    """The document of `verify --json`."""
    return {
        "folder": str(dataset.folder),
        "version": verdict.version,
        "locked": verdict.locked,
        "files": verdict.checked,
        "rows": verdict.rows,
        "findings": [msgspec.to_builtins(finding) for finding in verdict.findings],
        "responses": None if isinstance(responses, str) else msgspec.to_builtins(responses),
    }


def _text(dataset: Dataset, verdict: Verification, responses: ResponseCounts | str, options: Options) -> Iterator[str]:
    """The verdict for people: `quiet` leaves what is wrong with the files."""
    if options.verbose:
        yield from (f"{digest}  {name}" for name, digest in verdict.checked.items())
    if not verdict.findings:
        yield from [] if options.quiet else [_good(dataset, verdict)]
    else:
        yield f"{dataset.folder} is not as it should be: {number_of(len(verdict.findings), 'findings')}"
        yield from (f"  {finding.file}: {finding.problem}" for finding in verdict.findings)
        if not all(finding.foreign for finding in verdict.findings):
            yield _way_out(options, dataset, verdict)
    if not options.quiet:
        yield _of_responses(responses)


def _good(dataset: Dataset, verdict: Verification) -> str:
    rows = [rows_of(number, name.removesuffix(".jsonl")) for name, number in verdict.rows.items()]
    exports = sum(name.startswith(f"{EXPORTS}/") for name in verdict.checked)
    held = ", ".join([*rows, number_of(exports, "exports")])
    return f"{dataset.folder} is what its lock says: version {short(verdict.version)}, {held}"


def _keeps_edits(dataset: Dataset) -> str:
    """What keeps hand edits, where rows have any."""
    files = ((dataset.artefact(name), facts) for name, facts in dataset.outputs().items() if is_artefact(name))
    if any(place.is_file() and not facts.holds(place) for place, facts in files):
        return f"`distill-build edit {dataset.folder}` has all builds to come keep what was edited in rows; "
    return ""


def _way_out(options: Options, dataset: Dataset, verdict: Verification) -> str:
    """What mends all but foreign files."""
    if verdict.locked is None and has_rows_so_far(dataset):
        return (
            "a build of it is at work, or was killed, and has made no version yet; if none runs, run it again to go on"
        )
    if verdict.locked is None:
        return "build again: that writes the files and the lock from the cache, and keeps what was edited"
    checkout = f"`distill-build checkout {dataset.folder}`"
    if _is_kept(options, dataset, verdict.locked):
        return (
            f"{_keeps_edits(dataset)}{checkout} brings back what the lock names, and a build makes what the settings "
            "give; both keep what was edited under runs/"
        )
    return (
        "a build makes what the settings give, and keeps what was edited; version "
        f"{short(verdict.locked)}, which the lock names, is in no cache here: cache import or cache pull brings it, "
        f"and {checkout} then its files"
    )


def _is_kept(options: Options, dataset: Dataset, version: str) -> bool:
    """Whether a version is in the cache."""
    try:
        return Archive(find_cache(options, dataset)).find(version) is not None
    except DistillError:
        return False


def _lacks(found: ResponseCounts | str) -> bool:
    """Whether it is not known that all responses are there: said under -q too, since the exit code is silent of it."""
    return isinstance(found, str) or found.absent > 0


def _of_responses(found: ResponseCounts | str) -> str:
    if isinstance(found, str):
        return found
    if not found.absent:
        return f"the cache holds all {number_of(found.named, 'responses')} behind it"
    damaged = f" ({found.damaged:,} of them damaged)" if found.damaged else ""
    return (
        f"the cache lacks {found.absent:,} of the {number_of(found.named, 'responses')} behind it{damaged}: the files "
        "need none of them; cache import or cache pull brings them"
    )
