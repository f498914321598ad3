"""What judges said of an answer, in the rows of other stages: its mean score, the share of attempts that agree with it.

Pure. Means are exact fractions, so that a threshold falls the same way on every machine.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.prompting.known import NUMBER, TRUTH, Known
from distill_build.records import JsonObject
from distill_build.settings import Settings, StageSettings
from distill_build.stages.base import Weights
from distill_build.stages.columns import known_fields
from distill_build.stages.map_stage import MapStage

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.prompts import Prompts

PLACES = 4
"""Decimals of a mean in a column."""


class Rating(msgspec.Struct, frozen=True):
    """A column that holds what a judge said. `stages` make it, the last of them has it; `kind` is what stands in it."""

    column: str
    stages: tuple[str, ...]
    kind: Known
    words: str

    @property
    def stage(self) -> str:
        return self.stages[-1]

    def mean(self, others: JsonObject) -> Fraction | None:
        """The mean of what all judges said, given the rows of other stages; None where none said anything."""
        found = others[self.stage]
        values = [line[self.column] for line in (found if isinstance(found, list) else [found])]
        return sum(map(exact, values), Fraction(0)) / len(values) if values else None


SCORE = Rating("score", ("scores",), NUMBER, "a number")
AGREES = Rating("agrees", ("attempts", "grades"), TRUTH, "true or false")


class RatingStage(MapStage):
    """A judge's rows. Raises ConfigurationError for a schema by which a reply need not hold the rating."""

    rating: ClassVar[Rating]
    reads = frozenset({"answer"})

    def __init__(
        self, shape: Shape, settings: StageSettings, build: Settings, prompts: "Prompts", weights: Weights
    ) -> None:
        super().__init__(shape, settings, build, prompts, weights)
        require_column(self.rating, shape.name, settings.schema)


def require_rating(rating: Rating, setting: str, stage: str, build: Settings) -> None:
    """Raises ConfigurationError where a stage goes by a rating that no stage before it makes. `setting` asks for it."""
    before = build.stages[: build.stages.index(stage)]
    if rating.stage not in before:
        lacking = [name for name in rating.stages if name not in before]
        behind = [name for name in build.stages if name not in (*before, *lacking)]
        example = ",".join([*before, *lacking, *behind])
        raise ConfigurationError(
            f"{setting} needs the stage {rating.stage} before {stage}: say stages=[{example}], or leave {setting} out"
        )
    require_column(rating, rating.stage, build.stage[rating.stage].schema)


def require_column(rating: Rating, stage: str, schema: Mapping[str, Any] | None) -> None:
    """Raises ConfigurationError where the replies to the judge of a stage need not hold what it is asked for."""
    found = schema or {}
    if known_fields(found).get(rating.column) != rating.kind or rating.column not in found.get("required", ()):
        raise ConfigurationError(
            f"stage.{stage}.schema: a judge says {rating.column}, {rating.words}, in each reply: have it among "
            f"'properties' and 'required', as our own conf/stage/{rating.stage}.yaml has"
        )


def rounded(mean: Fraction | None) -> float | None:
    """A mean as a column has it."""
    return None if mean is None else round(float(mean), PLACES)


def exact(number: float) -> Fraction:
    """A number as it was written: 0.1 is a tenth. True is 1."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))
