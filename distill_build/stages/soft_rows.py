"""The soft labels of training rows: those that were stored with the reply that a row says, and which rows have none.

A row has none where a person wrote it, where its reply was asked for without log probabilities, and where not all of
the reply's tokens are listed: llama.cpp lists no piece of a character by itself. The rows are counted, never guessed.
"""

import json
from collections.abc import Callable, Iterator

from distill_build.dataset.layout import CheckCount, CheckExample
from distill_build.export import TrainingRow
from distill_build.graph import END
from distill_build.records import JsonObject
from distill_build.replies.reply import Rejection, read_reply
from distill_build.soft_labels import SoftLabels, soft_labels_in

OF_PEOPLE, NOT_STORED, NOT_LISTED = "soft_of_people", "soft_not_stored", "soft_not_listed"
"""Why a row has no soft labels."""
EXAMPLES = 3
"""Ids that a count names."""


class SoftRows:
    """See `distill_build.export.layout.SoftSource`. `response` gives the reply that a call was answered by."""

    def __init__(self, response: Callable[[str], JsonObject]) -> None:
        self._response = response
        self._looked = set[str]()
        self._lacking: dict[str, str] = {}

    def of(self, row: TrainingRow) -> "tuple[SoftLabels, JsonObject] | None":
        """The soft labels of a row, and the reply that they are of. Raises what `response` does."""
        self._looked.add(row.id)
        raw = self._response(row.call) if row.call else None
        found = soft_labels_in(raw)
        why = _lack(row, raw, found)
        if why is not None:
            self.lacks(row, why)
            return None
        assert raw is not None  # noqa: S101 - else it lacks it
        assert found is not None  # noqa: S101
        return found, raw

    def lacks(self, row: TrainingRow, why: str) -> None:
        """Counts a row for which there is nothing in a file; the first reason stands."""
        self._lacking.setdefault(row.id, why)

    def counts(self) -> tuple[CheckCount, ...]:
        """How many rows have none, by reason."""
        found: dict[str, list[str]] = {}
        for key, why in self._lacking.items():
            found.setdefault(why, []).append(key)
        return tuple(
            CheckCount(why, END, len(ids), len(self._looked), len(ids), _examples(ids))
            for why, ids in sorted(found.items())
        )


def _examples(ids: list[str]) -> tuple[CheckExample, ...]:
    return tuple(CheckExample(key, 1) for key in ids[:EXAMPLES])


def _lack(row: TrainingRow, raw: JsonObject | None, found: SoftLabels | None) -> str | None:
    """Why a row has no soft labels; None where it has."""
    reply = read_reply(raw)
    if isinstance(reply, Rejection) or not _says(f"{reply.reasoning or ''}\n{reply.content}", row):
        return OF_PEOPLE
    if found is None:
        return NOT_STORED
    return NOT_LISTED if len(found) != reply.usage.completion_tokens else None


def _says(text: str, row: TrainingRow) -> bool:
    """Whether a reply says, line by line, what a row does; else somebody has changed the row in its file."""
    lines = [line for part in (row.reasoning, row.answer) for line in (part or "").splitlines()]
    return all(any(form in text for form in _forms(line)) for line in lines)


def _forms(line: str) -> Iterator[str]:
    """By itself, and as a text in JSON."""
    yield line
    yield json.dumps(line, ensure_ascii=False)[1:-1]
    yield json.dumps(line)[1:-1]
