"""Attempts: the student answers each question by itself, as the teacher is to, to see what it knows already."""

from collections.abc import Mapping
from typing import ClassVar

from distill_build.stages.kinds.answering import KIND, LABELS, SCHEMA, AnsweringStage


class Builtin(AnsweringStage):
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {"attempts.samples": "samples"}

    @property
    def notices(self) -> tuple[str, ...]:
        """A file of the project's own from before there were kinds of answers says none."""
        beside, told = self.build.stage.values(), (KIND, LABELS, SCHEMA)
        kinds = [[getattr(own, key) for key in told] for own in beside if own.builtin == "answers"]
        if not kinds or [getattr(self.settings, key) for key in told] in kinds:
            return super().notices
        says = ", ".join(f"{key}: ${{answer.{key.removeprefix('answer_')}}}" for key in told)
        return (
            *super().notices,
            f"{self.name} are not asked for as the answers are: with {says} in conf/stage/{self.name}.yaml they follow",
        )
