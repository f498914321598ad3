"""The raw responses behind a dataset's rows, kept in its folder, for who loses the cache or gets the folder alone.

    runs/responses/<SHA-256 of the file>.gz    calls as a cache holds them, in the format of a bundle

The state names these packs among the files that the last build wrote, and says which file of sources they suffice for.
A build adds what they lack; where they hold far more than is used, it writes them anew. The rows would not do: requests
are shown more than rows hold, and what was read of a reply may be read otherwise one day.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from itertools import chain
from pathlib import Path
from typing import Protocol

import msgspec

from distill_build.builds.session import Session
from distill_build.cache.transfer.bundle import RECORD_BYTES, BundleWriter, Record, read_bundle
from distill_build.cache.transfer.importer import Importer
from distill_build.cache.transfer.packs import PACK_BYTES
from distill_build.dataset.layout import RESPONSES, SOURCES, Dataset, KeptCalls, State
from distill_build.dataset.rows import SourcesRow, read_rows
from distill_build.engine.artefacts import FileState, file_state, sync
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.entry import Entry, is_intact
from distill_build.engine.reading import ReadOnlyStore, Responses
from distill_build.engine.store import Store, decode_or_none
from distill_build.engine.temporary import no_room, temporary_folder
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.records import Source, number_of

MOST_SMALL_PACKS = 32
SMALL_PACK = 1 << 20
"""In bytes, compressed. So many small ones, as many builds leave them, are written anew as few."""
MOST_USELESS = 2
"""Packs that would hold so many times the calls in use are written anew."""


class KeptPacks(msgspec.Struct, frozen=True):
    """What a folder is to keep: the states of all packs, of which the `new` ones lie beside, and what they suffice for.

    Names are those of the dataset's files.
    """

    calls: KeptCalls
    outputs: dict[str, FileState]
    new: dict[str, Path]


class Keeping(Protocol):
    """A dataset, and the cache that its calls may be lacking in: of a session, say."""

    @property
    def dataset(self) -> Dataset: ...

    @property
    def cache_dir(self) -> Path: ...

    @property
    def directory(self) -> CacheDirectory: ...


class KeepingFolder(msgspec.Struct, frozen=True):
    """A dataset as it lies there, without what it is built with."""

    dataset: Dataset
    cache_dir: Path

    @property
    def directory(self) -> CacheDirectory:
        return CacheDirectory(self.cache_dir)


def keep_responses(session: Session, before: State | None, sources: Path, folder: Path) -> KeptPacks:
    """Has the folder keep the calls that the new file `sources` names; `folder` takes packs until they are moved."""
    packs, calls, held = _standing(session, before)
    wanted = dict[str, bool]()  # each key once, and whether packs lack it: there are very many
    for source in _named(sources):
        wanted[source[0]] = wanted.get(source[0], False) or _as_bytes(source) not in held
    del held
    lacking = [key for key, lacks in wanted.items() if lacks]
    small = sum(facts.size < SMALL_PACK for facts in packs.values())
    anew = small >= MOST_SMALL_PACKS or calls + len(lacking) > MOST_USELESS * len(wanted)
    if anew and (written := _write_all(session, wanted, folder)) is not None:
        packs, calls, lacking = {}, 0, []
    else:
        written = _write(session, lacking, folder)
    states = {path: file_state(path) for path, _ in written}
    new = {f"{RESPONSES}/{facts.sha256}.gz": path for path, facts in states.items()}
    kept = sum(number for _, number in written)
    suffices_for = file_state(sources).sha256 if kept >= len(lacking) else ""
    outputs = packs | {name: states[path] for name, path in new.items()}
    return KeptPacks(KeptCalls(suffices_for, calls + kept), outputs, new)


def take_responses(session: Session, store: Store, note: Callable[[str], None]) -> None:
    """Puts the calls that a folder keeps, and the cache lacks, into the cache; `note` is told of it.

    A pack that is not as the state says is left alone, and so is a call that is not what its digests say.
    """
    if (state := _state_with_more(session, store)) is not None:
        _take(session, state, store, session.cache_dir, store, note)


class StoreAndKept:
    """A store with the calls behind it that folders keep and it lacks, in a temporary place: a plan changes nothing."""

    def __init__(self, store: Responses | None, sessions: Iterable[Keeping], note: Callable[[str], None]) -> None:
        """`store` is None where there is no cache yet; `note` is told what is taken from where."""
        self._store = store
        self._kept: Store | None = None
        with ExitStack() as opened:
            if store is not None:
                opened.callback(store.close)
            for session in sessions:
                try:
                    state = _state_with_more(session, self)
                except OSError:  # one job's folder cannot be read: told with its name when that job is planned
                    continue
                if state is not None:
                    kept = self._kept = self._kept or _temporary_store(opened)
                    _take(session, state, self, kept.directory.path, kept, note)
            self._opened = opened.pop_all()

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a cache nor anything that was kept."""
        return not self._both()

    def get(self, key: str) -> Entry | None:
        found = None if self._store is None else self._store.get(key)
        return self._kept.get(key) if found is None and self._kept is not None else found

    def holds(self, key: str) -> bool:
        return any(each.holds(key) for each in self._both())

    def keys(self) -> Iterator[str]:
        return chain.from_iterable(each.keys() for each in self._both())

    def size(self) -> tuple[int, int]:
        sizes = [each.size() for each in self._both()]
        return sum(entries for entries, _ in sizes), sum(size for _, size in sizes)

    def close(self) -> None:
        self._opened.close()

    def _both(self) -> Sequence[Responses]:
        return [each for each in (self._store, self._kept) if each is not None]


class _TemporaryStore(Store):
    """A store in a temporary folder, which is no cache of anybody's: what goes wrong with it is the folder's."""

    def __init__(self, directory: Path) -> None:
        """Raises StorageError as `temporary_folder`."""
        try:
            super().__init__(directory)
        except StorageError as error:
            raise no_room(error.__cause__ or error) from error

    def _unusable(self, error: Exception) -> StorageError:
        return no_room(error)


def _temporary_store(stack: ExitStack) -> Store:
    """A store in a temporary folder, both of which end with `stack`."""
    folder = stack.enter_context(temporary_folder())
    return stack.enter_context(closing(_TemporaryStore(folder / "kept")))


def _standing(session: Session, before: State | None) -> tuple[dict[str, FileState], int, set[bytes]]:
    """The packs that are there and sound, how many calls they hold, and which responses."""
    if before is None or before.kept is None:
        return {}, 0, set()
    place, sources = session.dataset.artefact, session.dataset.artefact(SOURCES)
    packs = {name: facts for name, facts in before.packs.items() if facts.same_content(place(name))}
    told = SOURCES in before.outputs and before.outputs[SOURCES].holds(sources)
    if told and packs == before.packs and before.outputs[SOURCES].sha256 == before.kept.sources:
        return packs, before.kept.calls, {_as_bytes(source) for source in _named(sources)}
    calls, held = 0, set[bytes]()
    for name in packs:  # another version was brought back, or a pack is damaged: the others say what they hold
        for entry in _sound_calls(place(name)):
            calls += 1
            held |= {_as_bytes((entry.key, attempt.digest)) for attempt in entry.attempts}
    return packs, calls, held


def _sound_calls(place: Path) -> Iterator[Entry]:
    for record in _records(place):
        if (entry := decode_or_none(record.name, record.data)) is not None:
            yield entry


def _state_with_more(session: Keeping, store: Responses) -> State | None:
    """The state of a folder that keeps something, where `store` lacks some of what the folder was made from."""
    state = session.dataset.state()
    if state is None or not state.packs:
        return None
    if state.generation and state.of_cache == session.directory.words():  # it is the cache that it was then
        return None
    sources = session.dataset.artefact(SOURCES)
    told = SOURCES in state.outputs and state.outputs[SOURCES].holds(sources)
    return None if told and all(store.holds(key) for key, _ in _named(sources)) else state


def _take(
    session: Keeping, state: State, store: Responses, target: Path, into: Store, note: Callable[[str], None]
) -> None:
    """Puts the calls that a folder keeps and `store` lacks into the store that lies at `target`.

    The newest packs come first: of a call that was asked anew, they have the entry in which the newer reply stands.
    """
    seen, spoiled = set[str](), 0
    with Importer(target, into) as importer:
        for name, facts in reversed(state.packs.items()):
            if not facts.holds(place := session.dataset.artefact(name)):
                spoiled += 1
                continue
            for record in _records(place):
                if record.name not in seen and not store.holds(record.name):
                    seen.add(record.name)
                    with suppress(CorruptEntryError):  # as it lay in the cache: it is asked for again
                        importer.take(record)
    if spoiled:
        note(
            f"in {session.dataset.artefact(RESPONSES)} {number_of(spoiled, 'files')} of {len(state.packs):,} are gone "
            "or not as they were written, and so not used: bring them again from where they are whole, or what only "
            "they hold is asked for again"
        )
    if taken := importer.gains.calls:
        note(
            f"the cache {session.cache_dir} lacks {number_of(taken, 'calls')} that {session.dataset.folder} keeps: "
            "they are taken from there, and nothing is asked for them; --rebuild asks anew"
        )


def _records(place: Path) -> Iterator[Record]:
    with place.open("rb") as file:
        yield from (record for record in read_bundle(file, str(place)) if record.kind == "call")


def _write_all(session: Session, keys: Collection[str], folder: Path) -> list[tuple[Path, int]] | None:
    """As `_write`; None where the cache lacks some of them, so that older packs may not go."""
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        has_all = all(is_intact(store.stored(key)) for key in keys)
    return _write(session, keys, folder) if has_all else None


def _write(session: Session, keys: Collection[str], folder: Path) -> list[tuple[Path, int]]:
    """Writes the calls under `keys` into packs below `folder`, each with the number of its calls.

    What the cache has not, or damaged, is left out.
    """
    written: list[tuple[Path, int]] = []
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        stored = ((key, store.stored(key)) for key in keys)
        calls = (Record("call", key, data) for key, data in stored if is_intact(data) and len(data) <= RECORD_BYTES)
        (folder / RESPONSES).mkdir(parents=True, exist_ok=True)
        while (first := next(calls, None)) is not None:
            path = folder / RESPONSES / f"{len(written)}.gz"
            with path.open("wb") as file:
                bundle = BundleWriter(file)
                bundle.put(first)
                while bundle.size < PACK_BYTES and (record := next(calls, None)) is not None:
                    bundle.put(record)
                bundle.close()
            sync(path)
            written.append((path, bundle.count))
    return written


def _named(sources: Path) -> Iterator[Source]:
    """The key of each call, and the digest of its response."""
    return (source for row in read_rows(sources, SourcesRow) for source in row.responses)


def _as_bytes(source: Source) -> bytes:
    """A response in few bytes: there are very many."""
    return bytes.fromhex("".join(source))
