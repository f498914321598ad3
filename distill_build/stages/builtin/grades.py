"""Grades: the judge says of each attempt of the student whether it comes to what the teacher's answer says."""

from distill_build.stages.measures.ratings import AGREES, RatingStage


class Builtin(RatingStage):
    rating = AGREES
