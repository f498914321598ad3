"""The jobs of a sweep prepared to be planned or built: prompts read, folders named, what is up to date found out."""

from collections.abc import Callable

import msgspec

from distill_build.builds.session import Session
from distill_build.builds.up_to_date import current_state, settle
from distill_build.dataset.layout import Dataset, State
from distill_build.dataset.transaction import finish_moves
from distill_build.engine.artefacts import replacing
from distill_build.errors import DistillError
from distill_build.export.formats import check_formats
from distill_build.options import Options
from distill_build.prompting.prompts import Prompts
from distill_build.stages.all import prompts_of
from distill_build.sweeps.jobs import Job, Sweep, is_of_all, told_with


class PreparedJob(msgspec.Struct, frozen=True):
    """A job with its number in the sweep, from 0. `state` is that of the last build where nothing is to be done."""

    number: int
    job: Job
    session: Session
    state: State | None

    @property
    def dataset(self) -> Dataset:
        return self.session.dataset


def prepare(sweep: Sweep, options: Options) -> list[PreparedJob]:
    """All jobs. Raises ConfigurationError, with the job, for prompts, weights or formats that cannot be used."""
    prompts: list[Prompts] = []
    prepared = []
    for number, job in enumerate(sweep.jobs):
        try:
            session = job_session(job, options, prompts)
        except DistillError as error:
            if number == 0 and is_of_all(error, lambda: job_session(sweep.jobs[-1], options, [])):
                raise
            raise told_with(job.choices, error) from error
        prepared.append(PreparedJob(number, job, session, _state(session, options.until)))
    return prepared


def _state(session: Session, until: str) -> State | None:
    try:
        return current_state(session, until)
    except OSError:  # whoever comes to build the job tells of it, with the job
        return None


def job_session(job: Job, options: Options, prompts: list[Prompts]) -> Session:
    """A job's settings made ready. `prompts` are those that other jobs have read already; new ones are added.

    Raises ConfigurationError for prompts, weights or formats that cannot be used.
    """
    settings, dataset = job.settings, Dataset(job.folder)
    check_formats(settings.formats)
    if (own := prompts_of(settings, prompts)) not in prompts:
        prompts.append(own)

    def weights() -> dict[str, str]:
        from distill_build.builds.locked import locked_weights  # jobs with nothing to do need none of it

        return locked_weights(dataset) if options.asks_nothing else {}

    return Session(settings, (), weights, dataset=dataset, kept_as=job.kept_as, prompts=own)


def of_job(job: Job, jobs: int) -> Callable[[DistillError], DistillError]:
    """An error with the job that it is about, where there are several."""
    return lambda error: told_with(job.choices, error) if jobs > 1 else error


def settled_state(prepared: PreparedJob, until: str, note: Callable[[str], None]) -> State | None:
    """Finishes what a killed build of this job has left half done; the state where nothing is to be done then."""
    dataset = prepared.dataset
    if prepared.state is None or replacing(dataset.runs):
        finish_moves(dataset, note)
        return current_state(prepared.session, until)
    settle(prepared.session, prepared.state, note)
    return prepared.state
