"""tree.yaml: tags by hand. Read with the line that each mistake stands on.

YAML is read as nodes, not as values: a label is what is typed, be it `2024`, `No` or `3.10`.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from distill_build.errors import ConfigurationError
from distill_build.replies.labels import normalise
from distill_build.subtree import ABOUT, CHILDREN, DEEPEST, TagByHand

LONGEST_LABEL = 120
"""Characters, as of a model's labels."""
MOST_ITEMS = 1_000_000
COUNTED = ("questions_per_tag",)
"""Keys of a node that are settings of a list's length."""
KEYS = (CHILDREN, "only", ABOUT, "rename", "exclude", "breadth", "depth", *COUNTED, "description")
SAID_AS = {"children": CHILDREN}
"""What fields of a tag by hand are called in the file, where that is another name."""
TOPIC = "topic"
"""Of the file's own node alone: the topic that it is for."""
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_tree(file: Path, topic: str) -> TagByHand | None:
    """What `file` says of the tree of `topic`; None where it speaks of another topic.

    Raises ConfigurationError with file, line and remedy for what it cannot say.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}): mend it, or move it away") from error
    return tree_in(text, file, topic)


def tree_in(text: bytes, file: Path, topic: str) -> TagByHand | None:
    """As `read_tree`, of the text that `file` has or is to have."""
    try:
        root = yaml.compose(text, _LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}, line {mark.line + 1}" if mark is not None else f"{file}"
        problem = getattr(error, "problem", None) or "it is no text in UTF-8"
        raise ConfigurationError(
            f"{where}: this is no YAML ({problem}): a label with a colon, or one that begins with a sign, stands in "
            "quotes"
        ) from error
    if root is None:
        return TagByHand()
    return _Reader(file).topic(root, topic)


def label_in(told: object) -> str | None:
    """A label as it was typed; None for what is none."""
    flat = " ".join(told.split()) if isinstance(told, str) else ""
    return flat if flat and len(flat) <= LONGEST_LABEL and flat.isprintable() else None


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Reader:
    """Reads the nodes of one file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def topic(self, node: yaml.Node, topic: str) -> TagByHand | None:
        fields = self._mapping(node, "the file says what is by hand below the topic, as in `exclude: [Miscellaneous]`")
        if (told := fields.pop(TOPIC, None)) is not None and normalise(self._text(told)) != normalise(topic):
            return None
        return self._tag(node, fields, 0)

    def _tag(self, node: yaml.Node, fields: Mapping[str, yaml.Node], level: int) -> TagByHand:
        for key, value in fields.items():
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1)
                hint = f"did you mean {near[0]}?" if near else f"a tag has {', '.join(KEYS)}"
                self._refuse(value, f"{key}: a tag has no such key; {hint} A tag by hand stands below `tags:`")
        read: dict[str, Callable[[yaml.Node], Any]] = {
            "children": lambda value: self._tags(value, level + 1),
            "only": self._truth,
            ABOUT: lambda value: self._tags(value, level + 1),
            "rename": self._renames,
            "exclude": lambda value: tuple(self._labels(value)),
            "breadth": self._breadth,
            "depth": lambda value: self._number(value, 0, DEEPEST - level),
            "description": self._text,
        }
        found = {key: make(fields[said]) for key, make in read.items() if (said := SAID_AS.get(key, key)) in fields}
        counts = {key: self._number(fields[key], 1, MOST_ITEMS) for key in COUNTED if key in fields}
        tag = TagByHand(**found, counts=counts)
        self._check(node, fields, tag)
        return tag

    def _check(self, node: yaml.Node, fields: Mapping[str, yaml.Node], tag: TagByHand) -> None:
        by_hand = {normalise(label): label for label in tag.children}
        for label in tag.exclude:
            if normalise(label) in by_hand:
                self._refuse(fields["exclude"], f"{label} is excluded, and stands under tags: leave one of them out")
        for label in tag.about:
            if normalise(label) in by_hand:
                self._refuse(fields[ABOUT], f"{label} stands under tags, too: say there what is to hold for it")
        shown = [
            *(tag.rename.get(label, label) for label in tag.children),
            *(new for old, new in tag.rename.items() if normalise(old) not in by_hand),
        ]
        for label in shown:
            if sum(normalise(each) == normalise(label) for each in shown) > 1:
                self._refuse(node, f"two children would be called {label}: give one of them another name")

    def _tags(self, node: yaml.Node, level: int) -> dict[str, TagByHand]:
        if level > DEEPEST:
            self._refuse(node, f"a tree has {DEEPEST} levels of tags at the most")
        if isinstance(node, yaml.SequenceNode):
            found = {label: TagByHand() for label in self._labels(node)}
        else:
            below = self._mapping(node, "tags are labels, each with what is below it, as in `tags: {Football: {}}`")
            found = {
                self._label(label, value): self._tag(
                    value,
                    {}
                    if _is_empty(value)
                    else self._mapping(value, f"{label} has keys of a tag below it, as in {label}: {{depth: 1}}"),
                    level,
                )
                for label, value in below.items()
            }
        self._refuse_repeats(node, found)
        return found

    def _renames(self, node: yaml.Node) -> dict[str, str]:
        said = self._mapping(node, "labels and what they are to be called, as in `rename: {Team Sports: Team games}`")
        found = {self._label(old, value): self._label(self._text(value), value) for old, value in said.items()}
        self._refuse_repeats(node, found)
        return found

    def _labels(self, node: yaml.Node) -> Iterator[str]:
        if isinstance(node, yaml.ScalarNode) and not _is_empty(node):
            yield self._label(node.value, node)
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                yield self._label(self._text(each), each)
        elif not _is_empty(node):
            self._refuse(node, "this is a list of labels, as in [Football, Tennis]")

    def _refuse_repeats(self, node: yaml.Node, labels: Mapping[str, object]) -> None:
        seen: dict[str, str] = {}
        for label in labels:
            if (before := seen.setdefault(normalise(label), label)) != label:
                self._refuse(node, f"{before} and {label} are one label up to case and width: leave one of them out")

    def _label(self, label: str, node: yaml.Node) -> str:
        if (found := label_in(label)) is None:
            self._refuse(node, f"{label[:40]!r} is no label: a label has 1 to {LONGEST_LABEL} characters on one line")
        return found

    def _breadth(self, node: yaml.Node) -> int | list[int]:
        if isinstance(node, yaml.SequenceNode) and node.value:
            return [self._number(each, 1, MOST_ITEMS) for each in node.value]
        return self._number(node, 1, MOST_ITEMS)

    def _number(self, node: yaml.Node, least: int, most: int) -> int:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not text.isascii() or not text.isdecimal() or not least <= int(text[:12]) <= most:
            self._refuse(node, f"{text or 'this'} is no number from {least} to {most:,}")
        return int(text)

    def _truth(self, node: yaml.Node) -> bool:
        text = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
        if text not in TRUTHS:
            self._refuse(node, f"{text or 'this'} is neither true nor false")
        return TRUTHS[text]

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "this is a text")
        return str(node.value).strip()

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        if _is_empty(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, what)
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key)
            if name in found:
                self._refuse(key, f"{name} stands there twice: leave one of them out")
            found[name] = value
        return found

    def _refuse(self, node: yaml.Node, why: str) -> NoReturn:
        raise ConfigurationError(f"{self._file}, line {node.start_mark.line + 1}: {why}")


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")
