"""What is known of data before there is any: which fields a row has, what is a list, what is a text. Pure.

Prompts and expressions are held against it before anything is sent (see `references`). What is not known is `ANYTHING`,
of which nothing is said.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Value(msgspec.Struct, frozen=True):
    """A value without fields: a text, a number, a truth value; `words` say what it is."""

    words: str


class Fields(msgspec.Struct, frozen=True):
    """An object. Where it is `closed` it has no field but these; `is_row` says that it is the row of a stage."""

    fields: Mapping[str, "Known"]
    closed: bool = True
    is_row: bool = False


class Items(msgspec.Struct, frozen=True):
    """A list; `why` says how it comes that there are several."""

    item: "Known"
    why: str = ""


Known = Value | Fields | Items | None
ANYTHING = None
TEXT, NUMBER, TRUTH = Value("a text"), Value("a number"), Value("true or false")
OF_TYPES: Mapping[str, Known] = {"string": TEXT, "integer": NUMBER, "number": NUMBER, "boolean": TRUTH}
"""JSON schema's types of values."""
TEXTS = Items(TEXT)


SAMPLES: Sequence[Mapping[Value | None, Any]] = (
    {TEXT: "text", NUMBER: 1, TRUTH: True, ANYTHING: "text"},
    {TEXT: "7", NUMBER: 7, TRUTH: False, ANYTHING: 7},
    {TEXT: "other words", NUMBER: 20, TRUTH: True, ANYTHING: {}},
)
"""Values that a row may have; where nothing is known, one of another kind in each."""


def sample(known: Known, values: Mapping[Value | None, Any]) -> Any:
    """What `known` may stand for, with values of one of the `SAMPLES`."""
    match known:
        case Fields():
            return {name: sample(held, values) for name, held in known.fields.items()}
        case Items():
            return [sample(known.item, values)] * 2
    return values[known]


def agreed(first: Known, second: Known) -> Known:
    """What is known of something that is now the one and now the other."""
    if isinstance(first, Fields) and isinstance(second, Fields):
        shared = [name for name in first.fields if name in second.fields]
        fields = {name: agreed(first.fields[name], second.fields[name]) for name in shared}
        return Fields(fields, first.closed or second.closed, first.is_row and second.is_row)
    if isinstance(first, Items) and isinstance(second, Items):
        return Items(agreed(first.item, second.item), first.why)
    return first if first == second else ANYTHING


class TemplateVariables(msgspec.Struct, frozen=True):
    """What a template may use: its variables, and where `rows` is one of them the stages whose rows it may read.

    `known` is what is known of variables before there are any. `usual` says that it is used by the stage of ours that
    the packed one of its name was written for.
    """

    names: frozenset[str]
    rows: frozenset[str] = frozenset()
    known: Mapping[str, Known] = msgspec.field(default_factory=dict)
    usual: bool = True

    def shared_with(self, other: "TemplateVariables") -> "TemplateVariables":
        """Of a template that is used with these and with others: what it has of both."""
        known = {name: agreed(self.known[name], other.known[name]) for name in self.known if name in other.known}
        return TemplateVariables(self.names & other.names, self.rows & other.rows, known, self.usual and other.usual)
