"""Writes the files that people own: each is replaced as a whole, so that nobody ever reads half of one.

Several programs may be at one file: each holds the file itself while it changes it, and begins again where another one
has put a new file into its place meanwhile.
"""

import fcntl
import json
import os
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from distill_build.curate.files import FOLDER, REVIEWS, TREE, file_of
from distill_build.curate.reviews_file import review_line
from distill_build.curate.tree_changes import TreeChange, amended
from distill_build.curate.tree_file import line_in, read_tree, tree_in
from distill_build.errors import ConfigurationError, StorageError
from distill_build.review import Review
from distill_build.subtree import NOTHING_SAID, TagByHand

TOPIC = "topic"
T = TypeVar("T")


def append_reviews(dataset: str, topic: str, reviews: Iterable[Review]) -> Path:
    """Adds what people say of rows of a dataset; returns the file."""
    return _append(place_of(dataset, REVIEWS), topic, [review_line(review) for review in reviews])[0]


def append_items(dataset: str, stage: str, topic: str, lines: Iterable[dict[str, Any]]) -> Path:
    """Adds a person's own items of a list, each with its path; returns the file."""
    return append_item_lines(dataset, stage, topic, lines)[0]


def append_item_lines(
    dataset: str, stage: str, topic: str, lines: Iterable[dict[str, Any]]
) -> tuple[Path, list[bytes]]:
    """As `append_items`; returns the lines too, as they stand in the file."""
    return _append(place_of(dataset, f"{stage}.jsonl"), topic, lines)


class Amended(msgspec.Struct, frozen=True):
    """A file that was replaced, with what it said `before`, None where there was none, and says `after`."""

    place: Path
    before: bytes | None
    after: bytes


def amend_tree(
    dataset: str, topic: str, changes: Sequence[TreeChange], check: Callable[[TagByHand], None] = lambda _: None
) -> Amended:
    """Changes what a person says of the tree of `topic`, and keeps all comments.

    Raises ConfigurationError, with the file as it was, where it cannot be read, is another topic's in the dataset's own
    folder, or would say what it cannot, and what `check` raises of the tree that it would say.
    """
    place, own = place_of(dataset, TREE), Path(FOLDER, dataset, TREE)
    if place != own and read_tree(place, topic) is None:  # another topic's
        place = own
    with _held(place) as (file, is_new):
        before = file.read()
        if tree_in(before, place, topic) is None:
            raise ConfigurationError(
                f"{line_in(before, place, TOPIC)}: the file speaks of another topic, and no other place is read for "
                f"{topic}: take the line out, or move the file away"
            )
        mark = BOM_UTF8 if before.startswith(BOM_UTF8) else b""
        after = mark + amended(before.decode("utf-8-sig"), changes).encode()
        check(tree_in(after, place, topic) or NOTHING_SAID)
        if after != before:
            _replace(place, after)
    return Amended(place, None if is_new else before, after)


def put_back(amended: Amended) -> bool:
    """Has a file say again what it said before; False where it says something else by now."""
    with _held(amended.place) as (file, _):
        if file.read() != amended.after:
            return False
        if amended.before is None:
            _on_disk(amended.place, amended.place.unlink)
        else:
            _replace(amended.place, amended.before)
    return True


def take_back(place: Path, line: bytes) -> bool:
    """Takes a line that was added out again; False where it is not there any more."""
    with _held(place) as (file, _):
        lines = file.read().splitlines(keepends=True)
        if line not in lines:
            return False
        at = len(lines) - 1 - lines[::-1].index(line)
        left = b"".join(lines[:at] + lines[at + 1 :])
        if left or place.is_symlink():
            _replace(place, left)
        else:
            _on_disk(place, place.unlink)
    return True


def place_of(dataset: str, name: str) -> Path:
    """The file that is written to: the one that a dataset goes by, else one in a folder of the dataset's own."""
    return file_of(dataset, name) or Path(FOLDER, dataset, name)


def _append(place: Path, topic: str, lines: Iterable[dict[str, Any]]) -> tuple[Path, list[bytes]]:
    """Adds lines at the end. In the project's root they name the topic: several datasets may share the file.

    The file is a new one then, as a tree is: of a program that is killed, half of a line might stay.
    """
    shared = {} if place.parent.parts[:1] == (FOLDER,) else {TOPIC: topic}
    told = [json.dumps(line | shared, ensure_ascii=False, separators=(", ", ": ")) + "\n" for line in lines]
    written = [line.encode() for line in told]
    if written:
        with _held(place) as (file, _):
            before = file.read()
            end = b"\n" if before and not before.endswith(b"\n") else b""
            _replace(place, before + end + b"".join(written))
    return place, written


@contextmanager
def _held(place: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """The file at `place`, read from its beginning, which no other program of ours changes
    meanwhile, and whether it is a new one. That goes again where nothing comes into it."""
    _on_disk(place, lambda: place.parent.mkdir(parents=True, exist_ok=True))
    while True:
        is_new = not os.path.lexists(place)
        with _on_disk(place, lambda: place.open("a+b")) as file:
            _on_disk(place, partial(fcntl.flock, file, fcntl.LOCK_EX))  # not every file system has locks
            if not _is_at(file, place):  # another program has put a new one there, or taken it away
                continue
            file.seek(0)
            try:
                yield file, is_new
            finally:
                if is_new and _is_at(file, place) and not os.fstat(file.fileno()).st_size:
                    _on_disk(place, place.unlink)
            return


def _is_at(file: BinaryIO, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    except FileNotFoundError:
        return False


def _replace(place: Path, text: bytes) -> None:
    """Puts a new file, synced, into the place of the old one, which is held; of a link, into that of what it leads to.

    What a killed program left beside it goes with the next one: whoever holds a file is the only one there, until
    the new one is in its place.
    """

    def write() -> None:
        there = place.resolve()
        beside = there.with_name(f".{there.name}.new")
        try:
            with beside.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(there.stat().st_mode)
            beside.replace(there)
        except OSError:
            with suppress(OSError):  # what could not be written is told already
                beside.unlink()
            raise

    _on_disk(place, write)


def _on_disk(place: Path, act: Callable[[], T]) -> T:
    try:
        return act()
    except OSError as error:
        raise StorageError(f"{place} cannot be written: {error.strerror}; nothing was changed in it") from error
