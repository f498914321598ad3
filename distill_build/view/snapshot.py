"""The page and the rows that tabs look at, as they were read at one time; and one of these rows by its id."""

import gzip
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from distill_build.dataset.layout import STATE, Dataset
from distill_build.errors import UsageError
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject
from distill_build.replies.labels import normalise
from distill_build.report.data import TOPIC, DatasetPage
from distill_build.report.drawing import Block
from distill_build.report.families import RowFacts, WholeRow
from distill_build.review import REVIEW
from distill_build.stages.identity import form_by_digest
from distill_build.stages.kinds.editable import Editable
from distill_build.stages.readers import OwnSettings, editable_of

OwnPath = tuple[str, ...]
_Facts = list[tuple[int, list[RowFacts]]]
_Whole = list[list[WholeRow]]


class SeenRow(msgspec.Struct, frozen=True):
    """A row as a person sees it: `content` by column, and the verdict of theirs that lies in it."""

    id: str
    stage: str
    content: JsonObject
    review: str | None
    editable: Editable

    @property
    def row(self) -> JsonObject:
        """Both, as they lie in the artefact."""
        return self.content | {REVIEW: self.review}


class Snapshot:
    """What was read of a dataset. `name` is another one for each reading, so that a tab knows when its rows are old.

    `recipe` is what the rows were made with, by stage, `topic` what the tree grows from, and `noted` what became of
    reviews as they were made; None where no state tells.
    """

    def __init__(self, dataset: Dataset, graph: Graph, page: DatasetPage, blocks: list[Block]) -> None:
        state = dataset.state()
        self.name = secrets.token_hex(8)
        self.page, self.blocks, self.graph, self.recipe = page, blocks, graph, dataset.recipe()
        self.noted = None if state is None else state.reviews
        recipe = self.recipe
        if "tree" not in recipe:
            raise UsageError(f"{dataset.folder} does not say what its rows were made with: build it first")
        self.topic = str(recipe["tree"]["topic"])
        self.editable: Mapping[str, Editable] = {
            shape.name: editable_of(shape, recipe.get(shape.name, {})) for shape in graph
        }
        self._own = OwnSettings(recipe)
        self._tags = {tag.id: place for place, tag in enumerate(page.tree)}
        self._places: dict[str, int] = {}
        self._titles: set[tuple[int | None, str]] = set()
        for block in range(len(blocks)):
            self._note(block)

    def editable_at(self, shape: Shape, path: Sequence[str]) -> Editable:
        """What may be said of the rows of a stage at the place `path`, topic first, by either label of a tag."""
        return editable_of(shape, self._own.at(shape, path))

    def require_form(self, shape: Shape) -> None:
        """Raises UsageError where nothing here tells what the rows of a stage have to be."""
        if form_by_digest(self.recipe, shape.name):
            raise UsageError(
                f"what {shape.name} have to be is known by its digest alone, since there is no {STATE}: build first, "
                "which asks for nothing that is stored"
            )

    def row(self, key: str) -> SeenRow | None:
        """The row with that id; None where there is none."""
        if (block := self._places.get(key)) is None:
            return None
        for (tag, facts), rows in zip(self._facts(block), self._whole(block), strict=True):
            for fact, row in zip(facts, rows, strict=True):
                if fact.id == key:
                    return self._seen(tag, fact, row)
        return None

    @cached_property
    def _by_path(self) -> Mapping[OwnPath, int]:
        return {(): TOPIC} | {_key(self._path(place)): place for place in self._tags.values()}

    def has_row(self, key: str) -> bool:
        return key in self._places

    def has_text(self, path: OwnPath, title: str) -> bool:
        """Whether a row of a list with a text that begins so lies at a tag, whose labels may be in any letter case."""
        return (self._by_path.get(_key(path)), title) in self._titles

    def own_path(self, key: str) -> OwnPath | None:
        """The labels of a tag as the model or file has them, from level 1 on; None where there is no such tag."""
        return None if (place := self._tags.get(key)) is None else self._path(place)

    def beside(self, key: str) -> set[str]:
        """What other tags with the same parent are and were called."""
        tree, place = self.page.tree, self._tags[key]
        others = (tag for at, tag in enumerate(tree) if at != place and tag.parent == tree[place].parent)
        return {label for tag in others for label in (tag.label, tag.renamed_from) if label is not None}

    def having(self, text: str, block: int) -> list[int]:
        """The places of the families of a block any of whose texts has these words, in whatever letter case."""
        words = text.lower()
        texts = ((row.content.values() for row in rows) for rows in self._whole(block))
        return [
            place
            for place, family in enumerate(texts)
            if any(isinstance(value, str) and words in value.lower() for values in family for value in values)
        ]

    def _path(self, place: int) -> OwnPath:
        labels: list[str] = []
        while place != TOPIC:
            tag = self.page.tree[place]
            labels.append(tag.renamed_from or tag.label)
            place = tag.parent
        return tuple(reversed(labels))

    def _note(self, block: int) -> None:
        for tag, facts in self._facts(block):
            self._titles.add((tag, facts[0].title))
            self._places |= dict.fromkeys((fact.id for fact in facts), block)

    def _facts(self, block: int) -> _Facts:
        return msgspec.json.decode(gzip.decompress(self.blocks[block].facts), type=_Facts)

    def _whole(self, block: int) -> _Whole:
        return msgspec.json.decode(gzip.decompress(self.blocks[block].whole), type=_Whole)

    def _seen(self, tag: int, fact: RowFacts, row: WholeRow) -> SeenRow:
        shape = list(self.graph)[fact.stage]
        editable, content = self.editable_at(shape, (self.topic, *self._path(tag))), row.content
        if shape.kind == "list" and editable.columns:
            content = content | {editable.columns[0]: content[shape.singular]}
        return SeenRow(fact.id, shape.name, content, row.told.get(REVIEW), editable)


def _key(path: OwnPath) -> OwnPath:
    return tuple(map(normalise, path))
