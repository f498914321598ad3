"""What settings declare of the stages in force: how many rows and requests a full tree has, and who is asked. Pure.

The one place that knows how settings hold this: everybody else goes by names of stages in graph order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distill_build.graph import Graph, Shape
from distill_build.models.base import ModelSettings
from distill_build.settings import ROLE_OF_STAGE, Settings, leaf_count
from distill_build.stages.default import DEFAULT

SAMPLES = {"answers": "answers_per_question"}
"""Maps whose number of samples is a setting by itself."""
OF_LISTS = "questions_per_tag"


@dataclass(frozen=True, slots=True)
class Declared:
    """The shape of a build. `breadth` is as typed: one number, or one a level.

    `each` says how many rows of a list, or samples of a map, hang on one row above, and `keys` names the setting that
    says so; `models` give a row each for every sample; `per_request` is how many rows one request asks for. All by
    stage, in graph order.
    """

    graph: Graph
    depth: int
    breadth: int | list[int]
    each: Mapping[str, int]
    keys: Mapping[str, str]
    models: Mapping[str, int]
    per_request: Mapping[str, int]

    @property
    def breadths(self) -> list[int]:
        """Tags under a parent, by level."""
        return list(self.breadth) if isinstance(self.breadth, list) else [self.breadth] * self.depth

    def rows(self) -> dict[str, int]:
        """Rows of each stage where nothing is missing and nothing was dropped."""
        leaves, rows = leaf_count(self.breadths), dict[str, int]()
        for shape in self.graph:
            match shape.kind:
                case "list" if shape.after is None:
                    rows[shape.name] = sum(leaf_count(self.breadths[: level + 1]) for level in range(self.depth))
                case "list":
                    rows[shape.name] = leaves * self.each[shape.name]
                case "map":
                    rows[shape.name] = rows[_above(shape)] * self.each[shape.name] * self.models[shape.name]
                case "transform" | "group":
                    rows[shape.name] = rows[_above(shape)]
        return rows

    def requests(self) -> dict[str, int]:
        """Requests of a build from nothing, when each brings what it was asked for; of stages that ask."""
        rows, requests = self.rows(), dict[str, int]()
        for shape in self.graph:
            if shape.kind == "map":
                requests[shape.name] = rows[shape.name]
            elif shape.kind == "list":
                requests[shape.name] = self._list_requests(shape)
        return requests

    def _list_requests(self, shape: Shape) -> int:
        breadths, per_request = self.breadths, self.per_request[shape.name]
        if shape.after is not None:
            return leaf_count(breadths) * math.ceil(self.each[shape.name] / per_request)
        return sum(leaf_count(breadths[:level]) * math.ceil(most / per_request) for level, most in enumerate(breadths))


def _above(shape: Shape) -> str:
    """The stage that decides how many rows there are. A map, a transform and a group all have one."""
    assert shape.parent is not None, f"{shape.name} comes after nothing"  # noqa: S101 - as a graph is checked
    return shape.parent


def graph_of(settings: Settings) -> Graph:  # noqa: ARG001 - those of every settings are the same by now
    """The stages in force."""
    return DEFAULT


def declared(settings: Settings) -> Declared:
    """What `settings` declare."""
    graph = graph_of(settings)
    each = {shape.name: shape for shape in graph if shape.kind == "map" or (shape.after and shape.kind == "list")}
    return Declared(
        graph=graph,
        depth=settings.depth,
        breadth=settings.breadth,
        each={name: _each(settings, shape) for name, shape in each.items()},
        keys={name: _key(shape) for name, shape in each.items()},
        models={name: len(roles_for(settings, name)) for name in each},
        per_request={shape.name: int(getattr(settings.per_request, shape.name, 1)) for shape in graph if shape.asks},
    )


def _each(settings: Settings, shape: Shape) -> int:
    return int(getattr(settings, _key(shape), 1))


def _key(shape: Shape) -> str:
    return OF_LISTS if shape.kind == "list" else SAMPLES.get(shape.name, f"stage.{shape.name}.samples")


def roles_for(settings: Settings, stage: str) -> Sequence[str]:  # noqa: ARG001 - as above
    """Who is asked for the rows of a stage: several, where several judge. Nobody for a transform or a group."""
    return (ROLE_OF_STAGE[stage],) if stage in ROLE_OF_STAGE else ()


def roles_in_use(settings: Settings) -> dict[str, list[Shape]]:
    """Role → the stages that it works for, in graph order."""
    stages: dict[str, list[Shape]] = {}
    for shape in graph_of(settings):
        for role in roles_for(settings, shape.name):
            stages.setdefault(role, []).append(shape)
    return stages


def model_of(settings: Settings, role: str) -> ModelSettings:
    """The model that plays a role."""
    model: ModelSettings = getattr(settings, role)
    return model


def replies_in_json(settings: Settings, shape: Shape) -> bool:  # noqa: ARG001 - as above
    """Whether a stage's replies have a schema. A text needs none."""
    return shape.kind == "list"
