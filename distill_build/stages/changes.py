"""What changed since the last build, in the words of the settings.

The digest of a build and its explanation look at the same value (`Session.identity`); this module only puts the
names of settings to the places in it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from distill_build.engine.manifest import Difference, explain
from distill_build.engine.store import Store
from distill_build.errors import UsageError
from distill_build.records import JsonObject
from distill_build.settings import ROLE_OF_STAGE, Stage
from distill_build.stages import answers, questions, tags
from distill_build.stages.dataset import Dataset
from distill_build.stages.recipe import Call
from distill_build.stages.session import Session


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


def item_changes(session: Session, item: str) -> Iterator[Difference]:
    """Where the request behind one item would differ now from the one that made it.

    `item` is an id. For a tag or question it is the first request of its parent: the later ones hold the items
    before them too. Raises UsageError for an id that the dataset does not have.
    """
    stage, row = find_item(session.dataset, item)
    old_key, call = _then_and_now(session, stage, row)
    store = Store(session.cache_dir)
    try:
        entry = store.get(old_key)
    finally:
        store.close()
    if entry is None:
        raise UsageError(f"the request behind {item} is not in the cache {session.cache_dir} any more: build again")
    return explain(entry.manifest, call.manifest)


def find_item(dataset: Dataset, item: str) -> tuple[Stage, JsonObject]:
    """The row of an item with its stage, by id."""
    for stage in get_args(Stage):
        path = dataset.artefact(f"{stage}.jsonl")
        if path.exists():
            with path.open("rb") as lines:
                for line in lines:
                    if item.encode() in line and (row := json.loads(line))["id"] == item:
                        return stage, row
    raise UsageError(f"{dataset.folder} has no item {item}: ids stand in tags.jsonl, questions.jsonl and answers.jsonl")


def _then_and_now(session: Session, stage: Stage, row: JsonObject) -> tuple[str, Call]:
    """The key of the request that made an item, and the request as it would be now."""
    settings, recipe, path = session.settings, session.recipes[stage], tuple(row["path"])
    if stage == "answers":
        return row["call"], answers.request(recipe, settings, path, row["question"], row["sample"])
    if stage == "questions":
        return _first_call(session, row["tag"]), questions.request(recipe, settings, path, [], 0)
    return _first_call(session, row["parent"] or path[0]), tags.request(recipe, settings, path[:-1], [], 0)


def _first_call(session: Session, parent: str) -> str:
    calls = session.dataset.calls().get(parent)
    if not calls:
        raise UsageError(f"{session.dataset.runs} does not say any more which request that was: build again")
    return calls[0]
