"""What people have edited in a dataset's files, as lines of the files that are theirs.

A changed text is an edit, a row that is gone a rejection, of a tag an exclusion; a tag with another label is renamed;
a new row of a list is an item of their own. What cannot be taken is told with its line.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from distill_build.curate.items_file import GIVEN, NOTE, PATH, path_line, read_item
from distill_build.curate.reviews_file import fault_of_review, time_behind
from distill_build.curate.tree_changes import Add, Exclude, Rename, TreeChange
from distill_build.curate.tree_file import label_in
from distill_build.dataset.layout import EXPORTS, Dataset
from distill_build.engine.artefacts import file_sha256
from distill_build.errors import ConfigurationError
from distill_build.graph import Graph, Shape
from distill_build.history.edited_rows import EditedFile, EditedRow, edited_rows
from distill_build.history.tag_names import TagNames
from distill_build.records import BOOKKEEPING, OF_TAGS, JsonObject, above_of
from distill_build.records import Path as TagPath
from distill_build.replies.labels import normalise
from distill_build.review import (
    EDIT,
    REJECT,
    REVIEW,
    REVIEWS_FILE,
    Review,
    ReviewVerdict,
    edit_so_far,
    said_so_far,
)
from distill_build.stages.kinds.editable import Editable, fault_of_given
from distill_build.stages.readers import OwnSettings, editable_of
from distill_build.subtree import TagByHand
from distill_build.versions.archive import Version
from distill_build.versions.content import Content, rows_in

LINES_NAMED = 3
VERDICT_TYPED = (
    f"{REVIEW} says what stands in {REVIEWS_FILE}, and stays as it was: write the verdict there, as in "
    '{"id": "…", "verdict": "reject"}, or say it in `distill-build view`'
)
OF_AN_ITEM = (PATH, *GIVEN, NOTE)
"""What a new row may say beside its text."""


class WrittenDataset(msgspec.Struct, frozen=True):
    """A dataset as a build wrote it, with what people had said by then.

    `recipe` is what it was built with, by stage; `reviews` are the last ones of rows, `by_hand` their own tree and
    items.
    """

    dataset: Dataset
    version: Version
    content: Content
    recipe: JsonObject
    reviews: Mapping[str, Review]
    by_hand: TagByHand

    @property
    def graph(self) -> Graph:
        return self.version.graph

    @property
    def topic(self) -> str:
        return str(self.recipe["tree"]["topic"])

    def edited(self) -> list[str]:
        """The artefacts that are not as they were written."""
        files = ((name, self.version.files[name].sha256) for name in self.graph.files if name in self.version.files)
        places = ((name, self.dataset.artefact(name), sha256) for name, sha256 in files)
        return [name for name, place, sha256 in places if place.is_file() and file_sha256(place) != sha256]


class HandEdits(msgspec.Struct):
    """What was found. `items` are lines of a person's own, by stage; `left` are sentences on what cannot be taken.

    `files` are the artefacts of which something was taken, or that say what was written in another order or layout.
    """

    reviews: list[Review] = msgspec.field(default_factory=list)
    tree: list[TreeChange] = msgspec.field(default_factory=list)
    items: dict[str, list[JsonObject]] = msgspec.field(default_factory=dict)
    left: list[str] = msgspec.field(default_factory=list)
    files: list[str] = msgspec.field(default_factory=list)

    @property
    def taken(self) -> int:
        return len(self.reviews) + len(self.tree) + sum(map(len, self.items.values()))


def hand_edits(written: WrittenDataset, now: datetime, by: str | None) -> HandEdits:
    """What people have edited. `by` is who it was.

    Raises UsageError for a file that cannot be compared, CorruptEntryError where what was written is gone.
    """
    return _Finder(written, now, by).find()


class _Finder:
    """Goes through the edited files in the order of stages: what is gone or new above is known below."""

    def __init__(self, written: WrittenDataset, now: datetime, by: str | None) -> None:
        self._written, self._graph, self._now, self._by = written, written.graph, now, by
        self._own = OwnSettings(written.recipe)
        self._found = HandEdits()
        self._left: dict[tuple[str, str], list[int]] = {}
        self._gone: set[str] = set()
        self._gone_paths: set[TagPath] = set()
        self._texts: dict[str, JsonObject] = {}
        self._given: dict[str, dict[str, JsonObject]] = {}
        rows = rows_in(written.content, written.graph.tree.file, dict[str, object])
        self._tags = TagNames(rows, written.topic)

    def find(self) -> HandEdits:
        for name in self._written.edited():
            shape = next(shape for shape in self._graph if shape.file == name)
            before = self._found.taken
            left = len(self._left)
            self._look_at(shape)
            if self._found.taken > before or len(self._left) == left:
                self._found.files.append(name)
        self._found.left = [_sentence(file, why, lines) for (file, why), lines in self._left.items()]
        return self._found

    def _look_at(self, shape: Shape) -> None:
        editable = editable_of(shape, self._written.recipe.get(shape.name, {}))
        edits = edited_rows(self._written.dataset.artefact(shape.file), self._written.content)
        for repeated in edits.repeated:
            self._leave(shape, repeated.line, "another row has this id, too: take it out for a row of your own")
        if shape is self._graph.tree:
            self._look_at_tags(shape, edits)
        elif not editable.columns:
            for line in [row.line for _, row in edits.changed] + [row.line for row in edits.new]:
                self._leave(shape, line, f"the rows of {shape.name} are worked out: change what they are made of")
            if edits.gone:
                self._leave(shape, None, f"rows of {shape.name} are gone, which are worked out: reject what is above")
        else:
            self._look_at_rows(shape, editable, edits)

    # Tags

    def _look_at_tags(self, shape: Shape, edits: EditedFile) -> None:
        for row in edits.gone:
            self._gone.add(row["id"])
            self._gone_paths.add(tuple(row["path"]))
            if row["parent"] not in self._gone:
                self._exclude(shape, row)
        for old, new in edits.changed:
            if old["label"] != new.row.get("label"):
                self._rename(shape, old, new)
        for old, new in edits.changed:
            self._leave_columns(shape, old, new, ("label",))
        for new in edits.new:
            self._add(shape, new)

    def _exclude(self, shape: Shape, row: JsonObject) -> None:
        path = self._tags.own(row["id"])
        if has_items(self._written.by_hand, path):
            self._leave(shape, None, f"{path[-1]} stays, since items of your own lie below it: take these out first")
        else:
            self._found.tree.append(Exclude(path))

    def _rename(self, shape: Shape, old: JsonObject, new: EditedRow) -> None:
        path, label = self._tags.own(old["id"]), label_in(new.row.get("label"))
        if label is None:
            self._leave(shape, new.line, "label is no label, which is a short text on one line")
        elif self._tags.is_taken(old["id"], label, self._gone):
            self._leave(shape, new.line, f"another tag beside it is called {label}")
        else:
            self._found.tree.append(Rename(path, label))
            self._tags.rename(old["id"], label)

    def _add(self, shape: Shape, new: EditedRow) -> None:
        told, label = _path_of(new.row), label_in(new.row.get("label"))
        label = label or (label_in(told[-1]) if told else None)
        by_path = self._tags.named(None, told[:-1])
        above = self._tags.named(new.row.get("parent"), told[:-1])
        if told and above != by_path:
            self._leave(shape, new.line, "parent and path name two places: take one of them out")
        elif label is None or above is None:
            why = "a new tag has a label, and the path or parent of one that is there"
            self._leave(shape, new.line, why)
        elif self._tags.has_child(above, label):
            self._leave(shape, new.line, f"there is a tag {label} already")
        else:
            self._found.tree.append(Add((*above, label)))
            self._tags.add((*above, label), told)

    # Rows below tags

    def _look_at_rows(self, shape: Shape, editable: Editable, edits: EditedFile) -> None:
        for row in edits.gone:
            self._gone.add(row["id"])
            if not self._hangs_on_gone(row) and above_of(row) not in self._texts:
                self._found.reviews.append(self._review(row, editable, REJECT, {}))
        for old, new in edits.changed:
            self._edit(shape, editable, old, new)
        for new in edits.new:
            if shape.kind == "list":
                self._own_item(shape, editable, new)
            else:
                self._given_with(shape, editable, new)

    def _edit(self, shape: Shape, editable: Editable, old: JsonObject, new: EditedRow) -> None:
        whole = {name: new.row.get(name) for name in editable.columns}
        text = {name: value for name, value in whole.items() if value != old.get(name)}
        text = whole if text and above_of(old) in self._texts else text
        if text and self._hangs_on_gone(old):
            self._leave(shape, new.line, "what it hangs on is gone")
        elif text:
            review = self._review(old, editable, EDIT, text)
            there = self._editable_at(shape, old["path"])
            if (fault := fault_of_review(review) or there.fault(text, new.row)) is not None:
                self._leave(shape, new.line, fault)
            else:
                self._found.reviews.append(review)
                self._texts[old["id"]] = text
        self._leave_columns(shape, old, new, editable.columns)

    def _review(self, row: JsonObject, editable: Editable, verdict: ReviewVerdict, text: JsonObject) -> Review:
        """What is said of a row now. It keeps what was said before, but for the verdict and what has another text.

        A digest is of the text before any edit. There is none where what it hangs on was edited, too: another text is
        about to come for that, and this one is to stand whatever it is.
        """
        before = self._written.reviews.get(row["id"])
        said = said_so_far(before, row["id"], row, editable.columns)
        return msgspec.structs.replace(
            said,
            verdict=verdict,
            text=edit_so_far(said, row, editable.columns) | text if verdict == EDIT else {},
            digest=None if above_of(row) in self._texts else said.digest,
            at=time_behind(before, self._now),
            by=self._by,
        )

    def _own_item(self, shape: Shape, editable: Editable, new: EditedRow) -> None:
        (column,) = editable.columns
        try:
            line = self._own_line(shape, column, new.row)
        except ConfigurationError as error:
            self._leave(shape, new.line, str(error))
            return
        self._leave_unknown(shape, new, (*OF_AN_ITEM, column))
        self._found.items.setdefault(shape.name, []).append(line)
        known = self._given.setdefault(shape.name, {})
        known[normalise(line[column])] = line
        if isinstance(key := new.row.get("id"), str):
            known[key] = line

    def _own_line(self, shape: Shape, column: str, row: JsonObject) -> JsonObject:
        """The line of questions.jsonl, say, for a new row. Raises ConfigurationError where there can be none."""
        told = {name: value for name in (column, *OF_AN_ITEM) if (value := row.get(name)) is not None}
        labels, item = read_item(told, column, self._written.topic)
        path = self._place(row.get("tag"), labels if PATH in told else None)
        if (fault := fault_of_given(self._behind(shape, path), item.given)) is not None:
            raise ConfigurationError(fault)
        note = {NOTE: told[NOTE]} if NOTE in told else {}
        return {column: item.text, **path_line(path, self._written.topic), **item.given, **note}

    def _place(self, tag: object, labels: TagPath | None) -> TagPath:
        """The own labels of the place that a new row names, by the id of a tag or by its path or by both.

        A path may name a tag that is not there yet. Raises ConfigurationError where nobody can tell which place it is.
        """
        by_id = self._tags.named(tag, ())
        by_path = None if labels is None else self._tags.named(None, (self._written.topic, *labels)) or labels
        if tag is not None and by_id is None and by_path is None:
            raise ConfigurationError(f"there is no tag {tag!r}: name one that is there, or a path")
        if by_id is not None and by_path is not None and _key(by_id) != _key(by_path):
            raise ConfigurationError("tag and path name two places: take one of them out")
        return by_id or by_path or ()

    def _behind(self, shape: Shape, path: TagPath) -> list[Editable]:
        """What may be said of the rows of the stages that come after one, at a place below the topic."""
        whole = (self._written.topic, *path)
        return [self._editable_at(each, whole) for each in self._graph if each.after == shape.name]

    def _editable_at(self, shape: Shape, path: Sequence[str]) -> Editable:
        return editable_of(shape, self._own.at(shape, path))

    def _given_with(self, shape: Shape, editable: Editable, new: EditedRow) -> None:
        """A result in the place of what would be asked for of a person's own item."""
        above = self._graph.above(shape.name)
        items = self._given.get(above.name, {}) if above is not None and editable.takes_given else {}
        keys = [above_of(new.row), normalise(str(new.row.get("question", "")))]
        item = next((items[key] for key in keys if key in items), None)
        whole = {name: new.row.get(name) for name in editable.columns}
        text = {name: value for name, value in whole.items() if value is not None}
        if item is None or item.keys() & text.keys():
            self._leave(shape, new.line, "a model answers what is there: a new row goes with a new one above it alone")
        elif (fault := self._fault_of_given(shape, item, text, whole)) is not None:
            self._leave(shape, new.line, fault)
        else:
            self._leave_unknown(shape, new, editable.columns)
            item.update(text)

    def _fault_of_given(self, shape: Shape, item: JsonObject, text: JsonObject, whole: JsonObject) -> str | None:
        """Why the line of a person's own item could not be read with `text` beside it, of a result that is `whole`."""
        try:
            labels, _ = read_item(item | text, next(iter(item)), self._written.topic)
        except ConfigurationError as error:
            return str(error)
        return self._editable_at(shape, (self._written.topic, *labels)).fault(whole, {})

    def _hangs_on_gone(self, row: JsonObject) -> bool:
        """Whether a row or a tag above it is gone."""
        path = tuple(row["path"])
        return above_of(row) in self._gone or any(path[:end] in self._gone_paths for end in range(2, len(path) + 1))

    # What is left

    def _leave_columns(self, shape: Shape, old: JsonObject, new: EditedRow, taken: tuple[str, ...]) -> None:
        """Tells of columns that are no text of a row, unless they say what was edited above it."""
        for name in [*old, *(name for name in new.row if name not in old)]:
            value = new.row.get(name)
            if name in taken or value == old.get(name) or self._follows(old, name, value):
                continue
            no_text = f"{name} is no text of a row of {shape.name}, and stays as it was"
            is_verdict = name == REVIEW and shape is not self._graph.tree
            self._leave(shape, new.line, VERDICT_TYPED if is_verdict else no_text)

    def _leave_unknown(self, shape: Shape, new: EditedRow, taken: Collection[str]) -> None:
        """Tells of columns of a new row of which nothing comes; those that say where a row stands may be a copy's."""
        for name, value in new.row.items():
            if value is not None and name not in BOOKKEEPING | OF_TAGS and name not in taken:
                self._leave(shape, new.line, f"{name} is nothing that a new row of {shape.name} can say")

    def _follows(self, old: JsonObject, name: str, value: object) -> bool:
        if name == "path" and isinstance(value, list):
            return self._tags.shown(tuple(old["path"])) == tuple(value)
        return name in (above := self._texts.get(above_of(old) or "", {})) and above[name] == value

    def _leave(self, shape: Shape, line: int | None, why: str) -> None:
        lines = self._left.setdefault((shape.file, why), [])
        if line is not None:
            lines.append(line)


def edited_exports(dataset: Dataset) -> Iterator[str]:
    """Sentences on exports that were edited, which are made from the rows."""
    for name, facts in dataset.outputs().items():
        if name.startswith(f"{EXPORTS}/") and (place := dataset.artefact(name)).is_file() and not facts.holds(place):
            yield f"{name} is made from the rows, and stays as it is: edit these"


def absent_files(written: WrittenDataset) -> Iterator[str]:
    """Sentences on files of rows that are not there: nobody rejects all that a stage has by that."""
    for name in written.graph.files:
        if name in written.version.files and not written.dataset.artefact(name).is_file():
            yield f"{name} is not there, which rejects none of its rows: a build writes it again"


def has_items(tag: TagByHand, path: TagPath) -> bool:
    """Whether a person's own items lie at `path` or below."""
    if path:
        below = {**tag.holders, **tag.children}
        label = next((each for each in below if normalise(each) == normalise(path[0])), None)
        return label is not None and has_items(below[label], path[1:])
    return bool(tag.items) or any(has_items(below, ()) for below in (*tag.holders.values(), *tag.children.values()))


def _key(path: TagPath) -> TagPath:
    return tuple(map(normalise, path))


def _path_of(row: JsonObject) -> TagPath:
    path = row.get("path")
    return tuple(map(str, path)) if isinstance(path, list) else ()


def _sentence(file: str, why: str, lines: list[int]) -> str:
    if not lines:
        return f"{file}: {why}"
    named = ", ".join(map(str, lines[:LINES_NAMED]))
    more = f" and {len(lines) - LINES_NAMED:,} more" if len(lines) > LINES_NAMED else ""
    return f"{file}, {'line' if len(lines) == 1 else 'lines'} {named}{more}: {why}"
