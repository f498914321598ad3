"""`view`: the page of a dataset with hands, served to this machine alone until Ctrl-C."""

import asyncio
import html
import os
import shlex
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from distill_build.commands.locate import find_dataset, find_rows
from distill_build.commands.look.report import SEED, around
from distill_build.console.notes import notes
from distill_build.console.page import print_document
from distill_build.curate.author import who
from distill_build.dataset.layout import STATE, Dataset
from distill_build.dataset.lockfile import LOCK
from distill_build.dataset.transaction import so_far_files
from distill_build.engine.lock import is_held
from distill_build.options import Options
from distill_build.project import CONFIGURATION
from distill_build.report.dataset import dataset_page
from distill_build.report.drawing import Drawing
from distill_build.stages.default import graph_in
from distill_build.view.hands import Hands
from distill_build.view.said import Said
from distill_build.view.server import FolderStanding, Viewed, serve
from distill_build.view.snapshot import Snapshot

ALL_ROWS = 1 << 62
"""Bytes of rows that a page may ask for: it has no bound, for only what is looked at is sent."""
QUICK = 1
"""The level of compression of rows that stay in memory: a higher one takes most of the time that they are read in."""
MANY = 30_000_000
"""Bytes of rows that take seconds to read."""


def run(options: Options) -> int:
    """Serves the dataset that `options` name; 0 at the end."""
    dataset = find_dataset(options, *options.arguments)
    said = Said(dataset.name)
    hands = Hands(dataset.name, who(), said, lambda: datetime.now(UTC))
    viewed = Viewed(lambda: _read(options), lambda: _standing(dataset), said, hands, _build_command)
    _tell_many(options, dataset)
    viewed.refresh()
    with ExitStack() as until_the_end:
        asyncio.run(serve(viewed, options.port or 0, lambda address: _tell(options, dataset, address, until_the_end)))
    return 0


def _read(options: Options) -> Snapshot:
    """The rows as the last build left them; where there was none yet, those that one has so far."""
    with _rows(options) as dataset:
        graph = graph_in(dataset)
        page, blocks = dataset_page(dataset, graph, around(options, dataset), Drawing(SEED, ALL_ROWS, QUICK))
        return Snapshot(dataset, graph, page, blocks)


@contextmanager
def _rows(options: Options) -> Iterator[Dataset]:
    dataset = find_dataset(options, *options.arguments)
    if dataset.state() is not None:
        yield dataset
    else:
        with find_rows(options, *options.arguments) as found:
            yield found


def _tell_many(options: Options, dataset: Dataset) -> None:
    size = sum(file.size for file in dataset.outputs().values())
    if size > MANY:
        notes(quiet=options.quiet)(f"reading {size / 1e6:,.0f} MB of rows in {dataset.folder} …")


def _standing(dataset: Dataset) -> FolderStanding:
    """A build puts a new state beside the rows that it has moved into place; beside its first rows there is none."""
    files = [dataset.artefact(STATE), dataset.artefact(LOCK)]
    files = files if files[0].exists() else [*files, *so_far_files(dataset)]
    facts = [(str(file), about.st_mtime_ns, about.st_size) for file in files if (about := _facts(file)) is not None]
    return FolderStanding(rows=repr(facts), building=is_held(dataset.lock))


def _facts(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def _build_command(topic: str) -> str:
    """How the dataset is built, as far as that is known: what was typed for it stands nowhere."""
    return "distill-build" if Path(CONFIGURATION).exists() else f"distill-build {shlex.quote(f'topic={topic}')} …"


def _tell(options: Options, dataset: Dataset, address: str, until_the_end: ExitStack) -> None:
    if options.json:
        print_document({"address": address, "folder": str(dataset.folder)})
    else:
        print(address, flush=True)
    sys.stdout.flush()
    note = notes(quiet=options.quiet)
    note(f"{dataset.folder} is shown to this machine alone, at this address, until Ctrl-C")
    if not options.no_browser and not webbrowser.open(until_the_end.enter_context(_leading_to(address, dataset))):
        note("no browser could be opened: open the address in one")


@contextmanager
def _leading_to(address: str, dataset: Dataset) -> Iterator[str]:
    """What a browser is to open for an address: a file that this user alone can read. Other users of the machine see
    what stands in the command lines of programs.

    It lies in the dataset's folder, since a browser in a sandbox may see no other folder for temporary files.
    """
    folder = dataset.runs if os.access(dataset.runs, os.W_OK) else None
    told = html.escape(address)
    with NamedTemporaryFile("w", prefix="view-", suffix=".html", dir=folder, encoding="utf-8") as file:
        file.write(
            f'<meta http-equiv="refresh" content="0; url={told}"><a href="{told}">{html.escape(dataset.name)}</a>\n'
        )
        file.flush()
        yield Path(file.name).absolute().as_uri()
