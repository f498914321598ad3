"""A dataset's folder → what its page is made of."""

from pathlib import Path

import msgspec

from distill_build.dataset.layout import Dataset
from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.dataset.rows import TagRow, read_rows
from distill_build.graph import Graph, Shape
from distill_build.history.history import HistoryStep
from distill_build.report.data import DatasetPage, DifferenceShown, RowsOnPage, StageFigures
from distill_build.report.drawing import Block, Drawing
from distill_build.report.facts import failures_of, setting_groups, version_lines
from distill_build.report.reading import Gathered, Reading
from distill_build.report.spending import spending_of
from distill_build.stages.training.rows import exported_stage


class Around(msgspec.Struct, frozen=True):
    """What is known of a dataset from outside of its folder. `steps` are its versions, newest first, and `cache` is
    where they and the responses lie; None where there is no cache. `held` is the version of its files; `notes` are
    sentences on it."""

    held: str | None
    steps: list[HistoryStep] | None
    cache: Path | None
    notes: list[str]
    difference: DifferenceShown | None = None


def dataset_page(dataset: Dataset, graph: Graph, around: Around, drawing: Drawing) -> tuple[DatasetPage, list[Block]]:
    """The page of `dataset`, and the rows that are on it. Raises StorageError for files that cannot be read."""
    failures, missing, by_stage = failures_of(dataset)
    reading = Reading(dataset, graph, missing, drawing)
    found = reading.run()
    blocks = drawing.blocks()
    recipe, state, lock = dataset.recipe(), dataset.state(), sound_lock(dataset.artefact(LOCK))
    exported = exported_stage(graph, recipe)
    groups, texts = setting_groups(recipe)
    topic = next((path[0] for path in missing), None) or topic_of(dataset, graph)
    page = DatasetPage(
        topic=topic,
        name=dataset.folder.resolve().name,
        version=around.held,
        at=next((step.version.at for step in around.steps or () if step.version.version == around.held), None),
        until=state.until if state is not None else lock.until if lock is not None else None,
        complete=state.complete if state is not None else lock.complete if lock is not None else None,
        notes=around.notes,
        exported_stage=None if exported is None else exported.name,
        exported=found.exported,
        stages=[_figures(shape, graph, found, by_stage[shape.name], reading.reached) for shape in graph],
        flags=dict(found.flags.most_common()),
        reviews=dict(found.reviews.most_common()),
        measure=reading.measure,
        tree=found.tree,
        below_topic=found.topic,
        topic_missing=missing[(topic,)],
        lengths=found.columns.lengths(),
        shares=found.columns.shares(),
        spending=spending_of(dataset, graph, around.cache),
        dropped=found.reasons(),
        pairs=reading.pairs(),
        failures=failures,
        settings=groups,
        texts=texts,
        versions=None if around.steps is None else version_lines(around.steps, around.held),
        rows=RowsOnPage(drawing.kept, drawing.seen, drawing.seed, len(blocks)),
        difference=around.difference,
    )
    return page, blocks


def topic_of(dataset: Dataset, graph: Graph) -> str:
    """The topic, which has no row of its own; a dataset with nothing in it is called by its folder."""
    first = next(read_rows(dataset.artefact(graph.tree.file), TagRow), None)
    return dataset.folder.resolve().name if first is None else first.path[0]


def _figures(shape: Shape, graph: Graph, found: Gathered, missing: int, reached: set[str]) -> StageFigures:
    above = graph.above(shape.name)
    is_transform = shape.kind == "transform"
    return StageFigures(
        name=shape.name,
        singular=shape.singular,
        kind=shape.kind,
        above=None if above is None else above.name,
        rows=None
        if shape.name not in reached
        else found.judged[shape.name]
        if is_transform
        else found.rows[shape.name],
        dropped=found.dropped_rows[shape.name] if is_transform else 0,
        missing=missing,
    )
