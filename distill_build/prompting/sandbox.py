"""jinja2's sandbox for prompts: data has fields and no methods, and one rendering has only so much work.

Every turn of a loop, every call, and all that filters, operators and outputs read and make is paid for out of
`MOST_WORK`, before it is done. What is paid depends on the template and its variables alone, never on time or memory:
so a prompt that takes too much does so on every machine, and none hangs a build.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from types import BuiltinMethodType
from typing import Any

from jinja2 import BaseLoader, BytecodeCache, StrictUndefined, Undefined, pass_context
from jinja2.nodes import Compare, Concat, Const, Expr, Filter, For, List, Template
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from distill_build.prompting.references import ways_of_a_list

MOST_WORK = 20_000_000
"""Characters and items that one rendering may read and make; the longest prompts of all have some millions."""
ITEM, CALL = 40, 400
"""What a turn of a loop, an item and a call cost, in characters: each takes about as long."""
WIDEST = 1_000
"""Of a number that says how wide a text is to get."""
MOST_BITS = 4_096
LONG_NUMBER = 10
TEXT_METHODS = frozenset(
    {
        "capitalize", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdecimal", "isdigit", "islower",
        "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip", "partition", "removeprefix",
        "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines",
        "startswith", "strip", "swapcase", "title", "upper",
    }
)  # fmt: skip
LIST_METHODS = frozenset({"count", "index"})
CALLED = TEXT_METHODS | LIST_METHODS | {"cycle", "changed", "next", "reset"}
"""Names after a dot that may be called: of texts, lists, loops and cyclers."""
METHODS: dict[type, frozenset[str]] = {str: TEXT_METHODS, list: LIST_METHODS, tuple: LIST_METHODS}
TURNS, JOINED, WEIGHED = " turns", " joined", " weighed"
"""Filters that no template can name."""
OF_KINDS = frozenset(
    {
        "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping",
        "sequence", "iterable", "callable", "odd", "even", "divisibleby", "sameas", "filter", "test", "escaped",
    }
)  # fmt: skip
"""Tests that look at no more than what kind of value there is."""
OF_JINJA = ("_block_vars", "_loop_vars")
"""What jinja2 hands to a call besides what stands in the template."""
WIDTH = re.compile(r"%[^a-zA-Z%]*")


class TooMuchWork(Exception):  # noqa: N818 - a sentence on its way to a RenderingError
    """One rendering would read and make more than it may."""


class Sandbox(ImmutableSandboxedEnvironment):
    """`row.items` is the field `items`, or nothing. One rendering at a time; `begin` gives it its work."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, loader: BaseLoader, compiled: BytecodeCache | None = None) -> None:
        """`compiled` keeps what was compiled for others of this very class."""
        super().__init__(
            loader=loader,
            bytecode_cache=compiled,
            undefined=StrictUndefined,
            autoescape=False,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is worked out while a template is compiled, where nobody pays
        )
        self.left = MOST_WORK
        self._message: Callable[..., str] | None = None
        self.finalize = self._output
        self.concat = self._concat  # type: ignore[method-assign]
        del self.filters["random"], self.globals["lipsum"]  # the same variables have to give the same messages
        del self.filters["attr"]  # it looks at the object and not at its fields
        filters: dict[str, Any] = self.filters
        filters.update({name: self._paid(name, function) for name, function in filters.items()})
        filters |= {TURNS: self._turns, JOINED: self._joined, WEIGHED: self._weighed}
        tests: dict[str, Any] = self.tests
        tests.update({name: self._paid(name, tests[name]) for name in tests if name not in OF_KINDS})

    def begin(self, message: Callable[..., str] | None = None) -> None:
        """A rendering begins; `message` is the function of ours that it makes messages by, which is safe to call."""
        self.left = MOST_WORK
        self._message = message

    def pay(self, work: int) -> None:
        """Takes `work` off what is left."""
        self.left -= work
        if self.left < 0:
            raise TooMuchWork(
                f"it reads and makes more than {MOST_WORK:,} characters, where a turn of a loop or an item counts for "
                f"{ITEM} of them and a call for {CALL}"
            )

    def compile(self, source: Any, *args: Any, **named: Any) -> Any:
        """As jinja2's; what works through data pays for it."""
        name, file = (*args, None, None)[:2]
        tree = self.parse(source, name, file) if isinstance(source, str) else source
        return super().compile(_pays(tree, self), *args, **named)

    # Fields

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, (int, float)):
            return self.undefined(f"a number has no field {attribute}", obj=obj, name=attribute)
        return self._field(obj, attribute) if isinstance(obj, (dict, list)) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, slice):
            self.pay(_size(obj))
        return self._field(obj, argument) if isinstance(obj, dict) else super().getitem(obj, argument)

    def _field(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, list):
            if name in LIST_METHODS:
                return super().getattr(obj, name)
            return self.undefined(f"a list has no field {name}: {ways_of_a_list('it', name)}", obj=obj, name=name)
        try:
            return obj[name]
        except (KeyError, TypeError):
            return self._no_field(obj, name)

    def _no_field(self, obj: dict[Any, Any], name: Any) -> Undefined:
        has = ", ".join(map(str, obj)) or "none"
        pairs = "; its pairs are … | items" if name == "items" else ""
        return self.undefined(f"there is no field {name}: the fields are {has}{pairs}", obj=obj, name=name)

    # Calls

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(obj, BuiltinMethodType):
            return obj.__name__ in METHODS.get(type(obj.__self__), ())
        return super().is_safe_callable(obj)

    def call(__self, __context: Context, __obj: Any, *args: Any, **named: Any) -> Any:  # noqa: N805 - as jinja2's
        __self.pay(CALL)
        message = __self._message
        if message is not None and __obj is message:  # jinja2 would look at it from all sides, each time
            return message(*args, **{name: value for name, value in named.items() if name not in OF_JINJA})
        if isinstance(__obj, BuiltinMethodType):
            args = tuple(map(__self._listed, args))
            __self._pay_whole((__obj.__self__, *args, *named.values()))
            if (grows := GROWS.get(__obj.__name__)) is not None:
                __self.pay(grows(__obj.__self__, *args, **named))
        elif isinstance(__obj, LoopContext):  # a recursive loop goes through what it is given
            args = tuple(map(__self._turns, args))
        made = super().call(__context, __obj, *args, **named)
        if isinstance(made, (str, list)):
            __self.pay(len(made))
        return made

    # What templates are rewritten to: see `_pays`

    def _turns(self, items: Any) -> Any:
        """What a loop goes through."""
        if not isinstance(items, Iterable) or isinstance(items, Undefined):
            return items  # the loop says what is wrong
        return list(self._counted(items))

    def _joined(self, parts: list[Any]) -> str:
        """The operator ~."""
        return self._concat([self._text("" if part is None else part) for part in parts])

    def _weighed(self, value: Any) -> Any:
        """What an operator is about to go through."""
        self._pay_whole(value)
        return value

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.pay(ITEM)
            yield item

    # Operators, outputs and filters

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`*` and `+` of texts and lists, and `%` as a format, pay; numbers stay small."""
        if operator == "%" and isinstance(left, str):
            self._pay_whole((left, right))
            self.pay(_of_format(left))
        elif operator == "*" and not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
            times = left if isinstance(left, int) else right
            self.pay(max(_size(left), _size(right)) * max(0, times if isinstance(times, int) else 1))
        elif operator == "+":
            self.pay(_size(left) + _size(right))
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _require_small(left.bit_length() * abs(right))
        made = super().call_binop(context, operator, left, right)
        if isinstance(made, int):
            _require_small(made.bit_length())
        return made

    @pass_context
    def _output(self, _: Context, value: Any) -> str:
        """What is put into a text. A null is no word of it: a model would read what Python calls it."""
        return "" if value is None else self._text(value)

    def _text(self, value: Any) -> str:
        if isinstance(value, str):
            self.pay(len(value))
            return value
        if isinstance(value, (list, tuple, dict)):
            self._pay_whole(value)
        elif value is not None and not isinstance(value, (bool, int, float, range, Undefined)):
            raise TypeError(_no_text(value))
        text = str(value)
        self.pay(len(text))
        return text

    def _concat(self, parts: Iterable[str]) -> str:
        parts = list(parts)
        self.pay(sum(map(len, parts)))
        return "".join(parts)

    def _paid(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter or test that pays for what it is given and what it makes."""
        first = int(hasattr(function, "jinja_pass_arg"))  # the context or the like, before the value
        grows = GROWS.get(name)

        @wraps(function)
        def paid(*args: Any, **named: Any) -> Any:
            if any(isinstance(value, Iterator) for value in args):
                args = tuple(map(self._listed, args))
            for value in (*args[first:], *named.values()):
                self._pay_whole(value)
            if grows is not None:
                self.pay(grows(*args[first:], **named))
            made = function(*args, **named)
            if isinstance(made, (str, list)):
                self.pay(len(made))
            return made

        return paid

    def _listed(self, value: Any) -> Any:
        """What another filter goes on making, as a list."""
        return list(self._counted(value)) if isinstance(value, Iterator) else value

    def _pay_whole(self, value: Any) -> None:
        """Pays for a value and all that is in it; what is in it twice is paid twice, as it is told twice."""
        waiting = [value]
        while waiting:
            held = waiting.pop()
            if isinstance(held, str):
                self.pay(len(held))
            elif isinstance(held, (list, tuple)):
                self.pay(ITEM * len(held))
                waiting.extend(held)
            elif isinstance(held, dict):
                self.pay(ITEM * len(held))
                waiting.extend(held.values())


class _Pays(NodeTransformer):
    """Puts the payment where jinja2's own code would work through data: loops, `~`, comparisons."""

    def __init__(self, environment: Sandbox) -> None:
        self._environment = environment

    def visit_For(self, node: For) -> For:  # noqa: N802 - jinja2's visitors are named so
        self.generic_visit(node)
        node.iter = self._filter(TURNS, node.iter)
        return node

    def visit_Concat(self, node: Concat) -> Expr:  # noqa: N802
        self.generic_visit(node)
        return self._filter(JOINED, List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: Compare) -> Compare:  # noqa: N802
        """With a constant only what is looked through costs something."""
        self.generic_visit(node)
        short = isinstance(node.expr, Const) or any(isinstance(operand.expr, Const) for operand in node.ops)
        for operand in node.ops:
            if operand.op in ("in", "notin") or not short:
                operand.expr = self._filter(WEIGHED, operand.expr)
        if not short:
            node.expr = self._filter(WEIGHED, node.expr)
        return node

    def _filter(self, name: str, argument: Any) -> Filter:
        return Filter(argument, name, [], [], None, None, lineno=argument.lineno, environment=self._environment)


def _pays(tree: Template, environment: Sandbox) -> Template:
    return _Pays(environment).visit(tree)  # type: ignore[no-any-return]


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, dict, range)) else 1


def _no_text(value: Any) -> str:
    if isinstance(value, Iterator):
        return "what a filter over a list makes is no text: write … | join(', ')"
    what = getattr(value, "__name__", type(value).__name__)
    return f"{what} is no text" + (f": write {what}(…)" if callable(value) else "")


def _require_small(bits: int) -> None:
    if bits > MOST_BITS:
        raise TooMuchWork("a number gets too large")


def _narrow(number: Any) -> int:
    """A width, where it is one."""
    if isinstance(number, int) and abs(number) > WIDEST:
        raise TooMuchWork(f"a width of {number:,} is too large: {WIDEST:,} is the most")
    return abs(number) if isinstance(number, int) else _size(number)


def _of_format(value: Any, *_: Any, **__: Any) -> int:
    """A format may say how wide each of its values gets, and take a width from among them."""
    directives = WIDTH.findall(str(value))
    for directive in directives:
        for digits in re.findall(r"\d+", directive):
            _narrow(int(digits) if len(digits) < LONG_NUMBER else WIDEST * WIDEST)
        if "*" in directive:
            raise TooMuchWork("a width that stands among the values (*) is no part of a format here")
    return WIDEST * len(directives)


def _of_wraps(s: Any, width: Any = 79, break_long_words: Any = True, wrapstring: Any = "", *_: Any, **__: Any) -> int:
    """Breaking up one long word copies what is left of it at each line."""
    size, wide = _size(s), max(1, width) if isinstance(width, int) else 79
    return size * size // wide // 64 * bool(break_long_words) + (size + 1) * _size(wrapstring)


def _of_comparing(value: Any, *given: Any, **named: Any) -> int:
    """What is looked for from the end is compared at each place, and each character with all that are stripped."""
    return _size(value) * max(map(_size, (*given, *named.values())), default=1)


def _of_sum(iterable: Any, attribute: Any = None, start: Any = 0) -> int:  # noqa: ARG001 - jinja2's own names
    """Lists that are added up are copied at each step."""
    return _size(iterable) * (_size(iterable) if isinstance(start, (list, tuple)) else 1)


GROWS: dict[str, Callable[..., int]] = {
    "batch": lambda value, linecount, fill_with=None: linecount,  # noqa: ARG005
    "center": lambda value, width=80: _narrow(width),  # noqa: ARG005
    "format": _of_format,
    "indent": lambda s, width=4, *_, **__: (str(s).count("\n") + 1) * _narrow(width),
    "join": lambda value, d="", attribute=None: _size(value) * _size(d),  # noqa: ARG005
    "replace": lambda s, old, new, count=None: str(s).count(str(old)) * len(str(new)),  # noqa: ARG005
    **dict.fromkeys(("rfind", "rindex", "rpartition", "rsplit", "strip", "lstrip", "rstrip", "trim"), _of_comparing),
    "round": lambda value, precision=0, method="": _narrow(precision),  # noqa: ARG005
    "slice": lambda value, slices, fill_with=None: slices,  # noqa: ARG005
    "striptags": lambda value: _size(value) * str(value).count("<"),
    "sum": _of_sum,
    "tojson": lambda value, indent=None: _narrow(indent or 0) * len(str(value)),
    "wordwrap": _of_wraps,
}
"""Filters and methods that make more than they are given, or work longer → what they pay for that. Arguments have the
names that jinja2 gives them."""
