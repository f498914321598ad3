"""Files that are whole or old: writing, spooling, and replacing several as one, whatever the step of the crash."""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from distill_build.engine.artefacts import (
    COPY_BYTES,
    JOURNAL,
    UNKNOWN,
    ArtefactWriter,
    FileState,
    Spool,
    file_sha256,
    file_state,
    finish_replacing,
    replace_together,
    set_aside,
)
from distill_build.errors import StorageError

NAMES = ("a", "b", "sub/c")


@dataclass(frozen=True)
class Folder:
    """A dataset's folder with old files, new ones ready under runs/new, and one that is to go."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def moves(self) -> dict[Path, Path]:
        return {self.runs / "new" / name: self.root / name for name in NAMES}

    def content(self) -> dict[str, str]:
        files = [path for path in self.root.rglob("*") if path.is_file() and self.runs not in path.parents]
        return {str(path.relative_to(self.root)): path.read_text() for path in files}


OLD = {"a": "old a", "b": "old b", "gone": "old gone"}
NEW = {name: f"new {name}" for name in NAMES}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "data")
    for name, text in [*OLD.items(), *((f"runs/new/{name}", text) for name, text in NEW.items())]:
        (made.root / name).parent.mkdir(parents=True, exist_ok=True)
        (made.root / name).write_text(text)
    return made


def test_files_are_replaced_and_removed_together(folder: Folder) -> None:
    assert folder.content() == OLD
    replace_together(folder.runs, folder.moves(), [folder.root / "gone"])
    assert folder.content() == NEW
    assert not (folder.runs / JOURNAL).exists()
    assert not [path for path in folder.runs.rglob("*") if path.is_file()]


class Crash(BaseException):
    """Stands for the end of the process: nothing may catch it."""


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the process at the operation number `step` that changes a name."""
    done = 0

    def counted(operation: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            nonlocal done
            if done == step:
                raise Crash
            done += 1
            return operation(*arguments, **named)

        return wrapped

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))


@pytest.mark.parametrize("step", range(6))
def test_after_a_crash_at_any_step_the_files_are_old_or_the_next_finishes(
    folder: Folder, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash_at(step, patched)
        with pytest.raises(Crash):
            replace_together(folder.runs, folder.moves(), [folder.root / "gone"])
    journal_was_there = (folder.runs / JOURNAL).exists()
    assert journal_was_there is (step > 0)
    assert finish_replacing(folder.runs) is journal_was_there
    assert folder.content() == (NEW if journal_was_there else OLD)
    assert finish_replacing(folder.runs) is False


def test_there_are_no_more_steps_than_were_tried(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        crash_at(6, patched)
        replace_together(folder.runs, folder.moves(), [folder.root / "gone"])
    assert folder.content() == NEW


@pytest.mark.parametrize("second", range(5))
def test_a_crash_while_a_crash_is_mended_is_mended_too(
    folder: Folder, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash_at(2, patched)
        with pytest.raises(Crash):
            replace_together(folder.runs, folder.moves(), [folder.root / "gone"])
    with monkeypatch.context() as patched:
        crash_at(second, patched)
        try:
            finish_replacing(folder.runs)
        except Crash:
            finish_after = True
        else:
            finish_after = False
    assert finish_replacing(folder.runs) is finish_after
    assert folder.content() == NEW


DISKS = (Path("/dev/shm"), Path(__file__).parent)  # noqa: S108 - nothing is written there


@pytest.mark.parametrize("obstacle", ["folder", "file", "lost link", "other disk"])
def test_where_one_file_cannot_get_into_its_place_none_is_moved(folder: Folder, obstacle: str) -> None:
    place = folder.root / "sub"
    if obstacle == "folder":
        (place / "c").mkdir(parents=True)
    elif obstacle == "file":
        place.write_text("in the way")
    elif obstacle == "lost link":
        place.symlink_to(folder.root / "nowhere")
    elif others := [disk for disk in DISKS if disk.is_dir() and disk.stat().st_dev != folder.root.stat().st_dev]:
        place.symlink_to(others[0])
    else:
        pytest.skip("there is one disk alone")
    before = folder.content()
    with pytest.raises(StorageError, match="move it away"):
        replace_together(folder.runs, folder.moves(), [folder.root / "gone"])
    assert (folder.content(), finish_replacing(folder.runs)) == (before, False)


def test_the_journal_survives_that_the_whole_folder_is_moved(folder: Folder, tmp_path: Path) -> None:
    moves = [[f"new/{name}", f"../{name}"] for name in NAMES]
    (folder.runs / JOURNAL).write_text(json.dumps({"moves": moves, "removals": ["../gone"]}))
    moved = Folder(tmp_path / "elsewhere")
    folder.root.rename(moved.root)
    assert finish_replacing(moved.runs)
    assert moved.content() == NEW


@pytest.mark.parametrize("text", ["", "{", '{"moves": [["new/a", "../a"]], "remo'])
def test_a_torn_journal_stops_nothing_and_replaces_nothing(folder: Folder, text: str) -> None:
    """It is renamed into place when it is synced, so only a disk fault tears it: a sentence, or nothing done."""
    (folder.runs / JOURNAL).write_text(text)
    with contextlib.suppress(StorageError):
        finish_replacing(folder.runs)
    assert folder.content() == OLD


def test_without_a_journal_there_is_nothing_to_finish(tmp_path: Path) -> None:
    assert finish_replacing(tmp_path / "nowhere") is False


# Writers and spools


def test_a_writer_knows_size_and_digest_of_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with ArtefactWriter(path) as writer:
        writer.write(b"one\n")
        writer.write(b"two\n")
    assert (writer.size, writer.sha256) == (8, file_sha256(path))
    assert path.read_bytes() == b"one\ntwo\n"


def test_rows_come_back_from_a_spool_in_another_order(tmp_path: Path) -> None:
    spool = Spool(lambda: tmp_path / "spool")
    places = [(spool.append(data), len(data)) for data in (b"first", b"second", b"third")]
    with ArtefactWriter(tmp_path / "file") as writer, spool.reader() as reader:
        for start, length in reversed(places):
            writer.copy(reader, start, length)
    assert (tmp_path / "file").read_bytes() == b"thirdsecondfirst"


def test_a_spool_goes_on_where_it_was_however_often_it_is_written_and_read(tmp_path: Path) -> None:
    spool, piece = Spool(lambda: tmp_path / "new" / "spool"), b"x" * (COPY_BYTES // 2 + 1)
    spool.reader().close()
    for number in range(5):
        assert spool.append(piece) == number * len(piece)
        if number == 3:
            spool.reader().close()
    with spool.reader() as reader:
        assert reader.read() == piece * 5


def test_spools_hold_no_file_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    spools = [Spool(partial(tmp_path.joinpath, str(number))) for number in range(50)]
    for spool in spools:
        spool.append(b"x" * (COPY_BYTES + 1))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_source_that_ends_early_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"short")
    with (
        (tmp_path / "source").open("rb") as source,
        pytest.raises(StorageError, match="ended early"),
        ArtefactWriter(tmp_path / "file") as writer,
    ):
        writer.copy(source, 2, 100)


# States


def test_an_untouched_file_is_trusted_and_a_touched_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    state = file_state(path)
    assert state.untouched(path)
    os.utime(path, ns=(1, 1))
    assert not state.untouched(path)
    assert state.same_content(path)
    path.write_text("else")
    assert not state.same_content(path)
    path.unlink()
    assert not state.same_content(path)


def test_a_file_of_which_only_the_content_is_known_is_held_against_that(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    known = FileState(UNKNOWN, UNKNOWN, file_sha256(path))
    assert (known.holds(path), known.untouched(path)) == (True, False)
    path.write_text("a longer text")
    assert not known.holds(path)


def test_a_file_set_aside_keeps_its_content_and_stays_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("edited")
    copy = set_aside(tmp_path / "file", tmp_path / "runs" / "1")
    assert copy.read_text() == (tmp_path / "file").read_text() == "edited"
