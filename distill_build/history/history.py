"""What changed with a version, against the one that it replaced."""

import msgspec

from distill_build.engine.manifest import ABSENT
from distill_build.errors import CorruptEntryError
from distill_build.history.causes import Cause, causes_between, until_cause
from distill_build.records import JsonObject, rows_of
from distill_build.versions.archive import Archive, Predecessor, Version


class HistoryStep(msgspec.Struct, frozen=True):
    """A version and what it replaced. `changes` are the settings and prompts that differ, one for each name.

    `reason` is why it is another version where no setting differs; or why nothing can be said of settings.
    """

    version: Version
    changes: tuple[Cause, ...]
    reason: str


def step_of(archive: Archive, version: Version) -> HistoryStep:
    """A version against the one that it replaced."""
    before = version.predecessor
    if before is None and not version.origin:
        return HistoryStep(version, (), "what it replaced was not recorded by the release that made it")
    if before is None:
        return HistoryStep(version, (), "the first version")
    try:
        changes = _changes(archive, before, version)
    except CorruptEntryError:
        return HistoryStep(version, (), "settings unknown: they are gone from the cache, or damaged; see cache fsck")
    return HistoryStep(version, changes, "" if changes else _reason(before, version))


def _changes(archive: Archive, before: Predecessor, version: Version) -> tuple[Cause, ...]:
    return (
        *until_cause(before.until, version.until),
        *causes_between(archive.recipe(before), archive.recipe(version)),
    )


def _reason(before: Predecessor, version: Version) -> str:
    """Why responses alone made another version."""
    more = {stage: number - before.counts.get(stage, 0) for stage, number in version.counts.items()}
    came = ", ".join(rows_of(number, stage, "more ") for stage, number in more.items() if number > 0)
    if came and before.missing:
        return f"{came}, which were missing before"
    if came:
        return came
    if version.spent is None:
        return "other responses"
    return "responses asked again" if version.spent.calls else "other responses from the cache"


def record_row(step: HistoryStep) -> JsonObject:
    """A step for programs."""
    version = step.version
    return {
        "version": version.version,
        "name": version.name,
        "topic": version.topic,
        "at": version.at,
        "until": version.until,
        "counts": version.counts,
        "missing": version.missing,
        "complete": version.complete,
        "spent": None if version.spent is None else msgspec.to_builtins(version.spent),
        "changes": [_change_row(change) for change in step.changes],
        "reason": step.reason or None,
        "replaced": version.predecessor.version if version.predecessor is not None else None,
    }


def _change_row(change: Cause) -> JsonObject:
    old, new = (None if side is ABSENT else side for side in (change.old, change.new))
    return {"name": change.name, "old": old, "new": new}
