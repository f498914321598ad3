"""The raw responses behind a dataset's rows, kept in its folder, for who loses the cache or gets the folder alone.

    runs/responses/<SHA-256 of the file>.gz    calls as a cache holds them, in the format of a bundle

The state names these packs among the files that the last build wrote, and says which file of sources they suffice for.
A build adds what they lack; where they hold far more than is used, it writes them anew. The rows would not do: requests
are shown more than rows hold, and what was read of a reply may be read otherwise one day.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from distill_build.builds.session import Session
from distill_build.cache.transfer.bundle import RECORD_BYTES, BundleWriter, Record, read_bundle
from distill_build.cache.transfer.importer import BATCH_CALLS
from distill_build.cache.transfer.packs import PACK_BYTES
from distill_build.cache.validation import validated_call
from distill_build.dataset.layout import RESPONSES, SOURCES, KeptCalls, State
from distill_build.dataset.rows import SourcesRow, read_rows
from distill_build.engine.artefacts import FileState, file_state, sync
from distill_build.engine.entry import Entry
from distill_build.engine.reading import ReadOnlyStore, Responses
from distill_build.engine.store import Store
from distill_build.records import Source, number_of

MOST_PACKS = 32
MOST_USELESS = 2
"""Packs that would hold so many times the calls in use are written anew."""


@dataclass(frozen=True, slots=True)
class KeptPacks:
    """What a folder is to keep: the states of all packs, of which the `new` ones lie beside, and what they suffice for.

    Names are those of the dataset's files.
    """

    calls: KeptCalls
    outputs: dict[str, FileState]
    new: dict[str, Path]


def keep_responses(session: Session, before: State | None, sources: Path, folder: Path) -> KeptPacks:
    """Has the folder keep the calls that the new file `sources` names; `folder` takes packs until they are moved."""
    packs, held = _standing(session, before)
    calls = before.kept.calls if held and before is not None and before.kept is not None else 0
    wanted = dict.fromkeys(key for key, _ in _named(sources))
    lacking = list(dict.fromkeys(source[0] for source in _named(sources) if _short(source) not in held))
    if len(packs) >= MOST_PACKS or calls + len(lacking) > MOST_USELESS * len(wanted):
        packs, calls, lacking = {}, 0, list(wanted)
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        written = list(_write(((key, store.stored(key)) for key in lacking), folder))
    new = {f"{RESPONSES}/{file_state(path).sha256}.gz": path for path, _ in written}
    kept = sum(number for _, number in written)
    suffices_for = file_state(sources).sha256 if kept == len(lacking) else ""
    outputs = packs | {name: file_state(path) for name, path in new.items()}
    return KeptPacks(KeptCalls(suffices_for, calls + kept), outputs, new)


def take_responses(session: Session, store: Store) -> int:
    """Puts the calls that a folder keeps, and the cache lacks, into the cache; returns how many there were.

    A pack that is not as the state says is left alone, and so is a call that is not what its digests say.
    """
    taken = 0
    for batch in _batches(_lacking(session, store)):
        taken += store.unite(batch)
    return taken


def taken_note(session: Session, number: int) -> str:
    """What is said of calls that were taken from a folder."""
    return (
        f"the cache {session.cache_dir} lacks {number_of(number, 'calls')} that {session.dataset.folder} keeps: they "
        "are taken from there, and nothing is asked for them; --rebuild asks anew"
    )


class StoreAndKept:
    """A store with the calls behind it that folders keep and it lacks, in a temporary place: a plan changes nothing."""

    def __init__(self, store: Responses | None, sessions: Iterable[Session], note: Callable[[str], None]) -> None:
        """`store` is None where there is no cache yet; `note` is told what is taken from where."""
        self._store = store
        self._stack = ExitStack()
        self._kept: Store | None = None
        for session in sessions:
            taken = sum(self._opened().unite(batch) for batch in _batches(_lacking(session, self)))
            if taken:
                note(taken_note(session, taken))

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
        if self._store is not None:
            self._store.close()
        self._stack.close()

    def _both(self) -> Sequence[Responses]:
        return [each for each in (self._store, self._kept) if each is not None]

    def _opened(self) -> Store:
        if self._kept is None:
            folder = self._stack.enter_context(TemporaryDirectory(prefix="distill-plan-"))
            self._kept = self._stack.enter_context(closing(Store(Path(folder, "kept"))))
        return self._kept


def _standing(session: Session, before: State | None) -> tuple[dict[str, FileState], set[bytes]]:
    """The packs that are there, and the responses that they hold; nothing where they cannot be added to."""
    if before is None or before.kept is None or SOURCES not in before.outputs:
        return {}, set()
    packs, sources = before.packs, session.dataset.artefact(SOURCES)
    sound = all(facts.same_content(session.dataset.artefact(name)) for name, facts in packs.items())
    if not sound or before.outputs[SOURCES].sha256 != before.kept.sources or not before.outputs[SOURCES].holds(sources):
        return {}, set()
    return packs, {_short(source) for source in _named(sources)}


def _lacking(session: Session, store: Responses | StoreAndKept) -> Iterator[Entry]:
    """The calls that a folder keeps, and `store` lacks."""
    state = session.dataset.state()
    if state is None or state.generation == session.directory.generation():  # it is the cache that it was then
        return
    sources = session.dataset.artefact(SOURCES)
    told = SOURCES in state.outputs and state.outputs[SOURCES].holds(sources)
    if told and all(store.holds(key) for key, _ in _named(sources)):
        return
    for name, facts in state.packs.items():
        if facts.holds(place := session.dataset.artefact(name)):
            yield from _calls_in(place, store)


def _calls_in(place: Path, store: Responses | StoreAndKept) -> Iterator[Entry]:
    with place.open("rb") as file:
        for record in read_bundle(file, str(place)):
            if record.kind == "call" and not store.holds(record.name):
                yield validated_call(record.name, record.data)


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH_CALLS:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(calls: Iterable[tuple[str, object]], folder: Path) -> Iterator[tuple[Path, int]]:
    """Writes calls into packs below `folder`, each with the number of its calls; what no pack takes is left out."""
    sound = (Record("call", key, data) for key, data in calls if isinstance(data, bytes) and len(data) <= RECORD_BYTES)
    (folder / RESPONSES).mkdir(parents=True, exist_ok=True)
    number = 0
    while (first := next(sound, None)) is not None:
        path, number = folder / RESPONSES / f"{number}.gz", number + 1
        with path.open("wb") as file:
            bundle = BundleWriter(file)
            bundle.put(first)
            while bundle.size < PACK_BYTES and (record := next(sound, None)) is not None:
                bundle.put(record)
            bundle.close()
        sync(path)
        yield path, bundle.count


def _named(sources: Path) -> Iterator[Source]:
    """The key of each call, and the digest of its response."""
    return (source for row in read_rows(sources, SourcesRow) for source in row.responses)


def _short(source: Source) -> bytes:
    """A response in few bytes: there are very many."""
    return bytes.fromhex("".join(source))
