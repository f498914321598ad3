"""Attempts: the student answers each question by itself, as the teacher is to, to see what it knows already."""

from collections.abc import Mapping
from typing import ClassVar

from distill_build.stages.kinds.answering import AnsweringStage


class Builtin(AnsweringStage):
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {"attempts.samples": "samples"}
