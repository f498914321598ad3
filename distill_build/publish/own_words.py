"""A person's own words on a dataset, card.md: a front matter, which counts before ours, and the text below it. Pure.

What the front matter says is held to what the Hub and `datasets` read: a mapping with no key twice, and files that are
there. One that they cannot read would keep the whole dataset from loading.
"""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

import msgspec
import yaml

from distill_build.errors import UsageError

OWN_TEXT = "card.md"
"""The file, beside the others that people own."""
FRONT = re.compile(r"---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)(?P<text>.*)\Z", re.DOTALL | re.MULTILINE)
FIRST_LINE = 2
"""The line at which a front matter begins."""


class OwnWords(msgspec.Struct, frozen=True):
    """`front` is the front matter, `keys` what it says, and `text` what follows."""

    front: str = ""
    keys: frozenset[str] = frozenset()
    text: str = ""


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
    fields = {}
    for key, value in _fields(front, file):
        if key.value in fields:
            raise UsageError(f"{file}, line {_line(key)}: {key.value} is said twice: leave one of them out")
        fields[key.value] = value
    for pattern in _patterns(fields.get("configs")):
        if not any(fnmatchcase(name, pattern.value.removeprefix("./")) for name in published):
            raise UsageError(
                f"{file}, line {_line(pattern)}: configs names {pattern.value}, which is no file of the dataset: those "
                f"are {', '.join(sorted(published))}"
            )
    return OwnWords(front, frozenset(fields), found["text"])


def _fields(front: str, file: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """The keys of a front matter with what stands behind them."""
    try:
        node = yaml.compose(front, Loader=yaml.SafeLoader)
        yaml.safe_load(front)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        line = FIRST_LINE if mark is None else mark.line + FIRST_LINE
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise UsageError(
            f"{file}, line {line}: this is no YAML ({problem}): a text with a colon stands in quotes, and lines are "
            "indented by spaces"
        ) from error
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode) or node.flow_style or node.start_mark.column:
        raise UsageError(
            f"{file}, line {_line(node)}: the front matter has a key a line, not indented, as in `license: cc-by-4.0`"
        )
    return list(node.value)


def _patterns(configs: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The names of files, or patterns of them, that `configs` says; of a `data_dir`, which has its own, none."""
    for config in configs.value if isinstance(configs, yaml.SequenceNode) else ():
        fields = {key.value: value for key, value in config.value} if isinstance(config, yaml.MappingNode) else {}
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


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + FIRST_LINE
