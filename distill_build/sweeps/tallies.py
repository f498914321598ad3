"""The tallies of builds side by side, read as one."""

from distill_build.settings import Stage
from distill_build.stages.tally import STAGES, StageTally, Tally


class SumOfTallies(Tally):
    """Adds up at every look. Items that several jobs have in common count for each of them."""

    def __init__(self) -> None:
        self._parts: list[Tally] = []

    def add(self, part: Tally) -> None:
        """One more build's tally, which may go on growing."""
        self._parts.append(part)

    @property
    def stages(self) -> dict[Stage, StageTally]:  # type: ignore[override]  # a field there, worked out here
        return {stage: sum_of([part.stages[stage] for part in self._parts]) for stage in STAGES}


def sum_of(parts: list[StageTally]) -> StageTally:
    """One stage of several builds."""
    costs = [part.usd for part in parts]
    return StageTally(
        found=sum(part.cached for part in parts),
        asked=sum(part.asked for part in parts),
        answered=sum(part.answered for part in parts),
        made=sum(part.made for part in parts),
        missing=sum(part.missing for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
        usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        seconds=sum(part.seconds for part in parts),
    )
