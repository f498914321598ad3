"""Whose error it is that ends a sweep in which Hydra's plugins take part."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from distill_build.config import composition as config
from distill_build.config.launching import Batches, Launch, LaunchedJob
from distill_build.errors import DistillError
from distill_build.options import Options
from distill_build.project import Project
from distill_build.sweeps.jobs import Job, Variant
from distill_build.sweeps.objectives import Target
from distill_build.sweeps.results import JobRow


class Faulty:
    """A sweep of ours with a bug."""

    errors: dict[str, DistillError] = {}  # noqa: RUF012 - as in `Batches`

    def add(self, variants: Sequence[Variant], launch: Launch | None) -> list[Job]:  # noqa: ARG002 - as in `Batches`
        raise KeyError("ours")

    def row(self, job: Job) -> JobRow:
        raise AssertionError(job)

    def cap(self, job: Job) -> str | None:
        raise AssertionError(job)

    def finish(self, targets: Sequence[Target]) -> int:
        raise AssertionError(targets)

    def stop(self, error: DistillError, way_on: str, targets: Sequence[Target]) -> int:
        raise AssertionError(way_on, targets) from error


def open_sweep(folder: Path, options: Options) -> Batches:  # noqa: ARG001 - as a command's
    return Faulty()


@pytest.mark.parametrize("word", ["hydra.sweeper.max_batch_size=2", "hydra/sweeper=basic", "+hydra.job.env_set.A=b"])
def test_a_bug_of_ours_is_not_the_plugins(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = LaunchedJob(__name__, Options(), Project(tmp_path, tmp_path))
    with pytest.raises(KeyError, match="ours"):
        config.run(["-m", "topic=sports", "seed=1,2", word], lambda _: 1, lambda _: 1, lambda: job)
