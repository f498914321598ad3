"""Who carries requests to models. One that sends each as it comes is `online`; one that gathers them into batches fits
the same protocol: whoever awaits `execute` does not mind for how long.
"""

from typing import Protocol

from distill_build.calls.attempt import Judged, Request


class Executor(Protocol):
    """Carries requests to their models, many at once."""

    async def execute(self, request: Request) -> Judged:
        """Comes back when the response is stored, and judged.

        Raises ModelFailure for a request that cannot be made to succeed, or that was stopped; EndpointError for an
        endpoint that refuses every request; BudgetExceededError where the budget does not cover it.
        """
