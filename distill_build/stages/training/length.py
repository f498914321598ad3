"""Whether a training row is longer than trainers take it: by the tokenizer of the student, else by the one that the
stages go by, else by estimate."""

from collections.abc import Iterable
from typing import Protocol

from distill_build.errors import ConfigurationError
from distill_build.export import Layout, TrainingRow
from distill_build.models.completion import estimated_tokens
from distill_build.records import JsonObject
from distill_build.stages.measures.tokens import TokenCounter

AROUND = 4
"""Tokens of a chat template around a message."""


OVER_LENGTH, OVER_LENGTH_OF_FILTER, OVER_LENGTH_ESTIMATED = (
    "over_length",
    "over_length_of_filter",
    "over_length_estimated",
)
"""Of rows, where trainers are named: more tokens than these are to take, by the student's tokenizer, by that of a
stage, or by estimate."""


class RowLength:
    """Measures rows laid out as `layout` says; `recipe` names the tokenizers, of which one is left out whose file is
    not here, or is another one. `check` is the one of OVER_LENGTH and its kin that it counts for."""

    def __init__(self, layout: Layout, recipe: JsonObject) -> None:
        self._layout = layout
        self._counter, self.check = _counter_in(recipe)

    def exceeds(self, row: TrainingRow) -> bool:
        """Whether a row has more tokens than the layout lets trainers take."""
        most = self._layout.training.max_length
        texts = [self._layout.system_prompt or "", row.question, row.answer]
        texts += [text for turn in row.history for text in (turn.question, turn.answer)]
        if self._layout.reasoning != "drop":
            texts.append(row.reasoning or "")
        if self._counter is None:
            return estimated_tokens({"content": text} for text in texts) > most
        if sum(len(text.encode(errors="replace")) for text in texts) + AROUND * len(texts) <= most:
            return False  # no token is shorter than a byte
        return self._counter.count(texts) + AROUND * len(texts) > most


class _Counts(Protocol):
    def count(self, texts: Iterable[str]) -> int: ...


def _counter_in(recipe: JsonObject) -> tuple[_Counts | None, str]:
    """What counts tokens, and the check that it counts for."""
    if (student := _student_in(recipe["export"])) is not None:
        return student, OVER_LENGTH
    if (counter := _counter_of_stage(recipe)) is not None:
        return counter, OVER_LENGTH_OF_FILTER
    return None, OVER_LENGTH_ESTIMATED


def _student_in(export: JsonObject) -> _Counts | None:
    """The student, where its files are still those that the recipe names."""
    if (place := export.get("kd_tokenizer")) is None:
        return None
    from distill_build.stages.measures.student import student_of  # most datasets name none

    try:
        return student_of(place, export.get("kd_student"))
    except ConfigurationError:
        return None


def _counter_of_stage(recipe: JsonObject) -> TokenCounter | None:
    """The tokenizer of a stage, where its file is still the one that the recipe names."""
    for own in recipe.values():
        for file, digest in (own.get("tokenizer") or {}).items() if isinstance(own, dict) else ():
            try:
                counter = TokenCounter(file, "tokenizer")
            except ConfigurationError:
                return None
            return counter if counter.digest == digest else None
    return None
