"""Sweeps in which Hydra's plugins take part: a sweeper that makes the jobs, a launcher that runs each of them.

    hand_out          has the configured sweeper make the jobs; its launcher is always `UnionLauncher`, which gives
                      them to a `Handout`
    Handout.launch    composes a batch of jobs and names their folders. They are built together in this process, or
                      the launcher that was asked for runs each
    LaunchedJob       what that launcher calls, in whatever process
    scope_of          what is known before the first job: where the sweep lies, what all jobs share, and what they are
                      judged by. Where the sweeper tries every combination, all jobs are known; where it searches, it
                      makes one by what came of others

Knows Hydra and OmegaConf.
"""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from distill_build.builds.report import Report
from distill_build.config.checks import check_until, objective_names
from distill_build.config.curation import check_answers_by_hand
from distill_build.config.free_text import quote
from distill_build.config.multirun import OURS, ComposedSweep, in_common, parsed_overrides, variants_of
from distill_build.config.naming import dataset_name
from distill_build.config.resolution import plain_data, settings_of
from distill_build.engine.manifest import digest
from distill_build.errors import ConfigurationError, DistillError, InterruptedBuildError, StoppedError, UsageError
from distill_build.options import Options
from distill_build.project import Project, enter
from distill_build.settings import Objective
from distill_build.sweeps.jobs import ID_DIGITS, NOT_CONTENT, SWEEPS, Job, Variant, sweep_of
from distill_build.sweeps.objectives import Target, check_objectives, targets_of, values_of
from distill_build.sweeps.results import JobRow

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper
    from omegaconf import DictConfig

ENUMERATING = (OURS["sweeper"], "hydra._internal.core_plugins.basic_sweeper.BasicSweeper")
"""Sweepers that try every combination: what they will ask for is known beforehand."""
Launch = Callable[[Sequence[tuple[int, Job]]], list[Report | DistillError]]
"""Runs jobs, each with its number in the batch."""


class JobBugError(Exception):
    """Carries what a job has raised past the sweeper and the launcher, which might take it for their own."""


class Batches(Protocol):
    """A sweep whose jobs are told in batches."""

    @property
    def errors(self) -> dict[str, DistillError]:
        """Those that ended jobs, by the jobs' names."""

    def add(self, variants: Sequence[Variant], launch: Launch | None) -> list[Job]:
        """Builds more jobs, together or as `launch` does; the job of each variant."""

    def row(self, job: Job) -> JobRow:
        """What a job that was built holds."""

    def cap(self, job: Job) -> StoppedError | None:
        """What has cut a job short, if something has."""

    def finish(self, targets: Sequence[Target]) -> int:
        """Compares all jobs, by `targets` where the sweeper has some, and returns the exit code."""

    def stop(self, error: DistillError, way_on: str, targets: Sequence[Target]) -> int:
        """As `finish` where `error` has ended the sweep before its time. Raises it, unless a job or a cap has ended so.

        `way_on` says what to do where it is.
        """


class LaunchedJob(msgspec.Struct, frozen=True):
    """A job as another launcher calls it: pickled, and in a process that knows nothing else.

    `module` has a function `run_job`; `project` says from where paths count.
    """

    module: str
    options: Options
    project: Project

    def open(self, folder: Path) -> Batches:
        """The sweep in `folder`, for the process that launches the jobs."""
        batches: Batches = importlib.import_module(self.module).open_sweep(folder, self.options)
        return batches

    def __call__(self, composed: "DictConfig") -> Report | DistillError:
        """Builds the job in the folder that Hydra names. An error that has a sentence is a result like any other."""
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        root = self.project.root
        if not root.is_dir():
            return ConfigurationError(f"{root} is not on this machine: jobs run in the project's folder")
        os.chdir(root)
        enter(self.project)
        try:
            settings = settings_of(composed, hydra.runtime.choices)
            inside = Path(hydra.sweep.dir, hydra.sweep.subdir).relative_to(Path(settings.output_dir).absolute())
            folder = Path(settings.output_dir) / inside
            report: Report = importlib.import_module(self.module).run_job(settings, folder, self.options)
        except DistillError as error:
            return error
        if isinstance(report.stopped, InterruptedBuildError):
            raise KeyboardInterrupt from report.stopped  # which a launcher takes for the end of all jobs
        return report


class SweepScope(msgspec.Struct, frozen=True):
    """`fixed` are the words that all jobs have in common, `objectives` the numbers that the sweeper wants of each."""

    folder: Path
    fixed: frozenset[str]
    objectives: tuple[Objective, ...] = ()


class Handout(msgspec.Struct, frozen=True):
    """What Hydra takes for the task: it hands the jobs out.

    A sweeper that wants no numbers is not told of jobs that failed: it would leave out those that come after.
    """

    job: LaunchedJob
    batches: Batches
    sweep: ComposedSweep
    scope: SweepScope

    def __call__(self, composed: "DictConfig") -> Any:  # noqa: ARG002 - as Hydra calls a task
        """Hydra's launchers call `job`; only our own gets this."""
        raise TypeError("a Handout launches jobs; it is none")

    def launch(
        self, all_words: Sequence[Sequence[str]], first: int, launcher: "Launcher | None"
    ) -> "Sequence[JobReturn]":
        """Builds a batch of jobs, each given by its words; `first` is the number of the first.

        Raises JobBugError for a bug of ours.
        """
        try:
            return self._launch(all_words, first, launcher)
        except (DistillError, JobBugError):
            raise
        except Exception as bug:
            raise JobBugError from bug

    def _launch(
        self, all_words: Sequence[Sequence[str]], first: int, launcher: "Launcher | None"
    ) -> "Sequence[JobReturn]":
        from hydra.core.utils import JobReturn, JobStatus

        def launch(jobs: Sequence[tuple[int, Job]]) -> list[Report | DistillError]:
            assert launcher is not None  # noqa: S101 - not given away otherwise
            return launched_results(launcher, [[*all_words[number], *self._place(job)] for number, job in jobs], first)

        objectives = self.scope.objectives
        variants = variants_of(self.sweep.loader, self.sweep.master, all_words, self.scope.fixed)
        for variant in variants:
            check_until(self.job.options.until, variant.settings)
            check_answers_by_hand(variant.settings)
        check_objectives(objectives, [variant.settings for variant in variants], self.job.options.until)
        returns = []
        for words, job in zip(all_words, self.batches.add(variants, launch if launcher else None), strict=True):
            if objectives and (cap := self.batches.cap(job)) is not None:
                raise cap  # numbers of a job that was cut short say nothing of its values
            error = self.batches.errors.get(job.name) if objectives else None
            status = JobStatus.FAILED if error else JobStatus.COMPLETED
            value = error or (values_of(self.batches.row(job), objectives) if objectives else None)
            returns.append(JobReturn(overrides=words, status=status, _return_value=value))
        return returns

    def _place(self, job: Job) -> tuple[str, str]:
        """The words that tell Hydra, and so `LaunchedJob`, where a job's folder is."""
        return (
            f"hydra.sweep.dir={quote(str(self.scope.folder.absolute()))}",
            f"hydra.sweep.subdir={quote(job.name)}",
        )


def launched_results(launcher: "Launcher", all_words: list[list[str]], first: int) -> list[Report | DistillError]:
    """What became of the jobs. Raises ConfigurationError where the launcher fails, JobBugError for a bug of ours."""
    from hydra.core.utils import JobStatus

    try:
        returned = launcher.launch(all_words, first)
    except Exception as error:
        raise gave_up(launcher, error) from error
    for each in returned:
        if each.status != JobStatus.COMPLETED:
            raise JobBugError from each._return_value
    return [each._return_value for each in returned]


def gave_up(plugin: object, error: Exception) -> ConfigurationError:
    """The sentence for an error of somebody else's plugin."""
    return ConfigurationError(
        f"{type(plugin).__name__} gave up ({type(error).__name__}: {first_line(error)}). Jobs that are finished have "
        "their files: run the sweep again to go on"
    )


def hand_out(sweep: ComposedSweep, job: LaunchedJob) -> int:
    """Runs a sweep as its configuration says, and returns the exit code.

    Raises ConfigurationError for a mistake in a job: before the first one begins, where the jobs are known by then,
    else when those before it are compared.
    """
    from hydra._internal.callbacks import Callbacks
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext

    master, scope = sweep.master, scope_of(sweep)
    batches = job.open(scope.folder)
    handout = Handout(job, batches, sweep, scope)
    set_up_launcher(master, scope.folder)
    callbacks = Callbacks(master)
    callbacks.on_multirun_start(config=master, config_name=master.hydra.job.config_name)
    context = HydraContext(config_loader=sweep.loader, callbacks=callbacks)
    sweeper = Plugins.instance().instantiate_sweeper(config=master, hydra_context=context, task_function=handout)
    error = swept(sweeper, sweep)
    targets = targets_of(scope.objectives, master.hydra.sweeper.get("direction"))
    status = batches.finish(targets) if error is None else batches.stop(error, way_on(master, error), targets)
    callbacks.on_multirun_end(config=master, config_name=master.hydra.job.config_name)
    return status


def swept(sweeper: "Sweeper", sweep: ComposedSweep) -> DistillError | None:
    """Has the sweeper make and launch all jobs; the error that has ended this before its time."""
    from hydra.core.utils import env_override

    try:
        with env_override(sweep.master.hydra.job.env_set):
            sweeper.sweep(arguments=sweep.words)
    except JobBugError as carrier:
        raise (carrier.__cause__ or carrier) from None
    except InterruptedBuildError:
        raise
    except DistillError as error:
        return error
    except Exception as error:  # noqa: BLE001 - somebody else's
        return gave_up(sweeper, error)
    return None


def way_on(master: "DictConfig", error: DistillError) -> str:
    """What to do where a sweeper has stopped for a cap, or for a job that failed."""
    if isinstance(error, StoppedError):
        return "raise or leave out the cap (budget.*, -k), and run the sweep again to go on"
    patient = "max_failure_rate" in master.hydra.sweeper
    past = "; hydra.sweeper.max_failure_rate=1 goes on past jobs that fail" if patient else ""
    return f"mend what failed and run the sweep again to go on{past}"


def first_line(error: Exception) -> str:
    """What an error says before it goes into detail."""
    return str(error).strip().partition("\n")[0].rstrip(".")


def set_up_launcher(master: "DictConfig", folder: Path) -> None:
    """Makes our launcher the sweeper's own, with the configured one behind it, and `folder` the sweep's."""
    from omegaconf import open_dict, read_write

    launcher = master.hydra.launcher
    with read_write(master), open_dict(master):
        master.hydra.sweep.dir = str(folder.absolute())
        if launcher.get("_target_") != OURS["launcher"]:
            master.hydra.launcher = {"_target_": OURS["launcher"], "_recursive_": False, "launcher": launcher}


def scope_of(sweep: ComposedSweep) -> SweepScope:
    """The scope of a sweep. Raises ConfigurationError for a mistake in any job that is known by now."""
    if enumerates(sweep):
        jobs = sweep.combinations()
        return SweepScope(sweep_of(variants_of(sweep.loader, sweep.master, jobs)).folder, in_common(jobs))
    data = plain_data(sweep.master, sweep.master.hydra.runtime.choices)
    return SweepScope(folder_for(sweep), fixed_words(sweep), objective_names(data["objective"]))


def enumerates(sweep: ComposedSweep) -> bool:
    """Whether the sweeper tries every combination of values that are given."""
    return sweep.master.hydra.sweeper.get("_target_") in ENUMERATING


def refuse_search(sweep: ComposedSweep) -> None:
    """Raises UsageError where a sweeper would choose values by what came of other jobs, and there is no build."""
    if not enumerates(sweep):
        sweeper = str(sweep.master.hydra.sweeper.get("_target_")).rpartition(".")[2]
        raise UsageError(
            f"{sweeper} chooses values by what came of others, so there is nothing to say before a build: list the "
            "values, and leave out hydra/sweeper"
        )


def fixed_words(sweep: ComposedSweep) -> frozenset[str]:
    """The words without several values, spelled as sweepers pass them on."""
    return frozenset(
        f"{override.get_key_element()}={override.get_value_element_as_str()}"
        for override in parsed_overrides(sweep.loader, sweep.words)
        if not override.is_sweep_override()
    )


def folder_for(sweep: ComposedSweep) -> Path:
    """The folder of a sweep whose jobs nobody knows yet: named by the words that say what is searched."""
    data = plain_data(sweep.master, sweep.master.hydra.runtime.choices)
    overrides = parsed_overrides(sweep.loader, sweep.words)
    params = {str(key): str(value) for key, value in (sweep.master.hydra.sweeper.get("params") or {}).items()}
    varied = {override.key_or_group for override in overrides if override.is_sweep_override()} | set(params)
    content = sorted(
        str(word.input_line) for word in overrides if word.key_or_group.partition(".")[0] not in NOT_CONTENT
    )
    place = Path(data["output_dir"])
    if data["topic"] is not None and not varied & {"topic", "name"}:
        place /= data["name"] or dataset_name(str(data["topic"]))
    return place / SWEEPS / digest([content, sorted(params.items()), data["objective"]])[:ID_DIGITS]
