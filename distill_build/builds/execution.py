"""The part of a build that asks models: opens them, walks the pipeline, and ends well however it ends."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from distill_build.builds.baseline import Baseline
from distill_build.builds.locked import not_stored
from distill_build.builds.session import Session
from distill_build.builds.walk.nodes import Node
from distill_build.builds.walk.protocols import Sink
from distill_build.builds.walk.tally import Tally
from distill_build.builds.walk.walk import Walk
from distill_build.calls.attempt import Recorder, Route, StageCounts
from distill_build.calls.budget import AbandonedError, FailureCap
from distill_build.calls.call import Absent, Call, Failed, Made, Result
from distill_build.calls.online import OnlineExecutor
from distill_build.calls.resolver import CallResolver, Executor
from distill_build.calls.shared import Shared
from distill_build.dataset.layout import FAILURES, ReviewNote
from distill_build.engine.ledger import Ledger
from distill_build.engine.reading import Responses
from distill_build.engine.scheduler import Scheduler
from distill_build.engine.store import Store
from distill_build.errors import StorageError
from distill_build.export import KD
from distill_build.graph import END
from distill_build.models.base import DEFAULT_TIMEOUT_S, Limits, ModelFailure, ModelSettings
from distill_build.models.factory import gate_key
from distill_build.options import Options
from distill_build.prompting.prompts import REASK, Prompts
from distill_build.prompting.rendering import Message, RenderingError
from distill_build.records import JsonObject
from distill_build.settings import Settings
from distill_build.stages.chain import Chain
from distill_build.stages.kinds.base import ModelStage
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.stages.readers import reader_of
from distill_build.stages.training.rows import exported_stage

if TYPE_CHECKING:  # it is for the builds with one format alone
    from distill_build.builds.student_watch import StudentWatch

WAITING_SHARE, FEWEST_WAITING = 8, 8
"""Of a gate's slots one in so many more steps are under way, so that a slot is taken as soon as it is free; some wait
for a retry outside. No more: who waits at the gate already is past the order of the scheduler."""
WIDEST = 4096


class Execution:
    """The walks of one build that ask. `halt.reason` says whether a cap was reached, `tally` what was done."""

    def __init__(
        self,
        session: Session,
        options: Options,
        store: Responses,
        ledger: Ledger,
        baseline: Baseline,
        shared: Shared,
        name: str = "",
    ) -> None:
        """`shared` is what builds side by side have in common, in which the models of this one go by its `name`."""
        self.session = session
        self.options = options
        self.store = store
        self.ledger = ledger
        self.baseline = baseline
        self.tally = Tally.of(session.stages.graph.names)
        self.name = name
        self.shared = shared
        self.halt = self.shared.halt()
        self.newly_dropped: tuple[tuple[str, JsonObject], ...] = ()
        self.unmatched: tuple[str, ...] = ()
        self.reviews: dict[str, ReviewNote] = {}
        self._watch: StudentWatch | None = None
        self.resolver = self._resolver()

    @property
    def absent(self) -> Absent | None:
        """What becomes of a call that is not stored, where no model may be asked; else None."""
        if self.baseline.locked is not None:
            return self.baseline.locked.absent
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
        return "" if self.baseline.locked is not None else self.session.build_digest(self.options.until, "")

    async def walk(self, sink: Sink) -> Node:
        """Walks the tree. Raises what stopped it: an endpoint that cannot be used, an interruption, a full disk."""
        self.shared.require_going_on()
        walk = self._walk(sink)
        walk.start()
        await self.shared.run(walk.scheduler)
        self.newly_dropped = tuple(walk.newly_dropped)
        self.unmatched, self.reviews = tuple(walk.unmatched()), walk.reviews
        return walk.root

    def _stop(self) -> None:
        self.halt.end()
        self.shared.build_stopped()

    def _resolver(self) -> CallResolver:
        session, shared, halt = self.session, self.shared, self.halt
        counts: dict[str, StageCounts] = dict(self.tally.stages.items())
        executor: Executor | None = None
        if isinstance(self.store, Store):
            recorder = Recorder(self.store, counts, shared.spending, self.ledger)
            online = OnlineExecutor(self.store, recorder, shared.spending, halt, shared.waiting)
            self._watch = self._watching(online)
            executor = self._watch or online
        return CallResolver(
            self.store,
            executor,
            {role: self._route(role) for role in session.stages.roles},
            self.baseline.pinned,
            counts,
            states=shared.states,
            anew=session.asked_anew,
            absent=self.absent,
            halt=halt,
        )

    async def _watched(self, watch: "StudentWatch", call: Call) -> Result:
        try:
            result = await self.resolver(call)
        except AbandonedError:
            watch.require_use()
            raise
        if isinstance(result, Made):
            watch.look(call, result, self.store.get)
        return result

    def _watching(self, executor: Executor) -> "StudentWatch | None":
        """Holds the first replies against a student, where the build makes rows for one."""
        identity, graph = self.session.identity, self.session.stages.graph
        shape = exported_stage(graph, identity)
        if KD not in identity["export"]["formats"] or self.options.until != END or shape is None:
            return None
        from distill_build.builds.student_watch import StudentWatch
        from distill_build.stages.training.student_fit import fit_of

        place = identity["export"]["kd_tokenizer"]
        return StudentWatch(
            executor,
            shape.name,
            fit_of(identity),
            lambda role: reader_of(shape, identity[shape.name], role).thoughts,
            place,
        )

    def _walk(self, sink: Sink) -> Walk:
        session = self.session
        return Walk(
            session.stages,
            self.options.until,
            {role: self._lane(role) for role in session.stages.roles},
            lambda crowded: Scheduler(self._windows(), self._stop, crowded),
            self.resolver if self._watch is None else partial(self._watched, self._watch),
            sink,
            _NoEstimator(),
            self.tally,
            FailureCap(self.options.keep_going, self.halt, session.dataset.artefact(FAILURES)),
        )

    def _route(self, role: str) -> Route:
        settings, prompts = self.session.settings, self.session.prompts
        model = settings.models[role]
        limits = settings.limits_for(model)
        return Route(
            name=model.name,
            gate=gate_key(model),
            model=self.shared.models[role_name(self.name, role)],
            prices=model.prices,
            reasks=limits.reasks or 0,
            reask=partial(_reask, prompts, model.structured),
            timeout_s=limits.timeout_s or DEFAULT_TIMEOUT_S,
        )

    def _lane(self, role: str) -> str:
        """Roles that share a gate share a lane."""
        return repr(gate_key(self.session.settings.models[role]))

    def _windows(self) -> dict[str, int]:
        windows: dict[str, int] = {}
        settings = self.session.settings
        for role in self.session.stages.roles:
            slots = settings.concurrency(settings.models[role])
            lane = self._lane(role)
            windows[lane] = max(windows.get(lane, 0), min(WIDEST, slots + max(FEWEST_WAITING, slots // WAITING_SHARE)))
        return windows


def models_by_name(settings: Settings, roles: Iterable[str], name: str) -> dict[str, tuple[ModelSettings, Limits]]:
    """The models of the build called `name`, as `Shared` takes them."""
    models = {role: settings.models[role] for role in roles}
    return {role_name(name, role): (model, settings.limits_for(model)) for role, model in models.items()}


def role_name(name: str, role: str) -> str:
    """A role's model among those of builds side by side."""
    return f"{name}/{role}"


def _reask(prompts: Prompts, structured: str, error: str, in_json: bool) -> list[Message]:
    """The messages that show a model what was wrong with its reply. Raises ModelFailure where there are none."""
    try:
        return prompts.render(REASK, error=error, structured=structured if in_json else "none")
    except RenderingError as fault:
        raise ModelFailure("prompt", str(fault)) from fault


def _offline(call: Call) -> Failed:
    raise not_stored("--offline", call.stage, call.path)


class _NoEstimator:
    """In a build every call has a result. What is not decided is missing, and its cause stands in failures.jsonl."""

    def list_unknown(self, stage: ListStage, node: Node, chain: Chain) -> None:
        raise AssertionError(f"a build left {stage.name} of {node.path} unasked with {chain.missing} missing")

    def refill_unknown(self, stage: ListStage, node: Node, missing: int) -> None:
        """Nothing."""

    def undecided(self, stage: ModelStage | GroupStage, row: str) -> None:
        """Nothing."""

    def below_unknown(self, stage: MapStage, row: str, number: int) -> None:
        raise AssertionError(f"a build left {stage.name} {number} of {row} unasked")
