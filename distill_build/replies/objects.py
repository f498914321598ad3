"""Finds the object in a reply's text that fits a schema: JSON as it should be, or as models write it.

As for lists, broken JSON is repaired but for an object that is not closed: nobody would miss the fields that never
came.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from distill_build.replies.brackets import nowhere, spans
from distill_build.replies.corrections import EXAMPLE, Given, leads, takes_back, those_that_count
from distill_build.replies.json_values import WRAPPED, loaded
from distill_build.replies.schemas import DEEPEST, ObjectSchema, resolved

INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,18})")
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?")
LARGEST = 1 << 63


class NoObject(NamedTuple):
    """`detail` is a sentence for the model."""

    detail: str


def find_fields(text: str, schema: ObjectSchema) -> dict[str, Any] | NoObject:
    """As `find_object`, with the fields that the schema names alone, in its order."""
    found = find_object(text, schema)
    return found if isinstance(found, NoObject) else {name: found[name] for name in schema.fields if name in found}


def find_object(text: str, schema: ObjectSchema) -> dict[str, Any] | NoObject:
    """The object in `text` that fits `schema`, as it stands there.

    Of several, with those that do not fit, all have to be the same, but for what is final in its own words: nobody
    said which is meant. Where none fits, the last one's fault is told.
    """
    given, fault, ended = list[Given[dict[str, Any] | None]](), None, 0
    for span in spans(text, nowhere):
        if not span.closed:
            return NoObject("The JSON object is not closed: the reply ends in the middle of it.")
        value = loaded(span)
        tried = [_held_to(schema, candidate) for candidate in candidates(value)]
        if leads(EXAMPLE, text[ended : span.start]):
            tried = [({}, "it is only an example of it")]
        fits = next((value for value, wrong in tried if wrong is None), None)
        if tried or value is None or (isinstance(value, list) and any(isinstance(entry, dict) for entry in value)):
            given.append(Given(fits, span.start, span.end))
            fault = tried[0][1] if tried and fits is None else fault
        ended = span.end
    counted = those_that_count(text, given)
    if any(each.value != counted[0].value for each in counted):
        return NoObject("The reply holds several JSON objects, and they differ; send the one that is meant.")
    if counted and (found := counted[0].value) is not None:
        if takes_back(text[counted[-1].end :]):
            return NoObject("The reply takes its JSON object back; send the one that is meant.")
        return found
    if fault is None:
        return NoObject(f"The reply holds no JSON object; it has to be one with {_listed(schema.fields)}.")
    return NoObject(f"The JSON object does not fit its schema: {fault}.")


def _held_to(schema: ObjectSchema, candidate: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """An object with the numbers that its schema wants, and why it does not fit."""
    value: dict[str, Any] = lossless(candidate, schema.document, schema.document)
    return value, unwritable(value) or schema.fault(value)


def candidates(value: Any) -> Iterator[dict[str, Any]]:
    """The object that `value` is, and those that it only wraps.

    A list counts where it holds one object and nothing else: of several nobody said which is meant.
    """
    here = value[0] if isinstance(value, list) and len(value) == 1 else value
    for _ in range(WRAPPED):
        if not isinstance(here, dict):
            break
        yield here
        here = next(iter(here.values())) if len(here) == 1 else None


def lossless(value: Any, schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """`value` with the numbers that `schema` wants where they came in another form and can mean nothing else.

    `4.0` and "4" are the integer 4, "0.5" is a number, "true" a truth value; 4.5 is no integer, and "four" no number.
    """
    if depth > DEEPEST or not isinstance(schema, Mapping):
        return value
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return lossless(value, resolved(reference, root), root, depth + 1)
    if isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        return {name: lossless(held, fields.get(name, others), root, depth + 1) for name, held in value.items()}
    if isinstance(value, list):
        return [lossless(held, schema.get("items"), root, depth + 1) for held in value]
    return scalar(value, set(types(schema)))


def types(schema: Any) -> Iterator[str]:
    """The types that a schema lets a value have, as far as it says them outright."""
    if isinstance(schema, Mapping):
        kinds = schema.get("type", ())
        yield from (kinds,) if isinstance(kinds, str) else kinds
        for other in schema.get("anyOf", ()):
            yield from types(other)


def scalar(value: Any, kinds: set[str]) -> Any:
    """`value` as one of `kinds`, where it is none of them and says the same as one of them."""
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)
    if not isinstance(value, str) or "string" in kinds:
        return value
    text = value.strip()
    if kinds & {"integer", "number"} and INTEGER.fullmatch(text):
        return int(text)
    if "number" in kinds and NUMBER.fullmatch(text):
        return float(text)
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    return value


def unwritable(value: Any, depth: int = 0) -> str | None:
    """Why a value cannot stand in a file, though Python's reader of JSON took it; None where it can."""
    if depth > DEEPEST:
        return "it is nested too deeply"
    if isinstance(value, str):
        return None if is_unicode(value) else "a text holds half a surrogate pair, which is no character"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number is not finite"
    if isinstance(value, int) and not -LARGEST < value < LARGEST:
        return "a number is too large"
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((fault for part in parts if (fault := unwritable(part, depth + 1)) is not None), None)


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON may escape half a surrogate pair, no file can hold one."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
