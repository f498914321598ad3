"""Whether a dataset is up to date: decided from the last build's state and the times of its files alone.

What is left to do for one that is: new times of its files are noted, and a version that the cache has no more is kept
there again.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from distill_build.builds.session import Session
from distill_build.builds.versioning import is_kept, keep_again
from distill_build.dataset.layout import CHECKS, FAILURES, Dataset, State
from distill_build.engine.artefacts import FileState, file_state
from distill_build.engine.lock import in_use
from distill_build.engine.reading import writable


def current_state(session: Session, until: str) -> State | None:
    """The last build's state, where a build of these settings now would leave everything as it is."""
    state = session.dataset.state()
    if state is None or not state.complete or session.rebuild or state.rebuilding:
        return None
    if state.build != session.build_digest(until, session.directory.generation()):
        return None
    if (state.kept is not None) != session.settings.keep_responses:
        return None
    if any(kind(session.dataset, state) for kind in (edited_files, missing_files, stray_files)):
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


def stray_files(dataset: Dataset, state: State) -> list[Path]:
    """Files that are named like ours where the last build wrote none."""
    places = (dataset.artefact(name) for name in (*state.graph.files, FAILURES, CHECKS) if name not in state.outputs)
    return [place for place in places if place.exists()]


def settle(session: Session, state: State, note: Callable[[str], None]) -> None:
    """Ends a build with nothing to do; `note` is told where that has to wait. Raises OSError where it cannot write."""
    if (touched := _refreshed(session.dataset, state)) is not None:
        session.dataset.write_state(touched)
    if writable(session.cache_dir) and not is_kept(session, state):
        with in_use(session.cache_dir, note):
            keep_again(session, state)


def _refreshed(dataset: Dataset, state: State) -> State | None:
    """The state with the times of files that were touched but not changed, None where none was."""
    outputs: dict[str, FileState] = {}
    for name, facts in state.outputs.items():
        place = dataset.artefact(name)
        outputs[name] = facts if facts.untouched(place) else file_state(place, facts.sha256)
    return None if outputs == state.outputs else replace(state, outputs=outputs)
