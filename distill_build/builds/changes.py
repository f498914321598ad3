"""What changed since the last build in the request behind one item; for the whole of it see `causes`."""

from collections.abc import Iterator, Mapping
from contextlib import closing

from distill_build.builds.session import Session
from distill_build.builds.walk.nodes import Node, topic_node
from distill_build.calls.call import Call
from distill_build.dataset.rows import TagRow, read_rows
from distill_build.dataset.unit import Row, View, nothing_lacks, restored, topic_row
from distill_build.dataset.unit_lines import units_in
from distill_build.engine.manifest import ValueChange, changes_between
from distill_build.engine.reading import ReadOnlyStore, Responses
from distill_build.errors import UsageError
from distill_build.graph import Graph
from distill_build.prompting.rendering import RenderingError
from distill_build.records import RENAMED_FROM, JsonObject
from distill_build.settings import declared_tree
from distill_build.stages.chain import Chain
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import BY_PERSON, MapStage
from distill_build.subtree import NOTHING_SAID, Subtree

LinesBelow = Mapping[str, list[JsonObject]]
"""The lines that hang on a tag, by stage."""


def item_changes(session: Session, item: str) -> Iterator[ValueChange]:
    """Where the request behind one item would differ now from the one that made it.

    `item` is an id. For an item of a list it is the first request of its list: the later ones hold the items before
    them too. Raises UsageError for an id that the dataset does not have, and for a row that no model was asked for.
    """
    with closing(ReadOnlyStore(session.cache_dir)) as store:
        try:
            old_key, call = _then_and_now(session, store, *_find(session, item), item)
        except RenderingError as error:
            raise UsageError(f"the prompt makes no request for {item} now: {error}") from error
        entry = store.get(old_key)
    if entry is None:
        raise UsageError(f"the request behind {item} is not in the cache {session.cache_dir} any more: build again")
    return changes_between(entry.manifest, call.manifest)


def _find(session: Session, item: str) -> tuple[Graph, Row, LinesBelow]:
    """The stages that the dataset has, and the tag that the row with that id hangs on, with all lines below it."""
    graph = session.dataset.graph() or session.stages.graph
    for tag, lines in units_in(session.dataset.artefact, graph, frozenset(graph.names)):
        if tag.id == item or any(line["id"] == item for each in lines.values() for line in each):
            return graph, tag, lines
    raise UsageError(f"{session.dataset.folder} has no item {item}: ids stand in {', '.join(graph.files)}")


def _row(session: Session, graph: Graph, node: Node, tag: Row, lines: LinesBelow, item: str) -> Row:
    """The row with that id, and those around it, as stages see them: with the labels that requests go by."""
    stages, path = session.stages, list(node.path)
    if tag.is_topic:
        tag = topic_row(tag.stage, path[0])
    else:
        line = {name: value for name, value in tag.line.items() if name != RENAMED_FROM}
        tag = Row(tag.stage, line | {"path": path, "label": path[-1]}, ())
    rows = restored(
        tag,
        graph,
        {name: [line | {"path": path} if "path" in line else line for line in each] for name, each in lines.items()},
        lambda stage, line, before: stages[stage].number(line) if stage in stages.graph else before,
        nothing_lacks,
    )
    return next(row for row in (tag, *rows) if row.id == item)


def _then_and_now(
    session: Session, store: Responses, graph: Graph, tag: Row, lines: LinesBelow, item: str
) -> tuple[str, Call]:
    """The key of the request that made an item, and the request as it would be now."""
    lineage = _lineage(session, store, graph, None if tag.is_topic else tag.id)
    row = _row(session, graph, lineage[-1], tag, lines, item)
    if row.stage not in session.stages.graph:
        raise UsageError(f"{row.id} is of the stage {row.stage}, which these settings do not have: see stages=[…]")
    if _is_by_hand(row):
        raise _given(row)
    stage, place = session.stages[row.stage], lineage[-1].at
    if isinstance(stage, MapStage) and row.above is not None:
        others = View(graph).others(row.above, stage.refers_to, stage.name)
        if others is None:
            raise UsageError(f"what the prompt of {stage.name} names for {row.id} is not there: build again")
        call = stage.request(place, row.above.line, others, stage.number(row.line))
        key: str = row.line["call"]
        return key, call
    if stage is session.stages.tree and _is_tag_by_hand(lineage[-1]):
        raise _given(row)
    if isinstance(stage, ListStage):
        unit = lineage[-2] if stage is session.stages.tree else lineage[-1]
        return _first_call(session, unit.id, stage.name), stage.request(unit.at, [], 0, unit.earlier())
    raise UsageError(f"no model was asked for {row.id}: {row.stage} makes its rows from those above")


def _given(row: Row) -> UsageError:
    return UsageError(f"no model was asked for {row.id}: it was given by hand")


def _is_tag_by_hand(node: Node) -> bool:
    """Whether no list of a model's has a tag that a person gave."""
    own = node.above.subtree.own if node.above is not None else NOTHING_SAID
    return node.listed is None and node.path[-1] in {*own.children, *own.holders}


def _is_by_hand(row: Row) -> bool:
    """Whether it is a person's own item, or a result that they gave with one."""
    return row.line.get("index", 0) < 0 or (row.line.get("model") == BY_PERSON and not row.line.get("call"))


def _lineage(session: Session, store: Responses, graph: Graph, tag: str | None) -> list[Node]:
    """The nodes from the topic down to a tag, each with the list that its children were taken from."""
    tree = read_rows(session.dataset.artefact(graph.tree.file), TagRow)
    rows, wanted = {row.id: row for row in tree}, list[TagRow]()
    here = tag
    while here is not None:
        wanted.append(rows[here])
        here = rows[here].parent
    lineage = [topic_node(session.settings.topic, declared_tree(session.settings))]
    for row in reversed(wanted):
        above, stage = lineage[-1], session.stages.tree
        above.chain = _listed(session, store, above)
        label = row.own_label
        by_hand, listed = list(above.subtree.own.children), above.chain.place_of(label)
        index = by_hand.index(label) if label in by_hand else len(by_hand)
        lineage.append(above.child(label, stage.shape.prefix, index, listed, _subtree_of(above, label, listed)))
    return lineage


def _subtree_of(above: Node, label: str, listed: int | None) -> Subtree:
    own = above.subtree.own
    if listed is None and label not in own.children and label in own.holders:
        return above.subtree.holding(own.holders[label])
    return above.subtree.below(own.children.get(label) or above.said_of_listed(label))


def _listed(session: Session, store: Responses, above: Node) -> Chain:
    """The list that a model gave of the children of a tag, as the responses say that the dataset was made from."""
    stage, chain = session.stages.tree, Chain(above.subtree.listed)
    calls = [source for row in session.dataset.sources() if row.id == above.id for source in row.of(stage.name)]
    for key, digest in calls:
        entry = store.get(key)
        attempts = () if entry is None else entry.attempts
        read = [stage.read(attempt.response) for attempt in attempts if attempt.digest == digest]
        for value in read:
            if isinstance(value, tuple):  # a reply that cannot stand is none
                chain.take(value, source=(key, digest), asked=False)
    return chain


def _first_call(session: Session, tag: str, stage: str) -> str:
    for row in session.dataset.sources():
        if row.id == tag and (requests := row.of(stage)):
            return requests[0][0]
    raise UsageError(f"{session.dataset.runs} does not say any more which request that was: build again")
