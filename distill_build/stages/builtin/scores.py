"""Scores: the judge rates each answer by the rubric in its prompt: what is wrong first, then a number for each
criterion, then one for the whole."""

from collections.abc import Mapping
from typing import ClassVar

from distill_build.stages.measures.ratings import SCORE, RatingStage


class Builtin(RatingStage):
    rating = SCORE
    followers: ClassVar[Mapping[str, str]] = {"scores.samples": "samples"}
