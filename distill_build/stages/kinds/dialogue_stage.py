"""A map that goes on with a dialogue: it is shown all turns that were answered before."""

from functools import cached_property
from typing import TYPE_CHECKING

from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.records import JsonObject
from distill_build.settings import Settings, StageSettings, names_of
from distill_build.stages.dialogue import answered_before
from distill_build.stages.kinds.answering import KIND, AnsweringSettings
from distill_build.stages.kinds.base import Weights
from distill_build.stages.kinds.map_stage import MapStage

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.prompts import Prompts

SAID = ("question", "reasoning", "answer")
"""What a turn is, as a prompt has it."""
SHARED = ("schema", "system_prompt", "scenario")
"""Settings that are identity and of all turns."""


class DialogueSettings(StageSettings, frozen=True, kw_only=True):
    """`scenario` says to the student who it is and what it wants."""

    scenario: str | None = None


class DialogueStage(MapStage):
    settings_type = DialogueSettings
    settings: DialogueSettings
    variables_of = MapStage.variables_of | {"dialogue", "scenario"}

    def __init__(
        self, shape: Shape, settings: StageSettings, build: Settings, prompts: "Prompts", weights: Weights
    ) -> None:
        super().__init__(shape, settings, build, prompts, weights)
        for name in self.before:
            own = build.stage[name]
            if isinstance(own, AnsweringSettings) and own.answer_kind != "text":
                kind = f"{names_of(name, own).get(KIND, f'stage.{name}.{KIND}')}={own.answer_kind}"
                raise ConfigurationError(
                    f"{kind}: {shape.name} goes on with what was answered in free text: leave {kind} out, or leave "
                    f"{shape.name} out of stages"
                )

    @cached_property
    def before(self) -> tuple[str, ...]:
        """The stages with the answers of the turns before, in order."""
        return answered_before(self.name, self.build)

    @property
    def refers_to(self) -> frozenset[str]:
        return super().refers_to | frozenset(self.before)

    def identity(self) -> JsonObject:
        """A further turn's settings are called as those that they are a copy of."""
        told = super().identity()
        second = next(name for name in self.build.stages if self.build.stage[name].builtin == self.settings.builtin)
        if second == self.name:
            return told
        names = names_of(second, self.build.stage[second])
        return told | {"names": {key: names.get(key, f"stage.{second}.{key}") for key in SHARED}}

    def variables(self, row: JsonObject, others: JsonObject) -> JsonObject:
        turns = [{column: others[name][column] for column in SAID} for name in self.before]
        return super().variables(row, others) | {"dialogue": turns, "scenario": self.settings.scenario}
