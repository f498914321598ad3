"""Turns: the teacher's answer to a follow-up, with its reasoning, in the dialogue so far."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from distill_build.records import JsonObject
from distill_build.stages.dialogue import FOLLOW_UP, TURNS
from distill_build.stages.kinds.dialogue_stage import DialogueSettings, DialogueStage


class TurnsSettings(DialogueSettings, frozen=True, kw_only=True):
    """`turns` is how many a dialogue has: each has stages of its own (`stages.dialogue`)."""

    turns: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1


class Builtin(DialogueStage):
    settings_type = TurnsSettings
    takes_over: ClassVar[Mapping[str, str]] = {"question": FOLLOW_UP}
    reads = frozenset({FOLLOW_UP})
    followers: ClassVar[Mapping[str, str]] = {"dialogue.turns": TURNS, "dialogue.scenario": "scenario"}

    def identity(self) -> JsonObject:
        """How many turns there are is told by the stages; the scenario is shown to the student alone."""
        return {key: value for key, value in super().identity().items() if key not in (TURNS, "scenario")}
