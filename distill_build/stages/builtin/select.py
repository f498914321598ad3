"""Select: of the answers that are left so many are kept, of each question or of all, in one of several orders. Each row
has its `rank`.

Ties go by id, which is made of place and content, so that the order is the same on every machine.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any, ClassVar, Literal

import msgspec

from distill_build.dataset.unit import Place, Verdict
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, Known
from distill_build.records import JsonObject, above_of
from distill_build.settings import Positive, Settings, StageSettings
from distill_build.stages.kinds.transform_stage import JudgeScope, TransformStage
from distill_build.stages.measures.draw import draw_domains
from distill_build.stages.measures.means import rounded
from distill_build.stages.measures.ratings import AGREES, SCORE, require_rating

Order = Literal["random", "score", "longest", "s1"]
LEFT_OUT: Mapping[Order, str] = {
    "random": "not drawn",
    "score": "not among the best by score",
    "longest": "not among the longest",
    "s1": "not drawn",
}
OF_QUESTION = "of its question"
"""Behind those words, where others of one question come first."""
KNOWN = "the student gets it right"
TRIED = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Counts of which a plan says what they would keep, up to the first that keeps all."""


class SelectSettings(StageSettings, frozen=True, kw_only=True):
    """`count`: how many are kept, None for all, `per_question`: how many of one question; `order`: which come first."""

    count: Positive | None = None
    per_question: Positive | None = None
    order: Order = "random"


class Measured(msgspec.Struct, frozen=True):
    """What an answer is chosen by. Lengths are in characters; `score` and `pass_rate` are means of what judges said.
    `above` is the id of its question."""

    tag: str
    above: str | None
    reasoning: int
    length: int
    score: Fraction | None = None
    pass_rate: Fraction | None = None

    @property
    def solved(self) -> bool:
        """Whether the student has got it right in any attempt."""
        return bool(self.pass_rate)


class Builtin(TransformStage):
    settings_type = SelectSettings
    settings: SelectSettings
    scope: ClassVar[JudgeScope] = "dataset"
    has_thresholds: ClassVar[bool] = True
    reads = frozenset({"answer"})
    followers: ClassVar[Mapping[str, str]] = {
        "select.count": "count",
        "select.per_question": "per_question",
        "select.by": "order",
    }

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        assert isinstance(own, SelectSettings), "its settings are its own"  # noqa: S101
        return super().columns(own, above) | dict.fromkeys(("rank", *VALUES[own.order]), ANYTHING)

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        super().__init__(shape, settings, build, known)
        for rating in (SCORE, AGREES):
            if rating.stage in self.refers_to:
                require_rating(rating, self._order, shape.name, build)

    @property
    def refers_to(self) -> frozenset[str]:
        if self.settings.order == "score":
            return frozenset({SCORE.stage})
        return frozenset({AGREES.stage}) if self._knows_the_student else frozenset()

    @property
    def notices(self) -> tuple[str, ...]:
        if self.settings.order != "s1" or self._knows_the_student:
            return ()
        return (
            f"{self._order} leaves in what the student gets right, since {AGREES.stage} does not stand before "
            f"{self.name} in stages: with {' and '.join(AGREES.stages)} there it is dropped",
        )

    def identity(self) -> JsonObject:
        return super().identity() | ({"seed": self.build.seed} if self.settings.order in ("random", "s1") else {})

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Measured:
        reasoning = len(row.get("reasoning") or "")
        return Measured(
            tag=place.tag,
            above=above_of(row),
            reasoning=reasoning,
            length=reasoning + len(row["answer"]),
            score=SCORE.mean(others) if SCORE.stage in others else None,
            pass_rate=AGREES.mean(others) if AGREES.stage in others else None,
        )

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        count, order = self.settings.count, self.settings.order
        rows: dict[str, Measured] = dict(measured)
        passed_over = set[str]()
        ranked = islice(self._first_of_questions(rows, passed_over), count if order == "s1" else None)
        ranks = {key: rank for rank, key in enumerate(ranked, start=1)}
        for key, measure in measured:
            rank = ranks.get(key)
            kept = rank is not None and (count is None or rank <= count)
            left_out = f"{LEFT_OUT[order]} {OF_QUESTION}" if key in passed_over else LEFT_OUT[order]
            why = () if kept else (KNOWN if order == "s1" and measure.solved else left_out,)
            yield Verdict(kept, why, {"rank": rank, **{name: told(measure) for name, told in VALUES[order].items()}})

    def yields(self, measured: Sequence[tuple[str, Any]]) -> Mapping[str, Mapping[float, int]]:
        """Any order keeps all that there are to keep, so it is enough to count them."""
        there = Counter(each.above for _, each in measured if self.settings.order != "s1" or not each.solved)
        left = sum(min(count, self.settings.per_question or count) for count in there.values())
        enough = next((count for count in TRIED if count >= left), left)
        tried = [count for count in TRIED if count <= enough]
        own = [] if self.settings.count is None else [self.settings.count]
        return {self.called("count"): {count: min(count, left) for count in sorted({*tried, *own})}}

    def _first_of_questions(self, rows: Mapping[str, Measured], passed_over: set[str]) -> Iterator[str]:
        """As `_in_order`, of each question as many as are kept; `passed_over` takes the others."""
        most, taken = self.settings.per_question, Counter[str | None]()
        for key in self._in_order(rows):
            if most is not None and taken[rows[key].above] >= most:
                passed_over.add(key)
                continue
            taken[rows[key].above] += 1
            yield key

    def _in_order(self, rows: Mapping[str, Measured]) -> Iterator[str]:
        """The ids of rows that may be kept, the first first."""
        match self.settings.order:
            case "score":
                yield from sorted(rows, key=lambda key: (-float(rows[key].score or 0), key))
            case "longest":
                yield from sorted(rows, key=lambda key: (-rows[key].length, key))
            case "random":
                yield from sorted(rows, key=lambda key: hashlib.sha256(f"{self.build.seed}:{key}".encode()).digest())
            case "s1":
                yield from draw_domains(by_domain(rows), self.build.seed)

    @property
    def _knows_the_student(self) -> bool:
        before = self.build.stages[: self.build.stages.index(self.name)]
        return self.settings.order == "s1" and AGREES.stage in before

    @property
    def _order(self) -> str:
        """The setting of its order, as it is typed."""
        return f"{self.called('order')}={self.settings.order}"


VALUES: Mapping[Order, Mapping[str, Callable[[Measured], Any]]] = {
    "random": {},
    "score": {"score": lambda measure: rounded(measure.score)},
    "longest": {"length": lambda measure: measure.length},
    "s1": {
        "reasoning_length": lambda measure: measure.reasoning,
        "pass_rate": lambda measure: rounded(measure.pass_rate),
    },
}
"""The columns beside `rank`: what each order goes by."""


def by_domain(rows: Mapping[str, Measured]) -> dict[str, list[str]]:
    """The ids of what the student does not get right, by leaf tag, the longest trace first."""
    domains: dict[str, list[str]] = {}
    for key in sorted(rows, key=lambda key: (-rows[key].reasoning, -rows[key].length, key)):
        if not rows[key].solved:
            domains.setdefault(rows[key].tag, []).append(key)
    return domains
