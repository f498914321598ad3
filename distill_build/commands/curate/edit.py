"""`edit`: turns hand edits in a dataset's files into lines of the files that people own, and puts the files back.

What people own is written and synced first. So a kill before the files are back loses nothing: the next `edit` says the
same once more, which changes nothing.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from distill_build.commands.locate import SET_ASIDE, find_versions
from distill_build.console.notes import notes
from distill_build.console.page import print_document, print_lines
from distill_build.curate.author import who
from distill_build.curate.files import REVIEWS, file_of
from distill_build.curate.reviews_file import read_reviews
from distill_build.curate.tree_changes import Add, Exclude, Rename
from distill_build.curate.writing import amend_tree, append_items, append_reviews
from distill_build.dataset.layout import Dataset
from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.dataset.transaction import Transaction, begin_transaction, keep_edited
from distill_build.engine.lock import in_use
from distill_build.errors import CorruptEntryError, StorageError, UsageError
from distill_build.history.by_hand import parts_by_hand, refuse_nothing
from distill_build.history.hand_edits import HandEdits, WrittenDataset, absent_files, edited_exports, hand_edits
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, short
from distill_build.review import REJECT
from distill_build.subtree import TagByHand
from distill_build.versions.archive import Archive
from distill_build.versions.content import KeptContent
from distill_build.versions.names import Names
from distill_build.versions.snapshot import restore

REVIEWED, AMENDED = "reviews", "tree"


class Taken(msgspec.Struct, frozen=True):
    """What was done: `files` are those that were written to, by what they are; `kept` are copies of the edited ones.

    `tree` is the stage that grows the tree.
    """

    tree: str
    edits: HandEdits
    files: dict[str, Path]
    kept: tuple[Path, ...]


def run(options: Options) -> int:
    """Takes what was edited in the dataset that `options` name; 0 whether or not there was anything."""
    dataset, names = find_versions(options, *options.arguments)
    note = notes(quiet=options.quiet)
    with begin_transaction(dataset, "edit again", note) as transaction, in_use(names.archive.directory, note):
        taken = _take(transaction, names)
    if options.json:
        print_document(_document(dataset, taken))
    print_lines(_text(dataset, taken, quiet=options.quiet), sys.stderr if options.json else sys.stdout)
    return 0


def _take(transaction: Transaction, names: Names) -> Taken:
    dataset, archive = transaction.dataset, names.archive
    try:
        written = _written(dataset, names)
        edits = hand_edits(written, datetime.now(UTC), who())
        new = _as_written(transaction, archive, written, edits)
    except CorruptEntryError as error:
        raise CorruptEntryError(f"what was written is no longer known: {error}. Nothing was changed") from error
    edits.left += [*absent_files(written), *edited_exports(dataset)]
    files = _write(dataset.name, written, edits)
    kept = keep_edited(dataset, new, (), transaction.aside, {})
    if new:
        transaction.commit(new, ())
    return Taken(written.graph.tree.name, edits, files, kept)


def _written(dataset: Dataset, names: Names) -> WrittenDataset:
    """The dataset as a build wrote it. Raises UsageError where nothing tells, StorageError where the cache lacks it."""
    state, lock = dataset.state(), sound_lock(dataset.artefact(LOCK))
    digest = state.version if state is not None else lock.version if lock is not None else None
    if digest is None:
        raise UsageError(f"{dataset.folder} does not say what a build wrote there: build it first")
    version = names.find(digest)
    if version is None:
        raise StorageError(
            f"the cache {names.archive.directory} has version {short(digest)} no more, so nothing tells what was "
            f"edited; `distill-build cache pull` may bring it, or a build ({SET_ASIDE})"
        )
    recipe = names.archive.recipe(version)
    topic, file = str(recipe["tree"]["topic"]), file_of(dataset.name, REVIEWS)
    reviews = {} if file is None else read_reviews(file, topic)
    content = KeptContent(names.archive.objects, version.files)
    by_hand = parts_by_hand(dataset.name, version.graph, recipe)
    return WrittenDataset(dataset, version, content, recipe, reviews, by_hand)


def _as_written(
    transaction: Transaction, archive: Archive, written: WrittenDataset, edits: HandEdits
) -> dict[str, Path]:
    """The edited files as they were written, beside their places."""
    new = {name: transaction.folder / name for name in edits.files}
    for name, place in new.items():
        restore(archive.objects, written.version.files[name], place)
    return new


def _write(name: str, written: WrittenDataset, edits: HandEdits) -> dict[str, Path]:
    """Writes what was found into the files that people own; returns these. A tree that cannot be is told first."""
    files, topic = dict[str, Path](), written.topic

    def check(tree: TagByHand) -> None:
        if not edits.items:  # which come to what is there
            refuse_nothing(tree, name, written.graph, written.recipe)

    if edits.tree:
        files[AMENDED] = amend_tree(name, topic, edits.tree, check).place
    if edits.reviews:
        files[REVIEWED] = append_reviews(name, topic, edits.reviews)
    for stage, lines in edits.items.items():
        files[stage] = append_items(name, stage, topic, lines)
    return files


def _document(dataset: Dataset, taken: Taken) -> JsonObject:
    """The document of `edit --json`."""
    edits = taken.edits
    return {
        "folder": str(dataset.folder),
        "reviews": _verdicts(edits),
        "tree": _tree_changes(edits),
        "added": {stage: len(lines) for stage, lines in edits.items.items()},
        "files": {name: str(file) for name, file in taken.files.items()},
        "put_back": edits.files,
        "kept": [str(copy) for copy in taken.kept],
        "left": edits.left,
    }


def _verdicts(edits: HandEdits) -> dict[str, int]:
    counts = Counter(review.verdict for review in edits.reviews)
    return {"edits": counts["edit"], "rejections": counts[REJECT]}


def _tree_changes(edits: HandEdits) -> dict[str, int]:
    kinds = {Rename: "renamed", Exclude: "excluded", Add: "added"}
    counts = Counter(kinds[type(change)] for change in edits.tree if type(change) in kinds)
    return {kind: counts[kind] for kind in kinds.values()}


def _text(dataset: Dataset, taken: Taken, *, quiet: bool) -> Iterator[str]:
    edits, files = taken.edits, taken.files
    if not edits.taken and not quiet:
        what = "nothing that can be taken was edited" if edits.left else "nothing was edited by hand"
        yield f"{what} in {dataset.folder}"
    if REVIEWED in files:
        told = [number_of(number, kind) for kind, number in _verdicts(edits).items() if number]
        yield f"{' and '.join(told)} written to {files[REVIEWED]}"
    if AMENDED in files:
        told = [f"{number_of(number, taken.tree)} {kind}" for kind, number in _tree_changes(edits).items() if number]
        yield f"{', '.join(told)}: written to {files[AMENDED]}"
    for stage, lines in edits.items.items():
        yield f"{number_of(len(lines), stage)} of your own written to {files[stage]}"
    if edits.taken and dataset.name != dataset.folder.resolve().name and not quiet:
        yield f"every build of {dataset.name} reads that, be it a job of a sweep or not"
    yield from (f"! {sentence}" for sentence in edits.left)
    if edits.files and not quiet:
        names, kept = " and ".join(edits.files), ", ".join(map(str, taken.kept))
        yield f"put back as the build wrote {'it' if len(edits.files) == 1 else 'them'}: {names}; as edited: {kept}"
    if edits.taken and not quiet:
        yield "`distill-build plan` with the dataset's settings says what that asks for, and the next build takes it in"
