"""Dedup: of questions that are equal up to case, width and punctuation, wherever in the tree, the first in rank stays.

Rank order (see `TransformStage`) is what makes growth gentle: what a leaf gained last gives way first.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from distill_build.dataset.unit import Verdict
from distill_build.prompting.known import ANYTHING, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.settings import StageSettings
from distill_build.stages.base import Judge, JudgeScope, TransformStage

DIGEST_BYTES = 16
SAME_AS = "same_as"
"""The column with the id of the row that a dropped one repeats; null where a row is kept."""


class Builtin(TransformStage):
    scope: ClassVar[JudgeScope] = "dataset"
    reads = frozenset({"question"})

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        return super().columns(own, above) | {SAME_AS: ANYTHING}

    def measure(self, row: JsonObject) -> Any:
        return hashlib.blake2b(normalise(row["question"]).encode(), digest_size=DIGEST_BYTES).digest()

    def judge(self) -> Judge:
        return FirstOfEqual()


class FirstOfEqual(Judge):
    """Remembers of each text the row that had it first. 100,000 of them take 25 MB."""

    usual = Verdict(kept=True, columns={SAME_AS: None})

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}

    def verdict(self, key: str, measure: Any) -> Verdict:
        first = self._first.setdefault(measure, key)
        if first == key:
            return self.usual
        return Verdict(kept=False, why=("the same question as an earlier one",), columns={SAME_AS: first})
