"""What all rooms speak of: ids, tokens, sources, and what could not be made. Pure and frozen.

Ids come from place and content, so the same item has the same id in every build and on every machine. 64 bits
of SHA-256: among a million items a collision has a chance of about one in 10^7.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Path = tuple[str, ...]
JsonObject = dict[str, Any]
Source = tuple[str, str]
"""Where something was read from: the key of a call, and the digest of the response to it that was used."""

BOOKKEEPING = frozenset(
    {
        "id", "question_id", "parent", "tag", "path", "sample", "index", "question", "leaf",
        "model", "finish_reason", "usage", "call", "role", "flags", "review",
    }
)  # fmt: skip
"""Columns that say where a row stands and how it came to be; `question` of an answer is that above it. All others are
content, and no map or group of a user's own has a column of such a name."""
OF_TAGS = frozenset({"number", "level", "label"})
"""Columns that do so in tags, and are content in all other rows."""
ABOVE = ("question_id", "parent", "tag")
"""Columns that name rows above: the first of them that a row has a value in names what it hangs on."""
VERDICT = frozenset({"id", "kept", "why"})
"""Columns that each row of a transform has. All others are its content."""
RENAMED_FROM = "renamed_from"
"""The column of a tag that has the model's own label, where a person gave it another one; else null."""
LABEL, SHARES = "label", "shares"
"""What says what a question is: one of several labels, and how much speaks for each."""
HISTORY = "history"
"""The turns of a dialogue before the last one, as an export says them."""
EXPORTED = ("question", "reasoning", "answer", LABEL, SHARES, HISTORY)
"""What a training row is made of, and a stage's `export` says."""

ReasoningMode = Literal["native", "prompted", "required", "drop"]
"""What becomes of a model's chain of thought: kept where it comes; asked for by the prompt; kept, and a reply without
it cannot be used; left out."""

ID_HEX_DIGITS = 16
SHOWN_DIGITS = 12


def row_id(prefix: str, *parts: str | int) -> str:
    """The id of a row: `prefix` is its stage's, `parts` are the id of what it lies below, and what it is there."""
    return f"{prefix}_{hashlib.sha256(_encode([prefix, *parts]).encode()).hexdigest()[:ID_HEX_DIGITS]}"


def above_of(row: JsonObject) -> str | None:
    """The id of the row that a row hangs on; None for what lies below the topic."""
    key = row.get("question_id") or row.get("parent") or row.get("tag")
    return key if isinstance(key, str) else None


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def as_typed(value: Any) -> str:
    """A text as it is, anything else as JSON: what would stand on a command line."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def number_of(amount: int, plural: str) -> str:
    """`amount` of something: "11 tags", "1 tag". The noun is a plural with s, or the name of a stage."""
    singular = plural if plural.endswith("ss") else plural.removesuffix("s")
    return f"{amount:,} {singular if amount == 1 else plural}"


def rows_of(amount: int, stage: str, kind: str = "") -> str:
    """`amount` rows of a stage: "11 tags", "1 tag", "2 more tags" of the kind "more "; "3 rows of dedup" where its name
    is no plural.
    """
    if stage.endswith("s"):
        return number_of(amount, f"{kind}{stage}")
    return f"{number_of(amount, f'{kind}rows')} of {stage}"


def short(digest: str) -> str:
    """The beginning of a digest, as people are shown it: of a version, most often."""
    return digest[:SHOWN_DIGITS]


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one response, as the endpoint counts them; reasoning tokens are part of the completion's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def row(self) -> JsonObject:
        """The `usage` of a row."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }


class Failure(msgspec.Struct, frozen=True):
    """Items that could not be made: `missing` of them, for the cause named, after `attempts` in the last build.

    A retry after a fault of the network is no attempt of its own.

    One for each result (then `row_without` is the column with the id of the row that lacks it), and one for each list
    that is short.
    """

    stage: str
    path: Path
    missing: int
    cause: str
    attempts: int
    detail: str
    row_without: Mapping[str, str] = msgspec.field(default_factory=dict)

    def row(self) -> JsonObject:
        """The line of failures.jsonl."""
        place: JsonObject = {"path": list(self.path), **self.row_without}
        return {
            "stage": self.stage,
            **place,
            "missing": self.missing,
            "cause": self.cause,
            "attempts": self.attempts,
            # An endpoint's words may hold half a surrogate pair, which no file can.
            "detail": self.detail.encode(errors="replace").decode(),
        }
