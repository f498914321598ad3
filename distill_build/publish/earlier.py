"""What lies where a publication goes: whether it may be overwritten. Pure.

Ours are the names that the lock there tells, and those of a card that nobody has changed: of a publication that was
cut off the card lies there before all else, and the lock is not yet there or still that of the version before.
"""

from collections.abc import Callable, Collection, Iterable

from distill_build.dataset.lockfile import LOCK, Lock
from distill_build.errors import DifferenceError
from distill_build.export import CARD
from distill_build.publish.card import MARKED, files_of, is_as_written, is_of_version, published_name
from distill_build.publish.own_words import OWN_TEXT


def is_published(lock: Lock | None, card: str | None) -> bool:
    """Whether a lock, or a card with our mark, be it changed, says that distill-build has published there."""
    return lock is not None or (card is not None and MARKED in card)


def is_whole(lock: Lock | None, card: str | None) -> bool:
    """Whether a lock and a card are of one publication, which was not cut off: all files are as the lock says then, but
    for those that somebody has changed."""
    return lock is not None and card is not None and is_as_written(card) and is_of_version(card, lock.version)


def refuse_to_overwrite(name: str, place: str, lock: Lock | None, card: str | None, files: Collection[str]) -> None:
    """Raises DifferenceError where a publication of the dataset `name` would take the place of another dataset, or
    `files`, which lie at `place` and would be overwritten, hold one that was not published there.

    `lock` and `card` are those there, None where there is none that can be read.
    """
    written = card is not None and is_as_written(card)
    if card is not None and not written and CARD in files:
        how = "was changed since it was published" if is_published(lock, card) else "was not written by distill-build"
        raise DifferenceError(
            f"{CARD} of {place} {how}, and would be overwritten: put your own words into {OWN_TEXT} in the project, "
            f"which is published as its beginning, and remove {CARD} there"
        )
    told = card if card is not None and written else ""
    there = lock.name if lock is not None else published_name(told)
    if there is not None and there != name:
        raise DifferenceError(
            f"{place} holds the dataset {there}, which {name} would replace: name another place, or remove its files "
            "there first"
        )
    ours = {CARD, *files_of(told), *((LOCK, *lock.exports) if lock is not None else ())}
    foreign = next((file for file in files if file not in ours), None)
    if foreign is not None:
        raise DifferenceError(
            f"{foreign} of {place} is not known to be published by distill-build, and would be overwritten: move it "
            "away from there, or name another place"
        )


def refuse_to_lose(place: str, lock: Lock | None, files: Iterable[str], sha256: Callable[[str], str]) -> None:
    """Raises DifferenceError where one of `files`, which lie at `place` and would be replaced or removed, is an export
    that the lock there tells and not as that says; `sha256` gives what it is."""
    exports = {} if lock is None else {name: digest for name, digest in lock.exports.items() if name != CARD}
    changed = next((name for name in files if name in exports and sha256(name) != exports[name]), None)
    if changed is not None:
        raise DifferenceError(
            f"{changed} of {place} was changed since it was published, and would not stay: move it away from there, or "
            "name another place"
        )
