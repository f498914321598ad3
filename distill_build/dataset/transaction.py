"""New files of a dataset, made beside the old ones and put in their place together.

    runs/<run id>/new/    files that are not yet in their place, of a build, a checkout or an export

A run that is killed leaves them there, and whichever comes next removes them, or moves them where moving had begun.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from distill_build.dataset.layout import EXPORTS, NO_ARTEFACTS, Dataset
from distill_build.engine.artefacts import (
    ArtefactWriter,
    FileState,
    file_sha256,
    finish_replacing,
    replace_together,
    replacing,
    set_aside,
    sync,
)
from distill_build.engine.ledger import new_run_id
from distill_build.engine.lock import exclusive, exclusive_at_once
from distill_build.engine.signals import undisturbed
from distill_build.errors import StorageError, unusable
from distill_build.export import Layout, TrainingRow, file_name, write_companions, write_exports

NEW = "new"
"""Folder of files that are not yet in their place, within the run's own."""
SO_FAR = "so-far.jsonl"
"""Among them, the rows that a build has so far: see `so_far`."""


@contextmanager
def only_run(dataset: Dataset, run_id: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Holds the dataset's lock, as `exclusive` does, and clears up after killed runs: what one had begun to move is
    moved, other new files are removed."""
    with exclusive(dataset.lock, run_id, on_wait):
        _clear_up(dataset)
        yield


@contextmanager
def only_run_at_once(dataset: Dataset, run_id: str) -> Iterator[None]:
    """As `only_run`; raises LockHeldError where another run has the dataset."""
    with exclusive_at_once(dataset.lock, run_id):
        _clear_up(dataset)
        yield


def _clear_up(dataset: Dataset) -> None:
    finish_replacing(dataset.runs)
    for left_behind in dataset.runs.glob(f"*/{NEW}"):
        _remove(left_behind)


def has_rows_so_far(dataset: Dataset) -> bool:
    """Whether a build is at a dataset, or was killed, that has noted rows."""
    return any(so_far_files(dataset))


def so_far_files(dataset: Dataset) -> Iterator[Path]:
    """Where builds note their rows."""
    return dataset.runs.glob(f"*/{NEW}/{SO_FAR}")


def finish_moves(dataset: Dataset, note: Callable[[str], None]) -> None:
    """Carries out what a killed run had begun to move, where there is such; waits for a run that is at it.

    Raises StorageError where the folder cannot be written.
    """
    if not replacing(dataset.runs):
        return
    moving = f"new files of {dataset.folder} were being moved into place when the run that made them was killed"
    if not os.access(dataset.runs, os.W_OK):
        raise StorageError(
            f"{moving}, and {dataset.runs} cannot be written to carry that out: until then the files may be of two "
            "versions; run this again, or a build, where it can be written"
        )
    with exclusive(dataset.lock, new_run_id(), lambda holder: note(f"waiting for {holder} of {dataset.folder}")):
        if finish_replacing(dataset.runs):
            note(f"{moving}: now they are there")


@contextmanager
def new_files(dataset: Dataset, run_id: str) -> Iterator[Path]:
    """The folder for a run's new files; it is removed in the end.

    The caller holds the dataset's lock. Where files were being moved, the folder stays for who finishes that.
    """
    folder = dataset.runs / run_id / NEW
    try:
        yield folder
    finally:
        if not replacing(dataset.runs):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Removes a folder of new files, and the run's own where it holds nothing else: no events, no edited files."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


class Transaction(msgspec.Struct, frozen=True):
    """The files of `dataset` as they are about to be replaced; `folder` takes the new ones."""

    dataset: Dataset
    folder: Path

    @property
    def aside(self) -> Path:
        """Where edited files are kept: the run's own folder, which stays if there is something in it."""
        return self.folder.parent

    def write(self, name: str, content: bytes) -> Path:
        """A new file, synced."""
        with ArtefactWriter(self.folder / name) as writer:
            writer.write(content)
        return writer.path

    def write_exports(
        self,
        rows: Iterable[TrainingRow],
        formats: Sequence[str],
        layout: Layout,
        sides: Sequence[str],
        there: Sequence[str] = (),
    ) -> dict[str, Path]:
        """The exports of `rows`, and what goes with them, by name, synced; those in the formats `there` lie among the
        new files already. Errors are those of `export.write_exports`."""
        folder = self.folder / EXPORTS
        paths = write_exports(rows, folder, [name for name in formats if name not in there], layout, sides)
        paths += [folder / file_name(name, side) for name in there for side in sides]
        paths += write_companions(folder, formats, layout, sides)
        for path in paths:
            sync(path)
        return {f"{EXPORTS}/{path.name}": path for path in paths}

    def commit(self, new: Mapping[str, Path], old: Iterable[str]) -> tuple[Path, ...]:
        """Puts the new files into place by their names, and removes those of the `old` that have no new one.

        Returns what it has removed of the user's: failures.jsonl and checks.jsonl go when there is nothing to tell.

        Raises StorageError, with nothing moved, where something else stands in a file's place.
        """
        moves = {path: self.dataset.artefact(name) for name, path in new.items()}
        gone = [path for name in sorted(set(old) - new.keys()) if (path := self.dataset.artefact(name)).exists()]
        if folder := next((path for path in gone if path.is_dir()), None):
            raise StorageError(f"{folder} is a folder, and what has that name here is a file: move it away")
        told_nothing = set(map(self.dataset.artefact, NO_ARTEFACTS))
        with undisturbed():
            replace_together(self.dataset.runs, moves, gone)
        return tuple(path for path in gone if path not in told_nothing and not path.is_relative_to(self.dataset.runs))


@contextmanager
def begin_transaction(dataset: Dataset, again: str, note: Callable[[str], None]) -> Iterator[Transaction]:
    """A transaction of a command that is no build, once no other run has the dataset; `note` is told of a wait.

    `again` says what to do after a StorageError, which is raised where a file cannot be read or written: the old files
    are as they were then.
    """
    run_id = new_run_id()
    with (
        only_run(dataset, run_id, lambda holder: note(f"waiting for {holder} of {dataset.folder}")),
        new_files(dataset, run_id) as folder,
    ):
        try:
            yield Transaction(dataset, folder)
        except OSError as error:
            raise StorageError(
                f"{unusable(error, dataset.folder)}. The old files are as they were; {again} when that is mended"
            ) from error


def keep_edited(
    dataset: Dataset,
    new: Mapping[str, Path],
    old: Iterable[str],
    folder: Path,
    written: Mapping[str, FileState],
) -> tuple[Path, ...]:
    """Copies what is about to be replaced or removed, and is not as it was last `written` here, into `folder`.

    `new` maps names to the new files; `old` are names that go where there is no new file. What is to be replaced by
    the same bytes needs no copy.
    """
    names = dict.fromkeys(name for name in (*new, *old) if not name.startswith("runs/"))
    places = {name: dataset.artefact(name) for name in names}
    there = {name: place for name, place in places.items() if place.is_file()}
    edited = [name for name, place in there.items() if name not in written or not written[name].holds(place)]
    lost = [name for name in edited if name not in new or not same_bytes(new[name], there[name])]
    return tuple(set_aside(there[name], folder) for name in lost)


def same_bytes(first: Path, second: Path) -> bool:
    """Whether two files hold the same."""
    return first.stat().st_size == second.stat().st_size and file_sha256(first) == file_sha256(second)
