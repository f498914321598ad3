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
from distill_build.prompting.known import ANYTHING, TEXT, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.settings import Settings, StageSettings
from distill_build.stages.kinds.transform_stage import JudgeScope, TransformStage
from distill_build.stages.likeness.repeats import SAME_AS, Near, least_likeness

VALIDATION: Literal["validation"] = "validation"
TEST: Literal["test"] = "test"
DIGEST_BYTES = 8
LEAKS: Mapping[str, str] = {
    TRAIN: "much like a question to train on",
    TEST: "much like a question to test by",
    VALIDATION: "much like a question to validate by",
}
"""Why a question is left out, by the side that has one like it."""

Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
_Side = Literal["train", "validation", "test"]


class SplitSettings(StageSettings, frozen=True, kw_only=True):
    """`test` and `validation` are shares of what `unit` counts: questions, or leaves of the tree with all below. A
    question that is held out is left out where one as like it as `near` is on a side before; None: an equal one.
    """

    test: Share = 0
    validation: Share = 0
    unit: Literal["question", "leaf"] = "question"
    near: Near = "auto"


class Builtin(TransformStage):
    scope: ClassVar[JudgeScope] = "dataset"
    settings_type = SplitSettings
    settings: SplitSettings
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {
        "split.test": "test",
        "split.validation": "validation",
        "split.by": "unit",
        "split.near": "near",
    }
    usual = Verdict(kept=True, columns={TransformStage.side_column: TRAIN, SAME_AS: None})

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        if self.settings.test + self.settings.validation >= 1:
            raise ConfigurationError(
                f"split.test={self.settings.test:g} and split.validation={self.settings.validation:g} leave nothing to "
                "train on: together they are shares below 1"
            )

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        return super().columns(own, above) | {cls.side_column: TEXT, SAME_AS: ANYTHING}

    @classmethod
    def sides(cls, own: StageSettings) -> tuple[str, ...]:
        assert isinstance(own, SplitSettings), "its settings are of its own type"  # noqa: S101
        held_out = [side for side, share in ((VALIDATION, own.validation), (TEST, own.test)) if share]
        return (TRAIN, *held_out)

    def identity(self) -> JsonObject:
        shares = self.settings.test or self.settings.validation
        return super().identity() | ({"seed": self.build.seed} if shares else {})

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:  # noqa: ARG002 - itself is enough
        text = normalise(row["question"])
        return self._side(place.tag if self.settings.unit == "leaf" else text), text

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """A question stands on one side alone, wherever in the tree: what is trained on is none to be tested by."""
        texts: dict[str, dict[str, str]] = {side: {} for side in LEAKS}
        for key, (side, text) in measured:
            texts[side].setdefault(text, key)
        pairs: list[tuple[str, str]] = [(TEST, TRAIN), (VALIDATION, TRAIN), (VALIDATION, TEST)]
        leaking = {(side, other): self._leaking(texts[other], texts[side]) for side, other in pairs}
        for _, (side, text) in measured:
            if side == TRAIN:
                yield self.usual
                continue
            found = ((LEAKS[other], leaking[side, other].get(text)) for each, other in pairs if each == side)
            why, same = next(((why, key) for why, key in found if key is not None), (None, None))
            columns = {self.side_column: side, SAME_AS: same}
            yield Verdict(why is None, () if why is None else (why,), columns)

    def _leaking(self, there: Mapping[str, str], held_out: Mapping[str, str]) -> Mapping[str, str]:
        """Texts that are held out → the row of another side that each repeats. Both are texts with their rows."""
        if self.settings.near is None:
            return {text: there[text] for text in held_out if text in there}
        from distill_build.stages.likeness.words import repeats_of

        texts, others = list(held_out), list(there)
        found = repeats_of(others, texts, least_likeness(self.settings.near, "words"))
        return {texts[place]: there[others[repeat.of]] for place, repeat in found.items()}

    def _side(self, content: str) -> _Side:
        """Test is cut off at one end and validation at the other: a share of one moves nothing of the other."""
        digest = hashlib.blake2b(f"{self.build.seed}:{content}".encode(errors="replace"), digest_size=DIGEST_BYTES)
        place = int.from_bytes(digest.digest(), "big") / 2 ** (8 * DIGEST_BYTES)
        if place < self.settings.test:
            return TEST
        return VALIDATION if self.settings.validation and place >= 1 - self.settings.validation else TRAIN
