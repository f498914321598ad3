"""What judges said of an answer, in the rows of other stages: scores, and whether attempts agree with it; and the means
of both."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from distill_build.dataset.unit import View
from distill_build.errors import ConfigurationError
from distill_build.graph import Graph, Shape
from distill_build.prompting.known import NUMBER, TRUTH, Known
from distill_build.records import JsonObject
from distill_build.settings import Settings, StageSettings
from distill_build.stages.kinds.base import Weights
from distill_build.stages.kinds.columns import known_fields
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.stages.measures.means import mean_of, spread_of

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.prompts import Prompts


class Rating(msgspec.Struct, frozen=True):
    """A column that holds what a judge said, and what its mean is called. `stages` make it, the last of them has it;
    `kind` is what stands in it."""

    column: str
    mean_name: str
    stages: tuple[str, ...]
    kind: Known
    words: str

    @property
    def stage(self) -> str:
        return self.stages[-1]

    def mean(self, others: JsonObject) -> Fraction | None:
        """The mean of what all judges said, given the rows of other stages; None where none said anything."""
        return mean_of(others[self.stage], self.column)

    def spread(self, others: JsonObject) -> Fraction | None:
        """How far what they said lies apart: 0 where all agree. None where none said anything."""
        return spread_of(others[self.stage], self.column)


SCORE = Rating("score", "score", ("scores",), NUMBER, "a number")
AGREES = Rating("agrees", "pass_rate", ("attempts", "grades"), TRUTH, "true or false")


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
    if not has_rating(rating, schema):
        raise ConfigurationError(
            f"stage.{stage}.schema: a judge says {rating.column}, {rating.words}, in each reply: have it among "
            f"'properties' and 'required', as our own conf/stage/{rating.stage}.yaml has"
        )


def has_rating(rating: Rating, schema: Mapping[str, Any] | None) -> bool:
    """Whether each reply that fits holds the rating."""
    found = schema or {}
    return known_fields(found).get(rating.column) == rating.kind and rating.column in found.get("required", ())


def told_ratings(graph: Graph, exported: str, settings: Settings) -> Iterator[Rating]:
    """Those of which the rows of the stage that is exported have a mean: what is judged lies above them, or is them."""
    for rating in (SCORE, AGREES):
        if all(name in graph for name in rating.stages) and has_rating(rating, settings.stage[rating.stage].schema):
            judged = graph[rating.stages[0]].after
            if judged is not None and not View(graph).way(exported, judged)[1]:
                yield rating
