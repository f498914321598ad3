"""Publishes to a folder. Every file is whole or old. The card comes first, by which files are known as ours when a
publication was cut off; the lock comes last, so what it names is there, and what it had named is gone."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from distill_build.dataset.layout import Dataset
from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.engine.artefacts import file_sha256, sync
from distill_build.errors import UsageError
from distill_build.export import CARD
from distill_build.publish.earlier import is_published, is_whole, refuse_to_lose, refuse_to_overwrite
from distill_build.publish.publication import Publication, Published


def publish_to_folder(publication: Publication, place: Path, dataset: Dataset) -> Published:
    """Makes `place` hold the publication, and writes what differs alone.

    Raises UsageError for a folder that holds something else, DifferenceError as `refuse_to_overwrite` and
    `refuse_to_lose` do.
    """
    _refuse_places(place, dataset)
    lock, card = sound_lock(place / LOCK), _text(place / CARD)
    if not is_published(lock, card) and _is_in_use(place):
        raise UsageError(f"{place} holds files that were not published by distill-build: name an empty folder")
    there = {name: file_sha256(place / name) for name in publication.files if (place / name).is_file()}
    sent = [name for name in _in_order(publication.files) if there.get(name) != publication.sha256(name)]
    refuse_to_overwrite(publication.name, str(place), lock, card, [name for name in sent if name in there])
    exports = set() if lock is None else {*lock.exports} - {CARD}
    removed = sorted(name for name in exports - publication.files.keys() if (place / name).is_file())
    replaced = [name for name in sent if name in there] if is_whole(lock, card) else []  # else it may be half of each
    refuse_to_lose(str(place), lock, (*removed, *replaced), lambda name: file_sha256(place / name))
    place.mkdir(parents=True, exist_ok=True)
    for name in removed:
        (place / name).unlink()
    for name in sent:
        _write(publication, name, place / name)
    return Published(str(place), sent, removed)


def _in_order(files: Mapping[str, object]) -> list[str]:
    return [CARD, *(name for name in files if name not in (CARD, LOCK)), LOCK]


def _refuse_places(place: Path, dataset: Dataset) -> None:
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place} is a file: name a folder to publish to, or hf://datasets/USER/NAME")
    own, there = dataset.folder.resolve(), place.resolve()
    if there == own or own in there.parents:
        raise UsageError(f"{place} is of the dataset itself: name another folder to publish to")


def _is_in_use(place: Path) -> bool:
    return place.is_dir() and any(not path.name.startswith(".") for path in place.iterdir())


def _text(card: Path) -> str | None:
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None


def _write(publication: Publication, name: str, target: Path) -> None:
    held = publication.files[name]
    temporary = target.with_name(f".{name}.new")  # of a killed publication it is written over
    try:
        if isinstance(held, Path):
            shutil.copyfile(held, temporary)
        else:
            temporary.write_bytes(held)
        sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
