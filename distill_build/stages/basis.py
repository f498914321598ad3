"""What a build goes by as it finds its folder: the lock that it is held to, responses, and rows to take over."""

from dataclasses import dataclass

from distill_build.options import Options, Until
from distill_build.stages.assembly import Kept
from distill_build.stages.dataset import LEAF_FILES
from distill_build.stages.held_responses import HeldResponses, held_by_folder, held_by_version
from distill_build.stages.locked import Locked, locked_of
from distill_build.stages.session import Session
from distill_build.stages.tree import LeafOutcome


@dataclass(slots=True)
class Basis:
    """`locked` is None for a build that is held to nothing; `generation` is the cache's before any row is read."""

    locked: Locked | None
    held: HeldResponses
    kept: Kept
    generation: str


def basis_of(session: Session, options: Options) -> Basis:
    """What a build goes by now. Raises DifferenceError for a lock that cannot be gone by."""
    locked, generation = locked_of(session.dataset, options), session.directory.generation()
    version = locked.lock.version if locked is not None else None
    held = held_by_folder(session) if version is None else held_by_version(session.cache_dir, version)
    leaves = {} if held.responses else _leaves(session, options.until, generation)
    return Basis(locked, held, Kept(leaves, session.leaf_memo(), session.asked_anew), generation)


def _leaves(session: Session, until: Until, generation: str) -> dict[str, LeafOutcome]:
    """The leaves of the last build that a build may take over: none where its files or the cache are not as then."""
    dataset, state = session.dataset, session.dataset.state()
    usable = (
        state is not None
        and state.generation == generation
        and until in ("answers", "dataset")
        and all(name in state.outputs and state.outputs[name].holds(dataset.artefact(name)) for name in LEAF_FILES)
    )
    return dataset.leaves() if usable else {}
