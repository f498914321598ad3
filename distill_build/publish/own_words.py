"""A person's own words on a dataset, card.md: a front matter, which counts before ours, and the text below it. Pure.

What the front matter says is held to what the Hub and `datasets` read: mappings with no key twice, a licence that is
one, and `configs` of their form, with files that are there. What they cannot read would keep the whole dataset from
loading.

Reference: https://huggingface.co/docs/hub/datasets-manual-configuration, and MetadataConfigs of `datasets`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, NoReturn

import msgspec
import yaml

from distill_build.errors import UsageError

OWN_TEXT = "card.md"
"""The file, beside the others that people own."""
FRONT = re.compile(r"---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)(?P<text>.*)\Z", re.DOTALL | re.MULTILINE)
FIRST_LINE = 2
"""The line at which a front matter begins."""
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class OwnWords(msgspec.Struct, frozen=True):
    """`front` is the front matter, `keys` what it says, and `text` what follows."""

    front: str = ""
    keys: frozenset[str] = frozenset()
    text: str = ""


class _Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    split: _Text
    path: _Text | list[_Text]


class _Config(msgspec.Struct, frozen=True):
    config_name: _Text
    data_files: _Text | list[_Text | _Split] | None = None


GONE_BY: Mapping[str, tuple[Any, str]] = {
    "license": (
        _Text | Annotated[list[_Text], msgspec.Meta(min_length=1)],
        "it is the name of a licence, or a list of such, as in `license: cc-by-4.0`",
    ),
    "configs": (
        Annotated[list[_Config], msgspec.Meta(min_length=1)],
        "it is a list, each with a config_name, and with data_files: a file, a list of such, or a list of `split: …` "
        "with `path: …`. Left out, each format loads by its name",
    ),
}
"""What is gone by: the type of its value, and how that is told."""


def parse_own_words(text: str, file: str, published: Collection[str]) -> OwnWords:
    """The words in `text`, of which `file` is the name in messages; `published` are the files that lie beside the card.

    Raises UsageError, with the line, for a front matter that cannot be read, or names a file that is not there.
    """
    text = text.replace("\r\n", "\n")
    found = FRONT.fullmatch(text)
    if found is None:
        if re.match(r"---[ \t]*\n", text):
            raise UsageError(f"{file}, line 1: the front matter has no end: a line `---` stands below it, too")
        return OwnWords(text=text)
    front = found["front"]
    root, values = _read(front, file)
    for key in _said_twice(root):
        _refuse(file, key, f"{key.value} is said twice: leave one of them out")
    fields = {key.value: (key, value) for key, value in root.value}
    for name in GONE_BY.keys() & fields.keys():
        kind, told = GONE_BY[name]
        try:
            msgspec.convert(values[name], kind)
        except msgspec.ValidationError:
            _refuse(file, fields[name][0], f"{name}: {told}")
    for pattern in _patterns(fields["configs"][1]) if "configs" in fields else ():
        if not any(fnmatchcase(name, pattern.value.removeprefix("./")) for name in published):
            those = ", ".join(sorted(published))
            _refuse(file, pattern, f"configs names {pattern.value}, which is no file of the dataset: those are {those}")
    return OwnWords(front, frozenset(fields), found["text"])


def _read(front: str, file: str) -> tuple[yaml.MappingNode, dict[Any, Any]]:
    """A front matter as nodes, which know their lines, and as values."""
    try:
        node, values = yaml.compose(front, Loader=yaml.SafeLoader), yaml.safe_load(front)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        line = FIRST_LINE if mark is None else mark.line + FIRST_LINE
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise UsageError(
            f"{file}, line {line}: this is no YAML ({problem}): a text with a colon stands in quotes, and lines are "
            "indented by spaces"
        ) from error
    if node is None:
        return yaml.MappingNode("tag:yaml.org,2002:map", []), {}
    if not isinstance(node, yaml.MappingNode) or node.flow_style or node.start_mark.column:
        _refuse(file, node, "the front matter has a key a line, not indented, as in `license: cc-by-4.0`")
    return node, values


def _said_twice(root: yaml.Node) -> Iterator[yaml.Node]:
    """The keys that stand in one mapping before, at any depth."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):  # an alias is the node itself, and may lie in it
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        keys = set[str]()
        for key, value in node.value:
            if key.value in keys:
                yield key
            keys.add(key.value)
            waiting.append(value)


def _patterns(configs: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """The names of files, or patterns of them, that `configs` says; of a `data_dir`, which has its own, none."""
    for config in configs.value:
        fields = {key.value: value for key, value in config.value}
        if "data_files" in fields and "data_dir" not in fields:
            yield from _names(fields["data_files"])


def _names(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield from () if "://" in node.value else (node,)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _names(each)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _names(value) if key.value == "path" else ()


def _refuse(file: str, node: yaml.Node, why: str) -> NoReturn:
    raise UsageError(f"{file}, line {int(node.start_mark.line) + FIRST_LINE}: {why}")
