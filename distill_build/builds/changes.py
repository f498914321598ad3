"""What changed since the last build in the request behind one item; for the whole of it see `causes`."""

from collections.abc import Iterator
from contextlib import closing

from distill_build.builds.session import Session
from distill_build.calls.call import Call
from distill_build.dataset.unit import Place, Row, View, restored
from distill_build.dataset.unit_lines import units_in
from distill_build.engine.manifest import ValueChange, changes_between
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import UsageError
from distill_build.graph import Graph
from distill_build.prompting.rendering import RenderingError
from distill_build.stages.list_stage import ListStage
from distill_build.stages.map_stage import MapStage


def item_changes(session: Session, item: str) -> Iterator[ValueChange]:
    """Where the request behind one item would differ now from the one that made it.

    `item` is an id. For an item of a list it is the first request of its list: the later ones hold the items before
    them too. Raises UsageError for an id that the dataset does not have, and for a row that no model was asked for.
    """
    try:
        old_key, call = _then_and_now(session, *_find(session, item))
    except RenderingError as error:
        raise UsageError(f"the prompt makes no request for {item} now: {error}") from error
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        entry = store.get(old_key)
    if entry is None:
        raise UsageError(f"the request behind {item} is not in the cache {session.cache_dir} any more: build again")
    return changes_between(entry.manifest, call.manifest)


def _find(session: Session, item: str) -> tuple[Graph, Row, Row]:
    """The stages that the dataset has, the row with that id, and its tag's."""
    graph = session.dataset.graph() or session.stages.graph
    stages = session.stages
    for tag, lines in units_in(session.dataset.artefact, graph, frozenset(graph.names)):
        rows = restored(
            tag,
            graph,
            lines,
            lambda stage, line, before: stages[stage].number(line) if stage in stages.graph else before,
            {},
        )
        found = next((row for row in (tag, *rows) if row.id == item), None)
        if found is not None:
            return graph, found, tag
    raise UsageError(f"{session.dataset.folder} has no item {item}: ids stand in {', '.join(graph.files)}")


def _then_and_now(session: Session, graph: Graph, row: Row, tag: Row) -> tuple[str, Call]:
    """The key of the request that made an item, and the request as it would be now."""
    if row.stage not in session.stages.graph:
        raise UsageError(f"{row.id} is of the stage {row.stage}, which these settings do not have: see stages=[…]")
    stage, path = session.stages[row.stage], tuple(tag.line["path"])
    if isinstance(stage, MapStage) and row.above is not None:
        others = View(graph).others(row.above, stage.refers_to, stage.name)
        if others is None:
            raise UsageError(f"what the prompt of {stage.name} names for {row.id} is not there: build again")
        call = stage.request(Place(path, tag.id), row.above.line, others, stage.number(row.line))
        key: str = row.line["call"]
        return key, call
    if isinstance(stage, ListStage):
        in_tree = stage is session.stages.tree
        above = (tag.line["parent"] or path[0]) if in_tree else tag.id
        earlier = _earlier(session, graph, tag.id)
        now = stage.request(path[:-1], [], 0, earlier[:-1]) if in_tree else stage.request(path, [], 0, earlier)
        return _first_call(session, above, stage.name), now
    raise UsageError(f"no model was asked for {row.id}: {row.stage} makes its rows from those above")


def _earlier(session: Session, graph: Graph, tag: str) -> list[list[str]]:
    """The labels before a tag in the list of its parent, and so on for each tag above it, level 1 first."""
    lists, found = dict[str | None, list[str]](), dict[str | None, list[list[str]]]()
    for row, _ in units_in(session.dataset.artefact, graph, frozenset({graph.tree.name})):
        parent, labels = row.line["parent"], lists.setdefault(row.line["parent"], [])
        found[row.id] = [*found.get(parent, []), list(labels)]
        if row.id == tag:
            break
        labels.append(row.line["label"])
    return found[tag]


def _first_call(session: Session, tag: str, stage: str) -> str:
    for row in session.dataset.sources():
        if row.id == tag and (requests := row.of(stage)):
            return requests[0][0]
    raise UsageError(f"{session.dataset.runs} does not say any more which request that was: build again")
