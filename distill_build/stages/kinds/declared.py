"""What settings declare of the stages in force: how many rows and requests a full tree has, and who is asked. Pure.

The one place that knows how settings hold this: everybody else goes by names of stages in graph order.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject
from distill_build.settings import Settings, StageSettings, graph_of, names_of
from distill_build.subtree import NOTHING_SAID, Subtree, TagByHand, whole_tree

COUNTED_BY = "counted_by"
"""The part of a stage's identity that names the setting of its count."""


class Declared(msgspec.Struct, frozen=True):
    """The shape of a build. `breadth` is as typed: one number, or one a level; `by_hand` what a person says of it.

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
    by_hand: TagByHand = NOTHING_SAID

    @property
    def breadths(self) -> list[int]:
        """Tags under a parent, by level."""
        return list(self.breadth) if isinstance(self.breadth, list) else [self.breadth] * self.depth

    @property
    def tree(self) -> Subtree:
        """The whole tree."""
        return whole_tree(self.by_hand, self.depth, self.breadth)

    def rows(self) -> dict[str, int]:
        """Rows of each stage where nothing is missing and nothing was dropped."""
        extent = self._extent(self.tree)
        extent.tags -= 1  # the topic is none
        return self._rows(extent)

    def rows_of(self, subtree: Subtree) -> dict[str, int]:
        """The same of one tag and all that is below it."""
        return self._rows(self._extent(subtree))

    def _rows(self, extent: "_Extent") -> dict[str, int]:
        rows: dict[str, int] = {}
        for shape in self.graph:
            match shape.kind:
                case "list" if shape.after is None:
                    rows[shape.name] = extent.tags
                case "list":
                    rows[shape.name] = sum(leaves * dict(each)[shape.name] for each, leaves in extent.leaves.items())
                case "group" if shape.by == self.graph.tree.name:
                    rows[shape.name] = sum(extent.leaves.values())
                case "map":
                    rows[shape.name] = rows[_above(shape)] * self.each[shape.name] * self.models[shape.name]
                case "transform" | "group":
                    rows[shape.name] = rows[_above(shape)]
        return rows

    def leaves(self) -> int:
        """Leaves of the whole tree."""
        return sum(self._extent(self.tree).leaves.values())

    def _lengths(self, leaf: Subtree) -> tuple[tuple[str, int], ...]:
        """How long each list is to be below a leaf."""
        lists = (shape.name for shape in self.graph if shape.kind == "list" and shape.after is not None)
        return tuple((name, leaf.length_of(self.keys[name], self.each[name])) for name in lists)

    def _extent(self, subtree: Subtree) -> "_Extent":
        """How much there is of a tree. What has nothing by hand below it is worked out once a level."""
        if subtree.leaf:
            return _Extent(1, {self._lengths(subtree): 1}, 0)
        extent = _Extent(1, {}, -(-subtree.listed // self.per_request[self.graph.tree.name]))
        for own in subtree.own.wanted.values():
            extent.add(self._extent(subtree.below(own)))
        if subtree.filled:
            extent.add(self._extent(subtree.below()), times=subtree.filled)
        return extent

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
        extent, per_request = self._extent(self.tree), self.per_request[shape.name]
        if shape.after is None:
            return extent.requests
        return sum(leaves * math.ceil(dict(each)[shape.name] / per_request) for each, leaves in extent.leaves.items())


class _Extent(msgspec.Struct):
    """How many `tags` a part of a tree has, how many `leaves` whose lists are to be as long, by stage, and how many
    `requests` the tags take."""

    tags: int
    leaves: dict[tuple[tuple[str, int], ...], int]
    requests: int

    def add(self, other: "_Extent", times: int = 1) -> None:
        self.tags += other.tags * times
        self.requests += other.requests * times
        for lengths, leaves in other.leaves.items():
            self.leaves[lengths] = self.leaves.get(lengths, 0) + leaves * times


def _above(shape: Shape) -> str:
    """The stage that decides how many rows there are. A map, a transform and a group all have one."""
    assert shape.parent is not None, f"{shape.name} comes after nothing"  # noqa: S101 - as a graph is checked
    return shape.parent


def declared(settings: Settings) -> Declared:
    """What `settings` declare."""
    graph = graph_of(settings)
    own = {shape.name: settings.stage[shape.name] for shape in graph}
    each = [shape for shape in graph if shape.kind == "map" or (shape.after is not None and shape.kind == "list")]
    return Declared(
        graph=graph,
        depth=settings.depth,
        breadth=settings.breadth,
        by_hand=settings.by_hand,
        each={shape.name: _each(own[shape.name], settings.depth) for shape in each},
        keys={shape.name: counted_by(shape.name, own[shape.name]) for shape in each},
        models={shape.name: len(own[shape.name].roles) for shape in each},
        per_request={shape.name: own[shape.name].per_request or 1 for shape in graph if shape.asks},
    )


def missing_rows(
    settings: Settings, graph: Graph, spared: Mapping[str, int], made: Mapping[str, int]
) -> dict[str, int]:
    """Rows that `settings` declare and that are not there, by stage of `graph`, but for those that were `spared`."""
    wanted = {name: rows - spared.get(name, 0) for name, rows in declared(settings).rows().items()}
    return missing_items(graph, wanted, made)


def missing_items(graph: Graph, wanted: Mapping[str, int], counts: Mapping[str, int]) -> dict[str, int]:
    """Rows that are to be there and are not, by stage of `graph`; nothing for a stage that has all.

    A stage that asks nobody has a row for each one above it: where that is not there, it is missing above alone.
    """
    short = {shape.name: wanted[shape.name] - counts.get(shape.name, 0) for shape in graph}
    missing = dict(short)
    for shape in graph:
        if not shape.asks and (above := graph.above(shape.name)) is not None:
            missing[shape.name] -= short[above.name]
    return {stage: number for stage, number in missing.items() if number > 0}


def results_in(graph: Graph, recipe: JsonObject) -> dict[str, int]:
    """Rows of each stage that hang on one row above where nothing is missing, of what a dataset was built with, and
    people say nothing else of that part of its tree; nothing of stages that the recipe lacks."""
    counts, results = counts_in(recipe), dict[str, int]()
    for shape in graph:
        own = recipe.get(shape.name, {})
        if shape.kind == "group":
            results[shape.name] = 1
        elif shape.name in counts and isinstance(own.get("role"), list):
            each = counts[shape.name]
            results[shape.name] = (each[-1] if isinstance(each, list) else each) * len(own["role"])
    return results


def counts_in(recipe: JsonObject) -> dict[str, Any]:
    """How many rows of each stage there are below one row above, as a recipe tells it.

    Recipes of older versions tell it by the name of the setting, which two stages could share.
    """
    told = recipe.get("counts", {})
    parts = {name: own for name, own in recipe.items() if isinstance(own, dict)}  # another version may tell otherwise
    keys = {name: name if name in told else own.get(COUNTED_BY) for name, own in parts.items()}
    return {name: told[key] for name, key in keys.items() if key in told}


def _each(own: StageSettings, depth: int) -> int:
    """Rows below one row above, from each role."""
    if own.kind == "map":
        return own.samples
    wanted = own.wanted if own.wanted is not None else 1
    return wanted[depth] if isinstance(wanted, list) else wanted


def counted_by(stage: str, own: StageSettings) -> str:
    """The setting that says how many rows of a stage there are below one row above, as it is typed."""
    key = "samples" if own.kind == "map" else "wanted"
    return names_of(stage, own).get(key, f"stage.{stage}.{key}")


def roles_in_use(settings: Settings) -> dict[str, list[Shape]]:
    """Role → the stages that it works for, in graph order."""
    stages: dict[str, list[Shape]] = {}
    for shape in graph_of(settings):
        for role in settings.stage[shape.name].roles:
            stages.setdefault(role, []).append(shape)
    return stages
