"""Changes to a tree.yaml that leave the rest of it, comments too, as it was typed.

A path is the labels of a model's own from level 1 on. What is said below a tag that is not by hand goes under `about`,
so that the tag stays where it is: under `tags` it would be by hand, the first of its siblings, and repeats that are
dropped would be other ones.
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from distill_build.replies.labels import normalise
from distill_build.subtree import ABOUT, CHILDREN

if TYPE_CHECKING:
    from ruamel.yaml import YAML

TagPath = tuple[str, ...]
WIDE = 1 << 20
"""Characters after which a line would be broken: no line that a person typed is."""
NULL = "tag:yaml.org,2002:null"
EMPTY = re.compile(r"(?:~|null|Null|NULL)?$")


class TreeChange(msgspec.Struct, frozen=True):
    """One change, of the tag at `path`: each kind of it is a class that `make`s it."""

    path: TagPath

    def make(self, tree: "TreeEntry") -> None:
        """Carries it out on the topic's node."""
        raise NotImplementedError


class Exclude(TreeChange, frozen=True):
    """Throws a tag out. One that was by hand is so no more; a model may have it, too, so it is named all the same."""

    def make(self, tree: "TreeEntry") -> None:
        parent, label = tree.at(self.path[:-1]), self.path[-1]
        by_hand = parent.remove(CHILDREN, label)
        if not (by_hand and parent.is_only):
            parent.add("exclude", label)


class Include(TreeChange, frozen=True):
    """Has a tag again that was thrown out."""

    def make(self, tree: "TreeEntry") -> None:
        tree.at(self.path[:-1]).remove("exclude", self.path[-1])


class Rename(TreeChange, frozen=True):
    """Shows a tag by another label; by its own where that is `shown`."""

    shown: str

    def make(self, tree: "TreeEntry") -> None:
        parent, label = tree.at(self.path[:-1]), self.path[-1]
        if label == self.shown:
            parent.remove("rename", label)
        else:
            parent.below("rename").set(label, self.shown)


class Add(TreeChange, frozen=True):
    """Adds a tag by hand."""

    def make(self, tree: "TreeEntry") -> None:
        tree.at(self.path[:-1]).add(CHILDREN, self.path[-1])


def amended(text: str, changes: Sequence[TreeChange]) -> str:
    """The text of a tree.yaml with `changes` in it."""
    yaml = _yaml(text)
    data = yaml.load(text)
    top = TreeEntry(yaml.map() if data is None else data)
    for change in changes:
        change.make(top)
    top.tidy()
    if data is None and not top.fields:
        return text
    stream = io.StringIO()
    yaml.dump(top.fields, stream)
    written = stream.getvalue()
    return written if data is not None else _whole_lines(text) + written  # there were comments alone


def _whole_lines(text: str) -> str:
    return text + "\n" * bool(text and not text.endswith("\n"))


def _yaml(text: str) -> "YAML":
    """Reads and writes YAML with its comments, and every scalar as it was typed: `2024`, `No` and `3.10` are labels."""
    from ruamel.yaml import YAML
    from ruamel.yaml.resolver import VersionedResolver

    class AsTyped(VersionedResolver):
        """Nothing is a number or a truth; what is empty is nothing."""

        @property
        def versioned_resolver(self) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
            return {first: [(NULL, EMPTY)] for first in ("~", "n", "N", "")}

    yaml = YAML()
    yaml.Resolver = AsTyped
    yaml.preserve_quotes = True
    yaml.width = WIDE
    yaml.allow_unicode = True
    mapping, offset = _indents(text)
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return yaml


def _indents(text: str) -> tuple[int, int]:
    """How far what is below a key is indented in a file: a mapping, and the dashes of a list. As most do, where nothing
    shows."""
    indent, mapping, offset = 0, 0, None
    for line in text.splitlines():
        bare = line.lstrip(" ")
        before, indent = indent, len(line) - len(bare)
        if not bare or bare.startswith("#"):
            indent = before
        elif bare.startswith("- "):
            offset = max(0, indent - before) if offset is None else offset
            indent = before
        elif indent > before:
            mapping = mapping or indent - before
    return mapping or 2, 2 if offset is None else offset


class TreeEntry:
    """The fields of a tag, as the file has them, in the order in which they stand."""

    def __init__(self, fields: Any) -> None:
        self.fields = fields

    @property
    def is_only(self) -> bool:
        """Whether a model adds no children to those by hand."""
        return str(self.fields.get("only", "")).lower() in ("true", "yes", "on")

    def at(self, path: TagPath) -> "TreeEntry":
        """The node of the tag at `path` below: where it stands, or a new one under what is said about tags."""
        if not path:
            return self
        for key in (CHILDREN, ABOUT):
            if self._key(self.below(key, new=False).fields, path[0]) is not None:
                return self.below(key).below(path[0]).at(path[1:])
        return self.below(ABOUT).below(path[0]).at(path[1:])

    def below(self, key: str, *, new: bool = True) -> "TreeEntry":
        """The mapping that a key has; where it has none, or a list of labels, one in its place."""
        name = self._key(self.fields, key)
        value = None if name is None else self.fields[name]
        if not _is_mapping(value):
            made = type(self.fields)()
            for label in _labels(value):
                made[label] = None
            if not new:
                return TreeEntry(made)
            if self.fields.fa.flow_style():
                made.fa.set_flow_style()
            self.fields[key if name is None else name] = value = made
        return TreeEntry(value)

    def set(self, key: str, value: str) -> None:
        name = self._key(self.fields, key)
        self.fields[key if name is None else name] = value

    def add(self, key: str, label: str) -> None:
        """Adds a label to those under `key`, be they a mapping or a list."""
        value = self.fields.get(key)
        if self._key(_labels(value), label) is not None:
            return
        if _is_mapping(value) or (value is None and key == CHILDREN):
            self.below(key).fields[label] = None
        elif isinstance(value, list):
            value.append(label)
        else:
            self.fields[key] = [*_labels(value), label]

    def remove(self, key: str, label: str) -> bool:
        """Takes a label from those under `key`; says whether it was there."""
        value = self.fields.get(key)
        name = self._key(_labels(value), label)
        if name is None:
            return False
        if _is_mapping(value):
            del value[name]
        elif isinstance(value, list):
            value.remove(name)
        if not _labels(self.fields[key]) or not isinstance(value, list | dict):
            del self.fields[key]
        return True

    def tidy(self) -> None:
        """Takes out what says nothing about a tag any more."""
        for key in (CHILDREN, ABOUT):
            below = self.below(key, new=False)
            for label in list(below.fields):
                if _is_mapping(below.fields[label]):
                    TreeEntry(below.fields[label]).tidy()
                    if key == ABOUT and not below.fields[label]:
                        self.remove(key, label)

    @staticmethod
    def _key(labels: Any, wanted: str) -> Any:
        """The one that is the same label."""
        return next((each for each in labels if normalise(str(each)) == normalise(wanted)), None)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _labels(value: Any) -> list[Any]:
    """The labels under a key, which are a mapping's, a list's, or a single one."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, dict | list) else [value]
