"""sweep.jsonl: one line for each job, in the order asked for, with what it holds and what that has cost.

The same responses give the same lines: nothing of a run is in them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from distill_build.artefact_rows import FailureRow, OfTag, TagRow, read_rows
from distill_build.engine.artefacts import ArtefactWriter
from distill_build.engine.reading import ReadOnlyStore, holds_database
from distill_build.errors import DistillError
from distill_build.settings import Settings, Stage, leaf_count
from distill_build.stages.caller import paid_for
from distill_build.stages.dataset import FAILURES, Dataset, State
from distill_build.stages.sharing import Paid
from distill_build.stages.tally import STAGES
from distill_build.stages.versioning import missing_items
from distill_build.sweeps.jobs import Job, in_row
from distill_build.sweeps.shares import Jobs, by_jobs, total

RESULTS = "sweep.jsonl"
UNION = "runs/union.json"
UNKNOWN = Paid(0, 0, None)
USD_DIGITS = 9
DIGITS = 4
"""Of a share, after the point."""


class Tokens(msgspec.Struct, frozen=True):
    prompt: int = 0
    completion: int = 0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One job. `choices` are its swept settings as typed, `same` those of jobs that come to the same.

    `unique`, `near_duplicates` (of the questions) and `leaf_coverage` are shares from 0 to 1. `calls`, `tokens` and
    `usd` are those of all requests behind the job, whenever they were sent; `share_usd` is its part of what all jobs
    together cost. `usd` is None without prices. `error` says why there is no version.
    """

    job: str
    choices: dict[str, str]
    same: list[dict[str, str]] = []
    version: str | None = None
    until: str | None = None
    counts: dict[str, int] = {}
    missing: dict[str, int] = {}
    failures: int = 0
    unique: float | None = None
    near_duplicates: float | None = None
    leaf_coverage: float | None = None
    calls: int = 0
    tokens: Tokens = Tokens()
    usd: float | None = None
    share_usd: float | None = None
    error: str | None = None


class Union(msgspec.Struct, frozen=True):
    """What all jobs together have cost, where a request that several of them need counts once."""

    calls: int
    tokens: Tokens
    usd: float | None


class Results(msgspec.Struct, frozen=True):
    """A sweep.jsonl, and what its jobs come to together."""

    rows: list[Row]
    union: Union


def read_results(folder: Path) -> Results | None:
    """The results of the last time; None where there are none to go by."""
    try:
        rows = [msgspec.json.decode(line, type=Row) for line in (folder / RESULTS).read_bytes().splitlines()]
        return Results(rows, msgspec.json.decode((folder / UNION).read_bytes(), type=Union))
    except (OSError, msgspec.DecodeError):  # they are worked out again
        return None


def write_results(folder: Path, results: Results) -> None:
    """Replaces the files, where they are to change."""
    for name, data in (
        (RESULTS, msgspec.json.Encoder().encode_lines(results.rows)),
        (UNION, msgspec.json.encode(results.union)),
    ):
        place = folder / name
        if not place.exists() or place.read_bytes() != data:
            with ArtefactWriter(place.with_name(f".{place.name}.new")) as writer:
                writer.write(data)
            writer.path.replace(place)


def results_of(
    jobs: Sequence[tuple[Job, DistillError | None]], paid: dict[str, Paid], cache_dir: Path, before: Results | None
) -> Results:
    """The results of jobs, each with the error that ended it if one did.

    `paid` is what is known of calls' costs; the rest is read from the cache. What `before` says of the same version is
    taken over.
    """
    keys = [[] if error is not None else sorted(calls_behind(Dataset(job.folder))) for job, error in jobs]
    users = by_jobs(enumerate(keys))
    costs = complete(paid, users, cache_dir)
    known = {row.job: row for row in before.rows} if before is not None else {}
    rows = []
    for number, (job, error) in enumerate(jobs):
        if error is not None:
            rows.append(Row(**_names(job), error=str(error)))
        else:
            row = row_of(job, known.get(job.name))
            rows.append(msgspec.structs.replace(row, **costs_of(keys[number], users, costs)))
    usd = total(costs[key].usd for key in users)
    return Results(rows, Union(len(users), tokens_of(users, costs), in_full(usd)))


def calls_behind(dataset: Dataset) -> set[str]:
    """The keys of all calls that a dataset was made from."""
    return {key for row in dataset.sources() for key, _ in row.responses}


def complete(paid: dict[str, Paid], keys: Iterable[str], cache_dir: Path) -> Mapping[str, Paid]:
    """What every call has cost; nothing is known of one whose response is not, or no longer, in this cache."""
    missing = [key for key in keys if key not in paid]
    if not missing:
        return paid
    if not holds_database(cache_dir):  # jobs ran on other machines, with caches of their own
        return paid | dict.fromkeys(missing, UNKNOWN)
    store = ReadOnlyStore(cache_dir)
    try:
        found = {key: store.get(key) for key in missing}
    finally:
        store.close()
    return paid | {key: UNKNOWN if entry is None else paid_for(entry) for key, entry in found.items()}


def costs_of(keys: Sequence[str], users: Mapping[str, Jobs], costs: Mapping[str, Paid]) -> dict[str, Any]:
    """The fields of a row that say what is behind it."""
    usd = total(costs[key].usd for key in keys)
    share = None if usd is None else sum((costs[key].usd or 0.0) / len(users[key]) for key in keys)
    return {"calls": len(keys), "tokens": tokens_of(keys, costs), "usd": in_full(usd), "share_usd": in_full(share)}


def in_full(usd: float | None) -> float | None:
    """US dollars to a billionth: what lies beyond depends on the order of adding up."""
    return None if usd is None else round(usd, USD_DIGITS)


def tokens_of(keys: Iterable[str], costs: Mapping[str, Paid]) -> Tokens:
    """The tokens of so many calls."""
    each = [costs[key] for key in keys]
    return Tokens(sum(paid.prompt_tokens for paid in each), sum(paid.completion_tokens for paid in each))


def row_of(job: Job, before: Row | None) -> Row:
    """What a job's folder holds."""
    dataset = Dataset(job.folder)
    state = dataset.state()
    assert state is not None, "a job without an error has just been built, or is up to date"  # noqa: S101
    facts: dict[str, Any] = {
        "version": state.version,
        "until": state.until,
        "counts": {stage: count for stage, count in state.counts.items() if stage in reached(state.until)},
        "missing": missing_items(state, job.settings),
        "failures": sum(1 for _ in read_rows(dataset.artefact(FAILURES), FailureRow)),
    }
    if before is not None and (before.version, before.until) == (state.version, state.until):
        return msgspec.structs.replace(before, **_names(job), **facts)
    return Row(**_names(job), **facts, **variety(dataset), leaf_coverage=leaf_coverage(dataset, state, job.settings))


def _names(job: Job) -> dict[str, Any]:
    return {"job": job.name, "choices": in_row(job.choices), "same": [in_row(choices) for choices in job.same]}


def reached(until: str) -> tuple[Stage, ...]:
    """The stages that a build up to `until` fills."""
    return STAGES[: STAGES.index(until) + 1] if until in STAGES else STAGES


def variety(dataset: Dataset) -> dict[str, Any]:
    """How varied the questions are; nothing where there are none."""
    from distill_build.sweeps.questions import variety_of  # the library is for results that are new

    found = variety_of(dataset.artefact("questions.jsonl"))
    if found is None:
        return {"unique": None, "near_duplicates": None}
    return {"unique": round(found.unique, DIGITS), "near_duplicates": round(found.near_duplicates, DIGITS)}


def leaf_coverage(dataset: Dataset, state: State, settings: Settings) -> float:
    """The share of the declared leaves that have all that they were to get."""
    declared = leaf_count([settings.breadth_at(level) for level in range(1, settings.depth + 1)])
    if state.until == "tags":
        whole = sum(row.leaf for row in read_rows(dataset.artefact("tags.jsonl"), TagRow))
    elif state.until == "questions":
        held = Counter(row.tag for row in read_rows(dataset.artefact("questions.jsonl"), OfTag))
        whole = sum(number == settings.questions_per_tag for number in held.values())
    else:
        whole = len(dataset.leaves())
    return round(whole / declared, DIGITS)
