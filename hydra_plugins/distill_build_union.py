"""Hydra's plugins of distill-build: a sweeper that composes nothing, a launcher that gives all jobs away together.

Hydra finds plugins in packages of this name alone. What is done with the jobs is for `distill_build.config.launching`
to say.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class UnionSweeper(BasicSweeper):
    """Hydra's basic sweeper, without composing every job for a look and without a multirun.yaml."""

    def sweep(self, arguments: list[str]) -> Any:
        """Launches every combination of the values in `arguments`, in batches where these are wanted."""
        from distill_build.config.multirun import combinations

        assert self.hydra_context is not None and self.launcher is not None  # noqa: PT018, S101 - set up by Hydra
        jobs = combinations(self.hydra_context.config_loader, self.params, arguments)
        size = self.max_batch_size or len(jobs)
        return [self.launcher.launch(jobs[start : start + size], start) for start in range(0, len(jobs), size)]


class UnionLauncher(Launcher):
    """Hands jobs over to the sweep, which builds them together, or has another launcher run each of them."""

    def __init__(self, launcher: DictConfig | None = None) -> None:
        """`launcher` is the node of the other one, not yet instantiated."""
        self._node = launcher
        self._other: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's Launcher."""
        from distill_build.config.launching import Handout

        if not isinstance(task_function, Handout):
            raise TypeError("hydra/launcher=union works for a sweep of distill-build alone")
        self._handout = task_function
        if self._node is not None:
            theirs = config.copy()
            theirs.hydra.launcher = self._node
            self._other = Plugins.instance().instantiate_launcher(hydra_context, task_function.job, theirs)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs all jobs; the value of each is what a sweeper may go by."""
        return self._handout.launch(job_overrides, initial_job_idx, self._other)
