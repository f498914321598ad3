"""sweep.jsonl: one line for each job, in the order asked for, with what it holds and what that has cost.

The same responses give the same lines: nothing of a run is in them.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from distill_build.builds.versioning import missing_in
from distill_build.calls.attempt import ResponseCost, cost_of
from distill_build.dataset.layout import FAILURES, Dataset, State, rows_by_check
from distill_build.dataset.rows import FailureRow, TagRow, read_rows
from distill_build.engine.artefacts import replace_file
from distill_build.engine.reading import ReadOnlyStore, holds_database
from distill_build.errors import CorruptEntryError, DistillError
from distill_build.graph import Graph, in_order
from distill_build.records import Source
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import declared
from distill_build.sweeps.jobs import Job, in_row
from distill_build.sweeps.shares import JobSet, by_jobs, total

RESULTS = "sweep.jsonl"
UNION = "runs/union.json"
UNKNOWN = ResponseCost(0, 0, None)
NOTHING = ResponseCost(0, 0, 0.0)
IN_VAIN = ""
"""In place of a response, for a call that came to nothing."""
NOT_BUILT = "it was not built: the sweep ended before"
USD_DIGITS = 9
DIGITS = 4
"""Of a share, after the point."""


class Tokens(msgspec.Struct, frozen=True):
    prompt: int = 0
    completion: int = 0


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job. `choices` are its swept settings as typed, `same` those of jobs that come to the same.

    `counts` and `missing` are rows by stage, `dropped` by transform and reason, `checks` by stage and check. `unique`,
    `near_duplicates` (of the texts of the last list) and `leaf_coverage` are shares from 0 to 1. `calls`, `tokens` and
    `usd` are those of all requests behind the job, whenever they were sent; `share_usd` is its part of what all jobs
    together cost. `usd` is None without prices. `error` says what has ended the last build; `version`
    is from before it then, and None where nothing is there.
    """

    job: str
    choices: dict[str, str]
    same: list[dict[str, str]] = []
    version: str | None = None
    until: str | None = None
    counts: dict[str, int] = {}
    missing: dict[str, int] = {}
    dropped: dict[str, dict[str, int]] = {}
    checks: dict[str, dict[str, int]] = {}
    failures: int = 0
    unique: float | None = None
    near_duplicates: float | None = None
    leaf_coverage: float | None = None
    calls: int = 0
    tokens: Tokens = Tokens()
    usd: float | None = None
    share_usd: float | None = None
    error: str | None = None


class SweepCost(msgspec.Struct, frozen=True):
    """What all jobs together have cost, where a request that several of them need counts once."""

    calls: int
    tokens: Tokens
    usd: float | None


class _UnionOf(msgspec.Struct, frozen=True):
    """The file of a union, with the digest of the sweep.jsonl that it belongs to."""

    rows: str
    union: SweepCost


class Results(msgspec.Struct, frozen=True):
    """A sweep.jsonl, and what its jobs come to together."""

    rows: list[JobRow]
    union: SweepCost

    def hold(self, jobs: Sequence[Job]) -> bool:
        """Whether these are the results of just these jobs as they lie in their folders."""
        return len(jobs) == len(self.rows) and all(map(_is_of, self.rows, jobs))


def read_results(folder: Path) -> Results | None:
    """The results of the last time; None where there are none to go by."""
    try:
        lines = (folder / RESULTS).read_bytes()
        union = msgspec.json.decode((folder / UNION).read_bytes(), type=_UnionOf)
        rows = [msgspec.json.decode(line, type=JobRow) for line in lines.splitlines()]
    except (OSError, msgspec.DecodeError):  # they are worked out again
        return None
    return Results(rows, union.union) if union.rows == sha256(lines).hexdigest() else None


def write_results(folder: Path, results: Results) -> None:
    """Replaces the files, where they are to change."""
    lines = msgspec.json.Encoder().encode_lines(results.rows)
    union = _UnionOf(sha256(lines).hexdigest(), results.union)  # a kill between the two files is noticed
    for name, data in ((UNION, msgspec.json.encode(union)), (RESULTS, lines)):
        place = folder / name
        if not place.exists() or place.read_bytes() != data:
            replace_file(place, data)


def results_of(
    jobs: Sequence[Job], errors: Mapping[str, DistillError], paid: Mapping[Source, ResponseCost], before: Results | None
) -> Results:
    """The results of jobs; `errors` are those that ended some of them, by the jobs' names.

    `paid` is what is known of responses' costs; the rest is read from the cache. What `before` says of the same version
    is taken over.
    """
    built = [state_of(job) for job in jobs]
    behind = [job_sources(job, state) for job, state in zip(jobs, built, strict=True)]
    users = by_jobs(enumerate(behind))
    costs = complete(paid, users, Path(jobs[0].settings.cache.dir))
    known = {row.job: row for row in before.rows} if before is not None else {}
    rows = []
    for job, state, sources in zip(jobs, built, behind, strict=True):
        if state is None:
            rows.append(JobRow(**_names(job), error=str(errors.get(job.name, NOT_BUILT))))
        else:
            row = row_of(job, state, known.get(job.name))
            error = str(errors[job.name]) if job.name in errors else None
            rows.append(replace(row, error=error, **costs_of(sources, users, costs)))
    usd = total(costs[source].usd for source in users)
    return Results(rows, SweepCost(len(users), tokens_of(users, costs), in_full(usd)))


def state_of(job: Job) -> State | None:
    """The state of what a job's folder holds; None where that is nothing, or cannot be read."""
    try:
        return Dataset(job.folder).state()
    except OSError:  # what is wrong with it is told by whoever wants to build there
        return None


def calls_behind(jobs: Iterable[Job]) -> dict[str, int]:
    """Distinct calls that jobs were made from, by stage."""
    built = [(job, state) for job in jobs if (state := state_of(job)) is not None]
    keys: dict[str, set[bytes]] = {stage: set() for stage in in_order(state.graph.names for _, state in built)}
    for job, _ in built:
        add_keys(keys, Dataset(job.folder))
    return {stage: len(each) for stage, each in keys.items()}


def add_keys(keys: dict[str, set[bytes]], dataset: Dataset, items: Container[str] | None = None) -> None:
    """Adds those of the calls that a folder's rows were read from, by stage; with `items` of rows below these tags."""
    for row in dataset.sources():
        if items is None or row.id in items:
            for stage, sources in row.calls.items():
                keys.setdefault(stage, set()).update(bytes.fromhex(key) for key, _ in sources)


def job_sources(job: Job, state: State | None) -> list[Source]:
    """Calls with the responses that a job's dataset was made from, and those that came to nothing."""
    if state is None:
        return []
    made = {source for row in Dataset(job.folder).sources() for source in row.responses}
    return sorted(made | {(key, IN_VAIN) for key in state.failed})


def complete(
    paid: Mapping[Source, ResponseCost], sources: Iterable[Source], cache_dir: Path
) -> Mapping[Source, ResponseCost]:
    """What every response has cost; nothing is known of one that is not, or no longer, in this cache."""
    missing = [source for source in sources if source not in paid]
    if not missing:
        return paid
    if not holds_database(cache_dir):  # jobs ran on other machines, with caches of their own
        return {**paid, **dict.fromkeys(missing, UNKNOWN)}
    with closing(ReadOnlyStore(cache_dir)) as store:
        return {**paid, **{source: _cost_in(store, source) for source in missing}}


def _cost_in(store: ReadOnlyStore, source: Source) -> ResponseCost:
    key, response = source
    try:
        entry = store.get(key)
    except CorruptEntryError:  # `cache fsck` tells of it; the other jobs are compared
        return UNKNOWN
    digests = [attempt.digest for attempt in entry.attempts] if entry is not None else []
    if response == IN_VAIN:
        return cost_of(entry, len(digests) - 1) if entry is not None else NOTHING
    return cost_of(entry, digests.index(response)) if entry is not None and response in digests else UNKNOWN


def costs_of(
    sources: Sequence[Source], users: Mapping[Source, JobSet], costs: Mapping[Source, ResponseCost]
) -> dict[str, Any]:
    """The fields of a row that say what is behind it."""
    usd = total(costs[source].usd for source in sources)
    share = None if usd is None else sum((costs[source].usd or 0.0) / len(users[source]) for source in sources)
    tokens = tokens_of(sources, costs)
    return {"calls": len(sources), "tokens": tokens, "usd": in_full(usd), "share_usd": in_full(share)}


def in_full(usd: float | None) -> float | None:
    """US dollars to a billionth: what lies beyond depends on the order of adding up."""
    return None if usd is None else round(usd, USD_DIGITS)


def tokens_of(sources: Iterable[Source], costs: Mapping[Source, ResponseCost]) -> Tokens:
    """The tokens of so many responses."""
    each = [costs[source] for source in sources]
    return Tokens(sum(paid.prompt_tokens for paid in each), sum(paid.completion_tokens for paid in each))


def row_of(job: Job, state: State, before: JobRow | None) -> JobRow:
    """What a job's folder holds, as `state` says."""
    dataset = Dataset(job.folder)
    facts: dict[str, Any] = {
        "version": state.version,
        "until": state.until,
        "counts": {stage: state.counts.get(stage, 0) for stage in state.graph.reached(state.until)},
        "missing": missing_in(state, job.settings),
        "dropped": state.dropped,
        "checks": rows_by_check(state.checks),
        "failures": sum(1 for _ in read_rows(dataset.artefact(FAILURES), FailureRow)),
    }
    if before is not None and (before.version, before.until) == (state.version, state.until):
        return replace(before, **_names(job), **facts)
    return JobRow(
        **_names(job),
        **facts,
        **variety(dataset, state.graph.up_to(state.until)),
        leaf_coverage=leaf_coverage(dataset, state, job.settings),
    )


def _is_of(row: JobRow, job: Job) -> bool:
    state = state_of(job)
    named = row.error is None and all(getattr(row, field) == value for field, value in _names(job).items())
    return named and state is not None and (row.version, row.until) == (state.version, state.until)


def _names(job: Job) -> dict[str, Any]:
    return {"job": job.name, "choices": in_row(job.choices), "same": [in_row(choices) for choices in job.same]}


def variety(dataset: Dataset, graph: Graph) -> dict[str, Any]:
    """How varied the texts are that `graph` lists; nothing where there are none."""
    from distill_build.sweeps.variety import compared_list, variety_of  # for results that are new

    stage = compared_list(graph)
    found = None if stage is None else variety_of(dataset.artefact(stage.file))
    if found is None:
        return {"unique": None, "near_duplicates": None}
    return {"unique": round(found.unique, DIGITS), "near_duplicates": round(found.near_duplicates, DIGITS)}


def leaf_coverage(dataset: Dataset, state: State, settings: Settings) -> float:
    """The share of the declared leaves that are there and lack nothing below."""
    short = {row.path for row in read_rows(dataset.artefact(FAILURES), FailureRow)}
    leaves = (row.path for row in read_rows(dataset.artefact(state.graph.tree.file), TagRow) if row.leaf)
    return round(sum(path not in short for path in leaves) / declared(settings).leaves(), DIGITS)
