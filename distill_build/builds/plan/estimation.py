"""What a build would ask for and what that would cost: exact where the cache can tell, estimated beyond.

A plan walks as a build does; `PlanAsk` looks calls up and asks nobody. Where a request is not answered, what lies
behind it is worked out from the shape of the tree and of the graph: that transforms drop nothing there is assumed.
"""

import math
from collections.abc import Callable
from typing import Protocol

from distill_build.builds.plan.plan import StagePlan
from distill_build.builds.walk.nodes import Node
from distill_build.calls.call import Call, Made, Result, Unasked, look_up, standing
from distill_build.calls.pinned import PinnedResponses
from distill_build.calls.resolver import in_vain
from distill_build.engine.reading import Responses
from distill_build.errors import EndpointError
from distill_build.graph import Graph
from distill_build.models.completion import estimated_tokens
from distill_build.records import JsonObject
from distill_build.stages.all import Stages
from distill_build.stages.chain import Chain
from distill_build.stages.kinds.base import ModelStage
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage

Corner = tuple[str, ...]
"""Where something unknown begins: a place in the tree, and what the next request there is shown."""


class Needs(Protocol):
    """Told what a plan is made of: a plan of several builds finds out what they have in common."""

    def asked(self, stage: str, key: str) -> None:
        """One request to be asked, by the key of its call."""

    def answered(self, stage: str, key: bytes) -> None:
        """One call that the cache answers; told again for each place that needs it."""

    def recalled(self, item: str) -> None:
        """What hangs on the tag with this id was taken over: its calls are those that the folder's sources name."""

    def unknown(self, stage: str, corner: Corner, box: tuple[int, ...]) -> None:
        """As many requests as the product of `box` says, which nobody knows yet.

        Those of another build with the same corner are the same ones, as far as its box reaches.
        """


class NoNeeds:
    """Nobody wants to know."""

    def asked(self, stage: str, key: str) -> None:
        """Nothing."""

    def answered(self, stage: str, key: bytes) -> None:
        """Nothing."""

    def recalled(self, item: str) -> None:
        """Nothing."""

    def unknown(self, stage: str, corner: Corner, box: tuple[int, ...]) -> None:
        """Nothing."""


class PlanAsk:
    """Looks calls up. One that is not stored is counted once, however many items wait for it."""

    def __init__(
        self,
        store: Responses | None,
        pinned: PinnedResponses,
        stages: dict[str, StagePlan],
        anew: Callable[[Call], bool],
        needs: Needs,
        fault_of: Callable[[Call, JsonObject], EndpointError | None],
    ) -> None:
        """`store` is None where there is no cache yet. `fault_of` says of the last reply to a call that is to be asked
        why the endpoint would be asked in vain; `in_vain` is the first such."""
        self.in_vain: EndpointError | None = None
        self._fault_of = fault_of
        self._needs = needs
        self._store = store
        self._pinned = pinned
        self._stages = stages
        self._anew = anew
        self._asked: set[bytes] = set()

    async def __call__(self, call: Call) -> Result:
        key = bytes.fromhex(call.key)
        if key in self._asked:
            return Unasked()
        if (accepted := self._standing(call)) is not None:
            self._needs.answered(call.stage, key)
            self._stages[call.stage].cached += 1
            return Made(accepted, "", asked=False)
        self._asked.add(key)
        self._needs.asked(call.stage, call.key)
        self._stages[call.stage].add(call.role, call.path, estimated_tokens(call.body["messages"]))
        return Unasked()

    def _standing(self, call: Call) -> object | None:
        """What counts for a call, unless it is to be asked for anew."""
        anew = self._anew(call)  # of every call: who named it is told what named nothing
        entry = None if self._store is None else look_up(self._store, call, anew=anew)
        if entry is None or (anew and not self._pinned.is_renewed(entry)):
            return None
        if (accepted := standing(call, entry, self._pinned)) is not None:
            found: object = accepted.value
            return found
        if self.in_vain is None and (fault := self._fault_of(call, entry.attempts[-1].response)) is not None:
            self.in_vain = in_vain(fault, call.stage)
        return None


class Estimate:
    """How many requests lie behind one that is not answered."""

    def __init__(self, stages: Stages, graph: Graph, plans: dict[str, StagePlan], needs: Needs) -> None:
        """`graph` holds the stages that the build reaches."""
        self._stages = stages
        self._graph = graph
        self._plans = plans
        self._needs = needs
        self._parents = frozenset(shape.parent for shape in graph)

    def list_unknown(self, stage: ListStage, node: Node, chain: Chain) -> None:
        """The list's own further requests, and all below the items that it is short of."""
        self._plans[stage.name].open_chains += 1
        corner = (stage.name, *node.path, str(chain.requests), *stage.elsewhere(node.earlier()), *chain.items)
        self._add(stage.name, (*corner, "more"), max(0, math.ceil(chain.missing / stage.results) - 1))
        if stage is self._stages.tree:
            self._below_level(corner, node.level + 1, chain.missing)
        else:
            self._below(stage.name, corner, chain.missing)

    def refill_unknown(self, stage: ListStage, node: Node, missing: int) -> None:
        """The requests for the items that are known to be missing, and all below them."""
        self._plans[stage.name].open_chains += 1
        corner = (stage.name, *node.path, "refill")
        self._add(stage.name, (*corner, "more"), math.ceil(missing / stage.results))
        self._below(stage.name, corner, missing)

    def undecided(self, stage: ModelStage | GroupStage, row: str) -> None:
        """All requests of `stage` for one row, and all below what they bring."""
        corner: Corner = (stage.name, row)
        if isinstance(stage, GroupStage):
            self._below(stage.name, corner, 1)
            return
        rows = requests = stage.results
        if isinstance(stage, ListStage):
            rows = stage.wanted(self._stages.settings.depth)
            requests = math.ceil(rows / stage.results)
        self._add(stage.name, corner, requests)
        self._below(stage.name, corner, rows)

    def below_unknown(self, stage: MapStage, row: str, number: int) -> None:
        """All below one result of a row."""
        if stage.name in self._parents:
            self._below(stage.name, (stage.name, row, str(number)), 1)

    def _below_level(self, corner: Corner, level: int, *tags: int) -> None:
        """All requests below tags on `level`: so many on the level of the list, so many below each of them, …"""
        depth, tree = self._stages.settings.depth, self._stages.tree
        here = (*corner, str(level))
        self._below(tree.name, here, *tags, leaf=level == depth)
        if level < depth:
            wanted = tree.wanted(level)
            self._add(tree.name, here, *tags, math.ceil(wanted / tree.results))
            self._below_level(corner, level + 1, *tags, wanted)

    def _below(self, stage: str, corner: Corner, *rows: int, leaf: bool = True) -> None:
        """All requests for what is made of so many rows of `stage`."""
        for shape in self._graph:
            if shape.parent != stage or shape.kind == "transform" or (shape.at_leaves and not leaf):
                continue
            below = self._stages[shape.name]
            if isinstance(below, ListStage):
                wanted = below.wanted(self._stages.settings.depth)
                self._add(shape.name, corner, *rows, math.ceil(wanted / below.results))
                self._below(shape.name, corner, *rows, wanted)
            elif isinstance(below, MapStage):
                self._add(shape.name, corner, *rows, below.results)
                self._below(shape.name, corner, *rows, below.results)
            else:
                self._below(shape.name, corner, *rows)

    def _add(self, stage: str, corner: Corner, *box: int) -> None:
        self._plans[stage].unknown += math.prod(box)
        self._needs.unknown(stage, corner, box)
