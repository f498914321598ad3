"""Filter: of answers those stay that meet each rule which is set. One that does not has a reason for each it misses.

Rules go by the answer and by what judges said of it. `repeated` alone looks at all answers together, and only then do
all of them have to be there before one is judged.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from operator import ge, le
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from distill_build.dataset.unit import Place, Verdict
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, NUMBER, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.replies.words import is_mostly_in, word_count
from distill_build.settings import Settings, StageSettings, names_of
from distill_build.stages.likeness.repeats import SAME_AS
from distill_build.stages.ratings import AGREES, SCORE, exact, require_rating, rounded
from distill_build.stages.transform_stage import JudgeScope, TransformStage

DIGEST_BYTES = 16
RULES = (
    "min_score", "max_pass_rate", "reasoning", "min_words", "max_words", "language", "repeated",
)  # fmt: skip
NUMBERS = ("min_score", "max_pass_rate")
SCRIPTS = {"en": "not mostly in Latin letters", "zh": "not mostly in Chinese characters"}
REPEATED = "the same reasoning and answer as an earlier one"
FEW_WORDS = 5
"""Fewer may be right for many questions, as 42 is: two such rows are the same where their questions are, too."""
TOO_LOW, TOO_HIGH = "score below", "pass rate above"
TRIED = {"min_score": (2, 2.5, 3, 3.5, 4, 4.5, 5), "max_pass_rate": (0, 0.25, 0.5, 0.75, 1)}
"""Values of thresholds of which a plan says what they would keep…"""
GOES_BY: Mapping[str, tuple[str, str, Callable[[float, float], bool]]] = {
    "min_score": ("score", TOO_LOW, ge),
    "max_pass_rate": ("pass_rate", TOO_HIGH, le),
}
"""…with the column that each goes by, how its reason begins, and when a row meets it."""


class FilterSettings(StageSettings, frozen=True, kw_only=True):
    """The rules; None is none. `min_score`: of the judges' mean; `max_pass_rate`: share of attempts that agree with the
    teacher; words are those of `replies.words`, of the answer without its reasoning."""

    min_score: Annotated[float, msgspec.Meta(ge=1, le=5)] | None = None
    max_pass_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    reasoning: Literal["required"] | None = None
    min_words: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_words: Annotated[int, msgspec.Meta(ge=1)] | None = None
    language: Literal["en", "zh"] | None = None
    repeated: Literal["drop"] | None = None


class Builtin(TransformStage):
    settings_type = FilterSettings
    settings: FilterSettings
    reads = frozenset({"answer"})
    followers: ClassVar[Mapping[str, str]] = {f"filter.{rule}": rule for rule in RULES}

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        assert isinstance(own, FilterSettings), "its settings are its own"  # noqa: S101
        return super().columns(own, above) | dict.fromkeys(measured_values(own), NUMBER) | same_as(own, ANYTHING)

    @classmethod
    def metadata(cls, own: StageSettings) -> Mapping[str, Literal["text", "number"]]:
        assert isinstance(own, FilterSettings), "its settings are its own"  # noqa: S101
        return {name: "number" for name in measured_values(own) if name != "words"}

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        for rule, rating in (("min_score", SCORE), ("max_pass_rate", AGREES)):
            if getattr(self.settings, rule) is not None:
                require_rating(rating, self._called(rule), shape.name, build)
        least, most = self.settings.min_words, self.settings.max_words
        if least is not None and most is not None and least > most:
            raise ConfigurationError(
                f"{self._called('min_words')}={least} is above {self._called('max_words')}={most}: no answer has so "
                "many words and so few: lower the one, or raise the other"
            )

    @property
    def scope(self) -> JudgeScope:
        """What repeats is seen where all answers are there."""
        return "row" if self.settings.repeated is None else "dataset"

    @property
    def refers_to(self) -> frozenset[str]:
        own = {"min_score": SCORE, "max_pass_rate": AGREES}
        return frozenset(rating.stage for rule, rating in own.items() if getattr(self.settings, rule) is not None)

    def identity(self) -> JsonObject:
        """A threshold without decimals is told as one: 4, not 4.0."""
        own = super().identity()
        return own | {rule: int(own[rule]) for rule in NUMBERS if rule in own and own[rule] == int(own[rule])}

    def verdict(self, place: Place, row: JsonObject, others: JsonObject) -> Verdict:  # noqa: ARG002 - see `measure`
        mean, rate = self._mean(others), self._pass_rate(others)
        words = word_count(row["answer"]) if "words" in measured_values(self.settings) else None
        values = {"score": rounded(mean), "pass_rate": rounded(rate), "words": words}
        why = (*self._by_judges(mean, rate), *self._by_text(row, words or 0))
        return Verdict(not why, why, {name: values[name] for name in measured_values(self.settings)})

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:
        text = f"{row.get('reasoning') or ''}\n{row['answer']}"
        if word_count(text) < FEW_WORDS:
            text = f"{row.get('question')}\n{text}"
        digest = hashlib.blake2b(normalise(text).encode(errors="replace"), digest_size=DIGEST_BYTES)
        return self.verdict(place, row, others), digest.digest()

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """The first answer with a text is the first among those that the other rules let stay."""
        first: dict[bytes, str] = {}
        for key, (alone, text) in measured:
            same = first.setdefault(text, key) if alone.kept else key
            why = alone.why if same == key else (REPEATED,)
            yield Verdict(not why, why, alone.columns | same_as(self.settings, None if same == key else same))

    def yields(self, rows: Iterable[JsonObject], then: JsonObject) -> Mapping[str, Mapping[str, int]]:
        """A row that misses another rule too is kept by no value of this one. Rows that were judged by other rules, or
        with an eye on what repeats (which depends on what is kept), do not tell."""
        now, others = self.identity(), [rule for rule in RULES if rule not in TRIED]
        if self.settings.repeated is not None or any(then.get(rule) != now.get(rule) for rule in others):
            return {}
        rules = [rule for rule in TRIED if rule in now and rule in then]
        told = {rule: dict.fromkeys(TRIED[rule], 0) for rule in rules}
        for row in rows if told else ():
            for rule, kept in told.items():
                column, begins, meets = GOES_BY[rule]
                if row.get(column) is not None and all(why.startswith(begins) for why in row["why"]):
                    for value in kept:
                        kept[value] += meets(row[column], value)
        return {self._called(rule): {f"{value:g}": kept for value, kept in each.items()} for rule, each in told.items()}

    def _by_judges(self, mean: Fraction | None, rate: Fraction | None) -> Iterator[str]:
        least, most = self.settings.min_score, self.settings.max_pass_rate
        if least is not None and (mean is None or mean < exact(least)):
            yield f"{TOO_LOW} {least:g}"
        if most is not None and (rate is None or rate > exact(most)):
            yield f"{TOO_HIGH} {most:g}"

    def _by_text(self, row: JsonObject, words: int) -> Iterator[str]:
        own = self.settings
        if own.reasoning == "required" and not (row.get("reasoning") or "").strip():
            yield "no reasoning"
        if own.min_words is not None and words < own.min_words:
            yield f"fewer than {own.min_words} words"
        if own.max_words is not None and words > own.max_words:
            yield f"more than {own.max_words} words"
        if own.language is not None and not is_mostly_in(own.language, row["answer"]):
            yield SCRIPTS[own.language]

    def _mean(self, others: JsonObject) -> Fraction | None:
        return None if self.settings.min_score is None else SCORE.mean(others)

    def _pass_rate(self, others: JsonObject) -> Fraction | None:
        return None if self.settings.max_pass_rate is None else AGREES.mean(others)

    def _called(self, rule: str) -> str:
        return names_of(self.name, self.settings).get(rule, f"stage.{self.name}.{rule}")


def measured_values(own: FilterSettings) -> list[str]:
    """The columns with the values that the rules which are set go by."""
    rounded = {
        "score": own.min_score is not None,
        "pass_rate": own.max_pass_rate is not None,
        "words": own.min_words is not None or own.max_words is not None,
    }
    return [name for name, wanted in rounded.items() if wanted]


def same_as(own: FilterSettings, value: Any) -> dict[str, Any]:
    """The column with the id of the row that a dropped one repeats, where that is looked for."""
    return {} if own.repeated is None else {SAME_AS: value}
