"""The filters and tests of expressions: what may be done to a value, and how much of it.

An allow-list, each on data alone. Those of jinja2 that look up methods, make text by a format or grow a text beyond
what was given to them are not here (`attr`, `format`, `center`, `indent`, `wordwrap`, `urlize`, `xmlattr`, `batch`, …),
nor those that go by chance or the time. Every step is paid for out of the `Scope`, so that no expression takes long.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

MOST_WORK = 5_000_000
"""Characters and items that one evaluation may read and make; the largest rows have some 100,000."""
LARGEST_NUMBER = 1 << 63
SCALARS = (str, int, float, bool, type(None))
MISSING = object()
"""What `default` is given in place of a field that is not there."""


class EvaluationError(Exception):
    """An expression has no value for a row. The text is a sentence."""


class MissingFieldError(EvaluationError):
    """There is no such field, row or item: what `is defined` and `default` are asked about."""


class Scope:
    """What one evaluation reads, and how much work is left for it."""

    __slots__ = ("left", "path", "row", "rows", "topic")

    def __init__(self, row: Mapping[str, Any], rows: Mapping[str, Any], topic: str, path: Collection[str]) -> None:
        self.row = row
        self.rows = rows
        self.topic = topic
        self.path = path
        self.left = MOST_WORK

    def pay(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise EvaluationError(f"it takes more than {MOST_WORK:,} characters and items")


def size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, dict)) else 1


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "an object" if isinstance(value, dict) else "a list"


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def fits(value: Any) -> bool:
    """Whether JSON can hold a number, and every reader of it."""
    return math.isfinite(value) if isinstance(value, float) else -LARGEST_NUMBER < value < LARGEST_NUMBER


def number(value: Any) -> Any:
    """`value`, unless it is none that JSON can hold."""
    if not fits(value):
        raise EvaluationError("a number gets too large")
    return value


def text(scope: Scope, value: Any) -> str:
    """A text, number or truth value as text."""
    if isinstance(value, str):
        scope.pay(len(value))
        return value
    if value is None:
        raise EvaluationError("null is no text: write … | default('', true) where it may be null")
    if not isinstance(value, SCALARS):
        raise EvaluationError(f"{kind(value)} is no text: take its fields, or write … | join(', ')")
    return str(value)


def items(scope: Scope, value: Any) -> list[Any]:
    """What a list, a text or an object has in it: items, characters, names of fields."""
    if not isinstance(value, (str, list, dict)):
        raise EvaluationError(f"{kind(value)} is no list")
    scope.pay(len(value))
    return list(value)


def field(value: Any, name: Any, where: str) -> Any:
    """The field or item `name` of `value`; `where` says what `value` is. Never an attribute of a Python object."""
    if isinstance(value, dict):
        if isinstance(name, str) and name in value:
            return value[name]
        has = ", ".join(map(str, value)) or "no fields"
        raise MissingFieldError(f"{where} has no field {name}; it has {has}")
    if isinstance(value, (list, str)) and isinstance(name, int):
        if -len(value) <= name < len(value):
            return value[name]
        raise MissingFieldError(f"{where} has no item {name}, but {len(value)} in all")
    raise MissingFieldError(f"{where} is {kind(value)} and has no field {name}")


def field_at(value: Any, path: str) -> Any:
    """The field at a dotted path, as the `attribute` of a filter names it."""
    for name in path.split("."):
        if name.startswith("_"):
            raise EvaluationError(f"{path}: no name begins with an underscore")
        value = field(value, int(name) if name.isdigit() else name, "an item")
    return value


def at(value: Any, attribute: str | None) -> Any:
    return value if attribute is None else field_at(value, attribute)


def comparable(value: Any, case_sensitive: bool) -> Any:
    return value.lower() if isinstance(value, str) and not case_sensitive else value


def _default(_: Scope, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if value is MISSING or (boolean and not value) else value


def _first(_: Scope, value: Any) -> Any:
    return field(value, 0, "it")


def _last(_: Scope, value: Any) -> Any:
    return field(value, -1, "it")


def _length(_: Scope, value: Any) -> int:
    if not isinstance(value, (str, list, dict)):
        raise EvaluationError(f"{kind(value)} has no length")
    return len(value)


def _join(scope: Scope, value: Any, d: str = "", attribute: str | None = None) -> str:
    texts = [text(scope, at(item, attribute)) for item in items(scope, value)]
    between = text(scope, d)
    scope.pay(len(between) * len(texts))
    return between.join(texts)


def _replace(scope: Scope, value: Any, old: str, new: str, count: int = -1) -> str:
    whole, old, new = text(scope, value), text(scope, old), text(scope, new)
    times = whole.count(old)
    scope.pay(max(0, len(new) - len(old)) * (times if count < 0 else min(times, count)))
    return whole.replace(old, new, count)


def _int(scope: Scope, value: Any, default: int = 0) -> Any:
    """As jinja2 reads it: `default` for what is no number."""
    scope.pay(size(value))
    try:
        return number(int(value))
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return number(int(float(value)))
    except (TypeError, ValueError, OverflowError):
        return default


def _float(scope: Scope, value: Any, default: float = 0.0) -> Any:
    scope.pay(size(value))
    try:
        read = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return read if math.isfinite(read) else default


def _abs(_: Scope, value: Any) -> Any:
    return abs(_numbers([value])[0])


def _round(_: Scope, value: Any, precision: int = 0) -> Any:
    return round(float(_numbers([value])[0]), max(-300, min(300, precision)))


def _numbers(values: Iterable[Any]) -> list[Any]:
    found = list(values)
    wrong = next((value for value in found if not is_number(value)), 0)
    if not is_number(wrong):
        raise EvaluationError(f"{kind(wrong)} is no number")
    return found


def _sum(scope: Scope, value: Any, attribute: str | None = None, start: int = 0) -> Any:
    return number(sum(_numbers(at(item, attribute) for item in items(scope, value)), *_numbers([start])))


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(scope: Scope, value: Any, case_sensitive: bool = False, attribute: str | None = None) -> Any:
        found = items(scope, value)
        if not found:
            raise MissingFieldError("the list is empty")
        return choose(found, key=lambda item: comparable(at(item, attribute), case_sensitive))

    return extreme


def _sort(
    scope: Scope, value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: str | None = None
) -> list[Any]:
    """By one field of each item or by several, as in attribute='score,sample'."""
    paths = [None] if attribute is None else attribute.split(",")

    def key(item: Any) -> list[Any]:
        return [comparable(at(item, path), case_sensitive) for path in paths]

    return sorted(items(scope, value), key=key, reverse=bool(reverse))


def _unique(scope: Scope, value: Any, case_sensitive: bool = False, attribute: str | None = None) -> list[Any]:
    first: dict[Any, Any] = {}
    for item in items(scope, value):
        first.setdefault(comparable(at(item, attribute), case_sensitive), item)
    return list(first.values())


def _reverse(scope: Scope, value: Any) -> Any:
    return text(scope, value)[::-1] if isinstance(value, str) else items(scope, value)[::-1]


def _pairs(scope: Scope, value: Any) -> list[Any]:
    if not isinstance(value, dict):
        raise EvaluationError(f"{kind(value)} has no fields")
    scope.pay(len(value))
    return [[name, held] for name, held in value.items()]


def _truncate(scope: Scope, value: Any, length: int = 255, killwords: bool = False, end: str = "...") -> str:
    """The first `length` characters, `end` included; to the last whole word unless `killwords`."""
    whole, end = text(scope, value), text(scope, end)
    if len(whole) <= length:
        return whole
    cut = whole[: max(0, length - len(end))]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def _of_text(change: Callable[[str], Any]) -> Callable[[Scope, Any], Any]:
    def changed(scope: Scope, value: Any) -> Any:
        return change(text(scope, value))

    return changed


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": _abs,
    "capitalize": _of_text(str.capitalize),
    "count": _length,
    "d": _default,
    "default": _default,
    "first": _first,
    "float": _float,
    "int": _int,
    "items": _pairs,
    "join": _join,
    "last": _last,
    "length": _length,
    "list": items,
    "lower": _of_text(str.lower),
    "max": _extreme(max),
    "min": _extreme(min),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "sort": _sort,
    "string": text,
    "sum": _sum,
    "trim": _of_text(str.strip),
    "truncate": _truncate,
    "unique": _unique,
    "upper": _of_text(str.upper),
    "wordcount": _of_text(lambda value: len(value.split())),
}
OVER_LISTS = ("map", "select", "reject", "selectattr", "rejectattr")
"""Filters that are given another filter or a test by its name."""


def is_in(scope: Scope, value: Any, container: Any) -> bool:
    if not isinstance(container, (str, list, dict)):
        raise EvaluationError(f"{kind(container)} holds nothing that could be looked for")
    scope.pay(len(container))
    return value in container


def compared(first: Any, second: Any, less: Callable[[Any, Any], Any]) -> Any:
    """`less` of two values that have an order: numbers, texts, lists."""
    try:
        return less(first, second)
    except TypeError:
        raise EvaluationError(f"{kind(first)} and {kind(second)} cannot be compared") from None


def _is(test: Callable[[Any], bool]) -> Callable[[Scope, Any], bool]:
    def holds(_: Scope, value: Any) -> bool:
        return test(value)

    return holds


def _ordered(less: Callable[[Any, Any], Any]) -> Callable[[Scope, Any, Any], Any]:
    def holds(_: Scope, value: Any, other: Any) -> Any:
        return compared(value, other, less)

    return holds


def _equal(_: Scope, value: Any, other: Any) -> bool:
    return bool(value == other)


def _unequal(_: Scope, value: Any, other: Any) -> bool:
    return bool(value != other)


def _divisible(_: Scope, value: Any, num: Any) -> bool:
    first, second = _numbers([value, num])
    return bool(first % second == 0)


_greater, _greater_or_equal = _ordered(lambda a, b: a > b), _ordered(lambda a, b: a >= b)
_less, _less_or_equal = _ordered(lambda a, b: a < b), _ordered(lambda a, b: a <= b)

TESTS: dict[str, Callable[..., Any]] = {
    "defined": _is(lambda _: True),
    "undefined": _is(lambda _: False),
    "none": _is(lambda value: value is None),
    "boolean": _is(lambda value: isinstance(value, bool)),
    "true": _is(lambda value: value is True),
    "false": _is(lambda value: value is False),
    "integer": _is(lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": _is(lambda value: isinstance(value, float)),
    "number": _is(is_number),
    "string": _is(lambda value: isinstance(value, str)),
    "mapping": _is(lambda value: isinstance(value, dict)),
    "sequence": _is(lambda value: isinstance(value, (str, list, dict))),
    "iterable": _is(lambda value: isinstance(value, (str, list, dict))),
    "lower": _is(lambda value: isinstance(value, str) and value.islower()),
    "upper": _is(lambda value: isinstance(value, str) and value.isupper()),
    "even": lambda scope, value: _divisible(scope, value, 2),
    "odd": lambda scope, value: not _divisible(scope, value, 2),
    "divisibleby": _divisible,
    "in": is_in,
    **dict.fromkeys(("eq", "equalto", "=="), _equal),
    **dict.fromkeys(("ne", "!="), _unequal),
    **dict.fromkeys(("gt", "greaterthan", ">"), _greater),
    **dict.fromkeys(("ge", ">="), _greater_or_equal),
    **dict.fromkeys(("lt", "lessthan", "<"), _less),
    **dict.fromkeys(("le", "<="), _less_or_equal),
}
