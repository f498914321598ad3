"""`publish DEST [NAME]`: the dataset with its card, to a folder or to the Hub. A second time sends nothing."""

from collections.abc import Callable
from pathlib import Path

from distill_build.commands.locate import find_cache, find_dataset, folder_at
from distill_build.console.notes import notes, say
from distill_build.console.page import print_document, print_lines
from distill_build.curate.files import file_of
from distill_build.dataset.layout import Dataset
from distill_build.dataset.transaction import only_run
from distill_build.engine.ledger import new_run_id
from distill_build.errors import DifferenceError, StorageError, UsageError
from distill_build.history.verifying import verify
from distill_build.options import Options
from distill_build.publish.folder import publish_to_folder
from distill_build.publish.hub import SCHEME, check_hub, publish_to_hub
from distill_build.publish.own_words import OWN_TEXT
from distill_build.publish.publication import Publication, Published, publication_of
from distill_build.records import number_of


def run(options: Options) -> int:
    """Publishes where the first of the arguments says; 0 also where nothing differed."""
    where, *name = options.arguments
    repository = check_hub(where) if where.startswith(SCHEME) else None
    if repository is None and "://" in where:
        raise UsageError(f"{where} is no place to publish to: name a folder, or hf://datasets/USER/NAME")
    if options.private and repository is None:
        raise UsageError("--private is for a repository of the Hub, hf://datasets/USER/NAME")
    note = notes(quiet=options.quiet)
    dataset = find_dataset(options, *name)
    with only_run(dataset, new_run_id(), lambda holder: note(f"waiting for {holder} of {dataset.folder}")):
        _refuse_other_files(dataset, note)
        publication = publication_of(dataset, _cache(options, dataset), *_own_text(dataset))
        if not publication.licensed:
            note(f"the card names no licence: write {OWN_TEXT} that begins with `---`, `license: …`, `---`")
        if repository is not None:
            published = publish_to_hub(publication, repository, private=options.private)
        else:
            published = publish_to_folder(publication, folder_at(where), dataset)
    _tell(options, publication, published)
    return 0


def _refuse_other_files(dataset: Dataset, note: Callable[[str], None]) -> None:
    """Raises DifferenceError where a file is not what the lock says."""
    verdict = verify(dataset, note)
    if verdict.findings:
        first = verdict.findings[0]
        raise DifferenceError(
            f"{dataset.folder} is not what its lock says, so nothing is published: {first.file}: {first.problem}. "
            "Build again, or `distill-build checkout` the version; `verify` tells all"
        )


def _cache(options: Options, dataset: Dataset) -> Path | None:
    """Where the cost is known, if it is; of a cache that is typed errors are told."""
    try:
        return find_cache(options, dataset)
    except (UsageError, StorageError) as error:
        if options.cache_dir is not None:
            raise
        notes(quiet=options.quiet)(f"the card tells no cost: {error}")
        return None


def _own_text(dataset: Dataset) -> tuple[str, str]:
    """What a person says of the dataset, and in which file. Raises UsageError for what is no text."""
    file = file_of(dataset.folder.resolve().name, OWN_TEXT)
    try:
        return (file.read_text(encoding="utf-8-sig"), str(file)) if file is not None else ("", OWN_TEXT)
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text in UTF-8: save it as one") from error


def _tell(options: Options, publication: Publication, published: Published) -> None:
    if options.json:
        print_document(
            {
                "place": published.place,
                "version": publication.version,
                "sent": list(published.sent),
                "removed": list(published.removed),
            }
        )
        return
    if options.quiet:
        return
    if not published.sent and not published.removed:
        say(f"{published.place} holds that version already: nothing was sent")
        return
    removed = f", {number_of(len(published.removed), 'files')} removed" if published.removed else ""
    print_lines([f"{published.place}: {number_of(len(published.sent), 'files')} written{removed}", *published.sent])
