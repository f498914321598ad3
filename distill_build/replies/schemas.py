"""What a reply was asked to be: JSON schemas (draft 2020-12), and OpenAI's `response_format` for them.

The only module that knows jsonschema, which is loaded when the first reply is validated or a schema is checked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from distill_build.errors import ConfigurationError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Structured = Literal["json_schema", "json_object", "none"]

NEVER_STRICT = frozenset({"allOf", "oneOf", "not", "if", "dependentSchemas", "patternProperties", "prefixItems"})
"""What OpenAI's strict mode has no place for."""
REFERENCES = ("$ref", "$dynamicRef")
DEEPEST = 32
"""Parts inside each other, of a schema and of a value that it is for."""
LONGEST_FAULT = 300


class ObjectSchema(msgspec.Struct, frozen=True, dict=True):
    """The schema of an object. `document` is the schema as JSON data, not looked at before it is needed."""

    document: Mapping[str, Any]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the object's fields, in order: the columns of a row."""
        return tuple(self.document.get("properties", ()))

    @cached_property
    def strict(self) -> bool:
        """Whether OpenAI's strict mode takes it: each object names all its fields, requires all, allows no other."""
        return all(_is_strict(part) for part in _parts(self.document))

    def check(self, name: str) -> None:
        """Raises ConfigurationError, with the setting's `name`, for what is no schema of an object with fields."""
        fault = self._fault_of_schema()
        if fault is not None:
            raise ConfigurationError(f"{name}: {fault}")

    def fault(self, value: Any) -> str | None:
        """Why `value` does not fit, in words for the model; None where it fits."""
        from jsonschema.exceptions import best_match

        try:
            error = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return "it is nested too deeply"
        if error is None:
            return None
        place = "" if error.json_path == "$" else f"{error.json_path.removeprefix('$.')}: "
        fault = f"{place}{' '.join(error.message.split())}"
        return fault if len(fault) <= LONGEST_FAULT else f"{fault[: LONGEST_FAULT - 1]}…"

    @cached_property
    def _validator(self) -> "Validator":
        from jsonschema import Draft202012Validator  # 0.1 s to import, and answers alone need none of it
        from referencing import Registry

        return Draft202012Validator(self.document, registry=Registry())  # empty: no reference is ever fetched

    def _fault_of_schema(self) -> str | None:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError

        document = self.document
        example = "as in {type: object, properties: {score: {type: integer}}, required: [score]}"
        if not isinstance(document, Mapping) or document.get("type") != "object":
            return f"a reply has fields, so its schema is one of an object, {example}"
        try:
            Draft202012Validator.check_schema(document, format_checker=Draft202012Validator.FORMAT_CHECKER)
            json.dumps(document, allow_nan=False)
        except SchemaError as error:
            place = error.json_path.removeprefix("$").removeprefix(".")
            return f"it is no JSON schema: {place + ': ' if place else ''}{' '.join(error.message.split())}"
        except ValueError:
            return "it has a number that no JSON has, as nan"
        except RecursionError:
            return "it is nested too deeply"
        if not document.get("properties"):
            return f"it names no fields, {example}"
        for part in _parts(document):
            for word in REFERENCES:
                if word in part and not isinstance(resolved(part[word], document), (Mapping, bool)):
                    return f"{word}: {part[word]} leads nowhere: a reference begins with #/ and stays inside the schema"
            if circle := _goes_round(part, document, (), set()):
                return f"$ref: {circle} goes round in a circle"
        return _unmet(document)


def _unmet(document: Mapping[str, Any]) -> str | None:
    """Why no reply can be a row by a schema, as far as that is seen without one."""
    for name in document.get("required", ()):
        if name not in document["properties"]:
            return (
                f"{name} is required and is none of its properties, which are the fields of a reply: say what it is "
                "among the properties, or leave it out of 'required'"
            )
        if not _fits_something(document["properties"][name], document, (document,)):
            return f"{name} is required, and no value fits properties.{name}: no reply could fit"
    return None if _fits_something(document, document, ()) else "no reply fits it"


def _goes_round(part: Any, document: Mapping[str, Any], passed: tuple[str, ...], clear: set[str]) -> str | None:
    """The reference by which what is asked of one value is asked of it again, without end; None where none does.

    `passed` are the references that led to `part`; `clear` takes those that lead into no circle.
    """
    for word in REFERENCES if isinstance(part, Mapping) else ():
        if (reference := part.get(word)) is None or reference in clear:
            continue
        if reference in passed:
            return str(reference)
        if found := _goes_round(resolved(reference, document), document, (*passed, reference), clear):
            return found
        clear.add(reference)
    told = (_goes_round(each, document, passed, clear) for each in _of_the_same_value(part))
    return next((found for found in told if found), None)


def _of_the_same_value(part: Any) -> Iterator[Any]:
    """The schemas in `part` that are asked of the very value that it is asked of, references aside."""
    if not isinstance(part, Mapping):
        return
    for word in ("allOf", "anyOf", "oneOf"):
        yield from part.get(word, ())
    for word in ("not", "if", "then", "else"):
        yield part.get(word)
    yield from part.get("dependentSchemas", {}).values()


def _fits_something(part: Any, document: Mapping[str, Any], passed: tuple[Any, ...]) -> bool:
    """Whether there may be a value that fits: not where it would hold itself, or what nothing fits.

    `passed` are the schemas that it stands in, each of which cannot do without it.
    """
    if not isinstance(part, Mapping):
        return part is not False
    if part.get("enum") == [] or any(part is each for each in passed):
        return False
    needed = [resolved(part[word], document) for word in REFERENCES if word in part]
    needed += part.get("allOf", ())
    if part.get("type") == "object":
        needed += [part.get("properties", {}).get(name) for name in part.get("required", ())]
    if part.get("type") == "array" and part.get("minItems", 0) > 0 and "prefixItems" not in part:
        needed.append(part.get("items"))
    fit = all(_fits_something(each, document, (*passed, part)) for each in needed)
    some = (part[word] for word in ("anyOf", "oneOf") if word in part)
    return fit and all(any(_fits_something(each, document, (*passed, part)) for each in each_of) for each_of in some)


def _parts(schema: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """A schema and all that is in it, names of fields left out."""
    if depth > DEEPEST:
        return
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each, depth + 1)
    if not isinstance(schema, Mapping):
        return
    yield schema
    for word, held in schema.items():
        if word in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
            for each in held.values() if isinstance(held, Mapping) else ():
                yield from _parts(each, depth + 1)
        elif word not in ("const", "enum", "default", "examples", "required"):
            yield from _parts(held, depth + 1)


def _is_strict(part: Mapping[str, Any]) -> bool:
    if NEVER_STRICT & part.keys():
        return False
    kinds = part.get("type")
    if kinds != "object" and "properties" not in part and not (isinstance(kinds, list) and "object" in kinds):
        return True
    names = set(part.get("properties", ()))
    return part.get("additionalProperties") is False and bool(names) and set(part.get("required", ())) == names


def resolved(reference: Any, document: Mapping[str, Any]) -> Any:
    """What a reference inside a schema means; None where it leads nowhere, or out of the schema."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    here: Any = document
    for step in reference.split("/")[1:]:
        here = here.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
    return here


@cache
def list_schema(name: str) -> ObjectSchema:
    """Of an object with one list of texts, of any number."""
    return ObjectSchema(item_schema(name, None))


def item_schema(name: str, count: int | None, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON schema of an object with one list of `count` texts, or of what the schema `item` says; None: of any
    number."""
    exactly = {} if count is None else {"minItems": count, "maxItems": count}
    return {
        "type": "object",
        "properties": {name: {"type": "array", "items": item or {"type": "string"}, **exactly}},
        "required": [name],
        "additionalProperties": False,
    }


def valued_item(name: str, axes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The JSON schema of an item whose text is called `name`, and that says one of the values of each of `axes`."""
    values = {axis: {"type": "string", "enum": list(values)} for axis, values in axes.items()}
    properties = {name: {"type": "string"}, **values}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def choice_schema(labels: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an object that says one of `labels`."""
    return {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(labels)}},
        "required": ["label"],
        "additionalProperties": False,
    }


def response_format(
    name: str, count: int | None, structured: Structured, item: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """OpenAI's `response_format` for a list of texts, or of what the schema `item` says; None where the endpoint takes
    none."""
    return object_format(name, ObjectSchema(item_schema(name, count, item)), structured)


def object_format(name: str, schema: ObjectSchema, structured: Structured) -> dict[str, Any] | None:
    """OpenAI's `response_format` for an object that is called `name`; None where the endpoint takes none.

    A schema that strict mode would refuse is sent without it: the endpoint then only tries, and the reply is validated
    here in any case.
    """
    if structured == "none":
        return None
    if structured == "json_object":
        return {"type": "json_object"}
    document = json.loads(json.dumps(schema.document))
    return {"type": "json_schema", "json_schema": {"name": name, "strict": schema.strict, "schema": document}}
