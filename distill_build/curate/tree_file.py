"""tree.yaml: tags by hand. Read with the line that each mistake stands on.

YAML is read as nodes, not as values: a label is what is typed, be it `2024`, `No` or `3.10`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec
import yaml
from msgspec.structs import replace

from distill_build.curate.json_lines import value_in
from distill_build.curate.texts import all_bytes_of, decoded, is_about, way_out
from distill_build.errors import ConfigurationError
from distill_build.replies.labels import normalise, same_label
from distill_build.subtree import (
    ABOUT,
    ANSWER,
    ANSWER_LABELS,
    ANSWER_SCHEMA,
    CHILDREN,
    DEEPEST,
    AnswerByHand,
    TagByHand,
)

LONGEST_LABEL = 120
"""Characters, as of a model's labels."""
MOST_ITEMS = 1_000_000
COUNTED = ("questions_per_tag",)
"""Keys of a node that are settings of a list's length: lists grow by stages of ours alone, so these are all."""
KEYS = (CHILDREN, "only", ABOUT, "rename", "exclude", "breadth", "depth", *COUNTED, "description", ANSWER)
SAID_AS = {"children": CHILDREN}
"""What fields of a tag by hand are called in the file, where that is another name."""
TOPIC = "topic"
"""Of the file's own node alone: the topic that it is for."""
A_LABEL = "a label is a text on one line, as in Football"
MERGE = "tag:yaml.org,2002:merge"
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_tree(file: Path, topic: str) -> TagByHand | None:
    """What `file` says of the tree of `topic`; None where it speaks of another topic.

    Raises ConfigurationError with file, line and remedy for what it cannot say.
    """
    return tree_in(all_bytes_of(file), file, topic)


def tree_in(content: bytes, file: Path, topic: str) -> TagByHand | None:
    """As `read_tree`, of what `file` has or is to have in it."""
    text = decoded(content, file)
    try:
        _refuse_anchors(file, text)
        root = yaml.compose(text, LOADER)
        return TagByHand() if root is None else _Reader(file).topic(root, topic)
    except yaml.YAMLError as error:
        raise _no_yaml(file, text, error) from error
    except RecursionError as error:
        raise ConfigurationError(f"{file}: it is nested too deeply: a tree has {DEEPEST} levels of tags") from error


def line_of(file: Path, key: str, path: Iterable[str] = ()) -> str:
    """Where the node of a tag, the topic's own without a `path`, says `key`, as people are told it."""
    return line_in(all_bytes_of(file), file, key, path)


def line_in(content: bytes, file: Path, key: str, path: Iterable[str] = ()) -> str:
    """As `line_of`, of what `file` has in it."""
    nodes = [yaml.compose(decoded(content, file), LOADER)]
    for label in path:
        lists = [below for node in nodes for below in (*_under(node, CHILDREN), *_under(node, ABOUT))]
        nodes = [below for node in lists for below in _under(node, label)]
    mappings = [node for node in nodes if isinstance(node, yaml.MappingNode)]
    lines = [name.start_mark.line + 1 for node in mappings for name, _ in node.value if name.value == key]
    return f"{file}, line {lines[0]}"


def _under(node: yaml.Node | None, key: str) -> list[yaml.Node]:
    """What stands behind a key of a mapping."""
    fields = node.value if isinstance(node, yaml.MappingNode) else ()
    return [value for name, value in fields if same_label(name.value, key)]


def label_in(told: object) -> str | None:
    """A label as it was typed; None for what is none."""
    flat = " ".join(told.split()) if isinstance(told, str) else ""
    return flat if flat and len(flat) <= LONGEST_LABEL and flat.isprintable() else None


def no_label(told: str) -> str:
    """What is said of a text that is none."""
    return f"{told[:40]!r} is no label: a label has 1 to {LONGEST_LABEL} characters on one line"


def _refuse_anchors(file: Path, text: str) -> None:
    """Refuses what stands for another place in the file: a change of one tag would be one of others."""
    if "&" not in text and "*" not in text:
        return
    for event in yaml.parse(text, LOADER):
        assert event.start_mark is not None  # noqa: S101 - events that were read have one
        if (name := getattr(event, "anchor", None)) is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise ConfigurationError(
                f"{file}, line {event.start_mark.line + 1}: {sign}{name}: write out what it stands for; a label that "
                "begins with such a sign stands in quotes"
            )


def _no_yaml(file: Path, text: str, error: yaml.YAMLError) -> ConfigurationError:
    """What to raise for a text that is no YAML. What was opened and never closed is told where it begins."""
    opened = None if isinstance(error, yaml.composer.ComposerError) else getattr(error, "context_mark", None)
    mark = opened or getattr(error, "problem_mark", None)
    if mark is not None:
        line, problem = mark.line + 1, getattr(error, "problem", "")
    else:  # a character that YAML does not take
        line = text.encode().count(b"\n", 0, getattr(error, "position", 0)) + 1
        problem = getattr(error, "reason", "")
    return ConfigurationError(
        f"{file}, line {line}: this is no YAML ({problem}): a label with a colon, or one that begins with a sign, "
        "stands in quotes, each bracket is closed, and lines are indented by spaces"
    )


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Field(NamedTuple):
    """A key of a mapping, and what stands behind it."""

    key: yaml.Node
    value: yaml.Node


class _Reader:
    """Reads the nodes of one file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def topic(self, node: yaml.Node, topic: str) -> TagByHand | None:
        fields = self._mapping(node, "the file says what is by hand below the topic, as in `exclude: [Miscellaneous]`")
        if (told := fields.pop(TOPIC, None)) is not None and not is_empty(told.value):
            named = self._text(told.value, "topic is a text: that of the dataset")
            if not is_about(topic, named, str(self._file)):
                return None
        return self._tag(fields, 0)

    def _tag(self, fields: Mapping[str, _Field], level: int) -> TagByHand:
        for name, field in fields.items():
            if name not in KEYS:
                known = KEYS if level else (*KEYS, TOPIC)
                hint = way_out(name, known, f"it may have {', '.join(known)}.")
                what = "a tag" if level else "the topic"
                self._refuse(field.key, f"{name}: {what} has no such key; {hint} A tag by hand stands below `tags:`")
        read: dict[str, Callable[[yaml.Node], Any]] = {
            "children": lambda value: self._tags(value, level + 1),
            "only": self._truth,
            ABOUT: lambda value: self._tags(value, level + 1),
            "rename": self._renames,
            "exclude": lambda value: tuple(self._list(value)),
            "breadth": self._breadth,
            "depth": lambda value: self._number("depth", value, 0, DEEPEST - level),
            "description": self._description,
            ANSWER: self._answer,
        }
        found = {
            key: make(fields[said].value) for key, make in read.items() if (said := SAID_AS.get(key, key)) in fields
        }
        counts = {key: self._number(key, fields[key].value, 1, MOST_ITEMS) for key in COUNTED if key in fields}
        tag = TagByHand(**found, counts=counts)
        by_hand = {normalise(label): label for label in tag.children}
        self._check(fields, tag, by_hand)
        return replace(tag, exclude=tuple(by_hand.get(normalise(label), label) for label in tag.exclude))

    def _check(self, fields: Mapping[str, _Field], tag: TagByHand, by_hand: Mapping[str, str]) -> None:
        for label in tag.about:
            if normalise(label) in by_hand:
                self._refuse(fields[ABOUT].key, f"{label} stands under tags, too: say there what is to hold for it")
        shown = [
            *(tag.shown(label, same_label) for label in tag.children),
            *(new for old, new in tag.rename.items() if normalise(old) not in by_hand),
        ]
        known = set[str]()
        for label in shown:
            if normalise(label) in known:
                self._refuse(
                    fields["rename"].key, f"two children would be called {label}: give one of them another name"
                )
            known.add(normalise(label))

    def _tags(self, node: yaml.Node, level: int) -> dict[str, TagByHand]:
        if level > DEEPEST:
            self._refuse(node, f"a tree has {DEEPEST} levels of tags at the most")
        if not isinstance(node, yaml.MappingNode):
            return {label: TagByHand() for label in self._list(node)}
        below = self._mapping(node, "tags are labels, each with what is below it, as in `tags: {Football: {}}`")
        labels = self._once((self._label(name, field.key), field.key) for name, field in below.items())
        return {
            label: self._tag(self._keys_below(label, value), level)
            for label, (_, value) in zip(labels, below.values(), strict=True)
        }

    def _keys_below(self, label: str, node: yaml.Node) -> dict[str, _Field]:
        return self._mapping(node, f"{label} has keys of a tag below it, as in {label}: {{depth: 1}}")

    def _renames(self, node: yaml.Node) -> dict[str, str]:
        said = self._mapping(
            node, "rename has labels and what they are to be called, as in `rename: {Team Sports: Team games}`"
        )
        labels = self._once((self._label(old, field.key), field.key) for old, field in said.items())
        new = (self._label(self._text(value, A_LABEL), value) for _, value in said.values())
        return dict(zip(labels, new, strict=True))

    def _list(self, node: yaml.Node) -> list[str]:
        """The labels of a list, or a single one."""
        return self._once(self._labels(node))

    def _labels(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
        if isinstance(node, yaml.ScalarNode) and not is_empty(node):
            yield self._label(node.value, node), node
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                yield self._label(self._text(each, A_LABEL), each), each
        elif not is_empty(node):
            self._refuse(node, "this is a list of labels, as in [Football, Tennis]")

    def _once(self, labels: Iterable[tuple[str, yaml.Node]]) -> list[str]:
        """The labels, none of which may stand there twice, in whatever case."""
        seen: dict[str, str] = {}
        for label, node in labels:
            if (before := seen.get(normalise(label))) is not None:
                told = f"{before} and {label} are one label up to case and width"
                self._refuse(
                    node, f"{f'{label} stands there twice' if label == before else told}: leave one of them out"
                )
            seen[normalise(label)] = label
        return list(seen.values())

    def _label(self, label: str, node: yaml.Node) -> str:
        if (found := label_in(label)) is None:
            self._refuse(node, no_label(label))
        return found

    def _breadth(self, node: yaml.Node) -> int | list[int]:
        if isinstance(node, yaml.SequenceNode) and node.value:
            return [self._number("breadth", each, 1, MOST_ITEMS) for each in node.value]
        return self._number("breadth", node, 1, MOST_ITEMS)

    def _number(self, key: str, node: yaml.Node, least: int, most: int) -> int:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not text.isascii() or not text.isdecimal() or not least <= int(text[:12]) <= most:
            self._refuse(node, f"{key}: {text or 'this'} is no number from {least} to {most:,}")
        return int(text)

    def _truth(self, node: yaml.Node) -> bool:
        text = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
        if text not in TRUTHS:
            self._refuse(node, f"only: {text or 'this'} is neither true nor false")
        return TRUTHS[text]

    def _description(self, node: yaml.Node) -> str:
        return "" if is_empty(node) else self._text(node, "description is a text, as in `description: on grass`")

    def _answer(self, node: yaml.Node) -> AnswerByHand:
        what = f"answer has {ANSWER_LABELS} or a {ANSWER_SCHEMA}, as in `answer: {{labels: [good, bad]}}`"
        said = self._mapping(node, what)
        for name, field in said.items():
            if name not in (ANSWER_LABELS, ANSWER_SCHEMA):
                self._refuse(field.key, f"{name}: {what}")
        if not said:
            self._refuse(node, what)
        if len(said) > 1:
            self._refuse(said[ANSWER_SCHEMA].key, f"{what}, and not both")
        if ANSWER_LABELS in said:
            if not (labels := self._list(said[ANSWER_LABELS].value)):
                self._refuse(said[ANSWER_LABELS].key, what)
            return AnswerByHand(labels=tuple(labels))
        return AnswerByHand(schema=self._schema(said[ANSWER_SCHEMA].value))

    def _schema(self, node: yaml.Node) -> str:
        """A JSON schema as a text: it stands in the file, or in one that is named."""
        if isinstance(node, yaml.MappingNode):
            return msgspec.json.encode(self._json(node)).decode()
        named = self._text(node, "a schema is an object, or the name of a JSON file")
        try:
            text = named if named.startswith("{") else decoded(Path(named).read_bytes(), Path(named))
            value_in(named[:40], text)
            return msgspec.json.encode(msgspec.json.decode(text, type=dict[str, Any])).decode()
        except OSError as error:
            self._refuse(node, f"schema: {named or 'this'} cannot be read ({error.strerror}): name a JSON file")
        except ConfigurationError as error:
            self._refuse(node, f"schema: {error}")
        except (ValueError, msgspec.MsgspecError) as error:
            self._refuse(node, f"schema: {named[:40]} is no JSON object ({error})")

    def _json(self, node: yaml.Node) -> Any:
        """What is written in YAML as JSON has it: without quotes, numbers, true, false and null alone are no texts."""
        if isinstance(node, yaml.MappingNode):
            return {name: self._json(field.value) for name, field in self._mapping(node, "").items()}
        if isinstance(node, yaml.SequenceNode):
            return [self._json(each) for each in node.value]
        try:
            return node.value if self._is_quoted(node) else msgspec.json.decode(node.value)
        except msgspec.DecodeError:
            return node.value

    def _is_quoted(self, node: yaml.Node) -> bool:
        return isinstance(node, yaml.ScalarNode) and bool(node.style)

    def _text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, what)
        return str(node.value).strip()

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, _Field]:
        if is_empty(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, what)
        found: dict[str, _Field] = {}
        for key, value in node.value:
            name = self._text(key, A_LABEL)
            if key.tag == MERGE:
                self._refuse(key, "<<: write out what it stands for; a label of that name stands in quotes")
            if name in found:
                self._refuse(key, f"{name} stands there twice: leave one of them out")
            found[name] = _Field(key, value)
        return found

    def _refuse(self, node: yaml.Node, why: str) -> NoReturn:
        raise ConfigurationError(f"{self._file}, line {node.start_mark.line + 1}: {why}")


def is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")
