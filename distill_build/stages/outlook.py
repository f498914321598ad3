"""What a build would ask for and what that would cost: exact where the cache can tell, estimated beyond.

A plan walks the same pipeline as a build; `PlanAsk` looks calls up and asks nobody. Where a chain of requests
breaks off, what lies behind it is worked out from the shape of the tree.
"""

import math
from collections.abc import Callable
from typing import Protocol, cast

from distill_build.calls.call import Call, Made, Result, Unasked, look_up, standing
from distill_build.calls.pinned import PinnedResponses
from distill_build.engine.reading import Responses
from distill_build.models.completion import estimated_tokens
from distill_build.options import Until
from distill_build.settings import Settings, Stage
from distill_build.stages.chain import Chain
from distill_build.stages.plan import StagePlan
from distill_build.stages.tree import Node

Corner = tuple[str, ...]
"""Where something unknown begins: a place in the tree, and the items of its list that are there."""


class Needs(Protocol):
    """Told what a plan is made of: a plan of several builds finds out what they have in common."""

    def asked(self, stage: Stage, key: str) -> None:
        """One request to be asked, by the key of its call."""

    def answered(self, stage: Stage, key: bytes) -> None:
        """One call that the cache answers; told again for each place that needs it."""

    def unknown(self, stage: Stage, corner: Corner, box: tuple[int, ...]) -> None:
        """As many requests as the product of `box` says, which nobody knows yet.

        Those of another build with the same corner are the same ones, as far as its box reaches.
        """


class NoNeeds:
    """Nobody wants to know."""

    def asked(self, stage: Stage, key: str) -> None:
        """Nothing."""

    def answered(self, stage: Stage, key: bytes) -> None:
        """Nothing."""

    def unknown(self, stage: Stage, corner: Corner, box: tuple[int, ...]) -> None:
        """Nothing."""


class PlanAsk:
    """Looks calls up. One that is not stored is counted once, however many items wait for it."""

    def __init__(
        self,
        store: Responses | None,
        held: PinnedResponses,
        stages: dict[Stage, StagePlan],
        anew: Callable[[Call], bool],
        needs: Needs,
    ) -> None:
        """`store` is None where there is no cache yet."""
        self._needs = needs
        self._store = store
        self._held = held
        self._stages = stages
        self._anew = anew
        self._asked: set[bytes] = set()

    async def __call__(self, call: Call) -> Result:
        key, stage = bytes.fromhex(call.key), cast(Stage, call.stage)
        if key in self._asked:
            return Unasked()
        if not self._anew(call) and (accepted := self._standing(call)) is not None:
            self._needs.answered(stage, key)
            self._stages[stage].cached += 1
            return Made(accepted, "", asked=False)
        self._asked.add(key)
        self._needs.asked(stage, call.key)
        self._stages[stage].ask += 1
        self._stages[stage].first = self._stages[stage].first or call.path
        self._stages[stage].prompt_tokens += estimated_tokens(call.body["messages"])
        return Unasked()

    def _standing(self, call: Call) -> object | None:
        if self._store is None:
            return None
        accepted = standing(call, look_up(self._store, call), self._held)
        return None if accepted is None else accepted.value


class Estimate:
    """The outlook of a plan: how many requests lie behind one that is not answered."""

    def __init__(self, settings: Settings, stages: dict[Stage, StagePlan], until: Until, needs: Needs) -> None:
        self._needs = needs
        self._settings = settings
        self._stages = stages
        self._until = until

    def chain_unknown(self, stage: Stage, node: Node, chain: Chain) -> None:
        """The chain's own further requests, and all below the items that it is short of."""
        self._stages[stage].open_chains += 1
        per_request = getattr(self._settings.per_request, stage)
        corner = (stage, *node.path, str(chain.requests), *chain.items)
        self._add(stage, (*corner, "more"), max(0, math.ceil(chain.missing / per_request) - 1))
        if stage == "tags":
            self._below(corner, node.level + 1, chain.missing)
        else:
            self._answers(corner, chain.missing)

    def _below(self, corner: Corner, level: int, *tags: int) -> None:
        """All requests below tags on `level`: so many on the level of the chain, so many below each of them, …"""
        settings = self._settings
        if level < settings.depth:
            breadth = settings.breadth_at(level + 1)
            self._add("tags", (*corner, str(level)), *tags, math.ceil(breadth / settings.per_request.tags))
            self._below(corner, level + 1, *tags, breadth)
        elif self._until != "tags":
            wanted = settings.questions_per_tag
            self._add("questions", (*corner, str(level)), *tags, math.ceil(wanted / settings.per_request.questions))
            self._answers((*corner, str(level)), *tags, wanted)

    def _answers(self, corner: Corner, *questions: int) -> None:
        if self._until != "questions":
            self._add("answers", corner, *questions, self._settings.answers_per_question)

    def _add(self, stage: Stage, corner: Corner, *box: int) -> None:
        self._stages[stage].unknown += math.prod(box)
        self._needs.unknown(stage, corner, box)
