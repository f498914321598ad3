"""A review of a row, from the one before it and what a person has just said. Pure.

A line of reviews.jsonl is whole: the last one on a row counts and says all. So each keeps what was said before, as far
as that spoke of the text that the person sees now.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from distill_build.errors import UsageError
from distill_build.review import ACCEPT, EDIT, REJECT, Review, ReviewVerdict, edit_so_far, said_so_far
from distill_build.view.snapshot import SeenRow


class ReviewChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person says now of the row `id`, among the rows of the snapshot `of`; what is unset stays as it was.

    A `verdict` of null takes back what was said. `text` are columns with what is to be there, which makes it an edit.
    """

    id: str
    of: str
    verdict: ReviewVerdict | msgspec.UnsetType | None = msgspec.UNSET
    rating: int | msgspec.UnsetType | None = msgspec.UNSET
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType | None = msgspec.UNSET
    text: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


LOWEST, HIGHEST = 1, 5
BESIDE = ("rating", "tags", "note")
"""Fields of a review on which no row depends."""


def review_of(row: SeenRow, said: Review | None, change: ReviewChange) -> Review:
    """The review of `row` with `change` in it. Raises UsageError for what cannot be said of it."""
    if not row.editable.columns:
        raise UsageError(f"the rows of {row.stage} are worked out: say it of what they are made from")
    before = said_so_far(said, row.id, row.row, row.editable.columns)
    changed = replace(before, **_told(change))
    if change.text is not msgspec.UNSET:
        return _edited(row, changed, change.text)
    if change.verdict is msgspec.UNSET:
        return changed
    if change.verdict == ACCEPT and (text := edit_so_far(before, row.row, row.editable.columns)):
        return replace(changed, verdict=EDIT, text=text)  # the edit is what is accepted
    if change.verdict == EDIT:
        raise UsageError("an edit has the new text")
    return replace(changed, verdict=change.verdict, text={})


def nothing_said(row: SeenRow) -> Review:
    """What stands of a row of which nobody says anything."""
    return said_so_far(None, row.id, row.row, row.editable.columns)


def _told(change: ReviewChange) -> dict[str, Any]:
    """What is said beside the verdict, cleaned."""
    told = {name: value for name in BESIDE if (value := getattr(change, name)) is not msgspec.UNSET}
    if told.get("rating") is not None and not LOWEST <= told["rating"] <= HIGHEST:
        raise UsageError(f"a rating is a whole number from {LOWEST} to {HIGHEST}, not {told['rating']}")
    if change.tags is not msgspec.UNSET:
        told["tags"] = tuple(dict.fromkeys(flat for tag in change.tags if (flat := " ".join(tag.split()))))
    if "note" in told:
        told["note"] = (told["note"] or "").strip() or None
    return told


def _edited(row: SeenRow, before: Review, text: dict[str, Any]) -> Review:
    if strange := [name for name in text if name not in row.editable.columns]:
        raise UsageError(f"{', '.join(strange)} is no text of a row of {row.stage}")
    wanted = edit_so_far(before, row.row, row.editable.columns) | text
    if row.review != EDIT:  # else what lies there is not what the model wrote
        wanted = {name: value for name, value in wanted.items() if value != row.content.get(name)}
    if (fault := row.editable.fault(wanted, row.content)) is not None:
        raise UsageError(f"it cannot be that: {fault}")
    if wanted:
        return replace(before, verdict=EDIT, text=wanted)
    return replace(before, verdict=REJECT if before.verdict == REJECT else None, text={})
