"""reviews.jsonl: what people say of rows, a line each time; the last one on a row counts.

Which is the last: lines with a time go by it, wherever a merge has put them, and of equal times by their places. One
without comes behind all that stand before it, and before each with a time that stands behind it.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, get_args

from msgspec.structs import replace

from distill_build.curate.json_lines import objects_in, read_back
from distill_build.curate.texts import is_about, way_out
from distill_build.errors import ConfigurationError
from distill_build.review import EDIT, Review, ReviewVerdict

FIELDS = frozenset({"id", "digest", "verdict", "rating", "tags", "note", "at", "by", "topic"})
"""Keys of a line; all others are columns of the row that an edit changes."""
OF_ROW = "row."
"""Before the name of a column, which may be called as one of these keys: `row.note`."""
EXAMPLE = '{"id": "a_…", "verdict": "reject"}'
VERDICTS: tuple[ReviewVerdict, ...] = get_args(ReviewVerdict)
RATINGS = range(1, 6)


def read_reviews(file: Path, topic: str) -> dict[str, Review]:
    """The reviews of rows of a dataset on `topic`, by id. Lines that name another topic are another dataset's.

    Raises ConfigurationError with file, line and remedy for what is none.
    """
    timed: dict[str, tuple[datetime, Review]] = {}
    last: dict[str, Review] = {}
    for place, line in objects_in(file, EXAMPLE):
        if not is_about(topic, line.get("topic"), place):
            continue
        review = _review(place, line)
        before = timed.get(review.id)
        if (at := _time(place, review.at)) is None:
            last[review.id] = replace(review, behind=before[1].at) if before is not None else review
            continue
        if before is None or before[0] <= at:
            timed[review.id] = at, review
        last[review.id] = timed[review.id][1]
    return last


def review_line(review: Review) -> dict[str, Any]:
    """The line that says it."""
    text = {f"{OF_ROW}{name}" if name in FIELDS else name: value for name, value in review.text.items()}
    said = {"id": review.id, "digest": review.digest, "verdict": review.verdict, **text}
    said |= {"rating": review.rating, "tags": list(review.tags), "note": review.note, "at": review.at, "by": review.by}
    return {name: value for name, value in said.items() if name in text or value not in (None, [], "")}


def fault_of_review(review: Review) -> str | None:
    """Why nobody could read the line that says it; None where it can be read."""
    try:
        read_back(review_line(review), lambda place, line: _time(place, _review(place, line).at))
    except ConfigurationError as error:
        return str(error)
    return None


def time_behind(before: Review | None, now: datetime) -> str:
    """The time of what is said `now` of a row: later than what was said `before`, though another clock may have been
    ahead."""
    latest = (before.at or before.behind) if before is not None else ""
    if before is not None and (told := _time(before.place, latest)) is not None and told >= now:
        try:
            now = told + timedelta(microseconds=1)
        except OverflowError:  # the end of all time, where the later line counts
            return latest
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _review(place: str, line: dict[str, Any]) -> Review:
    key, verdict = line.get("id"), line.get("verdict")
    if not isinstance(key, str) or not key:
        _refuse(place, f"a review names its row, as in {EXAMPLE}")
    if verdict is not None and verdict not in VERDICTS:
        _refuse(place, f"verdict is {', '.join(VERDICTS)} or left out, not {verdict!r}")
    text = {name.removeprefix(OF_ROW): value for name, value in line.items() if name not in FIELDS}
    if twice := next(
        (name for name in text if name in line and f"{OF_ROW}{name}" in line and name not in FIELDS), None
    ):
        _refuse(place, f"{twice} stands there twice: leave {OF_ROW}{twice} out")
    if verdict == EDIT and not text:
        _refuse(place, 'an edit has the new text, as in "answer": "…"')
    if text and verdict != EDIT:
        name = next(iter(text))
        remedy = way_out(name, sorted(FIELDS), f'say "verdict": "{EDIT}", or take it out')
        _refuse(place, f"{name}: only an edit changes columns of a row; {remedy}")
    rating = line.get("rating")
    if rating is not None and (type(rating) is not int or rating not in RATINGS):
        _refuse(place, f"rating is a whole number from {RATINGS.start} to {RATINGS.stop - 1}, not {rating!r}")
    tags = line.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        _refuse(place, "tags is a list of texts")
    for name in ("digest", "note", "at", "by"):
        if not isinstance(line.get(name), str | None):
            _refuse(place, f"{name} is a text, or left out")
    return Review(
        id=key,
        verdict=verdict,
        text=text,
        digest=line.get("digest"),
        rating=rating,
        tags=tuple(tags),
        note=line.get("note"),
        at=line.get("at") or "",
        by=line.get("by"),
        place=place,
    )


def _time(place: str, at: str) -> datetime | None:
    """When it was said; None where nothing tells."""
    if not at:
        return None
    try:
        told = datetime.fromisoformat(at)
    except ValueError:
        _refuse(place, f"at is a time in ISO 8601, as in 2026-11-29T12:00:00Z, not {at!r}")
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _refuse(place: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{place}: {why}")
