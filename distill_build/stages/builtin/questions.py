"""Questions: a list below each leaf of the tree, which the student asks; where there are `axes`, each with its values.

An axis is declared variety: a request says how many of its questions are to have which value, and each question says
which it has. What a request says follows from its number in the list alone, so a longer list asks for no other ones.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
from msgspec.structs import replace

from distill_build.dataset.unit import Place
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, NUMBER, TEXT, TEXTS, Known
from distill_build.records import JsonObject, Path, row_id
from distill_build.replies.labels import ListReading
from distill_build.settings import Settings, StageSettings
from distill_build.stages.flags import RowFlag, without_value
from distill_build.stages.kinds.base import Weights
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.measures.quotas import arranged, given_values, quota

if TYPE_CHECKING:
    from distill_build.prompting.prompts import Prompts

AXES = "axes"
QUOTA = "quota"


class QuestionsSettings(StageSettings, frozen=True, kw_only=True):
    """`axes` are shares by axis and value."""

    axes: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)


class Builtin(ListStage):
    settings_type = QuestionsSettings
    settings: QuestionsSettings
    variables_of = ListStage.variables_of | {"tag", QUOTA}
    followers: ClassVar[Mapping[str, str]] = {AXES: AXES}
    reading = ListReading(
        name="questions",
        item="question",
        other_names=("prompts", "instructions"),
        text_names=("question", "q"),
        shortest=10,
        shortest_cjk=4,
    )

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        usual: dict[str, Known] = {"id": TEXT, "tag": TEXT, "path": TEXTS, "index": NUMBER, "question": TEXT}
        return usual | dict.fromkeys(sorted(own.axes if isinstance(own, QuestionsSettings) else ()), ANYTHING)

    @classmethod
    def metadata(cls, own: StageSettings) -> Mapping[str, Literal["text", "number"]]:
        return dict.fromkeys(sorted(own.axes), "text") if isinstance(own, QuestionsSettings) else {}

    @classmethod
    def reading_by(cls, own: Mapping[str, Any]) -> ListReading:
        axes = own.get(AXES) or {}
        return replace(cls.reading, axes=tuple((axis, tuple(sorted(axes[axis]))) for axis in sorted(axes)))

    def __init__(
        self, shape: Shape, settings: StageSettings, build: Settings, prompts: "Prompts", weights: Weights
    ) -> None:
        super().__init__(shape, settings, build, prompts, weights)
        if self._axes and not prompts.uses(self.template, QUOTA):
            raise ConfigurationError(
                f"axes: the prompt {self.template} does not say what is asked of each question: show its variable "
                f"{QUOTA}, as the packed one does, or leave axes out"
            )

    @cached_property
    def _axes(self) -> dict[str, dict[str, float]]:
        """In the order of their names, so that no row depends on the order in which a file has them."""
        return dict(sorted(self.settings.axes.items()))

    @cached_property
    def row_flags(self) -> tuple[RowFlag, ...]:
        return (*self.flags, *(without_value(axis) for axis in self._axes))

    def line(self, place: Place, index: int, item: str) -> JsonObject:
        key = row_id(self.shape.prefix, place.tag, item)
        return {"id": key, "tag": place.of_tag, "path": list(place.path), "index": index, "question": item}

    def own_columns(self) -> JsonObject:
        return dict.fromkeys(self._axes)

    def elsewhere(self, earlier: Sequence[Sequence[str]]) -> list[str]:
        """Of the leaf alone: a changed label further up would ask for the questions of whole branches again."""
        return super().elsewhere(earlier[-1:])

    def variables(self, path: Path) -> JsonObject:
        return {"tag": path[-1]}

    def quotas(self, ordinal: int) -> JsonObject:
        counts = {axis: quota(shares, ordinal * self.results, self.results) for axis, shares in self._axes.items()}
        return {
            QUOTA: [
                {"axis": axis, "counts": [{"value": value, "count": count} for value, count in each.items()]}
                for axis, each in counts.items()
            ]
        }

    def taken(self, value: Any, ordinal: int) -> tuple[Sequence[str], Sequence[JsonObject]]:
        if not self._axes:
            return super().taken(value, ordinal)
        start, end = ordinal * self.results, ordinal * self.results + len(value)
        columns = [{axis: each.get(axis) for axis in self._axes} for each in value]
        wanted = {axis: given_values(shares, end)[start:] for axis, shares in self._axes.items()}
        order = arranged(columns, wanted)
        return [value[place][self.reading.item] for place in order], [columns[place] for place in order]
