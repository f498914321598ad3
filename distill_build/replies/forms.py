"""What a result of a model may be: a text, one of some labels, JSON as a text, or an object whose fields are columns.

A form says what an endpoint is asked for, reads a reply, and holds what a person writes in the place of one against the
same. Pure; what reads replies is loaded when the first one is read.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

import msgspec
from msgspec.structs import replace

from distill_build.records import JsonObject
from distill_build.replies.reasoning import Thoughts
from distill_build.replies.schemas import ObjectSchema, choice_schema

if TYPE_CHECKING:
    from distill_build.replies.parse import ParsedAnswer, ParsedObject, Rejection

REASONING, ANSWER = "reasoning", "answer"


class TextForm(msgspec.Struct, frozen=True):
    """A text, with the chain of thought before it."""

    has_reasoning: ClassVar[bool] = True
    """Whether the chain of thought is kept, in a column of its own."""
    is_free: ClassVar[bool] = True
    """Whether any text may stand there, so that two rows say the same for no other reason than that they repeat."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of a row that hold it."""
        return (REASONING, ANSWER)

    @property
    def schema(self) -> ObjectSchema | None:
        """What an endpoint is asked for that knows structured output; None for a text."""
        return None

    @property
    def told(self) -> JsonObject | None:
        """Settings by which a reply is read, where one that was accepted is to be read again as they change."""
        return None

    def parsed(self, raw: Any, thoughts: Thoughts) -> "ParsedAnswer | Rejection":
        from distill_build.replies.parse import parse_answer

        return parse_answer(raw, thoughts)

    def read(self, raw: Any, thoughts: Thoughts) -> "Rejection | JsonObject":
        """What is kept of a reply: its columns, and how it ended; or why it cannot stand. `thoughts` is
        how the model's reasoning is read."""
        from distill_build.replies.parse import Rejection

        found = self.parsed(raw, thoughts)
        if isinstance(found, Rejection):
            return found
        kept = {REASONING: found.reasoning, ANSWER: found.answer}
        return {**kept, "finish_reason": found.finish_reason, "usage": found.usage.row()}

    def fault(self, text: JsonObject, line: JsonObject) -> str | None:  # noqa: ARG002 - for those that have parts
        """Why a row with the columns of `line` cannot have `text` in some of them; None where it can."""
        for column, value in text.items():
            if (column, value) != (REASONING, None) and (not isinstance(value, str) or not value.strip()):
                return f"{column} is a text, not {value!r}"
        return self._unfit(text[ANSWER]) if ANSWER in text else None

    def _unfit(self, answer: str) -> str | None:  # noqa: ARG002 - for those that are not free
        """Why a text cannot be the answer."""
        return None


class LabelForm(TextForm, frozen=True):
    """One of `labels`, as it is written there."""

    is_free: ClassVar[bool] = False
    labels: tuple[str, ...]

    @property
    def schema(self) -> ObjectSchema:
        return ObjectSchema(choice_schema(self.labels))

    @property
    def told(self) -> JsonObject:
        return {"labels": list(self.labels)}

    def parsed(self, raw: Any, thoughts: Thoughts) -> "ParsedAnswer | Rejection":
        from distill_build.replies.parse import parse_label

        return parse_label(raw, self.labels, thoughts)

    def _unfit(self, answer: str) -> str | None:
        return None if answer in self.labels else f"answer is one of {', '.join(self.labels)}, not {answer!r}"


class JsonForm(TextForm, frozen=True):
    """A JSON object that fits a schema, as a text."""

    is_free: ClassVar[bool] = False
    document: Mapping[str, Any]

    @property
    def schema(self) -> ObjectSchema:
        return ObjectSchema(self.document)

    @property
    def told(self) -> JsonObject:
        return {"schema": self.document}

    def parsed(self, raw: Any, thoughts: Thoughts) -> "ParsedAnswer | Rejection":
        from distill_build.replies.parse import parse_json

        return parse_json(raw, self.schema, thoughts)

    def _unfit(self, answer: str) -> str | None:
        try:
            value = msgspec.json.decode(answer)
        except msgspec.DecodeError as error:
            return f"answer is no JSON ({error})"
        from distill_build.replies.json_values import has_key_twice

        if has_key_twice(answer):
            return "answer has one key with two values: leave one of them out"
        fault = self.schema.fault(value)
        return None if fault is None else f"answer does not fit its schema: {fault}"


class FieldsForm(msgspec.Struct, frozen=True):
    """An object that fits a schema; its fields are columns."""

    has_reasoning: ClassVar[bool] = False
    is_free: ClassVar[bool] = False
    schema: ObjectSchema

    @property
    def told(self) -> JsonObject:
        """See `TextForm`: a prompt need not show the schema, and an endpoint need not take it."""
        return {"schema": self.schema.document}

    @property
    def columns(self) -> tuple[str, ...]:
        return self.schema.fields

    def read(self, raw: Any, thoughts: Thoughts) -> "Rejection | JsonObject":
        """See `TextForm`."""
        from distill_build.replies.parse import Rejection, parse_object

        found = parse_object(raw, self.schema, thoughts.marks)
        return found if isinstance(found, Rejection) else self._kept(found)

    def _kept(self, found: "ParsedObject") -> JsonObject:
        fields = {name: found.fields.get(name) for name in self.columns}  # every row has every column
        return {**fields, "finish_reason": found.finish_reason, "usage": found.usage.row()}

    def fault(self, text: JsonObject, line: JsonObject) -> str | None:
        """See `TextForm`."""
        fields = {name: value for name in self.columns if (value := (line | text).get(name)) is not None}
        return self.schema.fault(fields)


class UtteranceForm(FieldsForm, frozen=True):
    """An object of which one field, `said`, is a message to somebody: it has words, and no outer white space."""

    said: str

    def read(self, raw: Any, thoughts: Thoughts, before: Sequence[str] = ()) -> "Rejection | JsonObject":
        """See `TextForm`. What was said `before` is not said again."""
        from distill_build.replies.parse import Rejection, normalise, parse_object

        found = parse_object(raw, self.schema, thoughts.marks)
        if isinstance(found, Rejection):
            return found
        text = found.fields.get(self.said)
        if not has_word(text):
            return Rejection("invalid", f'"{self.said}" has no words; it has to be a text.', found.usage)
        if normalise(text) in map(normalise, before):
            return Rejection("invalid", f'"{self.said}" was said before; it has to be another one.', found.usage)
        return self._kept(replace(found, fields={**found.fields, self.said: text.strip()}))

    def fault(self, text: JsonObject, line: JsonObject) -> str | None:
        """See `TextForm`."""
        told = super().fault(text, line)
        return told or (None if has_word((line | text).get(self.said)) else f"{self.said} is a text with words")


def has_word(said: Any) -> TypeGuard[str]:
    """Whether that is a text with a letter or a digit in it."""
    return isinstance(said, str) and any(map(str.isalnum, said))


ReplyForm = TextForm | FieldsForm
