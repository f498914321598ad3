"""Scores: the judge rates each answer by the rubric in its prompt: what is wrong first, then a number for each
criterion, then one for the whole."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from distill_build.graph import Shape
from distill_build.settings import Settings, StageSettings
from distill_build.stages.base import MapStage, Weights
from distill_build.stages.ratings import SCORE, require_column

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.prompts import Prompts


class Builtin(MapStage):
    reads = frozenset({"answer"})
    followers: ClassVar[Mapping[str, str]] = {"scores.samples": "samples"}

    def __init__(
        self, shape: Shape, settings: StageSettings, build: Settings, prompts: "Prompts", weights: Weights
    ) -> None:
        super().__init__(shape, settings, build, prompts, weights)
        require_column(SCORE, shape.name, settings.schema)
