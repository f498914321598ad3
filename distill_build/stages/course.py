"""In which order the stages of a unit can work: what streams, and what has to wait for what. Pure.

    segment    ends where a transform looks at the rows of all units (dedup); the units then go on with its verdicts,
               or come to it once more with a longer list, where that is to make up for what the transform dropped
      phase    all that asks in it streams: a result is asked for as soon as the row that it is for is there
               its `closing` transforms and groups are worked out when all of that has come, unit by unit

A transform that goes by a row and what lies above it alone is `immediate`: it judges each row as it comes, and holds up
nothing.
"""

from collections.abc import Iterable

import msgspec

from distill_build.graph import Graph
from distill_build.stages.all import Stages
from distill_build.stages.kinds.base import ModelStage, Stage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.transform_stage import TransformStage


class Phase(msgspec.Struct, frozen=True):
    """Names of stages, each in order."""

    asking: tuple[str, ...] = ()
    immediate: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        return (*self.asking, *self.immediate, *self.closing)


class Segment(msgspec.Struct, frozen=True):
    """`judged` is the transform that ends it, None for the last.

    `loaded` are the stages of segments before whose rows it needs, `measured` those that the transform needs to look at
    a unit. `refilled` is the list of this segment that goes on for what the transform drops of it, if there is one.
    """

    phases: tuple[Phase, ...]
    judged: str | None
    loaded: tuple[str, ...]
    measured: tuple[str, ...]
    refilled: str | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """Those whose rows are made in it."""
        return tuple(name for phase in self.phases for name in phase.stages)


def course_of(stages: Stages, until: str) -> tuple[Segment, ...]:
    """The segments of a build up to `until`, without the stage that grows the tree."""
    graph = stages.graph
    names = [name for name in graph.reached(until) if name != graph.tree.name]
    pieces: list[tuple[list[Phase], str | None]] = [([], None)]
    phase = _Open(graph)
    for name in names:
        stage = stages[name]
        if isinstance(stage, TransformStage) and stage.scope == "dataset":
            pieces[-1] = ([*pieces[-1][0], *phase.closed()], name)
            pieces.append(([], None))
            phase = _Open(graph)
        else:
            if not phase.takes(stage):
                pieces[-1][0].extend(phase.closed())
                phase = _Open(graph)
            phase.add(stage)
    pieces[-1][0].extend(phase.closed())
    return tuple(_segments(pieces, stages))


def _segments(pieces: list[tuple[list[Phase], str | None]], stages: Stages) -> Iterable[Segment]:
    graph, before = stages.graph, [stages.graph.tree.name]
    for place, (phases, judged) in enumerate(pieces):
        own = [name for phase in phases for name in phase.stages]
        later = [name for rest, end in pieces[place:] for name in (*(n for p in rest for n in p.stages), end) if name]
        needed = {each for name in later for each in needed_for(graph, stages[name])}
        loaded = tuple(name for name in before if name in needed and name != graph.tree.name)
        looked_at = needed_for(graph, stages[judged]) if judged is not None else set[str]()
        measured = tuple(name for name in (*before, *own) if name in looked_at and name != graph.tree.name)
        yield Segment(tuple(phases), judged, loaded, measured, _refilled(stages, judged, own))
        before += [*own, *([judged] if judged is not None else [])]


def _refilled(stages: Stages, judged: str | None, made: list[str]) -> str | None:
    """The list among the stages `made` in a segment that goes on for what its transform drops."""
    transform = stages[judged] if judged is not None else None
    after = transform.shape.after if isinstance(transform, TransformStage) and transform.refill else None
    return after if after in made and isinstance(stages[after], ListStage) else None


def read_transforms(stages: Stages, until: str) -> frozenset[str]:
    """The transforms of a build up to `until` whose columns others read; of any other what it drops is all that
    matters."""
    named = {name for each in stages.graph.reached(until) for name in stages[each].refers_to}
    return frozenset(name for name in named if stages.graph[name].kind == "transform")


def needed_for(graph: Graph, stage: Stage) -> set[str]:
    """The stages whose rows have to be there for `stage`: above it, named by it, and between."""
    shape = stage.shape
    named = {*stage.refers_to, *([shape.after] if shape.after is not None else [])}
    needed = {each for name in (*named, shape.name) for each in graph.lineage(name)} | named
    transforms = [each for each in graph if each.kind == "transform" and graph.is_before(each.name, shape.name)]
    for transform in transforms:  # what decides on the sight of the rows that it needs
        needed |= {transform.name, *graph.lineage(transform.name)}
    return needed - {shape.name}


class _Open:
    """A phase while stages are added."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._asking: list[str] = []
        self._immediate: list[str] = []
        self._closing: list[str] = []

    def takes(self, stage: Stage) -> bool:
        """Whether `stage` can work in this phase, or has to wait for its end."""
        if not isinstance(stage, ModelStage):
            return True
        if self._closing:
            return False
        lineage = self._graph.lineage(stage.name)
        judged = {self._graph[name].after for name in self._immediate}
        return self._beside(stage, lineage).isdisjoint(self._asking) and judged <= set(lineage)

    def add(self, stage: Stage) -> None:
        if isinstance(stage, ModelStage):
            self._asking.append(stage.name)
        elif isinstance(stage, TransformStage) and not self._closing and self._is_immediate(stage):
            self._immediate.append(stage.name)
        else:
            self._closing.append(stage.name)

    def closed(self) -> list[Phase]:
        phase = Phase(tuple(self._asking), tuple(self._immediate), tuple(self._closing))
        return [phase] if phase.stages else []

    def _is_immediate(self, stage: TransformStage) -> bool:
        lineage = self._graph.lineage(stage.name)
        judged = {self._graph[name].after for name in self._immediate}
        return not self._beside(stage, lineage) and judged <= set(lineage)

    def _beside(self, stage: Stage, lineage: tuple[str, ...]) -> set[str]:
        """The stages that it names which do not lie above it; of transforms the stages that they judge."""
        graph = self._graph
        named = {graph[name].after if graph[name].kind == "transform" else name for name in stage.refers_to}
        return {name for name in named if name is not None} - set(lineage)


class ChainLengths:
    """How many requests follow one another, at the least, from a step to the end of its segment."""

    def __init__(self, stages: Stages, course: tuple[Segment, ...]) -> None:
        self._stages = stages
        self._steps: dict[tuple[int, str], int] = {}
        self._segments: list[int] = []
        for number, segment in enumerate(course):
            behind = 0
            for phase in reversed(segment.phases):
                longest = 0
                for name in reversed(phase.asking):
                    below = [self._steps[number, each] for each in phase.asking if stages.graph[each].after == name]
                    stage = stages[name]
                    own = 1
                    if isinstance(stage, ListStage):
                        own = -(-stage.wanted(stages.settings.depth) // stage.results)
                    self._steps[number, name] = own + max(below, default=behind)
                    longest = max(longest, self._steps[number, name])
                behind = longest or behind
            self._segments.append(behind)

    def segment(self, number: int) -> int:
        """Of a whole segment."""
        return self._segments[number]

    def step(self, segment: int, stage: str, missing: int) -> int:
        """Of a step of `stage`; `missing` items of its list are not there yet, 1 for a result."""
        each = self._stages[stage]
        if not isinstance(each, ListStage):
            return self._steps[segment, stage]
        there = each.wanted(self._stages.settings.depth) - missing
        return self._steps[segment, stage] - there // each.results

    def tree(self, level: int, missing: int) -> int:
        """Of a request for tags below one on `level` that is short of so many."""
        tree, depth = self._stages.tree, self._stages.settings.depth
        deeper = sum(-(-tree.wanted(each) // tree.results) for each in range(level + 1, depth))
        return -(-missing // tree.results) + deeper + (self._segments[0] if self._segments else 0)
