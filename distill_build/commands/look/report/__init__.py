"""`report`: writes one HTML file that shows a dataset, or a sweep's jobs side by side, and needs nothing else."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from distill_build.commands.locate import find_cache, find_rows, folder_at, typed
from distill_build.commands.look.report.against import difference_shown
from distill_build.commands.look.report.sweep import is_sweep, sweep_page
from distill_build.console.checks import check_sentences
from distill_build.console.notes import notes
from distill_build.console.page import print_document, print_lines
from distill_build.dataset.layout import Dataset
from distill_build.dataset.so_far import DatasetSoFar
from distill_build.engine.artefacts import ArtefactWriter
from distill_build.errors import StorageError, UsageError
from distill_build.history.history import step_of
from distill_build.history.verifying import folder_version
from distill_build.options import Options
from distill_build.project import from_cwd, seen
from distill_build.records import JsonObject, number_of
from distill_build.report.data import DatasetPage, SweepPage
from distill_build.report.dataset import Around, dataset_page
from distill_build.report.drawing import Block, Drawing
from distill_build.report.page import render
from distill_build.stages.default import graph_in
from distill_build.versions.archive import Archive

FILE = "report.html"
"""The page's name where none is typed; it lies in the folder that it is of."""
SEED = 0


def run(options: Options) -> int:
    """Writes the page of the dataset or sweep that `options` name, and says where it is."""
    folder = _sweep_named(options)
    if folder is not None:
        if options.against is not None:
            raise UsageError("--against compares versions of one dataset: name the folder of one of the sweep's jobs")
        page: DatasetPage | SweepPage = sweep_page(folder, lambda job: _command(options, job))
        blocks: list[Block] = []
    else:
        with find_rows(options, *options.arguments) as dataset:
            if options.against is not None and isinstance(dataset, DatasetSoFar):
                raise UsageError(
                    f"{dataset.folder} has no version yet to compare: wait for its build, or leave out --against"
                )
            folder = dataset.folder
            page, blocks = dataset_page(dataset, graph_in(dataset), around(options, dataset), Drawing(SEED))
    place = Path(from_cwd(options.to)) if options.to is not None else folder / FILE
    _write(place, render(page, blocks))
    _tell(options, place, page)
    return 0


def _sweep_named(options: Options) -> Path | None:
    """The folder of a sweep, where that is what is named."""
    named = next(iter(options.arguments), options.dataset)
    folder = folder_at(named) if named is not None else None
    return folder if folder is not None and is_sweep(folder) else None


def _command(options: Options, job: Path) -> str:
    return typed(options._replace(dataset=None), "report", str(job))


def around(options: Options, dataset: Dataset) -> Around:
    """What is known of the dataset beside its files; its versions where their cache is here."""
    if isinstance(dataset, DatasetSoFar):
        return Around(
            None, None, None, [f"These are the rows so far of run {dataset.run_id}, which has not come to its end."]
        )
    held, told = folder_version(dataset), _to_look_at(dataset)
    difference = difference_shown(options, dataset) if options.against is not None else None
    try:
        cache = find_cache(options, dataset)
        archive = Archive(cache)
        steps = [step_of(archive, version) for version in archive.history(dataset.folder, dataset.folder.name)[::-1]]
    except (UsageError, StorageError) as error:
        if options.cache_dir is not None:
            raise
        notes(quiet=options.quiet)(f"the page has no versions and no cost: {error}")
        return Around(held, None, None, told, difference)
    return Around(held, steps, cache, told, difference)


def _to_look_at(dataset: Dataset) -> list[str]:
    """Sentences of the last build: what stopped it, what rows show, what people say of parts that are not there."""
    state = dataset.state()
    if state is None:
        return []
    stopped = [] if state.stopped is None else [f"unfinished: {state.stopped}"]
    return [*stopped, *check_sentences(state.checks), *state.unmatched]


def _write(place: Path, pieces: Iterable[str]) -> None:
    """Writes the page, whole or not at all. Raises UsageError for a place where no file can be."""
    if place.is_dir():
        raise UsageError(f"{place} is a folder: name a file, as in --to {os.path.join(place, FILE)}")  # noqa: PTH118 - as typed
    if not place.parent.is_dir():
        raise UsageError(f"there is no folder {place.parent} to write {place.name} to")
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with ArtefactWriter(temporary) as writer:
            for piece in pieces:
                writer.write(piece.encode("utf-8", "replace"))  # half a surrogate pair can stand in no file
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _tell(options: Options, place: Path, page: DatasetPage | SweepPage) -> None:
    size = place.stat().st_size
    if options.json:
        print_document({"file": str(place), "bytes": size, "kind": page.kind, **_rows(page)})
        return
    drawn = ""
    if isinstance(page, DatasetPage) and page.rows.families < page.rows.of:
        drawn = (
            f", with {page.rows.families:,} of {number_of(page.rows.of, 'rows')} drawn by seed; its charts count all"
        )
    print_lines([f"{seen(place)}  {size:,} bytes{drawn}"])


def _rows(page: DatasetPage | SweepPage) -> JsonObject:
    if isinstance(page, SweepPage):
        return {"jobs": len(page.jobs)}
    return {"version": page.version, "rows": page.rows.families, "of": page.rows.of}
