"""Votes: what most of the answers to a question say, and which share of them says what."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from distill_build.dataset.unit import Place
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, NUMBER, TEXT, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.settings import Settings, StageSettings
from distill_build.stages.kinds.answering import AnsweringSettings
from distill_build.stages.kinds.group_stage import GroupStage


class Builtin(GroupStage):
    """Answers in free text say the same where they are equal up to case, width and punctuation.

    Which labels there are, and in which order, is part of what the answers are known by, so it is none of its own.
    """

    reads = frozenset({"answer"})

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        voting = build.stage[settings.after] if settings.after is not None else settings
        self._labels = voting.labels if isinstance(voting, AnsweringSettings) else []
        self._as_written = isinstance(voting, AnsweringSettings) and voting.answer_kind != "text"

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        texts = {"label": TEXT, "reasoning": ANYTHING}
        return super().columns(own, above) | texts | {"shares": ANYTHING, "votes": NUMBER}

    def says_nothing_of(self, others: JsonObject) -> bool:
        return not self._answers(others)

    def values_at(self, place: Place, row: JsonObject, others: JsonObject) -> JsonObject:  # noqa: ARG002 - votes alone
        """What was said first wins a tie; where there are labels, the one that stands first among them. The reasoning
        is that of the first answer that says so."""
        answers = self._answers(others)
        votes, first = Counter(map(self._key, answers)), dict[str, JsonObject]()
        for answer in answers:
            first.setdefault(self._key(answer), answer)
        choices = self._labels or list(first)
        winner = first[max(choices, key=lambda key: votes[key])]
        return {
            "label": winner["answer"],
            "reasoning": winner.get("reasoning"),
            "shares": {first[key]["answer"] if key in first else key: votes[key] / len(answers) for key in choices},
            "votes": len(answers),
        }

    def _answers(self, others: JsonObject) -> list[JsonObject]:
        found: list[JsonObject] = others[self.shape.after or ""]
        return found

    def _key(self, answer: JsonObject) -> str:
        said: Any = answer["answer"]
        return said if self._as_written else normalise(said)
