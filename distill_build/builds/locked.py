"""--locked and --frozen: a build that may give nothing but what distill.lock says."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from distill_build.builds.plan.plan import Plan
from distill_build.builds.session import Session
from distill_build.builds.versioning import lock_of
from distill_build.calls.budget import NOT_ASKED
from distill_build.calls.call import Call, Failed
from distill_build.dataset.layout import FAILURES, SOURCES, Dataset, State
from distill_build.dataset.lockfile import LOCK, Lock, facts_of, read_lock
from distill_build.dataset.rows import SourcesRow, TagRow, read_rows
from distill_build.errors import CorruptEntryError, DifferenceError, MissingCallError
from distill_build.history.causes import causes_between, recipe_of, until_cause
from distill_build.history.setting_wording import cause_words, listed
from distill_build.history.used_responses import sources_of
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, short
from distill_build.versions.archive import Archive
from distill_build.versions.snapshot import lines_of

SHOWN = 5
"""Differences that an error names; the number of all others is told."""


def locked_of(dataset: Dataset, options: Options) -> "Locked | None":
    """What the flags hold a build to; None where nothing does.

    Raises DifferenceError for a lock that cannot be gone by, and under --frozen where there is none.
    """
    if not (options.locked or options.frozen):
        return None
    place = dataset.artefact(LOCK)
    lock = read_lock(place)
    if lock is None and options.frozen:
        raise DifferenceError(f"--frozen: there is no {place}: build once without it, and commit the lock")
    return None if lock is None else Locked(lock, options.until)


def unlocked_note(dataset: Dataset, options: Options) -> str | None:
    """What is to be said where a build was to be held to a lock, and there is none yet."""
    place = dataset.artefact(LOCK)
    if not options.locked or place.exists():
        return None
    return f"there is no {place} yet, so --locked holds this build to nothing; it writes one (--frozen wants one)"


def foreign_lock(session: Session, plan: Plan) -> str | None:
    """What is to be said of the lock before a build that is not held to it; None for one that was written here.

    A lock of another version matters where something would be asked: somebody may have had the responses already.
    """
    state, place = session.dataset.state(), session.dataset.artefact(LOCK)
    try:
        lock = read_lock(place)
    except DifferenceError as error:
        return f"{error}. This build goes by the settings and writes a new one; the old one is kept"
    if lock is None or not plan.calls or (state is not None and state.version == lock.version):
        return None
    here = Archive(session.cache_dir).find(lock.version) is not None
    way = (
        f"which is not what {place.parent} holds: `distill-build checkout {place.parent}` brings it back"
        if here
        else "which was not built here: `cache pull` or `cache import` brings its responses"
    )
    return (
        f"{place} names version {short(lock.version)}, {way}, and --locked refuses anything else. This build goes by "
        f"the settings{', from the responses of that version on' if here else ''}"
    )


def locked_weights(dataset: Dataset) -> dict[str, str]:
    """The digests of weights files that the lock names, by role."""
    lock = read_lock(dataset.artefact(LOCK))
    recipe = lock.recipe if lock is not None else {}
    return {place[2]: fact for place, fact in recipe.items() if place[1:2] == ("models",) and place[3:] == ("weights",)}


class Locked(msgspec.Struct, frozen=True):
    """The lock that a build up to `until` is held to."""

    lock: Lock
    until: str

    def absent(self, call: Call) -> Failed:
        """What becomes of a call that is not stored: nothing was there either where the lock has missing items."""
        if self.lock.complete:
            raise not_stored("--locked", call.stage, call.path)
        return Failed(NOT_ASKED, 0, "nothing is asked under --locked")

    def refuse_requests(self, plan: Plan, session: Session) -> None:
        """Raises DifferenceError where a build would have to ask for what the locked version has."""
        if plan.calls and self.lock.complete:
            raise self.needs_requests(plan, session)

    def failures_as_they_were(self, rows: list[JsonObject], session: Session) -> bytes | None:
        """The text of failures.jsonl as it was when these items failed, where it can still be had.

        A build that asks nothing learns nothing of why they did.
        """
        wanted = [_failed_item(row) for row in rows]
        for known in self._known_failures(session):
            with suppress(msgspec.MsgspecError):  # one edited by hand
                if [_failed_item(msgspec.json.decode(line)) for line in known] == wanted:
                    return b"".join(line + b"\n" for line in known)
        return None

    def _known_failures(self, session: Session) -> Iterator[list[bytes]]:
        """The lines of failures.jsonl as it lies there, and as it was kept with the locked version."""
        place = session.dataset.artefact(FAILURES)
        if place.is_file():
            yield place.read_bytes().splitlines()
        with suppress(CorruptEntryError, msgspec.MsgspecError):
            archive = Archive(session.cache_dir)
            version = archive.find(self.lock.version)
            if version is not None and FAILURES in version.files:
                yield list(lines_of(archive.objects, version.files[FAILURES]))

    def needs_requests(self, plan: Plan, session: Session) -> DifferenceError:
        """What to raise where a build would have to ask."""
        return self._other(session, f"a build would send {_requests(plan)}, the first for {_first(plan)}")

    def refuse_others(self, state: State, new: dict[str, Path], session: Session, plan: Plan) -> None:
        """Raises DifferenceError where the files just made are not those of the lock; `new` maps names to them.

        Where a build by `plan` would ask, its version is not known, and is not the one that came of asking nothing.
        """
        if state.version != self.lock.version:
            if plan.calls:
                raise self.needs_requests(plan, session)
            raise self._other(session, f"a build would give {short(state.version)}{self._where(session, new)}")
        exports = lock_of(state, session).exports
        other = {
            name for name in exports.keys() | self.lock.exports if exports.get(name) != self.lock.exports.get(name)
        }
        if other:
            raise self._other(session, f"{', '.join(sorted(other))} would not be as locked")

    def _other(self, session: Session, what: str) -> DifferenceError:
        """What to raise where the locked version cannot be had. Raises CorruptEntryError where damage is the cause."""
        now = recipe_of(facts_of(session.identity))
        differences = [*until_cause(self.lock.until, self.until), *causes_between(recipe_of(self.lock.recipe), now)]
        if not differences and (damage := _damage(session, self.lock)) is not None:
            raise CorruptEntryError(
                f"what the locked version {short(self.lock.version)} was read from cannot be told, and {what}: "
                f"{damage}. Nothing was replaced"
            ) from damage
        way = (
            f"{listed(map(cause_words, differences), SHOWN)}. Set that back"
            if differences
            else "No setting and no prompt differs: bring the locked version's responses by cache import or cache pull"
        )
        return DifferenceError(
            f"not the locked version {short(self.lock.version)}: {what}. {way}, or build without --locked and --frozen "
            "for a new version. Nothing was replaced"
        )

    def _where(self, session: Session, new: dict[str, Path]) -> str:
        """The places below which other responses stand than in the locked version, where the cache can tell."""
        try:
            then = _locked_sources(Archive(session.cache_dir), self.lock)
        except CorruptEntryError:  # that it is another version is known without
            return ""
        now = read_rows(new[SOURCES], SourcesRow)
        other = {row.id for row in now if any(then.get(key, response) != response for key, response in row.responses)}
        paths = [session.settings.topic] if session.settings.topic in other else []
        tags = read_rows(new[session.stages.graph.tree.file], TagRow)
        paths += [" / ".join(row.path) for row in tags if row.id in other]
        return f", since other responses stand below {listed(paths, SHOWN)}" if paths else ""


def _locked_sources(archive: Archive, lock: Lock) -> dict[str, str]:
    """The responses behind the locked version, by call; none where it is not in the cache."""
    version = archive.find(lock.version)
    return {} if version is None else dict(source for row in sources_of(archive, version) for source in row.responses)


def _damage(session: Session, lock: Lock) -> CorruptEntryError | None:
    """The damage that hides what the locked version was read from."""
    archive = Archive(session.cache_dir)
    if archive.find(lock.version) is None:
        return archive.damage_in(session.dataset.folder)
    try:
        _locked_sources(archive, lock)
    except CorruptEntryError as error:
        return error
    return None


def _failed_item(row: JsonObject) -> JsonObject:
    """What a line of failures.jsonl speaks of, without why and how often."""
    return {name: row.get(name) for name in ("stage", "path", "question_id", "parent", "missing")}


def not_stored(flag: str, stage: str, path: tuple[str, ...]) -> MissingCallError:
    """What to raise where `flag` lets nothing be asked, and the call for the place at `path` is not in the cache."""
    return MissingCallError(
        f"{flag}: {stage} for {' / '.join(path)} would need a request that is not in the cache: build without {flag}, "
        "or bring the cache that has it (cache import, cache pull)"
    )


def _requests(plan: Plan) -> str:
    cost = plan.cost
    usd = "" if cost.usd is None else f" for about ${cost.usd:.4g}"
    about = "" if plan.exact else "about "
    return f"{about}{number_of(plan.calls, 'requests')}{usd} ({cost.prompt_tokens + cost.completion_tokens:,} tokens)"


def _first(plan: Plan) -> str:
    stage, path = plan.first
    return f"{stage} of {' / '.join(path)}"
