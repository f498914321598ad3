"""Split: which training rows are held out, to validate and to test. Each goes by a hash of its own content, so growth
moves none of them, and another share moves no more than it has to.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from distill_build.dataset.unit import Place, Verdict
from distill_build.errors import ConfigurationError
from distill_build.export import TRAIN
from distill_build.graph import Shape
from distill_build.prompting.known import TEXT, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.settings import Settings, StageSettings
from distill_build.stages.base import JudgeScope, TransformStage

VALIDATION: Literal["validation"] = "validation"
TEST: Literal["test"] = "test"
DIGEST_BYTES = 16
LEAKS = "the same question as one to train on"

Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
_Side = Literal["train", "validation", "test"]


class SplitSettings(StageSettings, frozen=True, kw_only=True):
    """`test` and `validation` are shares of what `unit` counts: questions, or leaves of the tree with all below."""

    test: Share = 0
    validation: Share = 0
    unit: Literal["question", "leaf"] = "question"


class Builtin(TransformStage):
    scope: ClassVar[JudgeScope] = "dataset"
    settings_type = SplitSettings
    settings: SplitSettings
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {
        "split.test": "test",
        "split.validation": "validation",
        "split.by": "unit",
    }
    usual = Verdict(kept=True, columns={TransformStage.side_column: TRAIN})

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        if self.settings.test + self.settings.validation >= 1:
            raise ConfigurationError(
                f"split.test={self.settings.test:g} and split.validation={self.settings.validation:g} leave nothing to "
                "train on: together they are shares below 1"
            )

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        return super().columns(own, above) | {cls.side_column: TEXT}

    @classmethod
    def sides(cls, own: StageSettings) -> tuple[str, ...]:
        assert isinstance(own, SplitSettings), "its settings are of its own type"  # noqa: S101
        held_out = [side for side, share in ((VALIDATION, own.validation), (TEST, own.test)) if share]
        return (TRAIN, *held_out)

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:  # noqa: ARG002 - itself is enough
        text = normalise(row["question"])
        return self._side(place.tag if self.settings.unit == "leaf" else text), _digest(text)

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """A question to train on is none to be tested by, wherever it stands."""
        trained_on = {text for _, (side, text) in measured if side == TRAIN}
        for _, (side, text) in measured:
            columns = {self.side_column: side}
            if side == TRAIN:
                yield self.usual
            elif text in trained_on:
                yield Verdict(kept=False, why=(LEAKS,), columns=columns)
            else:
                yield Verdict(kept=True, columns=columns)

    def _side(self, content: str) -> _Side:
        """Test is cut off at one end and validation at the other: a share of one moves nothing of the other."""
        place = int.from_bytes(_digest(f"{self.build.seed}:{content}")[:8], "big") / 2**64
        if place < self.settings.test:
            return TEST
        return VALIDATION if place >= 1 - self.settings.validation else TRAIN


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=DIGEST_BYTES).digest()
