"""What a template or expression reads of its variables, held against what is known of these before anything is sent.

A walk over jinja2's tree with what is known of each name: `row.anwser`, `rows.marks.lable`, also by way of a loop
(`for q in rows.marks`) or a name that is set. Where something is not known, nothing is said of it: a name that is set
in several places, what a macro is given, what most filters make.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from jinja2 import nodes

from distill_build.prompting.known import ANYTHING, NUMBER, TEXT, TRUTH, Fields, Items, Known, Value

_Told = Callable[[int, str], Exception]
"""The line and the sentence of a fault → what is raised."""
_Names = Mapping[str, Known]
_Kind = TypeVar("_Kind", bound=nodes.Node)

ONE_OF_ALL = frozenset({"first", "last", "min", "max", "random"})
SOME_OF_ALL = frozenset({"list", "sort", "unique", "reverse", "select", "reject", "selectattr", "rejectattr"})
OF_EACH = frozenset({"sort", "unique", "sum", "min", "max", "groupby", "join", "map"})
"""Filters that take the name of a field as `attribute`."""
BY_FIRST = frozenset({"selectattr", "rejectattr", "groupby"})
"""Those that take it as their first argument."""
LONGEST_SHOWN = 30
NAMED_AT = {
    "map": ("filter", 0), "select": ("test", 0), "reject": ("test", 0), "selectattr": ("test", 1),
    "rejectattr": ("test", 1),
}  # fmt: skip
"""Filters that are given another filter or a test by its name → which of the two, and by which argument."""
INSTEAD = {
    "get": "a field is {of}.NAME, or {of}.NAME | default(…) where it may be missing",
    "items": "its pairs are {of} | items",
    "keys": "its names are {of} | list",
    "values": "its pairs are {of} | items",
    "format": "write '… %s …' | format(…), or put texts together by ~",
    "append": "a longer list is {of} + […]",
    "extend": "a longer list is {of} + […]",
}
"""What stands for methods that Python's values have and data has not."""
OF_NUMBERS = (nodes.Sub, nodes.Div, nodes.FloorDiv, nodes.Pow)
"""Operators that no text, list or object has: `+`, `*` and `%` are of texts too."""
MAY_BE_MISSING = frozenset({"default", "d"})
ASKS_WHETHER = frozenset({"defined", "undefined"})


def check_references(tree: nodes.Node, names: _Names, told: _Told, methods: Collection[str] = ()) -> None:
    """Raises what `told` makes of the first reference to something that is not there.

    `names` are the variables that something is known of; `methods` are names that may be called on a text or list.
    """
    bound = Counter(_bindings(tree))
    kept = {name: known for name, known in names.items() if not bound[name]}
    tested = frozenset(described(each.node) for each in _all_of(tree, nodes.Test))
    _Walk(told, methods, bound, _asked_about(tree), tested).visit(tree, kept)


def bound_names(tree: nodes.Node) -> set[str]:
    """The names that a template gives something to."""
    return set(_bindings(tree))


def _bindings(tree: nodes.Node) -> Iterator[str]:
    """The name of each place that gives one something: what is set, goes through a loop, is a macro or imported."""
    yield from (node.name for node in tree.find_all(nodes.Name) if node.ctx != "load")
    yield from (node.name for node in tree.find_all(nodes.Macro))
    yield from (node.target for node in tree.find_all(nodes.Import))
    for node in tree.find_all(nodes.FromImport):
        yield from (name if isinstance(name, str) else name[1] for name in node.names)


def named_in_quotes(tree: nodes.Node) -> Iterator[tuple[str, nodes.Expr]]:
    """Filters and tests that other filters are given by their names: what it is, and where it is written."""
    for node in tree.find_all(nodes.Filter):
        what, at = NAMED_AT.get(node.name, ("", 0))
        if what and len(node.args) > at:
            yield what, node.args[at]


def _asked_about(tree: nodes.Node) -> frozenset[str]:
    """What a template asks whether it is there: `is defined`, `default`. Nothing is said of that."""
    tests = [each.node for each in _all_of(tree, nodes.Test) if each.name in ASKS_WHETHER]
    defaults = [each.node for each in _all_of(tree, nodes.Filter) if each.name in MAY_BE_MISSING]
    return frozenset(described(node) for node in (*tests, *defaults) if isinstance(node, nodes.Expr))


def _all_of(tree: nodes.Node, kind: type[_Kind]) -> Iterator[_Kind]:
    """The nodes of a kind in a tree: `find_all` leaves out the root, which an expression may be as a whole."""
    if isinstance(tree, kind):
        yield tree
    yield from tree.find_all(kind)


class _Walk:
    """`names` go down with the walk: what a loop binds is known within it alone."""

    def __init__(
        self,
        told: _Told,
        methods: Collection[str],
        bound: Mapping[str, int],
        asked_about: frozenset[str],
        tested: frozenset[str],
    ) -> None:
        """`tested` is what some test looks at, which may keep what does not fit its kind from ever being worked out."""
        self._told = told
        self._methods = methods
        self._bound = bound
        self._asked_about = asked_about
        self._tested = tested

    def visit(self, node: nodes.Node, names: dict[str, Known]) -> None:
        """A statement, or whatever holds some."""
        match node:
            case nodes.For():
                self._loop(node, names)
            case nodes.Assign():
                self._assign(node, names)
            case nodes.Macro() | nodes.CallBlock() | nodes.With() | nodes.Block() | nodes.Scope():
                self._inside(node, names)
            case nodes.Expr():
                self.known(node, names)
            case _:
                for child in node.iter_child_nodes():
                    self.visit(child, names)

    def _inside(self, node: nodes.Node, names: dict[str, Known]) -> None:
        """A statement with names of its own: of what a macro or a call is given nothing is known."""
        given = [*getattr(node, "args", ()), *getattr(node, "targets", ())]
        own = names | {each.name: ANYTHING for each in given if isinstance(each, nodes.Name)}
        for child in node.iter_child_nodes():
            self.visit(child, own)

    def _loop(self, node: nodes.For, names: dict[str, Known]) -> None:
        through, inside = self.known(node.iter, names), dict(names)
        if isinstance(node.target, nodes.Name):
            inside[node.target.name] = through.item if isinstance(through, Items) else ANYTHING
        else:
            inside |= dict.fromkeys(bound_names(node.target))
        for child in (*([node.test] if node.test is not None else []), *node.body, *node.else_):
            self.visit(child, inside)

    def _assign(self, node: nodes.Assign, names: dict[str, Known]) -> None:
        """A name is known where it is set once in all."""
        known = self.known(node.node, names)
        if isinstance(node.target, nodes.Name) and self._bound[node.target.name] == 1:
            names[node.target.name] = known

    # Expressions

    def known(self, node: nodes.Node, names: dict[str, Known]) -> Known:
        """What is known of the value of an expression, all of which is looked at."""
        match node:
            case nodes.Name():
                return names.get(node.name)
            case nodes.Const(value=value):
                return TEXT if isinstance(value, str) else _of_constant(value)
            case nodes.Getattr():
                return self._field(node, node.attr, names)
            case nodes.Getitem(arg=nodes.Const(value=str() as name)):
                return self._field(node, name, names)
            case nodes.Getitem():
                return self._item(node, names)
            case nodes.Call(node=nodes.Getattr() | nodes.Getitem()):
                return self._call(node, names)
            case nodes.Call():
                self._refuse_call(node.node, self.known(node.node, names))
            case nodes.BinExpr() if isinstance(node, OF_NUMBERS):
                return self._arithmetic(node.operator, (node.left, node.right), names)
            case nodes.Neg() | nodes.Pos():
                return self._arithmetic(node.operator, (node.node,), names)
            case nodes.Filter():
                return self._filter(node, names)
        for child in node.iter_child_nodes():
            self.known(child, names)
        return ANYTHING

    def _field(self, node: nodes.Getattr | nodes.Getitem, name: str, names: dict[str, Known]) -> Known:
        held = self.known(node.node, names)
        if name.startswith("_"):
            raise self._told(node.lineno, f"{name}: no name begins with an underscore")
        if described(node) in self._asked_about:
            return ANYTHING
        return self._field_of(held, name, node.node, node.lineno)

    def _field_of(self, held: Known, name: str, of: nodes.Node, line: int) -> Known:
        """The field `name` of what is written as `of`."""
        match held:
            case Fields():
                if name in held.fields:
                    return held.fields[name]
                if held.closed:
                    what = "column" if held.is_row else "field"
                    way = instead(name, described(of)) or nearest(name, list(held.fields), "it has")
                    raise self._told(line, f"{described(of)} has no {what} {name}: {way}")
            case Items():
                raise self._told(line, f"{described(of)} is a list{held.why}: {ways_of_a_list(described(of), name)}")
            case Value():
                raise self._told(line, f"{described(of)} is {held.words} and has no field {name}")
        return ANYTHING

    def _item(self, node: nodes.Getitem, names: dict[str, Known]) -> Known:
        held = self.known(node.node, names)
        self.known(node.arg, names)
        if isinstance(node.arg, nodes.Slice):
            return held
        if isinstance(held, Fields) and held.is_row and isinstance(node.arg, nodes.Const):
            raise self._told(node.lineno, f"{described(node.node)} is one row and no list: take its columns")
        return held.item if isinstance(held, Items) else ANYTHING

    def _call(self, node: nodes.Call, names: dict[str, Known]) -> Known:
        """A call of a field: a text and a list have methods, data has none."""
        called: Any = node.node
        name = called.attr if isinstance(called, nodes.Getattr) else getattr(called.arg, "value", None)
        held = self.known(called.node, names)
        if isinstance(held, (Items, Value)) and name not in self._methods:
            what = "a list" if isinstance(held, Items) else held.words
            way = instead(name, described(called.node)) or nearest(str(name), sorted(self._methods), "there are")
            raise self._told(
                node.lineno, f"{described(called)}(…): {what} has nothing to be called by that name here: {way}"
            )
        if isinstance(held, Fields) and isinstance(name, str):
            self._refuse_call(called, self._field_of(held, name, called.node, node.lineno))
        for child in (*node.args, *node.kwargs):
            self.known(child, names)
        return ANYTHING

    def _refuse_call(self, called: nodes.Expr, held: Known) -> None:
        """Data cannot be called, whatever its kind."""
        if held is not ANYTHING and described(called) not in self._tested:
            what = described(called)
            raise self._told(called.lineno, f"{what}(…): it is {_kind(held)}, and only read: leave out (…)")

    def _arithmetic(self, sign: str, sides: Sequence[nodes.Expr], names: dict[str, Known]) -> Known:
        """Numbers alone can be reckoned with."""
        for side in sides:
            held = self.known(side, names)
            if held not in (ANYTHING, NUMBER, TRUTH) and described(side) not in self._tested:
                what = f"{described(side)} is {_kind(held)}"
                raise self._told(side.lineno, f"{what}, and {sign} is for numbers; texts are put together by ~")
        return ANYTHING

    def _filter(self, node: nodes.Filter, names: dict[str, Known]) -> Known:
        held = self.known(node.node, names) if node.node is not None else ANYTHING
        for child in (*node.args, *node.kwargs):
            self.known(child, names)
        each = held.item if isinstance(held, Items) else ANYTHING
        fields = [self._at(each, attribute, node) for attribute in _attributes(node)]
        of = fields[0] if fields else ANYTHING
        if node.name == "map":
            return Items(of)
        if node.name in ONE_OF_ALL:
            return each
        return held if node.name in SOME_OF_ALL and isinstance(held, Items) else ANYTHING

    def _at(self, each: Known, attribute: str, node: nodes.Filter) -> Known:
        """The field of each item at a dotted path."""
        assert node.node is not None, "a filter over items stands behind them"  # noqa: S101
        asks = any(isinstance(arg, nodes.Const) and arg.value in ASKS_WHETHER for arg in node.args[1:])
        if asks or any(pair.key == "default" for pair in node.kwargs):
            return ANYTHING
        of: nodes.Expr = nodes.Filter(node.node, "first", [], [], None, None)
        for name in attribute.split("."):
            if name.startswith("_"):
                raise self._told(node.lineno, f"{attribute}: no name begins with an underscore")
            if name.isdigit():
                return ANYTHING
            each = self._field_of(each, name, of, node.lineno)
            of = nodes.Getattr(of, name, "load")
        return each


def _of_constant(value: object) -> Known:
    return TRUTH if isinstance(value, bool) else NUMBER if isinstance(value, int | float) else ANYTHING


def _kind(known: Known) -> str:
    return known.words if isinstance(known, Value) else "a list" if isinstance(known, Items) else "an object"


def _attributes(node: nodes.Filter) -> list[str]:
    """The fields of each item that a filter is told to go by, as they are written: `sort` may have several."""
    values = [pair.value for pair in node.kwargs if pair.key == "attribute" and node.name in OF_EACH]
    values += node.args[:1] if node.name in BY_FIRST else []
    written = [each.value for each in values if isinstance(each, nodes.Const) and isinstance(each.value, str)]
    return [part for each in written for part in (each.split(",") if node.name == "sort" else [each]) if part]


def described(node: nodes.Node) -> str:
    """How a part of an expression is written, for the sentences on it."""
    match node:
        case nodes.Name():
            return str(node.name)
        case nodes.Const(value=str() as text) if len(text) <= LONGEST_SHOWN:
            return repr(text)
        case nodes.Getattr():
            return f"{described(node.node)}.{node.attr}"
        case nodes.Getitem(arg=nodes.Const(value=value)):
            return f"{described(node.node)}[{value!r}]"
        case nodes.Filter(name="first", node=nodes.Expr() as held):
            return f"an item of {described(held)}"
    return "it"


def ways_of_a_list(name: str, field: str) -> str:
    """How a field is had of a list."""
    return f"take one, as in ({name} | first).{field}, or all, as in {name} | map(attribute='{field}') | join(', ')"


def instead(name: object, of: str) -> str:
    """What to write for a call of the method `name` of what is written as `of`; empty where nothing is known."""
    return INSTEAD.get(str(name), "").format(of=of)


def nearest(name: str, known: list[str], otherwise: str) -> str:
    """What `name` was meant to be, else all that it could have been."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"is it meant to be {close[0]}?" if close else f"{otherwise} {', '.join(known)}"
