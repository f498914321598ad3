"""Filter: of answers those stay that meet each rule which is set. One that does not has a reason for each it misses.

Rules go by the answer and by what judges said of it. `repeated` alone looks at all answers together, and only then do
all of them have to be there before one is judged.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec.structs import replace

from distill_build.dataset.unit import Place, Verdict
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, NUMBER, Known
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.replies.words import has_words, is_mostly_in, word_count
from distill_build.settings import Settings, StageSettings, shape_of
from distill_build.stages.dialogue import TURNS, answered_before
from distill_build.stages.kinds.transform_stage import JudgeScope, TransformStage
from distill_build.stages.likeness.repeats import SAME_AS
from distill_build.stages.measures.means import exact, rounded
from distill_build.stages.measures.ratings import AGREES, SCORE, require_rating
from distill_build.stages.measures.tokens import TokenCounter
from distill_build.stages.readers import reply_form

DIGEST_BYTES = 16
RULES = (
    "min_score", "max_spread", "max_pass_rate", "reasoning", "min_words", "max_words", "max_tokens", "language",
    "repeated",
)  # fmt: skip
NUMBERS = ("min_score", "max_spread", "max_pass_rate")
BY_JUDGES = {"min_score": SCORE, "max_spread": SCORE, "max_pass_rate": AGREES}
"""Rules that go by what judges said, and of what."""
SCRIPTS = {"en": "not mostly in Latin letters", "zh": "not mostly in Chinese characters"}
REPEATED = "the same reasoning and answer as an earlier one"
FEW_WORDS = 5
"""Fewer may be right for many questions, as 42 is: two such rows are the same where their questions are, too."""
TRIED: Mapping[str, Sequence[float]] = {
    "min_score": (2, 2.5, 3, 3.5, 4, 4.5, 5),
    "max_spread": (0, 1, 2, 3),
    "max_pass_rate": (0, 0.25, 0.5, 0.75, 1),
    "min_words": (5, 10, 20, 50, 100, 200, 500),
    "max_words": (50, 100, 200, 500, 1000, 2000, 5000),
    "max_tokens": (512, 1024, 2048, 4096, 8192, 16384, 32768),
}
"""Values of thresholds of which a plan says what they would keep, beside the one that is set."""


class FilterSettings(StageSettings, frozen=True, kw_only=True):
    """The rules; None is none. `min_score`: of the judges' mean; `max_spread`: between the
    least and the most that they said; `max_pass_rate`: share of attempts that agree with the
    teacher; words are those of `replies.words`, of the answer without its reasoning; tokens are those of question,
    reasoning and answer, and of a turn those of the turns before it, by the `tokenizer` in a file."""

    min_score: Annotated[float, msgspec.Meta(ge=1, le=5)] | None = None
    max_spread: Annotated[float, msgspec.Meta(ge=0, le=4)] | None = None
    max_pass_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    reasoning: Literal["required"] | None = None
    min_words: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_words: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tokenizer: str | None = None
    language: Literal["en", "zh"] | None = None
    repeated: Literal["drop"] | None = None


class AnswerMeasure(msgspec.Struct, frozen=True):
    """What an answer is judged by: the mean of what judges said and how far that lies apart, its words, its tokens with
    those of its question, and a digest of its text. Each is None, or true, where no rule goes by it."""

    score: Fraction | None
    spread: Fraction | None
    pass_rate: Fraction | None
    has_reasoning: bool
    words: int | None
    tokens: int | None
    in_language: bool
    text: bytes | None


class Builtin(TransformStage):
    settings_type = FilterSettings
    settings: FilterSettings
    reads = frozenset({"answer"})
    followers: ClassVar[Mapping[str, str]] = {f"filter.{key}": key for key in (*RULES, "tokenizer")}

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        assert isinstance(own, FilterSettings), "its settings are its own"  # noqa: S101
        return super().columns(own, above) | dict.fromkeys(measured_values(own), NUMBER) | same_as(own, ANYTHING)

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        for rule, rating in BY_JUDGES.items():
            if getattr(self.settings, rule) is not None:
                require_rating(rating, self.called(rule), shape.name, build)
        least, most = self.settings.min_words, self.settings.max_words
        if least is not None and most is not None and least > most:
            raise ConfigurationError(
                f"{self.called('min_words')}={least} is above {self.called('max_words')}={most}: no answer has so "
                "many words and so few: lower the one, or raise the other"
            )
        self._require_thoughts(shape, build)
        self._tokens = self._counter()
        after = str(shape.after)
        self._before = answered_before(after, build) if build.stage[after].builtin == TURNS else ()

    def _require_thoughts(self, shape: Shape, build: Settings) -> None:
        """Raises ConfigurationError where answers have to have the reasoning that all their models' rows lack."""
        if self.settings.reasoning is None or shape.after is None:
            return
        above = build.stage[shape.after]
        form = reply_form(shape_of(shape.after, above), msgspec.to_builtins(above))
        dropping = [role for role in above.roles if build.models[role].reasoning == "drop"]
        if form is not None and form.has_reasoning and len(dropping) == len(above.roles):
            setting = build.setting(dropping[0], "reasoning")
            raise ConfigurationError(
                f"{self.called('reasoning')}={self.settings.reasoning} keeps answers with reasoning, and "
                f"{setting}=drop writes all without: nothing would be left. Say {setting}=native, and "
                "format.reasoning=drop for files without it"
            )

    def _counter(self) -> TokenCounter | None:
        if self.settings.tokenizer is not None:
            return TokenCounter(self.settings.tokenizer, self.called("tokenizer"))
        if (most := self.settings.max_tokens) is not None:
            raise ConfigurationError(
                f"{self.called('max_tokens')}={most}: by which tokenizer? Name the tokenizer.json of the model to be "
                f"trained: {self.called('tokenizer')}=path/to/tokenizer.json"
            )
        return None

    @property
    def scope(self) -> JudgeScope:
        """What repeats is seen where all answers are there."""
        return "row" if self.settings.repeated is None else "dataset"

    @property
    def refers_to(self) -> frozenset[str]:
        judges = {rating.stage for rule, rating in BY_JUDGES.items() if getattr(self.settings, rule) is not None}
        return frozenset(judges if self._tokens is None else {*judges, *self._before})

    @property
    def notices(self) -> tuple[str, ...]:
        turns = [name for name in self.build.stages if self.build.stage[name].builtin == TURNS]
        if self.settings.max_tokens is None or not turns or self.shape.after == turns[-1]:
            return ()
        return (
            f"{self.called('max_tokens')} counts the tokens of {self.shape.after}, and training rows are dialogues: "
            f"{self.name} behind {turns[-1]} in stages, with {self.called('after')}={turns[-1]}, counts all of one",
        )

    def identity(self) -> JsonObject:
        """A threshold without decimals is told as one: 4, not 4.0. A tokenizer is known by what is in its file."""
        own = super().identity()
        if self._tokens is not None:
            own |= {"tokenizer": {self.settings.tokenizer: self._tokens.digest}}
        return own | {rule: int(own[rule]) for rule in NUMBERS if rule in own and own[rule] == int(own[rule])}

    def verdict(self, place: Place, row: JsonObject, others: JsonObject) -> Verdict:
        return judged(self.settings, self.measure(place, row, others))

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> AnswerMeasure:  # noqa: ARG002 - wherever it is
        own = self.settings
        return AnswerMeasure(
            None if own.min_score is None else SCORE.mean(others),
            None if own.max_spread is None else SCORE.spread(others),
            None if own.max_pass_rate is None else AGREES.mean(others),
            own.reasoning is None or bool((row.get("reasoning") or "").strip()),
            word_count(row["answer"]) if "words" in measured_values(own) else None,
            None if self._tokens is None else self._tokens.count(self._texts(row, others)),
            own.language is None or is_mostly_in(own.language, row["answer"]),
            None if own.repeated is None else _digest(row),
        )

    def _texts(self, row: JsonObject, others: JsonObject) -> list[str]:
        """What a model is trained on, of a row; of the turns before it no thought."""
        before = [others[name][column] for name in self._before for column in ("question", "answer")]
        return [*before, *(text for column in ("question", "reasoning", "answer") if (text := row.get(column)))]

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        return judged_together(self.settings, measured)

    @property
    def has_thresholds(self) -> bool:
        return any(getattr(self.settings, rule) is not None for rule in TRIED)

    def yields(self, measured: Sequence[tuple[str, Any]]) -> Mapping[str, Mapping[float, int]]:
        """Of each rule that is set, the others being as they are."""
        found: dict[str, dict[float, int]] = {}
        for rule, tried in TRIED.items():
            if (own := getattr(self.settings, rule)) is not None:
                found[self.called(rule)] = {
                    value: sum(each.kept for each in judged_together(replace(self.settings, **{rule: value}), measured))
                    for value in sorted({*tried, own})
                }
        return found


def judged_together(own: FilterSettings, measured: Sequence[tuple[str, AnswerMeasure]]) -> Iterator[Verdict]:
    """What the rules say of rows in rank order, given their ids and measures.

    The first answer with a text is the first among those that the other rules let stay.
    """
    first: dict[bytes, str] = {}
    for key, each in measured:
        alone = judged(own, each)
        if own.repeated is None or each.text is None:
            yield alone
            continue
        same = first.setdefault(each.text, key) if alone.kept else key
        why = alone.why if same == key else (REPEATED,)
        yield Verdict(not why, why, alone.columns | same_as(own, None if same == key else same))


def judged(own: FilterSettings, each: AnswerMeasure) -> Verdict:
    """What the rules say of a row by itself."""
    why = (*_by_judges(own, each), *_by_text(own, each, each.words or 0))
    means = {"score": rounded(each.score), "spread": rounded(each.spread), "pass_rate": rounded(each.pass_rate)}
    values = {**means, "words": each.words, "tokens": each.tokens}
    return Verdict(not why, why, {name: values[name] for name in measured_values(own)})


def _by_judges(own: FilterSettings, each: AnswerMeasure) -> Iterator[str]:
    if own.min_score is not None:
        if each.score is None:
            yield "no score"
        elif each.score < exact(own.min_score):
            yield f"score below {own.min_score:g}"
    if own.max_spread is not None:
        if each.spread is None:
            yield "no score"
        elif each.spread > exact(own.max_spread):
            yield f"judges more than {own.max_spread:g} apart"
    if own.max_pass_rate is not None:
        if each.pass_rate is None:
            yield "no pass rate"
        elif each.pass_rate > exact(own.max_pass_rate):
            yield f"pass rate above {own.max_pass_rate:g}"


def _by_text(own: FilterSettings, each: AnswerMeasure, words: int) -> Iterator[str]:
    if not each.has_reasoning:
        yield "no reasoning"
    if own.min_words is not None and words < own.min_words:
        yield f"fewer than {own.min_words} words"
    if own.max_words is not None and words > own.max_words:
        yield f"more than {own.max_words} words"
    if own.max_tokens is not None and (each.tokens or 0) > own.max_tokens:
        yield f"more than {own.max_tokens} tokens"
    if own.language is not None and not each.in_language:
        yield SCRIPTS[own.language]


def _digest(row: JsonObject) -> bytes:
    """Equal for answers that repeat one another."""
    text = f"{row.get('reasoning') or ''}\n{row['answer']}"
    if not has_words(text, FEW_WORDS):
        text = f"{row.get('question')}\n{text}"
    return hashlib.blake2b(normalise(text).encode(errors="replace"), digest_size=DIGEST_BYTES).digest()


def measured_values(own: FilterSettings) -> list[str]:
    """The columns with the values that the rules which are set go by."""
    wanted = {
        "score": own.min_score is not None,
        "spread": own.max_spread is not None,
        "pass_rate": own.max_pass_rate is not None,
        "words": own.min_words is not None or own.max_words is not None,
        "tokens": own.tokenizer is not None,
    }
    return [name for name, is_wanted in wanted.items() if is_wanted]


def same_as(own: FilterSettings, value: Any) -> dict[str, Any]:
    """The column with the id of the row that a dropped one repeats, where that is looked for."""
    return {} if own.repeated is None else {SAME_AS: value}
