"""Dedup: of questions that are equal up to case, width and punctuation, wherever in the tree, the first in rank stays.

Rank order (see `TransformStage`) is what makes growth gentle: what a leaf gained last gives way first.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from distill_build.dataset.unit import Place, Verdict
from distill_build.prompting.known import ANYTHING, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.settings import StageSettings
from distill_build.stages.base import JudgeScope, TransformStage

DIGEST_BYTES = 16
SAME_AS = "same_as"
"""The column with the id of the row that a dropped one repeats; null where a row is kept."""
EQUAL = "the same question as an earlier one"


class Builtin(TransformStage):
    scope: ClassVar[JudgeScope] = "dataset"
    reads = frozenset({"question"})
    usual = Verdict(kept=True, columns={SAME_AS: None})

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        return super().columns(own, above) | {SAME_AS: ANYTHING}

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:  # noqa: ARG002 - the text alone
        return hashlib.blake2b(normalise(row["question"]).encode(), digest_size=DIGEST_BYTES).digest()

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """Remembers of each text the row that had it first. 100,000 of them take 25 MB."""
        first: dict[bytes, str] = {}
        for key, text in measured:
            same = first.setdefault(text, key)
            yield self.usual if same == key else Verdict(kept=False, why=(EQUAL,), columns={SAME_AS: same})
