"""What a person says of one row: that it stands, that it goes, or what it is to say. Pure."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

ReviewVerdict = Literal["accept", "reject", "edit"]
REVIEWS_FILE = "reviews.jsonl"
REVIEW = "review"
"""The column of a row that has the verdict of a person; a row of which nobody has said one has none."""
ACCEPT: ReviewVerdict = "accept"
REJECT: ReviewVerdict = "reject"
EDIT: ReviewVerdict = "edit"


class Review(msgspec.Struct, frozen=True):
    """The last line on one row in reviews.jsonl. `text` are columns that an edit changes, with what is to be there.

    `digest` names the text that it speaks of, see `text_digest`; None is whatever is there. `at` is ISO 8601; where it
    is left out, `behind` is the latest one of those on the row before it. `place` is where that line stands, as people
    are told it; of one that is not written yet there is none.
    """

    id: str
    verdict: ReviewVerdict | None = None
    text: dict[str, Any] = {}
    digest: str | None = None
    rating: int | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None
    at: str = ""
    by: str | None = None
    place: str = ""
    behind: str = ""

    @property
    def said(self) -> str:
        """Stands for all of it that rows depend on."""
        return text_digest({"verdict": self.verdict, "text": self.text, "of": self.digest}, ("verdict", "text", "of"))


def said_so_far(said: Review | None, key: str, row: dict[str, Any], columns: Sequence[str]) -> Review:
    """What a person has said of the text that a row with the id `key` has now; a verdict on another text is none on it.

    `row` has its verdict in it, as in an artefact. One that lies as it was edited keeps the digest of the text before;
    where that is no longer known, any will do.
    """
    if row.get(REVIEW) == EDIT:
        return said or Review(key)
    digest = text_digest(row, columns)
    if said is None:
        return Review(key, digest=digest)
    if said.digest in (None, digest):
        return replace(said, digest=digest)
    return replace(said, digest=digest, verdict=None, text={}, rating=None)


def edit_so_far(said: Review, row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The columns that a person has changed by then: as was `said`, or as they lie there, though rejected since."""
    if said.verdict == EDIT:
        return said.text
    return {name: row.get(name) for name in columns} if row.get(REVIEW) == EDIT else {}


def text_digest(line: dict[str, Any], columns: Sequence[str]) -> str:
    """What stands for the text of a row: SHA-256, in hex, of the JSON list of its `columns` in the order of their
    names, without spaces, in UTF-8. The keys of an object in them stand in order, too.
    """
    told = [line.get(column) for column in sorted(columns)]
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
