"""What changed since the last build in the request behind one row; for the whole of it see `causes`."""

from collections.abc import Iterator
from contextlib import closing

from distill_build.engine.manifest import Difference, explain
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import UsageError
from distill_build.graph import Shape
from distill_build.records import JsonObject
from distill_build.stages import answers, questions, tags
from distill_build.stages.dataset import Dataset
from distill_build.stages.default import DEFAULT
from distill_build.stages.recipe import Call
from distill_build.stages.session import Session
from distill_build.versions.content import FolderContent
from distill_build.versions.difference_rows import VersionRows


def item_changes(session: Session, item: str) -> Iterator[Difference]:
    """Where the request behind one row would differ now from the one that made it.

    `item` is the id of a row that a model was asked for. For a row of a list it is the first request of its parent:
    the later ones hold the rows before them too. Raises UsageError for an id that the dataset does not have.
    """
    shape, row = find_item(session.dataset, item)
    call = _now(session, shape, row)
    old_key = row["call"] if shape.kind == "map" else _first_call(session, shape, row)
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        entry = store.get(old_key)
    if entry is None:
        raise UsageError(f"the request behind {item} is not in the cache {session.cache_dir} any more: build again")
    return explain(entry.manifest, call.manifest)


def find_item(dataset: Dataset, item: str) -> tuple[Shape, JsonObject]:
    """The row of an item with its stage, by id. Raises UsageError where there is none, or where nothing was asked."""
    graph = dataset.graph() or DEFAULT
    shape = graph.of_id(item)
    if shape is not None and not shape.asks:
        raise UsageError(f"no model is asked for rows of {shape.name}: they are made of those of {shape.after}")
    rows = VersionRows(FolderContent(dataset.folder), graph)
    if shape is None or item not in (found := rows.only(shape, {item})):
        files = ", ".join(shape.file for shape in graph if shape.asks)
        raise UsageError(f"{dataset.folder} has no item {item}: ids stand in {files}")
    return shape, found[item]


def _now(session: Session, shape: Shape, row: JsonObject) -> Call:
    """The first request for a row, as it would be now."""
    settings, path = session.settings, tuple(row["path"])
    if shape.name == "answers":
        return answers.request(session.recipes["answers"], settings, path, row["question"], row["sample"])
    if shape.name == "questions":
        return questions.request(session.recipes["questions"], settings, path, [], 0)
    return tags.request(session.recipes["tags"], settings, path[:-1], [], 0)


def _first_call(session: Session, shape: Shape, row: JsonObject) -> str:
    """The key of the first request for the list that a row is of."""
    parent = row["parent"] if shape.after is None else row["tag"]
    for source in session.dataset.sources():
        if source.id == (parent or row["path"][0]) and (requests := source.of(shape.name)):
            return requests[0][0]
    raise UsageError(f"{session.dataset.runs} does not say any more which request that was: build again")
