"""The part of a build that asks models: opens them, walks the pipeline, and ends well however it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

from distill_build.engine.ledger import Ledger
from distill_build.engine.reading import Responses
from distill_build.engine.scheduler import Scheduler
from distill_build.engine.store import Store
from distill_build.errors import InterruptedBuildError, StorageError
from distill_build.models.factory import Models, place_of
from distill_build.options import Options
from distill_build.settings import Stage
from distill_build.stages.budget import FailureCap, Halt, Spending
from distill_build.stages.call import Absent, Caller, Failed, Seat
from distill_build.stages.chain import Chain
from distill_build.stages.locked import Locked, not_stored
from distill_build.stages.pipeline import Pipeline, Sink
from distill_build.stages.plan import Plan
from distill_build.stages.recipe import Call
from distill_build.stages.report import Watcher
from distill_build.stages.session import Session
from distill_build.stages.tally import STAGES, Tally
from distill_build.stages.tree import Node

WINDOW_FACTOR, WINDOW_EXTRA = 2, 8
"""Steps under way for each slot of a gate: some wait for a retry, or for their commit, outside it."""
WIDEST = 4096
SHOW_CURSOR = b"\x1b[?25h"
"""The bars hide the cursor; who leaves without ado must bring it back."""


class Asking:
    """The walks of one build that ask. `halt.reason` says whether a cap was reached, `tally` what was done."""

    def __init__(
        self,
        session: Session,
        options: Options,
        store: Responses,
        ledger: Ledger,
        watcher: Watcher,
        locked: Locked | None,
    ) -> None:
        settings = session.settings
        roles = {stage: settings.role(stage) for stage in STAGES}
        limits = {stage: settings.limits_for(model) for stage, model in roles.items()}
        self.session = session
        self.options = options
        self.store = store
        self.ledger = ledger
        self.watcher = watcher
        self.locked = locked
        self.tally = Tally()
        self.models = Models({stage: (roles[stage], limits[stage]) for stage in STAGES}, ledger.folder)
        self.halt = Halt(self.models.stop)
        self.caller = self._caller()

    @property
    def absent(self) -> Absent | None:
        """What becomes of a call that is not stored, where no model may be asked; else None."""
        if self.locked is not None:
            return self.locked.absent
        if self.options.offline or self.options.frozen:
            return _offline
        return None if isinstance(self.store, Store) else self._nowhere_to_keep

    def _nowhere_to_keep(self, call: Call) -> Failed:
        raise StorageError(
            f"the cache {self.session.cache_dir} is read-only, and a response must be stored before it is used; "
            f"{call.stage} for {' / '.join(call.path)} would have to be asked: set cache.dir to one that can be written"
        )

    def in_flight(self) -> int:
        """HTTP requests under way."""
        return self.models.in_flight

    async def walk(self, sink: Sink) -> Node:
        """Walks the tree. Raises what stopped it: an endpoint that cannot be used, an interruption, a full disk."""
        scheduler = Scheduler(self._windows(), self.models.stop)
        with interruptible(scheduler, self._say_interrupted):
            return await self._pipeline(scheduler, sink).run()

    def _say_interrupted(self) -> None:
        self.watcher.note(
            f"interrupted: waiting for the {self.in_flight()} requests in flight, whose replies are stored; "
            "interrupt again to leave at once"
        )

    async def close(self) -> None:
        """Ends connections and engines."""
        await self.models.close()

    def check_models(self, plan: Plan) -> None:
        """Raises ConfigurationError for a missing key or engine before anything is sent to anyone."""
        for stage in STAGES:
            if plan.stages[stage].calls:
                self.models.check(stage)

    def _caller(self) -> Caller:
        session = self.session
        return Caller(
            self.store,
            {stage: self._seat(stage) for stage in STAGES},
            tally=self.tally,
            spending=Spending(session.settings.budget, self.tally),
            ledger=self.ledger,
            anew=lambda call: session.asked_anew(call.path),
            absent=self.absent,
            halt=self.halt,
        )

    def _pipeline(self, scheduler: Scheduler, sink: Sink) -> Pipeline:
        session, settings = self.session, self.session.settings
        return Pipeline(
            settings,
            session.recipes,
            {stage: self._lane(stage) for stage in STAGES},
            scheduler,
            self.caller,
            sink,
            _NoOutlook(),
            self.tally,
            FailureCap(self.options.keep_going, self.halt),
            self.options.until,
        )

    def _seat(self, stage: Stage) -> Seat:
        settings = self.session.settings
        model = settings.role(stage)
        reasks = settings.limits_for(model).reasks or 0
        return Seat(model.name, self.models[stage], model.prices, reasks, model.structured, self.session.prompts)

    def _lane(self, stage: Stage) -> str:
        """Stages whose roles share a gate share a lane."""
        return repr(place_of(self.session.settings.role(stage)))

    def _windows(self) -> dict[str, int]:
        windows: dict[str, int] = {}
        for stage in STAGES:
            settings = self.session.settings
            slots = settings.limits_for(settings.role(stage)).concurrency or WIDEST
            lane = self._lane(stage)
            windows[lane] = max(windows.get(lane, 0), min(WIDEST, slots * WINDOW_FACTOR + WINDOW_EXTRA))
        return windows


def _offline(call: Call) -> Failed:
    raise not_stored("--offline", call.stage, call.path)


class _NoOutlook:
    """In a build every call has a result, so nothing is unknown."""

    def chain_unknown(self, stage: Stage, node: Node, chain: Chain) -> None:
        raise AssertionError(f"a build left {stage} of {node.path} unasked with {chain.missing} missing")


class interruptible:  # noqa: N801 - a context manager, named as one
    """The first SIGINT or SIGTERM ends the walk when what is in flight has come; the second ends the process."""

    def __init__(self, scheduler: Scheduler, tell: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._tell = tell
        self._interrupted = False
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in self._before:
            loop.add_signal_handler(number, self._on_signal)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number, handler in self._before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

    def _on_signal(self) -> None:
        if self._interrupted:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), SHOW_CURSOR)
            os._exit(130)
        self._interrupted = True
        self._tell()
        self._scheduler.stop(
            InterruptedBuildError(
                "interrupted: the responses that came are stored, the dataset is as it was; build again to go on"
            )
        )
