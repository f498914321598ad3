"""Where an item came from: for it and each row above it the request that brought it, with the stored responses.

Rows that no model was asked for, verdicts among them, come with what they were made of and the settings. Knows a
dataset's files and the cache; says nothing of it to anybody. What is no longer stored is a link that says so: the
others are as good as before.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from distill_build.calls.call import derived_seed
from distill_build.dataset.layout import SOURCES, Dataset
from distill_build.dataset.rows import (
    Identified,
    Placed,
    SourcesRow,
    list_text,
    read_rows,
    read_rows_with_lines,
    text_column,
)
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError, UsageError
from distill_build.graph import Graph, Shape
from distill_build.history.causes import LINES, items_of_your_own
from distill_build.records import RENAMED_FROM, JsonObject, Path, Source, Usage, above_of, row_id
from distill_build.replies.parse import Rejection, read_usage
from distill_build.review import EDIT, REVIEW
from distill_build.stages.identity import BY_HAND, REVIEWS
from distill_build.stages.kinds.map_stage import BY_PERSON
from distill_build.stages.readers import OwnSettings, ReplyReader, reader_of
from distill_build.subtree import ABOUT, CHILDREN

ACCEPTED, SINCE, UNUSED = "accepted", "accepted since", "not used"
"""Verdicts beside a rejection's cause: the item was read from it; it stands in the cache since; another one stands."""


class Tried(msgspec.Struct, frozen=True):
    """One response to a request, with what became of it; `detail` says what was wrong with a rejected one."""

    attempt: Attempt
    verdict: str
    detail: str = ""

    @property
    def usage(self) -> Usage:
        return read_usage(self.attempt.response)


class Link(msgspec.Struct, frozen=True):
    """One item of a chain with the request behind it.

    `item` is a label or a question, empty for a row of a map: what that was asked about is in the link before. `above`
    is the path below which it was asked for. `number` counts from 1 among the `requests` of that place. `lack` says
    what of this cannot be had; then `entry` may be None, and `tried` empty. `shown` is what a person calls or says it,
    `lost` that replies which may hold it are gone. `replied` are the columns of the row with what the reply has there,
    empty where that is not known.
    """

    stage: Shape
    item: str
    above: Path
    requests: int
    number: int | None = None
    source: Source | None = None
    entry: Entry | None = None
    tried: tuple[Tried, ...] = ()
    lack: str = ""
    shown: str = ""
    lost: bool = False
    replied: JsonObject = {}

    @property
    def used(self) -> Tried | None:
        """The response that the item was read from."""
        return next((tried for tried in self.tried if tried.verdict == ACCEPTED), None)

    @property
    def sent(self) -> JsonObject | None:
        """The request's body as it was sent for the response that is used, or for the first."""
        if self.entry is None:
            return None
        body: JsonObject = dict(self.entry.manifest["body"])
        attempt = self.used.attempt if self.used is not None else None
        if attempt is None or attempt.index == 0:
            return body
        body["messages"] = [*body["messages"], *attempt.added]
        if "seed" in body:
            body["seed"] = derived_seed(self.entry.manifest["seed"], self.entry.manifest["sample"], attempt.index)
        return body


class Decided(msgspec.Struct, frozen=True):
    """A row that no model was asked for: a verdict of a transform, or a row of a group.

    `of` are the ids of the rows that it was made of; `settings` those of its stage.
    """

    stage: Shape
    row: JsonObject
    of: tuple[str, ...]
    settings: JsonObject


class GivenByHand(msgspec.Struct, frozen=True):
    """A row that a person gave, in `file`: no model was asked for it."""

    stage: Shape
    row: JsonObject
    file: str


class Origins(msgspec.Struct, frozen=True):
    """Looks up where rows of `dataset` came from. `recipe` is that of the build, by stage; empty where unknown."""

    dataset: Dataset
    graph: Graph
    recipe: JsonObject
    store: Responses

    def chain(self, rows: Sequence[tuple[Shape, JsonObject]]) -> Iterator[Link | Decided | GivenByHand]:
        """The links behind `rows`: those from the first tag below the topic down to an item (see `rows_above`).

        Each is followed by the verdicts on it. Raises UsageError where the dataset does not say which responses are
        behind it.
        """
        item, tree = rows[-1][1], self.graph.tree
        topic = item["path"][0]
        tags = [each["id"] for shape, each in rows if shape is tree]
        leaf = tags[-1] if tags else item.get("tag") or topic
        sources = sources_behind(self.dataset, list(dict.fromkeys([topic, *tags, leaf])))
        nothing = SourcesRow("", {})
        for place, (shape, each) in enumerate(rows):
            asked_below = leaf if shape is not tree else each["parent"] or topic
            yield self._link(shape, each, sources.get(asked_below, nothing).of(shape.name))
            seen_by = rows[place + 1][0] if place + 1 < len(rows) else None
            yield from self._verdicts(shape, each["id"], seen_by)

    def _link(self, shape: Shape, row: JsonObject, requests: tuple[Source, ...]) -> Link | Decided | GivenByHand:
        path = tuple(row["path"])
        if shape is self.graph.tree:
            link = self._brought(shape, row, path[:-1], requests)
            given = self._file_of_tag(row) if not link.tried and not link.lost else None
            return link if given is None else GivenByHand(shape, row, given)
        if shape.kind == "list":
            own = row.get("index", 0) < 0
            given = items_of_your_own(shape.name)
            return GivenByHand(shape, row, given) if own else self._brought(shape, row, path, requests)
        if shape.kind == "map" and row.get("model") == BY_PERSON and not row["call"]:
            with_item = items_of_your_own(self.graph.rows_of(shape.after or "").name)
            return GivenByHand(shape, row, REVIEWS if row.get("finish_reason") == EDIT else with_item)
        if shape.kind == "map":
            return self._answered(shape, row, path, requests)
        return Decided(shape, row, self._made_of(shape, row), self._settings(shape))

    def _verdicts(self, shape: Shape, key: str, seen_by: Shape | None) -> Iterator[Decided]:
        """What transforms said of a row, as far as the stage `seen_by` behind them knows it; None knows all."""
        names = self.graph.names
        for transform in self.graph.judges(shape.name):
            if seen_by is not None and names.index(transform.name) > names.index(seen_by.name):
                continue
            if (verdict := row_with(self.dataset, transform, key)) is not None:
                yield Decided(transform, verdict, (key,), self._settings(transform))

    def _made_of(self, group: Shape, row: JsonObject) -> tuple[str, ...]:
        """The ids of the rows that a row of a group was made of."""
        stages: list[Shape] = []
        here = self.graph.rows_of(group.after) if group.after is not None else None
        while here is not None and here.name != group.by:
            stages.append(here)
            here = self.graph.above(here.name)
        ids: tuple[str, ...] = (row["parent"],)
        for shape in reversed(stages):
            above = set(ids)
            rows = read_rows(self.dataset.artefact(shape.file), Placed)
            ids = tuple(each.id for each in rows if each.above in above)
        return ids

    def _settings(self, shape: Shape) -> JsonObject:
        settings: JsonObject = self.recipe.get(shape.name, {})
        return settings

    def _file_of_tag(self, row: JsonObject) -> str | None:
        """The file in which a person gave a tag that no reply holds; None where nobody did."""
        tree = self.recipe.get("tree", {})
        if _names_tag(tree.get(BY_HAND, {}), list_text(row)):
            return BY_HAND
        items = (name.removesuffix(LINES) for name in tree if name.endswith(LINES) and name != REVIEWS)
        return next(map(items_of_your_own, items), None)

    def _brought(self, shape: Shape, row: JsonObject, above: Path, requests: tuple[Source, ...]) -> Link:
        """The first request whose accepted reply holds a row of a list: a later one that repeats it brought nothing.

        Where none does, and the reply to one alone is gone, it was that one.
        """
        item, gone = list_text(row), list[tuple[int, _Stored]]()
        if not (own := self._settings(shape)):
            lack = "nothing here tells how replies were read: build again, which asks for nothing that is in the cache"
            return Link(shape, item, above, len(requests), lack=lack if requests else _not_found(0, 0))
        reader = reader_of(shape, own)
        shown = str(row.get("label", item)) if row.get(RENAMED_FROM) or row.get(REVIEW) == EDIT else ""
        for number, source in enumerate(requests, start=1):
            stored = self._look_up(source, reader)
            if (found := _held(shape, row, item, stored.items())) is not None:
                replied = {text_column(row): found}
                return replace(stored.link(shape, found, above, number, len(requests)), shown=shown, replied=replied)
            if stored.lack:
                gone.append((number, stored))
        if len(gone) == 1:
            number, stored = gone[0]
            return replace(stored.link(shape, item, above, number, len(requests)), shown=shown)
        lack = _not_found(len(requests), len(gone))
        return Link(shape, item, above, len(requests), lack=lack, shown=shown, lost=bool(gone))

    def _answered(self, shape: Shape, row: JsonObject, path: Path, requests: tuple[Source, ...]) -> Link:
        """Within a leaf, a call stands for one row of a map: the rows above differ, and samples do."""
        source = next((source for source in requests if source[0] == row["call"]), None)
        if source is None:
            return Link(shape, "", path, 1, lack=_not_found(0, 0))
        own = OwnSettings(self.recipe).at(shape, path)
        stored = self._look_up(source, reader_of(shape, own, row.get("role")))
        return replace(stored.link(shape, "", path, 1, 1), replied=stored.value() or {})

    def _look_up(self, source: Source, reader: ReplyReader) -> "_Stored":
        key, response = source
        try:
            entry = self.store.get(key)
        except CorruptEntryError as error:
            return _Stored(reader, source, lack=str(error))
        if entry is None:
            lack = f"response {response} is no longer in the cache, nor is what was asked for it"
            return _Stored(reader, source, lack=lack)
        if entry.accepted is not None and entry.response == response:
            return _Stored(reader, source, entry, entry.accepted.place)
        place = next((place for place, attempt in enumerate(entry.attempts) if attempt.digest == response), None)
        lack = f"response {response} is no longer in the cache; others to the same request are" if place is None else ""
        return _Stored(reader, source, entry, place, lack)


def rows_above(dataset: Dataset, graph: Graph, stage: Shape, row: JsonObject) -> list[tuple[Shape, JsonObject]]:
    """The rows from the first tag below the topic to `row`, a line of `stage`, as far as they are there."""
    rows = [(stage, row)]
    while True:
        shape, below = rows[0]
        above = shape if shape is graph.tree else graph.above(shape.name)
        key = above_of(below)
        found = row_with(dataset, above, key) if above is not None and key is not None else None
        if above is None or found is None or any(found == each for _, each in rows):  # one that is above itself
            return rows
        rows.insert(0, (above, found))


def row_with(dataset: Dataset, stage: Shape, key: str) -> JsonObject | None:
    """The line of `stage` with that id; None where there is none."""
    for found, line in read_rows_with_lines(dataset.artefact(stage.file), Identified):
        if found.id == key:
            row: JsonObject = msgspec.json.decode(line)
            return row
    return None


def sources_behind(dataset: Dataset, ids: list[str]) -> dict[str, SourcesRow]:
    """The lines of the sources that belong to `ids`, by id, those of one as one; an empty one for what asked nothing.

    The lines of a dataset with 100,000 answers are 20 MB, so that only those which are wanted are read whole.
    """
    file = dataset.artefact(SOURCES)
    if not file.exists():
        raise UsageError(
            f"there is no {SOURCES} beside the rows, which says from which responses they were read: build the dataset "
            "again, which asks for nothing that is in the cache"
        )
    rows, last = {key: SourcesRow(key, {}) for key in ids}, False
    for found, line in read_rows_with_lines(file, Identified):
        if found.id in rows:
            row = msgspec.json.decode(line, type=SourcesRow)
            rows[found.id] = SourcesRow(row.id, rows[found.id].calls | row.calls)
            last = found.id == ids[-1]
        elif last:  # its lines stand together, behind those of all that are above it
            break
    return rows


class _Stored(msgspec.Struct, frozen=True):
    """What is stored behind a source: `place` is that of its response among the attempts, `lack` what is not there.

    `reader` is the item's own: what another dataset has accepted may have been read otherwise.
    """

    reader: ReplyReader
    source: Source
    entry: Entry | None = None
    place: int | None = None
    lack: str = ""

    def items(self) -> tuple[str, ...] | list[str]:
        """The items that were read from the response; none where it is not there."""
        items: list[str] = self.value() or []
        return items

    def value(self) -> Any:
        """What was read from the response; None where it is not there, or cannot be read any more."""
        if self.entry is None or self.place is None:
            return None
        accepted = self._accepted(self.entry)
        if accepted is not None and accepted.place == self.place:
            return accepted.value
        value = self.reader.read(self.entry.attempts[self.place].response)
        return None if isinstance(value, Rejection) else value

    def _accepted(self, entry: Entry) -> Accepted | None:
        """What was accepted as it is read here."""
        found = entry.accepted
        return found if found is not None and found.reading == self.reader.reading else None

    def link(self, stage: Shape, item: str, above: Path, number: int, requests: int) -> Link:
        tried = tuple(self._judged(self.entry)) if self.entry is not None else ()
        return Link(stage, item, above, requests, number, self.source, self.entry, tried, self.lack)

    def _judged(self, entry: Entry) -> Iterator[Tried]:
        accepted = self._accepted(entry)
        for place, attempt in enumerate(entry.attempts):
            if place == self.place:
                yield Tried(attempt, ACCEPTED)
            elif accepted is not None and place == accepted.place:
                yield Tried(attempt, SINCE)
            else:
                value = self.reader.read(attempt.response)
                rejected = isinstance(value, Rejection)
                yield Tried(attempt, value.cause, value.detail) if rejected else Tried(attempt, UNUSED)


def _names_tag(said: JsonObject, label: str) -> bool:
    """Whether a tree by hand, as a recipe holds it, has a tag of that label."""
    below = [*said.get(CHILDREN, {}).items(), *said.get(ABOUT, {}).items()]
    return label in said.get(CHILDREN, {}) or any(_names_tag(each, label) for _, each in below)


def _held(shape: Shape, row: JsonObject, item: str, items: Sequence[str]) -> str | None:
    """The item that a row was made of: that of a person's edit has the id that the model's text gave it."""
    if item in items:
        return item
    if row.get(REVIEW) != EDIT:
        return None
    above = row.get("tag") or row["path"][0]
    return next((each for each in items if row_id(shape.prefix, above, each) == row["id"]), None)


def _not_found(requests: int, gone: int) -> str:
    if not requests:
        return f"{SOURCES} names no request for it: build again, which asks for nothing that is in the cache"
    if gone:
        return f"it came by one of the {gone} responses, of {requests}, that are no longer in the cache"
    return f"no reply holds it as replies are read now; requests for it: {requests}"
