"""The settings and prompts that differ between two builds, by the names that a user knows.

The digest of a build and its explanation look at the same value (`Session.identity`); this module only puts the
names of settings to the places in it. It knows nothing of builds, so it is quick to import.
"""

from dataclasses import dataclass, replace
from typing import get_args

from distill_build.engine.manifest import Difference, explain
from distill_build.records import JsonObject
from distill_build.settings import ROLE_OF_STAGE, Stage


@dataclass(frozen=True, slots=True)
class Change:
    """One input of a stage that differs; `difference.path` is the setting's or template's name."""

    stage: str
    difference: Difference


def changes_between(old: JsonObject, new: JsonObject) -> list[Change]:
    """All inputs that differ between two identities of a session, in the order of the stages."""
    changes = []
    for part in new:
        for difference in explain(old.get(part, {}), new[part]):
            changes.append(Change(part, replace(difference, path=setting_name(part, difference.path))))
    return changes


def setting_name(part: str, place: str) -> str:
    """The name that a user knows: `sampling.temperature` of the answers is `teacher.temperature`."""
    head, _, rest = place.partition(".")
    if part not in get_args(Stage):
        return f"format.{place}" if place in ("reasoning", "metadata") else place
    role = ROLE_OF_STAGE[part]  # type: ignore[index]  # checked just above
    match head:
        case "prompt":
            return rest
        case "seed" | "language" | "system_prompt" | "scheme":
            return place
        case "per_request":
            return f"per_request.{part}"
        case "sampling":
            return f"{role}.{rest}"
        case "model":
            return f"{role}.name"
        case "weights":
            return f"{role}.path (its digest)"
    return f"{role}.{place}"
