"""What a sweep would ask for: each job by itself, and all of them together, where what they share is asked once."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from distill_build.builds.baseline import baseline_of
from distill_build.builds.notices import notices
from distill_build.builds.plan.estimation import Corner
from distill_build.builds.plan.plan import Cost, Plan, StagePlan, plan_of_state
from distill_build.builds.plan.planning import make_plan
from distill_build.builds.plan.statistics import RequestStatistics
from distill_build.builds.replacement import replacement_of
from distill_build.builds.session import Session
from distill_build.engine.manifest import digest
from distill_build.engine.reading import Responses
from distill_build.graph import Graph, in_order
from distill_build.options import Options
from distill_build.sweeps.prepared import PreparedJob
from distill_build.sweeps.results import add_keys
from distill_build.sweeps.shares import Box, JobSet, by_jobs, total, unit_cells

BoxKind = tuple[str, Corner]
Sharing = Mapping[str, "Counter[JobSet]"]
"""Numbers of requests by the jobs that need them."""


class JobNeeds:
    """What one job needs, by stage: calls to be asked, calls that the cache answers, and requests nobody knows yet.

    Those are boxes: so many in each direction from one corner, by what they are asked with.
    """

    def __init__(self, session: Session, graph: Graph, found: dict[str, set[bytes]]) -> None:
        """`found` are the keys of calls that the cache answers, of all jobs: it takes those of this one."""
        self.asked_for: dict[str, list[str]] = {stage: [] for stage in graph.names}
        self.boxes: dict[BoxKind, Box] = {}
        self._graph = graph
        self._found = found
        self._dataset = session.dataset
        self._digests = {stage: digest(session.identity[stage]) for stage in graph.names}
        self._recalled: set[str] = set()

    def asked(self, stage: str, key: str) -> None:
        """See `builds.plan.estimation.Needs`."""
        self.asked_for[stage].append(key)

    def answered(self, stage: str, key: bytes) -> None:
        """See `builds.plan.estimation.Needs`."""
        self._found.setdefault(stage, set()).add(key)

    def recalled(self, item: str) -> None:
        """See `builds.plan.estimation.Needs`."""
        self._recalled.add(item)

    def unknown(self, stage: str, corner: Corner, box: tuple[int, ...]) -> None:
        """What lies behind a request depends on what the stages are from its own to the one that is asked for."""
        lineage = self._graph.lineage(stage)
        begins = lineage.index(corner[0]) if corner[0] in lineage else 0
        recipes = (self._digests[each] for each in lineage[begins:])
        self.boxes[stage, (*recipes, *corner)] = box

    def add_sources(self, *, all_of_them: bool) -> None:
        """Adds the calls behind rows that were not looked at again: all that the folder has, or what was recalled."""
        if all_of_them or self._recalled:
            add_keys(self._found, self._dataset, None if all_of_them else self._recalled)


class SweepPlan(msgspec.Struct, frozen=True):
    """`jobs` are the plans of the jobs by themselves, in order; `union` asks once for what several of them need.

    `shares` are each job's part of the union's US dollars, None without prices.
    """

    jobs: list[Plan]
    union: Plan
    shares: list[float | None]

    @property
    def calls(self) -> int:
        """Requests of all jobs one by one."""
        return sum(plan.calls for plan in self.jobs)

    @property
    def usd(self) -> float | None:
        """US dollars of all jobs one by one."""
        return total(plan.cost.usd for plan in self.jobs)


class UnionPlan(msgspec.Struct):
    """Adds up the plans of jobs, and in the end says what all together ask for."""

    plans: list[Plan] = msgspec.field(default_factory=list)
    _needs: list[JobNeeds] = msgspec.field(default_factory=list)
    _found: dict[str, set[bytes]] = msgspec.field(default_factory=dict)

    def needs_of(self, session: Session) -> JobNeeds:
        """Who is told what the plan of one more job is made of."""
        return JobNeeds(session, session.stages.graph, self._found)

    def add(self, plan: Plan, needs: JobNeeds, *, taken_over: bool) -> None:
        """One more job; `taken_over` says that all its rows are as they lie there."""
        needs.add_sources(all_of_them=taken_over)
        self.plans.append(plan)
        self._needs.append(needs)

    async def add_job(
        self, prepared: PreparedJob, store: Responses | None, options: Options, note: Callable[[str], None]
    ) -> None:
        """Plans one more job by itself; `note` takes what is to be said of it.

        Raises DifferenceError for a lock that cannot be gone by.
        """
        session = prepared.session
        needs = self.needs_of(session)
        if (state := prepared.state) is not None:
            plan = plan_of_state(session.stages, state, RequestStatistics(session.cache_dir))
        else:
            baseline = baseline_of(session, options)
            plan = await make_plan(session, store, baseline, options.until, needs)
            for notice in notices(session, options, baseline, plan, replacement_of(session, options, baseline, plan)):
                note(f"{prepared.job.words}: {notice}")
            if plan.in_vain is not None and not options.asks_nothing:
                note(f"{prepared.job.words}: {plan.in_vain}")
        self.add(plan, needs, taken_over=prepared.state is not None)

    def plan(self) -> SweepPlan:
        """All that were added."""
        stages = in_order(plan.stages for plan in self.plans)
        known, unknown = known_sharing(self._needs, stages), unknown_sharing(self._needs, stages)
        union = Plan(
            {
                stage: StagePlan(
                    cached=len(self._found.get(stage, ())),
                    ask=known[stage].total(),
                    unknown=unknown[stage].total(),
                    open_chains=max((planned.open_chains for planned in self._of(stage)), default=0),
                )
                for stage in stages
            },
            {stage: union_cost(self.plans, stage, known[stage] + unknown[stage]) for stage in stages},
            seen=frozenset(stage for stage in stages if all(stage in plan.seen for plan in self.plans)),
        )
        return SweepPlan(self.plans, union, shares_of(self.plans, known, unknown))

    def _of(self, stage: str) -> Iterator[StagePlan]:
        return (plan.stages[stage] for plan in self.plans if stage in plan.stages)


def known_sharing(needs: Sequence[JobNeeds], stages: Sequence[str]) -> Sharing:
    """The requests that are known, by the jobs that need them."""
    return {
        stage: Counter(by_jobs((job, each.asked_for.get(stage, ())) for job, each in enumerate(needs)).values())
        for stage in stages
    }


def unknown_sharing(needs: Sequence[JobNeeds], stages: Sequence[str]) -> Sharing:
    """The requests behind those, as far as the shapes of the trees tell."""
    boxes: defaultdict[BoxKind, list[tuple[int, Box]]] = defaultdict(list)
    for job, each in enumerate(needs):
        for kind, box in each.boxes.items():
            boxes[kind].append((job, box))
    sharing: dict[str, Counter[JobSet]] = {stage: Counter() for stage in stages}
    for (stage, _), alike in boxes.items():
        sharing[stage].update(unit_cells(alike))
    return sharing


def union_cost(plans: Sequence[Plan], stage: str, sharing: "Counter[JobSet]") -> Cost:
    """What so many requests cost, each as the first job that needs it reckons."""
    parts = [(number, mean_cost(plans[min(jobs)], stage)) for jobs, number in sharing.items()]
    usd = total(None if each.usd is None else number * each.usd for number, each in parts)
    return Cost(
        round(sum(number * each.prompt_tokens for number, each in parts)),
        round(sum(number * each.completion_tokens for number, each in parts)),
        usd,
        sum(number * each.seconds for number, each in parts),
        round(sum(number * each.soft_label_bytes for number, each in parts)),
    )


def shares_of(plans: Sequence[Plan], known: Sharing, unknown: Sharing) -> list[float | None]:
    """Each job's part of the union's US dollars."""
    shares: list[list[float | None]] = [[] for _ in plans]
    for stage, sharing in known.items():
        for jobs, number in (sharing + unknown[stage]).items():
            each = mean_cost(plans[min(jobs)], stage).usd
            for job in jobs:
                shares[job].append(None if each is None else each * number / len(jobs))
    return [total(parts) for parts in shares]


class Mean(msgspec.Struct, frozen=True):
    """Of one request."""

    prompt_tokens: float
    completion_tokens: float
    usd: float | None
    seconds: float
    soft_label_bytes: float


def mean_cost(plan: Plan, stage: str) -> Mean:
    """What one of the stage's requests costs in a plan that has some."""
    calls, cost = plan.stages[stage].calls, plan.costs[stage]
    usd = None if cost.usd is None else cost.usd / calls
    bytes_each = cost.soft_label_bytes / calls
    return Mean(cost.prompt_tokens / calls, cost.completion_tokens / calls, usd, cost.seconds / calls, bytes_each)
