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
from distill_build.models.base import DEFAULT_TIMEOUT_S, Limits, ModelSettings
from distill_build.models.factory import place_of
from distill_build.options import Options
from distill_build.settings import Settings, Stage
from distill_build.stages.basis import Basis
from distill_build.stages.budget import FailureCap
from distill_build.stages.call import Absent, Failed
from distill_build.stages.caller import Caller
from distill_build.stages.chain import Chain
from distill_build.stages.dataset import FAILURES
from distill_build.stages.locked import not_stored
from distill_build.stages.pipeline import Pipeline, Sink
from distill_build.stages.plan import Plan
from distill_build.stages.recipe import Call
from distill_build.stages.sending import Books, Seat
from distill_build.stages.session import Session
from distill_build.stages.sharing import Shared
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
        basis: Basis,
        shared: Shared | None = None,
        name: str = "",
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`shared` is what builds side by side have in common, in which the models of this one go by its `name`.

        `note` tells the person, where there is no `shared` to do so.
        """
        self.session = session
        self.options = options
        self.store = store
        self.ledger = ledger
        self.basis = basis
        self.tally = Tally()
        self.name = name
        roles, budget = roles_of(session.settings, name), session.settings.budget
        self.shared = shared or Shared(roles, budget, ledger.folder, note=note)
        self.halt = self.shared.halt()
        self.caller = self._caller()

    @property
    def absent(self) -> Absent | None:
        """What becomes of a call that is not stored, where no model may be asked; else None."""
        if self.basis.locked is not None:
            return self.basis.locked.absent
        if self.options.offline or self.options.frozen:
            return _offline
        return None if isinstance(self.store, Store) else self._nowhere_to_keep

    def _nowhere_to_keep(self, call: Call) -> Failed:
        raise StorageError(
            f"the cache {self.session.cache_dir} is read-only, and a response must be stored before it is used; "
            f"{call.stage} for {' / '.join(call.path)} would have to be asked: set cache.dir to one that can be written"
        )

    @property
    def target(self) -> str:
        """What the events of this run say that it makes. A check makes nothing that another run has left undone."""
        return "" if self.basis.locked is not None else self.session.build_digest(self.options.until, "")

    def in_flight(self) -> int:
        """HTTP requests under way."""
        return self.shared.models.in_flight

    async def walk(self, sink: Sink) -> Node:
        """Walks the tree. Raises what stopped it: an endpoint that cannot be used, an interruption, a full disk."""
        self.shared.refuse_if_ended()
        scheduler = Scheduler(self._windows(), self._stop)
        pipeline = self._pipeline(scheduler, sink)
        pipeline.start()
        await self.shared.run(scheduler)
        return pipeline.root

    def _stop(self) -> None:
        self.caller.end()
        self.shared.build_stopped()

    async def close(self) -> None:
        """Ends connections and engines."""
        await self.shared.models.close()

    def check_models(self, plan: Plan) -> None:
        """Raises ConfigurationError for a missing key or engine before anything is sent to anyone."""
        for stage in STAGES:
            if plan.stages[stage].calls:
                self.shared.models.check(role_name(self.name, stage))

    def _caller(self) -> Caller:
        session = self.session
        return Caller(
            Books(self.store, self.tally, self.shared.spending, self.ledger, self.shared.waiting),
            self.basis.held,
            {stage: self._seat(stage) for stage in STAGES},
            calls=self.shared.calls,
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
            FailureCap(self.options.keep_going, self.halt, session.dataset.artefact(FAILURES)),
            self.options.until,
        )

    def _seat(self, stage: Stage) -> Seat:
        settings = self.session.settings
        model = settings.role(stage)
        limits = settings.limits_for(model)
        reasks, timeout_s = limits.reasks or 0, limits.timeout_s or DEFAULT_TIMEOUT_S
        asked = self.shared.models[role_name(self.name, stage)]
        role = settings.stage[stage].roles[0]
        return Seat(role, model.name, asked, model.prices, reasks, model.structured, self.session.prompts, timeout_s)

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


def roles_of(settings: Settings, name: str) -> dict[str, tuple[ModelSettings, Limits]]:
    """The models of the build called `name`, as `Shared` takes them."""
    models = {stage: settings.role(stage) for stage in STAGES}
    return {role_name(name, stage): (model, settings.limits_for(model)) for stage, model in models.items()}


def role_name(name: str, stage: Stage) -> str:
    """A stage's model among those of builds side by side."""
    return f"{name}/{stage}"


def _offline(call: Call) -> Failed:
    raise not_stored("--offline", call.stage, call.path)


class _NoOutlook:
    """In a build every call has a result, so nothing is unknown."""

    def chain_unknown(self, stage: Stage, node: Node, chain: Chain) -> None:
        raise AssertionError(f"a build left {stage} of {node.path} unasked with {chain.missing} missing")


class interruptible:  # noqa: N801 - a context manager, named as one
    """The first SIGINT or SIGTERM ends all walks when what is in flight has come; the second ends the process."""

    def __init__(self, shared: Shared, note: Callable[[str], None], ending: str) -> None:
        """`ending` says what becomes of what is there, and what brings the rest."""
        self._shared = shared
        self._note = note
        self._ending = ending
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
        self._note(
            f"interrupted: waiting for what is in flight ({self._shared.models.in_flight}), and storing it; interrupt "
            "again to leave at once"
        )
        self._shared.end(InterruptedBuildError(f"interrupted: the responses that came are stored, {self._ending}"))
