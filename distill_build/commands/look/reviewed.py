"""What people have said of one row, as `show` and `log` tell it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

from distill_build.commands.locate import find_cache
from distill_build.commands.look.lookup import Found
from distill_build.curate.files import REVIEWS, file_of
from distill_build.curate.reviews_file import OF_ROW, read_reviews, review_line
from distill_build.dataset.layout import Dataset
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import StorageError, UsageError
from distill_build.history.provenance import Decided, GivenByHand, Link, Origins, rows_above
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.review import EDIT, REVIEW, Review
from distill_build.versions.archive import Archive


def said_of_row(dataset: Dataset, found: Found) -> JsonObject | None:
    """The last review of a row, with whether it is in the row; None where there is none."""
    row = found.row
    file = file_of(dataset.name, REVIEWS)
    if file is None:
        return None
    review = read_reviews(file, row["path"][0]).get(row["id"])
    if review is None:
        return None
    return {**review_line(review), "applied": _is_in(review, dataset, found), "file": str(file)}


def _is_in(review: Review, dataset: Dataset, found: Found) -> bool:
    """Whether a row is as a review wants it: so the last build noted, else the row's verdict and text tell."""
    state = dataset.state() if found.from_version is None else None
    note = state.reviews.get(review.id) if state is not None else None
    if note is not None and note.said == review.said:
        return not note.fault
    row = found.row
    return review.verdict == row.get(REVIEW) and all(row.get(name) == text for name, text in review.text.items())


def before_edit(row: JsonObject, chain: Sequence[Link | Decided | GivenByHand], said: JsonObject | None) -> JsonObject:
    """The columns of an edited row that a person changed, with what the model's reply has there; none where that is not
    known. `chain` are the links behind the row, `said` is the last review of it.

    A reply may have what no row shows, as reasoning that is dropped: so the review says which columns.
    """
    own = [link for link in chain if not isinstance(link, Decided)]
    if row.get(REVIEW) != EDIT or not own or not isinstance(own[-1], Link):
        return {}
    columns = {name.removeprefix(OF_ROW) for name in said} if said is not None and said["applied"] else row.keys()
    return {name: text for name, text in own[-1].replied.items() if name in columns and row.get(name) != text}


def models_text(options: Options, dataset: Dataset, found: Found, said: JsonObject | None) -> JsonObject:
    """The same for who has no chain; none where there is no cache."""
    if found.row.get(REVIEW) != EDIT:
        return {}
    with suppress(UsageError, StorageError):
        archive = Archive(find_cache(options, dataset))
        with closing(ReadOnlyStore(archive.directory)) as store:
            origins = Origins(found.files, found.graph, found.recipe(archive), store)
            rows = rows_above(found.files, found.graph, found.stage, found.row)
            return before_edit(found.row, list(origins.chain(rows)), said)
    return {}


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
