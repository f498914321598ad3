"""Hydra's plugins of distill-build: a sweeper that composes nothing, a launcher that gives all jobs away together.

Hydra finds plugins in packages of this name alone. What is done with the jobs is for `distill_build.config` to say.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class UnionSweeper(BasicSweeper):
    """Hydra's basic sweeper, without composing every job for a look and without a multirun.yaml."""

    def sweep(self, arguments: list[str]) -> Any:
        from distill_build.sweeps.composing import combinations

        assert self.hydra_context is not None and self.launcher is not None  # noqa: PT018, S101 - set up by Hydra
        results = []
        jobs = combinations(self.hydra_context.config_loader, self.params, arguments)
        for start in range(0, len(jobs), self.max_batch_size or len(jobs)):
            batch = jobs[start : start + (self.max_batch_size or len(jobs))]
            results.append(self.launcher.launch(batch, initial_job_idx=start))
        for result in (each for batch in results for each in batch):
            _ = result.return_value  # raises what another launcher's job has raised
        return results


class UnionLauncher(Launcher):
    """Composes all jobs, and hands them over at once."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's Launcher."""
        self._loader = hydra_context.config_loader
        self._task: Any = task_function
        self._config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:  # noqa: ARG002 - Hydra's
        """Runs all jobs; each has the same return value, the status of all of them."""
        from distill_build.sweeps.composing import variants_of

        if not hasattr(self._task, "together"):
            raise TypeError("hydra/launcher=union works for distill-build alone")
        status = self._task.together(variants_of(self._loader, self._config, job_overrides))
        return [JobReturn(overrides=words, status=JobStatus.COMPLETED, _return_value=status) for words in job_overrides]
