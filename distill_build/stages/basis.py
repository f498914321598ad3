"""What a build goes by as it finds its folder: the lock that it is held to, responses, and rows to take over."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distill_build.artefact_rows import TagRow, read_rows
from distill_build.errors import CorruptEntryError
from distill_build.options import Options, Until
from distill_build.stages.assembly import Kept
from distill_build.stages.dataset import ARTEFACTS, LEAF_FILES, SOURCES, Dataset, State
from distill_build.stages.held_responses import HeldResponses
from distill_build.stages.locked import Locked, locked_of
from distill_build.stages.session import Session, matching_globs
from distill_build.stages.tree import LeafOutcome
from distill_build.stages.used_responses import Sources, sources_of
from distill_build.versions.archive import Archive, Version
from distill_build.versions.content import KeptContent, rows_in
from distill_build.versions.lockfile import LOCK, sound_lock

TAGS = ARTEFACTS[0]


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
    held = _held_by_folder(session) if version is None else _held_by_version(session.cache_dir, version)
    # A recalled leaf is not looked up, so nobody would learn that it holds others.
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


def _held_by_version(cache: Path, version: str) -> HeldResponses:
    """What `version` was made from; nothing where the cache does not know it, or its sources are damaged.

    What stands by now may give the same version then. A build that is held to the lock compares, and tells of the
    damage.
    """
    archive, held = Archive(cache), HeldResponses()
    if (record := archive.find(version)) is not None:
        with suppress(CorruptEntryError):
            held.add(sources_of(archive, record))
    return held


def _held_by_folder(session: Session) -> HeldResponses:
    """What the dataset was made from, where that may be other responses than stand; else nothing.

    Its files come first, then the versions that it has been: a build that reaches less, or other settings for a while,
    make it forget nothing.
    """
    dataset, state = session.dataset, session.dataset.state()
    held = HeldResponses()
    if state is not None and not state.holds_others and state.generation == session.directory.generation():
        return held
    archive, renewed = Archive(session.cache_dir), set[str]()
    if state is not None:
        held.since, renewed = state.rebuilding_since, _tags_named(dataset, state, archive)
        if SOURCES in state.outputs and state.outputs[SOURCES].holds(dataset.artefact(SOURCES)):
            held.add(dataset.sources(), renewed)
    sources = Sources(archive)
    for version in _versions_of(dataset, archive):
        with suppress(CorruptEntryError):  # fsck and verify tell of it; what stands counts then
            held.add(sources.of(version), renewed)
    return held


def _versions_of(dataset: Dataset, archive: Archive) -> list[Version]:
    """What a folder has been: first what its lock names, as in a fresh clone; then the newest."""
    root, known = archive.registry.root(dataset.folder), dict(archive.records.readable())
    own = [known[digest] for digest in reversed(root.versions) if digest in known] if root is not None else []
    lock = sound_lock(dataset.artefact(LOCK))  # of another one the build tells
    named = archive.find(lock.version) if lock is not None else None
    return own if named is None else [named, *(version for version in own if version.version != named.version)]


def _tags_named(dataset: Dataset, state: State, archive: Archive) -> set[str]:
    """Ids of the tags that an unfinished --rebuild names, with the topic's text where it names the topic."""
    if not state.rebuilding:
        return set()
    topic = str(state.recipe["tree"]["topic"])
    topics = {topic} if matching_globs(state.rebuilding, (topic,)) else set()
    return topics | {row.id for row in _tags(dataset, state, archive) if matching_globs(state.rebuilding, row.path)}


def _tags(dataset: Dataset, state: State, archive: Archive) -> Iterator[TagRow]:
    """The tags as the last build left them, from the cache where the folder's file was edited or is gone."""
    if TAGS in state.outputs and state.outputs[TAGS].holds(dataset.artefact(TAGS)):
        yield from read_rows(dataset.artefact(TAGS), TagRow)
    elif (version := archive.find(state.version)) is not None:
        with suppress(CorruptEntryError):
            yield from rows_in(KeptContent(archive.objects, version.files), TAGS, TagRow)
