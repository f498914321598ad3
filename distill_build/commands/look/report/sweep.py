"""The page of a sweep: what sweep.jsonl says of its jobs."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from distill_build.errors import StorageError
from distill_build.report.data import JobShown, SweepPage
from distill_build.sweeps.results import RESULTS, JobRow, read_results


def is_sweep(folder: Path) -> bool:
    """Whether the jobs of a sweep were compared in a folder."""
    return (folder / RESULTS).is_file()


def sweep_page(folder: Path, command: Callable[[Path], str]) -> SweepPage:
    """What its page shows; `command` writes the page of a job's folder.

    Raises StorageError for a sweep.jsonl that cannot be read.
    """
    results = read_results(folder)
    rows = results.rows if results is not None else _rows(folder / RESULTS)
    union = results.union if results is not None else None
    return SweepPage(
        name=folder.resolve().name,
        jobs=[_job(row, command(folder / row.job) if row.version is not None else None) for row in rows],
        calls=None if union is None else union.calls,
        tokens=None if union is None else union.tokens.prompt + union.tokens.completion,
        usd=None if union is None else union.usd,
    )


def _rows(place: Path) -> list[JobRow]:
    """The jobs alone, where the file of what they come to together is not of these."""
    try:
        return [msgspec.json.decode(line, type=JobRow) for line in place.read_bytes().splitlines()]
    except msgspec.DecodeError as error:
        raise StorageError(
            f"{place} cannot be read ({error}): run the sweep's command again, which writes it"
        ) from error


def _job(row: JobRow, page: str | None) -> JobShown:
    return JobShown(
        job=row.job,
        page=page,
        choices=row.choices,
        version=row.version,
        counts=row.counts,
        missing=row.missing,
        dropped=row.dropped,
        failures=row.failures,
        unique=row.unique,
        near_duplicates=row.near_duplicates,
        leaf_coverage=row.leaf_coverage,
        calls=row.calls,
        tokens=row.tokens.prompt + row.tokens.completion,
        usd=row.usd,
        error=row.error,
    )
