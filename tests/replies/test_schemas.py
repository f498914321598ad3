"""Schemas of users' stages: checked before anything is sent, sent as endpoints take them, compiled once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.errors import ConfigurationError
from distill_build.replies.parse import (
    ObjectSchema,
    ParsedObject,
    Rejection,
    object_format,
    parse_object,
    response_format,
)
from distill_build.replies.schemas import item_schema

SCORE = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
CLOSED = {**SCORE, "additionalProperties": False}


def with_field(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False, **more}


def said(content: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 3, "completion_tokens": 5}
    return {"choices": [{"message": {"content": content}, "finish_reason": "stop"}], "usage": usage}


def test_a_list_is_asked_for_by_name() -> None:
    assert response_format("tags", 5, "none") is None
    assert response_format("tags", 5, "json_object") == {"type": "json_object"}
    assert response_format("questions", 2, "json_schema") == {
        "type": "json_schema",
        "json_schema": {"name": "questions", "strict": True, "schema": item_schema("questions", 2)},
    }


def test_an_object_is_asked_for_under_the_name_of_its_stage() -> None:
    assert object_format("judged", ObjectSchema(SCORE), "none") is None
    assert object_format("judged", ObjectSchema(SCORE), "json_object") == {"type": "json_object"}
    assert object_format("judged", ObjectSchema(CLOSED), "json_schema") == {
        "type": "json_schema",
        "json_schema": {"name": "judged", "strict": True, "schema": CLOSED},
    }


@pytest.mark.parametrize(
    ("document", "strict"),
    [
        (CLOSED, True),
        (SCORE, False),
        ({**CLOSED, "required": []}, False),
        (with_field(CLOSED), True),
        (with_field(SCORE), False),
        (with_field({"type": "array", "items": SCORE}), False),
        (with_field({"anyOf": [{"type": "null"}, SCORE]}), False),
        (with_field({"oneOf": [{"type": "null"}, {"type": "string"}]}), False),
        (with_field({"$ref": "#/$defs/b"}, **{"$defs": {"b": CLOSED}}), True),
        (with_field({"$ref": "#/$defs/b"}, **{"$defs": {"b": SCORE}}), False),
        (with_field({"type": "object"}), False),
        (with_field({"type": "string", "enum": ["properties"]}), True),
    ],
)
def test_strict_is_said_only_where_openai_takes_it(document: dict[str, Any], strict: bool) -> None:
    asked = object_format("x", ObjectSchema(document), "json_schema")
    assert asked is not None
    assert asked["json_schema"]["strict"] is strict


CIRCLE = "$ref: #/properties/a goes round in a circle"
NOTHING_FITS = "a is required, and no value fits properties.a"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"type": "array"}, "one of an object, as in"),
        ("object", "one of an object, as in"),
        ({"type": "object"}, "it names no fields"),
        ({"type": "object", "properties": {"a": {"type": "integr"}}}, "no JSON schema: properties.a.type: 'integr'"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "no JSON schema: properties.a.pattern"),
        ({"type": "object", "properties": ["a"]}, "no JSON schema: properties"),
        (with_field({"maximum": float("nan")}), "it has a number that no JSON has, as nan"),
        (with_field({"maximum": float("inf")}), "it has a number that no JSON has, as nan"),
        (with_field({"$ref": "#/$defs/mark"}), "$ref: #/$defs/mark leads nowhere"),
        (with_field({"$ref": "file:///etc/passwd"}), "leads nowhere: a reference begins with #/"),
        (with_field({"$ref": "https://example.com/schema.json"}), "leads nowhere"),
        ({**CLOSED, "$ref": "#"}, "goes round in a circle"),
        *((with_field({word: [{"$ref": "#/properties/a"}]}), CIRCLE) for word in ("allOf", "anyOf", "oneOf")),
        *((with_field({word: {"$ref": "#/properties/a"}}), CIRCLE) for word in ("not", "if", "then", "else")),
        (with_field({"$ref": "#/$defs/b"}, **{"$defs": {"b": {"anyOf": [{"$ref": "#/properties/a"}]}}}), "in a circle"),
        ({**SCORE, "required": ["score", "w"]}, "w is required and is none of its properties"),
        ({**CLOSED, "required": ["w"]}, "w is required and is none of its properties"),
        (with_field(False), NOTHING_FITS),
        (with_field({"enum": []}), NOTHING_FITS),
        (with_field({"type": "array", "minItems": 1, "items": {"$ref": "#/properties/a"}}), NOTHING_FITS),
        (with_field({"$ref": "#"}), NOTHING_FITS),
        (with_field({"anyOf": [False, {"type": "array", "minItems": 2, "items": False}]}), NOTHING_FITS),
        ({**CLOSED, "allOf": [False]}, "no reply fits it"),
    ],
)
def test_what_is_no_schema_of_a_row_is_told(document: Any, told: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        ObjectSchema(document).check("stage.judged.schema")
    assert str(error.value).startswith("stage.judged.schema: ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"$ref": "#/properties/a"}}, [[], [[]]]),
        ({"type": "object", "properties": {"next": {"$ref": "#/properties/a"}}}, {"next": {"next": {}}}),
        ({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"b": {"$ref": "#/properties/a"}},
                                       "required": ["b"]}]}, {"b": {"b": None}}),
        ({"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}, 3),
    ],
)  # fmt: skip
def test_what_holds_itself_and_comes_to_an_end_is_a_schema(schema: dict[str, Any], value: Any) -> None:
    checked = ObjectSchema(with_field(schema, **{"$defs": {"b": {"type": "integer"}}}))
    checked.check("stage.judged.schema")
    assert checked.fault({"a": value}) is None


def test_the_fields_of_a_row_stand_in_the_order_of_the_schema() -> None:
    assert ObjectSchema({"properties": {"b": {}, "a": {}}}).fields == ("b", "a")


def test_what_was_read_and_what_was_rejected_both_know_what_it_cost() -> None:
    schema = ObjectSchema(SCORE)
    taken, rejected = parse_object(said('{"score": 4}'), schema), parse_object(said("four"), schema)
    assert isinstance(taken, ParsedObject)
    assert isinstance(rejected, Rejection)
    assert taken.usage == rejected.usage
    assert taken.usage.completion_tokens == 5


@pytest.mark.parametrize("deep", ['{"score": ' * 3000, '{"score": ' * 3000 + "1" + "}" * 3000, '[{"a": 1}' * 2000])
def test_absurd_replies_are_rejected_in_time(deep: str) -> None:
    assert isinstance(parse_object(said(deep), ObjectSchema(SCORE)), Rejection)


pieces = st.sampled_from(["{", "}", "[", "]", '"', "'", ":", ",", "score", '"score"', "4", "4.0", '"4"', "NaN",
                          "```json\n", "<think>", "</think>", "\\ud800", "\n", " ", "1. ", "null", "é"])  # fmt: skip


@given(st.lists(pieces | st.text(max_size=4), max_size=30).map("".join))
def test_any_text_gives_an_object_that_fits_or_a_rejection(content: str) -> None:
    found = parse_object(said(content), ObjectSchema(SCORE))
    if isinstance(found, ParsedObject):
        assert list(found.fields) == ["score"]
        assert type(found.fields["score"]) is int


@given(st.integers(-(2**62), 2**62), st.sampled_from(["{}", "{}.0", '"{}"', '" {} "']))
def test_an_integer_in_another_form_is_the_same_number(number: int, form: str) -> None:
    written = form.format(number)
    found = parse_object(said(f'{{"score": {written}}}'), ObjectSchema(SCORE))
    if form == "{}.0" and abs(number) > 2**53:
        return
    assert isinstance(found, ParsedObject), written
    assert found.fields == {"score": number}
