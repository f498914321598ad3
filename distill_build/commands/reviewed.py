"""What people have said of one row, as `show` and `log` tell it."""

from collections.abc import Iterator

from distill_build.curate.files import REVIEWS, file_of
from distill_build.dataset.layout import Dataset
from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.records import JsonObject
from distill_build.review import REVIEW


def said_of_row(dataset: Dataset, row: JsonObject) -> JsonObject | None:
    """The last review of a row, with whether it is in the row; None where there is none."""
    lock = sound_lock(dataset.artefact(LOCK))
    file = file_of(lock.name if lock is not None else dataset.folder.resolve().name, REVIEWS)
    if file is None:
        return None
    from distill_build.curate.reviews_file import read_reviews
    from distill_build.curate.writing import review_line

    review = read_reviews(file, row["path"][0]).get(row["id"])
    if review is None:
        return None
    applied = review.verdict == row.get(REVIEW)
    return {**review_line(review), "applied": applied, "file": str(file)}


def review_words(said: JsonObject | None) -> Iterator[str]:
    """The same in a line, or none: "edit, rated 4, by Ada on 2026-11-29 12:00 UTC: better"."""
    if said is None:
        return
    parts = [said["verdict"]] if said.get("verdict") else []
    parts += [f"rated {said['rating']}"] if said.get("rating") else []
    parts += [f"tagged {', '.join(said['tags'])}"] if said.get("tags") else []
    note = f": {said['note']}" if said.get("note") else ""
    kept = "" if said["applied"] else f" (not in this row: a build reads {said['file']})"
    yield f"{', '.join(parts) or 'a note'}{when_and_who(said)}{note}{kept}"


def when_and_who(said: JsonObject) -> str:
    """Who said it, and when, as far as that is known."""
    by, at = said.get("by"), said.get("at")
    return (f" by {by}" if by else "") + (f" on {at[:16].replace('T', ' ')}" if at else "")
