"""What a build goes by as it finds its folder: the lock that it is held to, responses, and rows to take over."""

from collections.abc import Collection, Iterator
from contextlib import suppress

import msgspec

from distill_build.builds.assembly import PreviousBuild
from distill_build.builds.locked import Locked, locked_of
from distill_build.builds.present import PresentVersion
from distill_build.builds.session import Rebuild, Session
from distill_build.calls.pinned import PinnedResponses
from distill_build.dataset.layout import SOURCES, Dataset, State
from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.rows import Placed, TagRow, read_rows
from distill_build.errors import CorruptEntryError
from distill_build.graph import Graph
from distill_build.history.used_responses import Sources, sources_of
from distill_build.options import Options
from distill_build.versions.archive import Archive, Version
from distill_build.versions.content import KeptContent, rows_in


class Baseline(msgspec.Struct):
    """`locked` is None for a build that is held to nothing; `generation` and `losses` are the cache's before any row
    is read.

    `state` is that of the last build as it was found, `present` the version that lies there by that, or by the lock.
    """

    locked: Locked | None
    pinned: PinnedResponses
    previous: PreviousBuild
    generation: str
    losses: str
    state: State | None
    present: PresentVersion | None


def baseline_of(session: Session, options: Options) -> Baseline:
    """What a build goes by now. Raises DifferenceError for a lock that cannot be gone by."""
    locked = locked_of(session.dataset, options)
    generation, losses = session.directory.words()
    state = session.dataset.state()
    version = locked.lock.version if locked is not None else None
    if version is None:
        pinned = _pinned_by_folder(session, state, (generation, losses))
    else:
        pinned = _pinned_by_version(session, version)
    # What is recalled is not looked up, so nobody would learn that it holds others.
    looks_up = bool(pinned.responses) and (version is not None or (state is not None and state.holds_others))
    outcomes = {} if looks_up else _outcomes(session, state, generation)
    memo, verdicts = session.unit_memo(options.until), _verdicts(session.dataset, state)
    previous = PreviousBuild(session.dataset, outcomes, memo, session.rebuild.names, verdicts)
    if outcomes and state is not None:
        _look_at_reviews(session, state, previous)
    return Baseline(locked, pinned, previous, generation, losses, state, PresentVersion.of(session.dataset, state))


def _outcomes(session: Session, state: State | None, generation: str) -> dict[str, Outcome]:
    """What a build may take over of the last one: nothing where its files or the cache are not as then."""
    if state is None or state.generation != generation:
        return {}
    files = (*state.graph.up_to(state.until).files, SOURCES)
    sound = all(name in state.outputs and state.outputs[name].holds(session.dataset.artefact(name)) for name in files)
    return session.dataset.outcomes() if sound else {}


def _look_at_reviews(session: Session, state: State, previous: PreviousBuild) -> None:
    """Has the rows made again of which a person says something else than when the last build made them."""
    said = {key: review.said for key, review in session.settings.reviews_in_force.items()}
    for key, note in state.reviews.items():
        previous.reviewed.setdefault(note.tag, {})[key] = note
        if said.get(key) != note.said:
            previous.stale.add(note.tag)
    if new := said.keys() - state.reviews.keys():
        previous.stale |= set(_tags_of(session.dataset, state.graph.up_to(state.until), new))


def _tags_of(dataset: Dataset, graph: Graph, ids: Collection[str]) -> Iterator[str]:
    """The tags that rows with these ids lie below, as far as there are any; for the topic its text, as its unit has."""
    shapes = {shape.name: shape for key in ids if (shape := graph.of_id(key)) is not None and shape is not graph.tree}
    paths = {
        row.path
        for shape in shapes.values()
        for row in read_rows(dataset.artefact(shape.file), Placed)
        if row.id in ids
    }
    yield from (path[0] for path in paths if len(path) == 1)
    yield from (row.id for row in read_rows(dataset.artefact(graph.tree.file), TagRow) if row.path in paths)


def _verdicts(dataset: Dataset, state: State | None) -> frozenset[str]:
    """The transforms of the last build whose artefacts are as it wrote them."""
    if state is None:
        return frozenset()
    transforms = [shape for shape in state.graph if shape.kind == "transform" and shape.file in state.outputs]
    return frozenset(each.name for each in transforms if state.outputs[each.file].holds(dataset.artefact(each.file)))


def _pinned_by_version(session: Session, version: str) -> PinnedResponses:
    """What `version` was made from; nothing where the cache does not know it, or its sources are damaged.

    What stands by now may give the same version then. A build that is held to the lock compares, and tells of the
    damage.
    """
    archive, pinned = Archive(session.cache_dir), PinnedResponses()
    if (record := archive.find(version)) is not None:
        with suppress(CorruptEntryError):
            pinned.add(sources_of(archive, record))
    return pinned


def _pinned_by_folder(session: Session, state: State | None, of_cache: tuple[str, str]) -> PinnedResponses:
    """What the dataset was made from, where that may be other responses than stand; else nothing. Where the cache has
    lost some, another dataset may have asked for them since.

    Its files come first, then the versions that it has been: a build that reaches less, or other settings for a while,
    make it forget nothing.
    """
    dataset, pinned = session.dataset, PinnedResponses()
    if state is not None and not state.holds_others and state.of_cache == of_cache:
        return pinned
    archive, renewed = Archive(session.cache_dir), dict[str, frozenset[str]]()
    if state is not None:
        pinned.since, renewed = state.rebuilding_since, _renewed(dataset, state, archive)
        if SOURCES in state.outputs and state.outputs[SOURCES].holds(dataset.artefact(SOURCES)):
            pinned.add(dataset.sources(), renewed)
    sources = Sources(archive)
    for version in _versions_of(dataset, archive):
        with suppress(CorruptEntryError):  # fsck and verify tell of it; what stands counts then
            pinned.add(sources.of(version), renewed)
    return pinned


def _versions_of(dataset: Dataset, archive: Archive) -> list[Version]:
    """What a folder has been: first what its lock names, as in a fresh clone; then the newest."""
    root, known = archive.registry.root(dataset.folder), dict(archive.records.readable())
    own = [known[digest] for digest in reversed(root.versions) if digest in known] if root is not None else []
    lock = sound_lock(dataset.artefact(LOCK))  # of another one the build tells
    named = archive.find(lock.version) if lock is not None else None
    return own if named is None else [named, *(version for version in own if version.version != named.version)]


def _renewed(dataset: Dataset, state: State, archive: Archive) -> dict[str, frozenset[str]]:
    """What an unfinished --rebuild names."""
    if not state.rebuilding:
        return {}
    graph = state.graph
    rebuild, topic = Rebuild(state.rebuilding, graph.names), str(state.recipe["tree"]["topic"])
    paths = {topic: (topic,)} | {row.id: row.path for row in _tags(dataset, state, graph, archive)}
    named = {key: frozenset(name for name in graph.names if rebuild.names(path, name)) for key, path in paths.items()}
    return {key: stages for key, stages in named.items() if stages}


def _tags(dataset: Dataset, state: State, graph: Graph, archive: Archive) -> Iterator[TagRow]:
    """The tags as the last build left them, from the cache where the folder's file was edited or is gone."""
    file = graph.tree.file
    if file in state.outputs and state.outputs[file].holds(dataset.artefact(file)):
        yield from read_rows(dataset.artefact(file), TagRow)
    elif (version := archive.find(state.version)) is not None:
        with suppress(CorruptEntryError):
            yield from rows_in(KeptContent(archive.objects, version.files), file, TagRow)
