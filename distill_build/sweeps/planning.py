"""What a sweep would ask for: each job by itself, and all of them together, where what they share is asked once."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from distill_build.engine.manifest import digest
from distill_build.engine.reading import Responses
from distill_build.options import Options
from distill_build.settings import Stage
from distill_build.stages.basis import basis_of
from distill_build.stages.figures import Figures
from distill_build.stages.outlook import Corner
from distill_build.stages.plan import Cost, Plan, StagePlan, price
from distill_build.stages.planning import make_plan
from distill_build.stages.remarks import remarks
from distill_build.stages.session import Session
from distill_build.stages.tally import STAGES
from distill_build.sweeps.answered import Answered
from distill_build.sweeps.ready import Ready
from distill_build.sweeps.shares import Box, Jobs, by_jobs, cells, total

Kind = tuple[Stage, Corner]
Sharing = Mapping[Stage, "Counter[Jobs]"]
"""Numbers of requests by the jobs that need them."""


class JobNeeds:
    """What one job needs: keys of calls to be asked, and boxes of requests that nobody knows yet.

    `found` are keys of calls that the cache answers, and are forgotten when they have been added to those of others.
    """

    def __init__(self, session: Session) -> None:
        self.keys: dict[Stage, list[str]] = {stage: [] for stage in STAGES}
        self.found: dict[Stage, list[bytes]] = {stage: [] for stage in STAGES}
        self.boxes: dict[Kind, Box] = {}
        digests = {stage: digest(session.identity[stage]) for stage in STAGES}
        self._recipes = {
            (first, last): tuple(digests[each] for each in STAGES[STAGES.index(first) : STAGES.index(last) + 1])
            for first in STAGES
            for last in STAGES
        }

    def asked(self, stage: Stage, key: str) -> None:
        """See `stages.outlook.Needs`."""
        self.keys[stage].append(key)

    def answered(self, stage: Stage, key: bytes) -> None:
        """See `stages.outlook.Needs`."""
        self.found[stage].append(key)

    def kind(self, topic: str, stage: Stage) -> tuple[str, ...]:
        """What is the same for jobs that ask the same of the same models, from the tags of `topic` to `stage`."""
        return (topic, *self._recipes["tags", stage])

    def unknown(self, stage: Stage, corner: Corner, box: tuple[int, ...]) -> None:
        """What lies behind a request depends on the recipes from its stage to the one that is asked for."""
        begins: Stage = next(each for each in STAGES if each == corner[0])
        self.boxes[stage, (*self._recipes[begins, stage], *corner)] = box


@dataclass(frozen=True, slots=True)
class SweepPlan:
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


@dataclass(slots=True)
class Planning:
    """Plans job after job, and in the end all together; `note` takes what is to be said of one."""

    store: Responses | None
    options: Options
    note: Callable[[str], None]
    plans: list[Plan] = field(default_factory=list)
    _needs: list[JobNeeds] = field(default_factory=list)
    _answered: Answered = field(default_factory=Answered)

    async def add(self, ready: Ready) -> Plan:
        """The plan of one more job by itself. Raises DifferenceError for a lock that cannot be gone by."""
        session = ready.session
        needs = JobNeeds(session)
        if ready.state is not None:
            stages = {stage: StagePlan(cached=ready.state.requests[stage]) for stage in STAGES}
            plan = price(session.settings, stages, Figures(session.cache_dir), lambda _: 0.0)
        else:
            basis = basis_of(session, self.options)
            plan = await make_plan(session, self.store, basis, self.options.until, needs)
            for remark in remarks(session, self.options, basis, plan):
                self.note(f"{ready.job.words}: {remark}")
        self.plans.append(plan)
        self._needs.append(needs)
        self._note_answered(session.settings.topic, plan, needs)
        return plan

    def _note_answered(self, topic: str, plan: Plan, needs: JobNeeds) -> None:
        for stage in STAGES:
            found = needs.found.pop(stage)
            others = plan.stages[stage].cached - len(found)  # behind what was not looked at again
            self._answered.add(stage, needs.kind(topic, stage), set(found), others)

    def together(self) -> SweepPlan:
        """All that were added."""
        known, unknown = known_sharing(self._needs), unknown_sharing(self._needs)
        union = union_of(self.plans, self._answered, known, unknown)
        return SweepPlan(self.plans, union, shares_of(self.plans, known, unknown))


def known_sharing(needs: Sequence[JobNeeds]) -> Sharing:
    """The requests that are known, by the jobs that need them."""
    return {
        stage: Counter(by_jobs((job, each.keys[stage]) for job, each in enumerate(needs)).values()) for stage in STAGES
    }


def unknown_sharing(needs: Sequence[JobNeeds]) -> Sharing:
    """The requests behind those, as far as the shapes of the trees tell."""
    boxes: defaultdict[Kind, list[tuple[int, Box]]] = defaultdict(list)
    for job, each in enumerate(needs):
        for kind, box in each.boxes.items():
            boxes[kind].append((job, box))
    sharing: dict[Stage, Counter[Jobs]] = {stage: Counter() for stage in STAGES}
    for (stage, _), alike in boxes.items():
        sharing[stage].update(cells(alike))
    return sharing


def union_of(plans: Sequence[Plan], answered: Answered, known: Sharing, unknown: Sharing) -> Plan:
    """One plan for all, in which every call counts once."""
    stages = {
        stage: StagePlan(
            cached=answered.number(stage),
            ask=known[stage].total(),
            unknown=unknown[stage].total(),
            open_chains=max((plan.stages[stage].open_chains for plan in plans), default=0),
        )
        for stage in STAGES
    }
    return Plan(stages, {stage: union_cost(plans, stage, known[stage] + unknown[stage]) for stage in STAGES})


def union_cost(plans: Sequence[Plan], stage: Stage, sharing: "Counter[Jobs]") -> Cost:
    """What so many requests cost, each as the first job that needs it reckons."""
    parts = [(number, mean_cost(plans[min(jobs)], stage)) for jobs, number in sharing.items()]
    usd = total(None if each.usd is None else number * each.usd for number, each in parts)
    return Cost(
        round(sum(number * each.prompt_tokens for number, each in parts)),
        round(sum(number * each.completion_tokens for number, each in parts)),
        usd,
        sum(number * each.seconds for number, each in parts),
    )


def shares_of(plans: Sequence[Plan], known: Sharing, unknown: Sharing) -> list[float | None]:
    """Each job's part of the union's US dollars."""
    shares: list[list[float | None]] = [[] for _ in plans]
    for stage in STAGES:
        for jobs, number in (known[stage] + unknown[stage]).items():
            each = mean_cost(plans[min(jobs)], stage).usd
            for job in jobs:
                shares[job].append(None if each is None else each * number / len(jobs))
    return [total(parts) for parts in shares]


@dataclass(frozen=True, slots=True)
class Mean:
    """Of one request."""

    prompt_tokens: float
    completion_tokens: float
    usd: float | None
    seconds: float


def mean_cost(plan: Plan, stage: Stage) -> Mean:
    """What one of the stage's requests costs in a plan that has some."""
    calls, cost = plan.stages[stage].calls, plan.costs[stage]
    usd = None if cost.usd is None else cost.usd / calls
    return Mean(cost.prompt_tokens / calls, cost.completion_tokens / calls, usd, cost.seconds / calls)
