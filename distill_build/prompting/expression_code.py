"""The parts of an expression → Python closures, one for each kind of node that is allowed.

No Python is generated and no attribute of a Python object is ever looked up: `row.items` is the field `items` or
nothing. What has no closure here (calls above all) is refused.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

from jinja2 import nodes

from distill_build.prompting import expression_filters as of_data
from distill_build.prompting.expression_filters import EvaluationError, MissingFieldError, Scope
from distill_build.prompting.references import described, instead, nearest

Code = Callable[[Scope], Any]

DEEPEST = 100
"""Nodes inside each other: with their closures far from Python's own limit."""
VARIABLES = ("row", "rows", "topic", "path")
COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
}
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


class NoExpressionError(Exception):
    """What may not stand in an expression: a sentence on its way to a ConfigurationError."""


class Reader:
    """Makes closures of a tree. `found` gathers the stages that it reads."""

    def __init__(self, rows: Collection[str], own: str | None) -> None:
        self._rows = rows
        self._own = own
        self.found: set[str] = set()

    def code(self, node: nodes.Node, depth: int) -> Code:
        if depth > DEEPEST:
            raise NoExpressionError(
                f"more than {DEEPEST} of its parts lie inside each other: split it, as in two columns"
            )
        made = _CODE.get(type(node))
        if made is None:
            raise NoExpressionError(f"{type(node).__name__.lower()} is no part of an expression")
        return made(self, node, depth + 1)

    def codes(self, found: Sequence[nodes.Node], depth: int) -> list[Code]:
        return [self.code(node, depth) for node in found]

    def _const(self, node: nodes.Const, _: int) -> Code:
        value = node.value
        if of_data.is_number(value) and not of_data.fits(value):
            raise NoExpressionError("a number in it is too large")
        return lambda _: value

    def _name(self, node: nodes.Name, _: int) -> Code:
        match node.name:
            case "row":
                return lambda scope: scope.row
            case "topic":
                return lambda scope: scope.topic
            case "path":
                return lambda scope: list(scope.path)
            case "rows":
                raise NoExpressionError(
                    "rows is read by the name of a stage written out, as in rows.NAME or rows['NAME']"
                )
        close = nearest(node.name, list(VARIABLES), "there are")
        raise NoExpressionError(f"there is no variable {node.name}: {close}")

    def _getattr(self, node: nodes.Getattr, depth: int) -> Code:
        return self._field(node.node, node.attr, depth)

    def _getitem(self, node: nodes.Getitem, depth: int) -> Code:
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._field(node.node, node.arg.value, depth)
        held = self.code(node.node, depth)
        if isinstance(node.arg, nodes.Slice):
            return self._part(held, node.arg, depth)
        index, where = self.code(node.arg, depth), described(node.node)
        return lambda scope: of_data.field(held(scope), index(scope), where)

    def _field(self, node: nodes.Node, name: str, depth: int) -> Code:
        if name.startswith("_"):
            raise NoExpressionError(f"{name}: no name begins with an underscore")
        if isinstance(node, nodes.Name) and node.name == "rows":
            return self._row_of(name)
        held, where = self.code(node, depth), described(node)

        def code(scope: Scope) -> Any:
            value = held(scope)
            if type(value) is dict and name in value:
                return value[name]
            return of_data.field(value, name, where)

        return code

    def _row_of(self, stage: str) -> Code:
        if stage not in self._rows:
            if stage == self._own:
                raise NoExpressionError(f"rows.{stage} would be the stage's own: the row at hand is row")
            known = sorted(self._rows)
            close = nearest(stage, known, "rows has") if known else "there is none that it could read"
            raise NoExpressionError(f"there is no stage {stage} in rows: {close}")
        self.found.add(stage)

        def code(scope: Scope) -> Any:
            try:
                return scope.rows[stage]
            except KeyError:
                raise MissingFieldError(f"there is no row of {stage} here") from None

        return code

    def _part(self, held: Code, node: nodes.Slice, depth: int) -> Code:
        ends = [None if end is None else self.code(end, depth) for end in (node.start, node.stop, node.step)]

        def code(scope: Scope) -> Any:
            value = held(scope)
            if not isinstance(value, (str, list)):
                raise EvaluationError(f"{of_data.kind(value)} has no parts from … to …")
            scope.pay(len(value))
            return value[slice(*(None if end is None else end(scope) for end in ends))]

        return code

    def _and(self, node: nodes.And, depth: int) -> Code:
        left, right = self.code(node.left, depth), self.code(node.right, depth)
        return lambda scope: left(scope) and right(scope)

    def _or(self, node: nodes.Or, depth: int) -> Code:
        left, right = self.code(node.left, depth), self.code(node.right, depth)
        return lambda scope: left(scope) or right(scope)

    def _not(self, node: nodes.Not, depth: int) -> Code:
        held = self.code(node.node, depth)
        return lambda scope: not held(scope)

    def _neg(self, node: nodes.Neg, depth: int) -> Code:
        held = self.code(node.node, depth)
        return lambda scope: -_number(held(scope), "-")

    def _pos(self, node: nodes.Pos, depth: int) -> Code:
        held = self.code(node.node, depth)
        return lambda scope: _number(held(scope), "+")

    def _arithmetic(self, node: nodes.BinExpr, depth: int) -> Code:
        sign = node.operator
        work = ARITHMETIC[sign]
        for side in (node.left, node.right):
            if is_surely_no_number(side):
                raise NoExpressionError(f"{sign} is for numbers; texts are put together by ~")
        left, right = self.code(node.left, depth), self.code(node.right, depth)
        return lambda scope: of_data.number(work(_number(left(scope), sign), _number(right(scope), sign)))

    def _pow(self, _: nodes.Pow, __: int) -> Code:
        raise NoExpressionError("** is no part of an expression: write x * x")

    def _add(self, node: nodes.Add, depth: int) -> Code:
        left, right = self.code(node.left, depth), self.code(node.right, depth)

        def code(scope: Scope) -> Any:
            first, second = left(scope), right(scope)
            if type(first) is type(second) and isinstance(first, (str, list)):
                scope.pay(len(first) + len(second))
                return first + second
            return of_data.number(_number(first, "+") + _number(second, "+"))

        return code

    def _concat(self, node: nodes.Concat, depth: int) -> Code:
        parts = self.codes(node.nodes, depth)
        return lambda scope: "".join([of_data.text(scope, part(scope)) for part in parts])

    def _compare(self, node: nodes.Compare, depth: int) -> Code:
        first = self.code(node.expr, depth)
        rest = [_comparison(operand.op, self.code(operand.expr, depth)) for operand in node.ops]
        if len(rest) == 1:
            only = rest[0]
            return lambda scope: only(scope, first(scope))[0]

        def code(scope: Scope) -> bool:
            value = first(scope)
            for comparison in rest:
                holds, value = comparison(scope, value)
                if not holds:
                    return False
            return True

        return code

    def _condexpr(self, node: nodes.CondExpr, depth: int) -> Code:
        if node.expr2 is None:
            raise NoExpressionError("an if without an else has no value where it does not hold: write … if … else …")
        test, yes, no = self.code(node.test, depth), self.code(node.expr1, depth), self.code(node.expr2, depth)
        return lambda scope: yes(scope) if test(scope) else no(scope)

    def _list(self, node: nodes.List | nodes.Tuple, depth: int) -> Code:
        parts = self.codes(node.items, depth)
        return lambda scope: [part(scope) for part in parts]

    def _dict(self, node: nodes.Dict, depth: int) -> Code:
        pairs = [(self.code(pair.key, depth), self.code(pair.value, depth)) for pair in node.items]
        return lambda scope: {name(scope): value(scope) for name, value in pairs}

    def _call(self, node: nodes.Call, _: int) -> Code:
        called = node.node.attr if isinstance(node.node, nodes.Getattr) else described(node.node)
        raise NoExpressionError(f"{called}(…): nothing is called in an expression{_way_of_call(node, called)}")

    def _test(self, node: nodes.Test, depth: int) -> Code:
        if node.name in ("defined", "undefined"):
            return self._defined(self.code(node.node, depth), node.name == "defined")
        return self._applied(node, self._test_named(node.name), depth)

    def _defined(self, held: Code, wanted: bool) -> Code:
        def code(scope: Scope) -> bool:
            try:
                held(scope)
            except MissingFieldError:
                return not wanted
            return wanted

        return code

    def _filter(self, node: nodes.Filter, depth: int) -> Code:
        if node.name in of_data.OVER_LISTS:
            return self._over_list(node, depth)
        return self._applied(node, self._filter_named(node.name), depth)

    def _filter_named(self, name: str) -> Callable[..., Any]:
        if name not in of_data.FILTERS:
            known = sorted({*of_data.FILTERS, *of_data.OVER_LISTS})
            raise NoExpressionError(f"there is no filter {name}: {nearest(name, known, 'there are')}")
        return of_data.FILTERS[name]

    def _test_named(self, name: str) -> Callable[..., Any]:
        if name not in of_data.TESTS:
            raise NoExpressionError(f"there is no test {name}: {nearest(name, sorted(of_data.TESTS), 'there are')}")
        return of_data.TESTS[name]

    def _applied(self, node: nodes.Filter | nodes.Test, function: Callable[..., Any], depth: int) -> Code:
        """`function` of what stands before the filter or test."""
        held = self._before(node, depth)
        if node.name in ("default", "d"):
            held = _or_missing(held)
        arguments = self._arguments(node, function, depth)
        if not node.args and not node.kwargs:
            return lambda scope: function(scope, held(scope))

        def code(scope: Scope) -> Any:
            args, named = arguments(scope)
            return function(scope, held(scope), *args, **named)

        return code

    def _before(self, node: nodes.Filter | nodes.Test, depth: int) -> Code:
        """What a filter or test is applied to."""
        if node.node is None:
            raise NoExpressionError("a filter needs something before it, as in row.text | length")
        return self.code(node.node, depth)

    def _arguments(
        self, node: nodes.Filter | nodes.Test, function: Callable[..., Any], depth: int, skipped: int = 0
    ) -> Callable[[Scope], tuple[list[Any], dict[str, Any]]]:
        """The arguments of `node` for `function`, less the first `skipped`."""
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise NoExpressionError(f"{node.name}: * and ** are no part of an expression")
        args = self.codes(node.args[skipped:], depth)
        named = {str(keyword.key): self.code(keyword.value, depth) for keyword in node.kwargs}
        try:
            inspect.signature(function).bind(None, None, *args, **named)
        except TypeError as error:
            raise NoExpressionError(f"{node.name}: {error}") from error
        return lambda scope: ([arg(scope) for arg in args], {name: arg(scope) for name, arg in named.items()})

    def _over_list(self, node: nodes.Filter, depth: int) -> Code:
        """`map`, `select` and their like: what is applied to each item is named by a text written out."""
        held = self._before(node, depth)
        named = {str(keyword.key): keyword.value for keyword in node.kwargs}
        if node.name == "map" and not node.args and {"attribute"} <= named.keys() <= {"attribute", "default"}:
            attribute = written(named["attribute"], node.name)
            otherwise = self.code(named["default"], depth) if "default" in named else None
            return lambda scope: _fields(scope, of_data.items(scope, held(scope)), attribute, otherwise)
        if node.name != "map":
            return self._selected(node, held, depth)
        name = constant(node, 0)
        if name in of_data.OVER_LISTS:
            raise NoExpressionError(f"map('{name}') is no part of an expression")
        function = self._filter_named(name)
        arguments = self._arguments(node, function, depth, 1)

        def code(scope: Scope) -> list[Any]:
            args, named = arguments(scope)
            return [function(scope, item, *args, **named) for item in of_data.items(scope, held(scope))]

        return code

    def _selected(self, node: nodes.Filter, held: Code, depth: int) -> Code:
        """The items of a list for which a test holds, or does not: of the item, or of one of its fields."""
        own = int(node.name.endswith("attr"))
        attribute = constant(node, 0) if own else None
        name = constant(node, own) if len(node.args) > own else None
        test = _itself if name is None else self._test_named(name)
        arguments = self._arguments(node, test, depth, len(node.args) if name is None else own + 1)
        wanted = node.name.startswith("select")

        def holds(scope: Scope, item: Any, args: list[Any], named: dict[str, Any]) -> bool:
            try:
                value = of_data.at(item, attribute)
            except MissingFieldError:
                if name in ("defined", "undefined"):
                    return name == "undefined"
                raise
            return bool(test(scope, value, *args, **named))

        def code(scope: Scope) -> list[Any]:
            args, named = arguments(scope)
            return [item for item in of_data.items(scope, held(scope)) if holds(scope, item, args, named) is wanted]

        return code


_CODE: dict[type[nodes.Node], Callable[[Reader, Any, int], Code]] = {
    nodes.Const: Reader._const,
    nodes.Name: Reader._name,
    nodes.Getattr: Reader._getattr,
    nodes.Getitem: Reader._getitem,
    nodes.And: Reader._and,
    nodes.Or: Reader._or,
    nodes.Not: Reader._not,
    nodes.Neg: Reader._neg,
    nodes.Pos: Reader._pos,
    nodes.Add: Reader._add,
    nodes.Sub: Reader._arithmetic,
    nodes.Mul: Reader._arithmetic,
    nodes.Div: Reader._arithmetic,
    nodes.FloorDiv: Reader._arithmetic,
    nodes.Mod: Reader._arithmetic,
    nodes.Pow: Reader._pow,
    nodes.Concat: Reader._concat,
    nodes.Compare: Reader._compare,
    nodes.CondExpr: Reader._condexpr,
    nodes.List: Reader._list,
    nodes.Tuple: Reader._list,
    nodes.Dict: Reader._dict,
    nodes.Call: Reader._call,
    nodes.Test: Reader._test,
    nodes.Filter: Reader._filter,
}
"""Every kind of node that may stand in an expression; two of them only to be refused with a way out."""


def _or_missing(held: Code) -> Code:
    def code(scope: Scope) -> Any:
        try:
            return held(scope)
        except MissingFieldError:
            return of_data.MISSING

    return code


def _way_of_call(node: nodes.Call, called: str) -> str:
    """What to write in place of a call."""
    if called in of_data.FILTERS and called != "items":
        return f": write … | {called}"
    if called == "format":
        return ": texts are put together by ~, as in 'score ' ~ row.score"
    way = instead(called, described(node.node.node)) if isinstance(node.node, nodes.Getattr) else ""
    return f": {way}" if way else ", only by filters and tests, as in … | length"


def _fields(scope: Scope, found: Sequence[Any], attribute: str, otherwise: Code | None) -> list[Any]:
    """A field of each item; `otherwise` stands for one that is not there."""
    if otherwise is None:
        return [of_data.field_at(item, attribute) for item in found]
    absent, values = otherwise(scope), list[Any]()
    for item in found:
        try:
            values.append(of_data.field_at(item, attribute))
        except MissingFieldError:
            values.append(absent)
    return values


def _itself(_: Scope, value: Any) -> Any:
    return value


def _comparison(sign: str, other: Code) -> Callable[[Scope, Any], tuple[Any, Any]]:
    """What holds of a value and of what stands right of `sign`; and the latter, for the next in a chain."""
    if sign in COMPARED:
        less = COMPARED[sign]

        def ordered(scope: Scope, value: Any) -> tuple[Any, Any]:
            second = other(scope)
            return of_data.compared(value, second, less), second

        return ordered
    test = of_data.is_in if sign in ("in", "notin") else of_data.TESTS["eq"]
    wanted = sign in ("in", "eq")

    def holds(scope: Scope, value: Any) -> tuple[Any, Any]:
        second = other(scope)
        return bool(test(scope, value, second)) is wanted, second

    return holds


def _number(value: Any, sign: str) -> Any:
    if not of_data.is_number(value):
        raise EvaluationError(f"{sign} is for numbers, and {of_data.kind(value)} stands there")
    return value


def is_surely_no_number(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Const):
        return not of_data.is_number(node.value)
    return isinstance(node, (nodes.Concat, nodes.List, nodes.Tuple, nodes.Dict))


def constant(node: nodes.Filter, index: int) -> str:
    """The argument `index` of a filter over a list."""
    if len(node.args) <= index:
        raise NoExpressionError(f"{node.name}: name what is wanted of each item, as in {node.name}('length')")
    return written(node.args[index], node.name)


def written(node: nodes.Node, name: str) -> str:
    """A name that has to stand in quotes, so that it can be checked."""
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str) or not node.value:
        raise NoExpressionError(f"{name}: the name of a filter, a test or a field has to be written out in quotes")
    if any(part.startswith("_") for part in node.value.split(".")):
        raise NoExpressionError(f"{node.value}: no name begins with an underscore")
    return node.value
