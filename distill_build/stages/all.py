"""The stages of one build, from its settings: ours and the user's own, by name, in order."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject
from distill_build.settings import Settings, graph_of
from distill_build.stages.base import Asking, GroupStage, ListStage, MapStage, Stage, TransformStage, Weights

if TYPE_CHECKING:
    from distill_build.prompting.prompts import Prompts

KINDS: Mapping[str, type[Stage]] = {
    "list": ListStage,
    "map": MapStage,
    "transform": TransformStage,
    "group": GroupStage,
}


class Stages:
    """The stages of one build. Raises ConfigurationError for prompts, expressions or weights that cannot be used."""

    def __init__(self, settings: Settings, prompts: "Prompts", weights: Weights) -> None:
        self.settings = settings
        self.graph = graph_of(settings)
        self._stages: dict[str, Stage] = {}
        for shape in self.graph:
            self._stages[shape.name] = _made(shape, settings, list(self._stages), prompts, weights)

    def __getitem__(self, name: str) -> Stage:
        return self._stages[name]

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    @property
    def asking(self) -> list[Asking]:
        """Those that ask a model."""
        return [stage for stage in self if isinstance(stage, Asking)]

    @property
    def tree(self) -> ListStage:
        """The one that grows the tree."""
        stage = self[self.graph.tree.name]
        assert isinstance(stage, ListStage), "a tree grows as a list below each tag"  # noqa: S101
        return stage

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that work, each once."""
        return tuple(dict.fromkeys(role for stage in self.asking for role in stage.recipes))

    def identity(self) -> JsonObject:
        """The identities of all stages, by name."""
        return {stage.name: stage.identity() for stage in self}


def _made(shape: Shape, settings: Settings, before: list[str], prompts: "Prompts", weights: Weights) -> Stage:
    own = settings.stage[shape.name]
    kind: type[Stage] = KINDS[shape.kind]
    if own.builtin is not None:
        kind = import_module(f"distill_build.stages.builtin.{own.builtin}").Builtin
    if issubclass(kind, Asking):
        return kind(shape, own, settings, prompts, weights)
    if issubclass(kind, (TransformStage, GroupStage)):
        return kind(shape, own, settings, before)
    raise AssertionError(f"{shape.name} is of no kind")
