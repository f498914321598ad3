"""Flags of a row that shows by itself not to be what it was asked for: the words in its column `flags`. Pure.

A flag goes by the columns that a row has, so it needs no stage's name; which flags rows may have is for their stage.
What repeats across rows is no flag of one: see `checks`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from distill_build.dataset.rows import content_of, list_text
from distill_build.records import JsonObject

FLAGS = "flags"
"""The column, in every row that a model was asked for."""


class RowFlag(msgspec.Struct, frozen=True):
    """`name` is the word in the column; `holds` says whether a row has it."""

    name: str
    holds: Callable[[JsonObject], bool]


def flags_of(row: JsonObject, flags: Sequence[RowFlag]) -> list[str]:
    """The names of those of `flags` that `row` has, in their order."""
    return [flag.name for flag in flags if flag.holds(row)]


def _lacks_reasoning(row: JsonObject) -> bool:
    return "reasoning" in row and not row["reasoning"]


def _repeats_question(row: JsonObject) -> bool:
    from distill_build.replies.flags import says_back  # its patterns are for who makes rows

    answer, question = row.get("answer"), row.get("question")
    return isinstance(answer, str) and isinstance(question, str) and says_back(answer, question)


def _has_special_token(row: JsonObject) -> bool:
    """In what a model wrote for the row; the question of an answer is another row's."""
    from distill_build.replies.flags import has_special_token  # as above

    return any(has_special_token(text) for text in _texts(content_of(row) or list_text(row)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _is_catch_all(row: JsonObject) -> bool:
    from distill_build.replies.flags import is_catch_all  # as above

    return is_catch_all(list_text(row))


def without_value(column: str) -> RowFlag:
    """Of a row that was to say a value of a column and did not."""
    return RowFlag(f"no_{column}", lambda row: row.get(column) is None)


NO_REASONING = RowFlag("no_reasoning", _lacks_reasoning)
REPEATS_QUESTION = RowFlag("repeats_question", _repeats_question)
SPECIAL_TOKENS = RowFlag("special_tokens", _has_special_token)
CATCH_ALL = RowFlag("catch_all", _is_catch_all)
