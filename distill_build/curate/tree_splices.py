"""A tree.yaml as it was typed, in which a mapping gets an entry, a list an item, or loses one.

The text is spliced at the places that the reader of YAML tells of its nodes, so that what is not changed stays as it
is: comments, quotes, blank lines, line ends. Of what is taken out the comments stay, each on a line of its own. Knows
mappings, lists and single labels, and little of what they say.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from distill_build.curate.tree_file import LOADER, is_empty
from distill_build.replies.labels import normalise
from distill_build.subtree import ABOUT

Keys = Sequence[str]
Splice = tuple[int, int, str]
"""Where what goes begins and ends, and what comes into its place."""
WIDE = 1 << 20
"""Characters after which a line would be broken: none that is written here is."""
LINE_END = re.compile("\r\n?|[\n\x85\u2028\u2029]")
COMMENT = re.compile("#[^\r\n\x85\u2028\u2029]*")
GAP = re.compile(rf"(?:\s|{COMMENT.pattern})*")
BLANKS = re.compile("[ \t]*")
MERGE_KEY = "<<"


class _Entry(NamedTuple):
    """An entry of a mapping, or an item of a list, whose key and value are one node."""

    key: yaml.Node
    value: yaml.Node


class TreeText:
    """The text of a file that can be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root: yaml.Node | None = yaml.compose(text, LOADER)
        self._indent, self._offset = _indents(text)
        end = LINE_END.search(text)
        self._end = end[0] if end else "\n"

    def has(self, keys: Keys, label: str) -> bool:
        """Whether `label` stands in the mapping or the list below `keys`."""
        return _found(self._node(keys), label) is not None

    def say(self, said: Any) -> None:
        """Has the file say `said`, too: mappings of one key each, down to a list of one label, a text, or None.

        A label goes into the list or the mapping that is there; a list becomes a mapping where more is said of a label.
        """
        node, around, entry, rest = self._root, self._root, None, said
        while rest is not None:
            if node is None or is_empty(node):
                return self._fill(node, around, entry, rest)
            if isinstance(rest, str):
                return self._splice((*_span(node, self.text), _scalar(rest)))
            label = next(iter(rest))
            found, below = _found(node, label), rest[label] if isinstance(rest, dict) else None
            if found is None and below is None:
                return self._add(node, label)
            if not isinstance(node, yaml.MappingNode):
                if below is not None:
                    self._make_mapping(node)
                    self.say(said)
                return None
            if found is None:
                return self._add_entry(node, rest)
            around, entry, node, rest = node, found, found.value, below
        return None

    def take(self, keys: Keys, label: str) -> bool:
        """Takes `label` out of what stands below `keys`; says whether it was there.

        A key that has nothing below it then goes, too, and what is said about a tag; a tag by hand stays one.
        """
        chain = list(self._chain(keys))
        found = _found(self._node(keys), label)
        if found is None:
            return False
        around = [self._root, *(entry.value for entry in chain)]
        while chain and len(_entries(around[-1])) == 1 and (len(chain) % 2 or keys[len(chain) - 2] == ABOUT):
            around.pop()
            found = chain.pop()
        if _is_flow(around[-1]):
            self._remove_in_flow(found)
        else:
            self._remove_lines(found)
        return True

    def _node(self, keys: Keys) -> yaml.Node | None:
        chain = list(self._chain(keys))
        if len(chain) < len(keys):
            return None
        return chain[-1].value if chain else self._root

    def _chain(self, keys: Keys) -> Iterator[_Entry]:
        """The entries that lead down `keys`, as far as there are some."""
        node = self._root
        for key in keys:
            found = _found(node, key) if isinstance(node, yaml.MappingNode) else None
            if found is None:
                return
            yield found
            node = found.value

    def _fill(self, node: yaml.Node | None, around: yaml.Node | None, entry: _Entry | None, said: Any) -> None:
        """Puts what is said into the place of a `node` that says nothing, which is the value of `entry`."""
        if node is None:
            return self._splice(self._whole_lines(len(self.text), said, 0))
        start, end = _span(node, self.text)
        if entry is None or around is None:
            return self._splice((start, end, ""), self._whole_lines(self._line_after(end), said, 0))
        if not _is_flow(around):
            column = self._column(entry.key) + (self._offset if isinstance(said, list) else self._indent)
            return self._splice((start, end, ""), self._whole_lines(self._line_after(end), said, column))
        if start == end:
            start = end = self._end_of(entry)
        colon = " " if self._colon(entry) is not None else ": "
        return self._splice((start, end, colon + _flow(said)))

    def _add(self, node: yaml.Node, label: str) -> None:
        """Adds a label of which nothing is said."""
        if isinstance(node, yaml.MappingNode):
            self._add_entry(node, {label: None})
        elif isinstance(node, yaml.ScalarNode):
            self._splice((*_span(node, self.text), f"[{_one_line(node, self.text)}, {_scalar(label)}]"))
        elif _is_flow(node):
            self._add_in_flow(node, _scalar(label))
        else:
            self._add_lines(node, [label])

    def _add_entry(self, node: yaml.MappingNode, said: dict[str, Any]) -> None:
        if _is_flow(node):
            self._add_in_flow(node, _flow(said)[1:-1])
        else:
            self._add_lines(node, said)

    def _add_in_flow(self, node: yaml.Node, text: str) -> None:
        if entries := _entries(node):
            at, text = self._end_of(entries[-1]), f", {text}"
        else:
            at = self._opening(node) + 1
        self._splice((at, at, text))

    def _add_lines(self, node: yaml.Node, said: Any) -> None:
        entries = _entries(node)
        at = self._line_after(self._end_of(entries[-1]))
        self._splice(self._whole_lines(at, said, self._column(entries[0].key)))

    def _make_mapping(self, node: yaml.Node) -> None:
        """Makes a mapping of a list of labels, each with nothing below it."""
        items = [item.key for item in _entries(node)]
        if isinstance(node, yaml.ScalarNode):
            return self._splice((*_span(node, self.text), f"{{{_one_line(node, self.text)}: {{}}}}"))
        if _is_flow(node):
            opening, closing = self._opening(node), node.end_mark.index - 1
            brackets = [(opening, opening + 1, "{"), (closing, closing + 1, "}")]
            labels = [(*_span(item, self.text), f"{_one_line(item, self.text)}: {{}}") for item in items]
            return self._splice(*brackets, *labels)
        labels = [(*_span(item, self.text), f"{_one_line(item, self.text)}:") for item in items]
        return self._splice(*labels, *map(self._without_dash, items))

    def _without_dash(self, item: yaml.Node) -> Splice:
        """All keys of a mapping stand below each other, and further in than the dashes: these may stand below a key."""
        start = item.start_mark.index
        dash = self.text.rindex("-", 0, start)
        return dash, start, "  " if self.text[dash + 1 : start].isspace() else " " + self.text[dash + 1 : start]

    def _remove_lines(self, entry: _Entry) -> None:
        mark, end = entry.key.start_mark, self._line_after(self._end_of(entry))
        start = mark.index - mark.column
        blank = " " * self._column(entry.key)
        self._splice((start, end, "".join(f"{blank}{each}{self._end}" for each in self._comments(start, end))))

    def _remove_in_flow(self, entry: _Entry) -> None:
        start, end = entry.key.start_mark.index, self._end_of(entry)
        kept = "".join(f" {each}{self._end}" for each in self._comments(start, end))
        comma = self._gap_after(end)
        if self.text[comma] != ",":  # the last one: what stood between it and the one before
            before = self.text[:start].rstrip(" \t")
            start = len(before) - 1 if before.endswith(",") else start
            return self._splice((start, end, kept))
        if not self.text[end:comma].isspace() and end < comma:  # a comment stands between
            return self._splice((start, end, kept), (comma, comma + 1, ""))
        start, end = self._whole_line(start, self._blanks_after(comma + 1))
        return self._splice((start, end, kept))

    def _whole_line(self, start: int, end: int) -> tuple[int, int]:
        """With the line around it, where nothing else stands on that."""
        before = self.text[:start].rstrip(" \t")
        line_end = LINE_END.match(self.text, end)
        return (len(before), line_end.end()) if line_end and before[-1:] in "\r\n" else (start, end)

    def _comments(self, start: int, end: int) -> list[str]:
        masked = list(self.text[start:end])
        for scalar in _scalars(self._root):
            first, last = _span(scalar, self.text)
            if start <= first and last <= end:
                masked[first - start : last - start] = "x" * (last - first)
        return COMMENT.findall("".join(masked))

    def _end_of(self, entry: _Entry) -> int:
        """Where the last character of an entry stands, comments behind it left out."""
        node = entry.value
        if not isinstance(node, yaml.ScalarNode):
            below = _entries(node)
            return node.end_mark.index if _is_flow(node) else self._end_of(below[-1])
        start, end = _span(node, self.text)
        if start < end:
            return int(node.end_mark.index) if node.style in ("|", ">") else end
        colon = self._colon(entry)
        return _span(entry.key, self.text)[1] if colon is None else colon + 1

    def _colon(self, entry: _Entry) -> int | None:
        """Where the colon stands behind a key that has no value."""
        at = self._gap_after(_span(entry.key, self.text)[1])
        return at if self.text[at : at + 1] == ":" else None

    def _gap_after(self, at: int) -> int:
        """Where the next thing stands that is neither blank nor a comment."""
        return GAP.match(self.text, at).end()  # type: ignore[union-attr]  # it matches nothing, too

    def _blanks_after(self, at: int) -> int:
        return BLANKS.match(self.text, at).end()  # type: ignore[union-attr]  # as above

    def _opening(self, node: yaml.Node) -> int:
        return self.text.index("{" if isinstance(node, yaml.MappingNode) else "[", node.start_mark.index)

    def _column(self, node: yaml.Node) -> int:
        """How far the line is indented on which a node stands."""
        mark = node.start_mark
        return self._blanks_after(mark.index - mark.column) - (mark.index - mark.column)

    def _line_after(self, at: int) -> int:
        if at and LINE_END.match(self.text, at - 1):  # what stands on lines of its own ends behind them
            return at
        found = LINE_END.search(self.text, at)
        return found.end() if found else len(self.text)

    def _whole_lines(self, at: int, said: Any, column: int) -> Splice:
        lines = "".join(line + self._end for line in self._lines(said, column))
        return at, at, lines if not at or LINE_END.match(self.text, at - 1) else self._end + lines

    def _lines(self, said: Any, column: int) -> Iterator[str]:
        if isinstance(said, list):
            yield from (f"{' ' * column}- {_scalar(label)}" for label in said)
            return
        for key, below in said.items():
            own = f" {_scalar(below)}" if isinstance(below, str) else ""
            yield f"{' ' * column}{_scalar(key)}:{own}"
            if isinstance(below, list | dict):
                yield from self._lines(below, column + (self._offset if isinstance(below, list) else self._indent))

    def _splice(self, *splices: Splice) -> None:
        for start, end, text in sorted(splices, reverse=True):
            self.text = self.text[:start] + text + self.text[end:]
        self._root = yaml.compose(self.text, LOADER)


def _entries(node: yaml.Node | None) -> list[_Entry]:
    """What a mapping or a list has, or a single label."""
    if node is None or is_empty(node):
        return []
    if isinstance(node, yaml.MappingNode):
        return [_Entry(key, value) for key, value in node.value]
    return [_Entry(item, item) for item in (node.value if isinstance(node, yaml.SequenceNode) else [node])]


def _is_flow(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _found(node: yaml.Node | None, label: str) -> _Entry | None:
    return next((entry for entry in _entries(node) if normalise(entry.key.value) == normalise(label)), None)


def _scalars(node: yaml.Node | None) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        yield node
        return
    for key, value in _entries(node):
        yield from _scalars(key)
        if value is not key:
            yield from _scalars(value)


def _span(node: yaml.Node, text: str) -> tuple[int, int]:
    """Where a scalar begins and ends; one that is not there has no length."""
    start = node.start_mark.index
    return start, start + len(text[start : node.end_mark.index].rstrip())


def _one_line(node: Any, text: str) -> str:
    """A label as it was typed, where that can stand in a mapping of any kind."""
    start, end = _span(node, text)
    typed = text[start:end]
    return typed if node.style in ("'", '"') and not LINE_END.search(typed) else _scalar(" ".join(node.value.split()))


def _flow(said: Any) -> str:
    if isinstance(said, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(below)}" for key, below in said.items()) + "}"
    if isinstance(said, list):
        return "[" + ", ".join(map(_scalar, said)) + "]"
    return _scalar(said) if said is not None else "{}"


def _scalar(text: str) -> str:
    """A text as it stands in YAML anywhere: without quotes where it can, be it `2024`, `No` or `3.10`."""
    node = yaml.ScalarNode("tag:yaml.org,2002:str", text, style="'" if text == MERGE_KEY else None)
    listed = yaml.SequenceNode("tag:yaml.org,2002:seq", [node], flow_style=True)
    written: str = yaml.serialize(listed, Dumper=yaml.BaseDumper, allow_unicode=True, width=WIDE)
    return written.strip()[1:-1]


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
