"""How a walk asks: a step waits in its role's lane, and its request comes back as what became of it."""

from collections.abc import Callable, Mapping

from distill_build.calls.call import Ask, Call, Failed, Result
from distill_build.engine.scheduler import Scheduler, Step
from distill_build.prompting.rendering import RenderingError


class Asking:
    """`lanes` names each role's lane in the scheduler: roles that share an endpoint and model share one."""

    def __init__(self, ask: Ask, scheduler: Scheduler, lanes: Mapping[str, str]) -> None:
        self._ask = ask
        self._scheduler = scheduler
        self._lanes = lanes

    def submit(self, role: str, length: int, place: tuple[int, ...], step: Step) -> None:
        """Has a step wait for its turn: what begins the longest chain comes first, then what lies first in the tree."""
        self._scheduler.submit(self._lanes[role], length, place, step)

    async def result(self, request: Callable[[], Call]) -> tuple[str, Result]:
        """The key of the call that `request` makes, and what becomes of it; a prompt that cannot be rendered for one
        place is a failure of that place."""
        try:
            call = request()
        except RenderingError as error:
            return "", Failed("prompt", 0, str(error))
        return call.key, await self._ask(call)
