"""Attempts: the student answers each question by itself, to see what it knows already."""

from collections.abc import Mapping
from typing import ClassVar

from distill_build.stages.kinds.map_stage import MapStage


class Builtin(MapStage):
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {"attempts.samples": "samples"}
