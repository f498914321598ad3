"""Whether a dataset is up to date: decided from the last build's state and the times of its files alone."""

from dataclasses import replace
from pathlib import Path

from distill_build.engine.artefacts import FileState, file_state
from distill_build.stages.dataset import Dataset, State
from distill_build.stages.session import Session


def current_state(session: Session, until: str) -> State | None:
    """The last build's state, where a build of these settings now would leave everything as it is."""
    state = session.dataset.state()
    if state is None or not state.complete or session.rebuild:
        return None
    if state.build != session.build_digest(until, session.directory.generation()):
        return None
    if edited_files(session.dataset, state) or missing_files(session.dataset, state):
        return None
    return state


def edited_files(dataset: Dataset, state: State) -> list[Path]:
    """Files whose content is no longer what the last build wrote."""
    places = ((dataset.artefact(name), facts) for name, facts in state.outputs.items())
    return [place for place, facts in places if place.exists() and not facts.same_content(place)]


def missing_files(dataset: Dataset, state: State) -> list[Path]:
    """Files of the last build that are gone."""
    places = (dataset.artefact(name) for name in state.outputs)
    return [place for place in places if not place.exists()]


def refreshed(dataset: Dataset, state: State) -> State | None:
    """The state with the times of files that were touched but not changed, None where none was."""
    outputs: dict[str, FileState] = {}
    for name, facts in state.outputs.items():
        place = dataset.artefact(name)
        outputs[name] = facts if facts.untouched(place) else file_state(place, facts.sha256)
    return None if outputs == state.outputs else replace(state, outputs=outputs)
