"""What a build does for versions: it says in the lock what it made, and keeps it in the cache."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from distill_build.builds.session import Session
from distill_build.builds.walk.tally import Tally
from distill_build.dataset.layout import EXPORTS, Dataset, State, kept_files
from distill_build.dataset.lockfile import LOCK, Lock, facts_of, sound_lock
from distill_build.engine.manifest import canonical
from distill_build.engine.objects import Objects
from distill_build.engine.reading import writable
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import missing_rows
from distill_build.versions.archive import Archive, Predecessor, Spent, Version
from distill_build.versions.snapshot import FileSnapshot, take_snapshot


def lock_of(state: State, session: Session) -> Lock:
    """The lock of what a build of `session` left."""
    artefacts = {name: state.outputs[name].sha256 for name in state.graph.files if name in state.outputs}
    exports = {
        name.removeprefix(f"{EXPORTS}/"): facts.sha256
        for name, facts in sorted(state.outputs.items())
        if name.startswith(f"{EXPORTS}/")
    }
    return Lock(
        version=state.version,
        name=session.settings.name,
        until=state.until,
        counts=state.counts,
        missing=missing_in(state, session.settings),
        artefacts=artefacts,
        exports=exports,
        recipe=facts_of(state.recipe),
        stages=state.stages,
    )


def missing_in(state: State, settings: Settings) -> dict[str, int]:
    """Items that were declared and are not there, by stage, and rows that could not be judged, grouped or exported;
    nothing for a stage that has all, or was not reached."""
    return missing_rows(settings, state.graph.up_to(state.until), state.spared, state.counts) | state.unmade


def register(session: Session) -> None:
    """Makes the dataset known to the cache before anything is asked for: if this is killed, gc keeps what had come."""
    archive, folder = Archive(session.cache_dir), session.dataset.folder
    if writable(session.cache_dir) and archive.registry.root(folder) is None:
        archive.registry.register(folder, session.kept_as, [])


def is_kept(session: Session, state: State) -> bool:
    """Whether the cache knows the dataset, and lists what lies in its folder."""
    archive, folder = Archive(session.cache_dir), session.dataset.folder
    return archive.registry.root(folder) is not None and archive.newest(folder, state.version) is not None


def keep_again(session: Session, state: State) -> None:
    """Keeps the version that lies in the folder as `state` says, where `cache fsck` set its record aside, say."""
    register(session)
    if not is_kept(session, state):
        files = {name: session.dataset.artefact(name) for name in state.outputs}
        keep_version(session, state, files, Tally({}), 0.0)


def keep_unknown(session: Session, state: State) -> None:
    """Keeps the version that lies in the folder where the cache knows none such, as after the cache was lost: what is
    about to replace it leaves a way back. Files that were edited since are no version; they are kept beside."""
    files = {name: session.dataset.artefact(name) for name in kept_files(state.graph) if name in state.outputs}
    unknown = writable(session.cache_dir) and Archive(session.cache_dir).find(state.version) is None
    if unknown and all(state.outputs[name].holds(path) for name, path in files.items()):
        keep_version(session, state, files, Tally({}), 0.0)


def keep_version(session: Session, state: State, files: dict[str, Path], tally: Tally, seconds: float) -> None:
    """Keeps what a build made in the cache, unless it is what was there before.

    `files` maps names to the new files; the folder still has the old ones. What it took to make the version that lies
    there already, and of which the cache has lost its record, is not known. Nothing is kept in a cache that cannot be
    written: a build that found everything in there has made no version of its own.
    """
    archive, folder = Archive(session.cache_dir), session.dataset.folder
    if not writable(session.cache_dir):
        return
    before = _version_in(session.dataset)
    archive.inherit(folder, session.kept_as, state.version, before)
    if not archive.is_news(folder, state.version, before):
        return
    spent = Spent(tally.asked, *tally.tokens, tally.usd, round(seconds, 3))
    version = Version(
        version=state.version,
        name=session.kept_as,
        topic=str(state.recipe["tree"]["topic"]),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        until=state.until,
        counts=state.counts,
        missing=_missing_of(state, session),
        spent=None if state.version == before else spent,
        recipe=archive.objects.put(canonical(state.recipe)),
        stages=state.stages,
        files=_snapshots(archive.objects, {name: files[name] for name in kept_files(state.graph) if name in files}),
    )
    archive.add(folder, version, _as_predecessor(session, archive, before))


def _snapshots(objects: Objects, files: Mapping[str, Path]) -> dict[str, FileSnapshot]:
    """Keeps files side by side: most of the time goes into waiting until the disk has a chunk."""
    from concurrent.futures import ThreadPoolExecutor  # a build with nothing to do keeps nothing

    with ThreadPoolExecutor() as threads:
        return dict(zip(files, threads.map(partial(take_snapshot, objects), files.values()), strict=True))


def _missing_of(state: State, session: Session) -> dict[str, int]:
    """As `missing_in`: for what other settings made, what the lock beside it says."""
    if state.recipe == session.identity:
        return missing_in(state, session.settings)
    lock = sound_lock(session.dataset.artefact(LOCK))
    return lock.missing if lock is not None and lock.version == state.version else {}


def _version_in(dataset: Dataset) -> str | None:
    """The version that lies in a folder, or should by its lock, as in a fresh clone; None where nothing does."""
    if (state := dataset.state()) is not None:
        return state.version
    lock = sound_lock(dataset.artefact(LOCK))
    return lock.version if lock is not None else None


def _as_predecessor(session: Session, archive: Archive, version: str | None) -> Predecessor | None:
    """What a history tells of the version that lies in the folder; None where no more than its digest is known.

    Another folder's record of the same version comes last: it may have been made by other settings.
    """
    state = session.dataset.state()
    if version is None:
        return None
    if (record := archive.newest(session.dataset.folder, version)) is not None:
        return record.as_predecessor()
    if state is not None:
        recipe = archive.objects.put(canonical(state.recipe))
        return Predecessor(version=version, until=state.until, counts=state.counts, missing={}, recipe=recipe)
    record = archive.find(version, session.kept_as)
    return record.as_predecessor() if record is not None else None
