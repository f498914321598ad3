"""What changed since the last build in the request behind one item; for the whole of it see `setting_names`."""

import json
from collections.abc import Iterator
from contextlib import closing

from distill_build.engine.manifest import Difference, explain
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import UsageError
from distill_build.records import JsonObject
from distill_build.settings import Stage
from distill_build.stages import answers, questions, tags
from distill_build.stages.dataset import Dataset
from distill_build.stages.default import DEFAULT
from distill_build.stages.recipe import Call
from distill_build.stages.session import Session


def item_changes(session: Session, item: str) -> Iterator[Difference]:
    """Where the request behind one item would differ now from the one that made it.

    `item` is an id. For a tag or question it is the first request of its parent: the later ones hold the items
    before them too. Raises UsageError for an id that the dataset does not have.
    """
    stage, row = find_item(session.dataset, item)
    old_key, call = _then_and_now(session, stage, row)
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        entry = store.get(old_key)
    if entry is None:
        raise UsageError(f"the request behind {item} is not in the cache {session.cache_dir} any more: build again")
    return explain(entry.manifest, call.manifest)


def find_item(dataset: Dataset, item: str) -> tuple[Stage, JsonObject]:
    """The row of an item with its stage, by id."""
    for stage in DEFAULT.names:
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
    for row in session.dataset.sources():
        if row.id == parent and (requests := row.of("tags") or row.of("questions")):
            return requests[0][0]
    raise UsageError(f"{session.dataset.runs} does not say any more which request that was: build again")
