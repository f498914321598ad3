"""A map: results are asked for each row of the stage above."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from distill_build.dataset.unit import Place
from distill_build.prompting.known import ANYTHING, NUMBER, TEXT, TEXTS, Fields, Known
from distill_build.records import JsonObject, Usage, row_id
from distill_build.replies.forms import ANSWER, REASONING, FieldsForm, ReplyForm, TextForm
from distill_build.replies.reasoning import ASKED_MARKS
from distill_build.replies.schemas import ObjectSchema
from distill_build.settings import StageSettings
from distill_build.stages.flags import NO_REASONING, REPEATS_QUESTION, SPECIAL_TOKENS, RowFlag
from distill_build.stages.kinds.base import OF_ROW, THOUGHT_MARKS, ModelStage
from distill_build.stages.kinds.columns import known_fields
from distill_build.stages.kinds.editable import Editable

if TYPE_CHECKING:  # as in `base`
    from distill_build.calls.call import Call
    from distill_build.replies.parse import Rejection

    Reader = Callable[[Any], Rejection | JsonObject]

BY_PERSON = "hand"
"""In the columns of a result that a person gave which say what a model did; the key of its call is empty."""


class MapStage(ModelStage):
    """Results for each row of the stage above: `samples` of them from each role."""

    variables_of = OF_ROW
    flags: ClassVar[tuple[RowFlag, ...]] = (NO_REASONING, REPEATS_QUESTION, SPECIAL_TOKENS)
    place_columns: ClassVar[tuple[str, ...]] = ("parent",)
    """The columns that say what the row hangs on, besides its path."""
    takes_given: ClassVar[bool] = False
    """Whether what a person gives with a row of their own stands for its results."""
    takes_over: ClassVar[Mapping[str, str]] = {}
    """Columns of its rows → those of the row above that they hold."""

    @classmethod
    def editable_by(cls, own: Mapping[str, Any]) -> Editable:
        form = cls.form_by(own)
        return Editable(form.columns, form, cls.takes_given)

    @classmethod
    def form_by(cls, own: Mapping[str, Any]) -> ReplyForm:
        """What a result is, by settings of the stage's own, as its identity holds them."""
        schema = own.get("schema")
        return TextForm() if schema is None else FieldsForm(ObjectSchema(schema))

    @cached_property
    def form(self) -> ReplyForm:
        """What a result is."""
        return self.form_by(msgspec.to_builtins(self.settings))

    @property
    def read_by(self) -> JsonObject | None:
        return self.form.told

    @property
    def has_reasoning(self) -> bool:
        return self.form.has_reasoning

    @property
    def notices(self) -> tuple[str, ...]:
        asked = [role for role, recipe in self.recipes.items() if recipe.thoughts.asked]
        if not asked or self.prompts.shows(self.template, THOUGHT_MARKS):
            return ()
        setting = self.build.setting(asked[0], "reasoning")
        return (
            f"the prompt {self.template} does not ask for what {setting}=prompted reads: "
            f'put {{% include "{self.build.language}/reasoning.jinja" %}} into a message, as the packed one does',
        )

    @cached_property
    def row_flags(self) -> tuple[RowFlag, ...]:
        dropped = any(recipe.thoughts.mode == "drop" for recipe in self.recipes.values())
        return tuple(flag for flag in self.flags if not dropped or flag is not NO_REASONING)

    @cached_property
    def asked_roles(self) -> tuple[str, ...]:
        return tuple(self.recipes)

    @cached_property
    def results(self) -> int:
        return self.settings.samples * len(self.recipes)

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        role: dict[str, Known] = {"role": TEXT} if isinstance(own.role, list) else {}
        form = cls.form_by(msgspec.to_builtins(own))
        fields: dict[str, Known] = {REASONING: ANYTHING, ANSWER: TEXT}
        if isinstance(form, FieldsForm):
            fields = known_fields(form.schema.document)
        carried = {name: above.get(held) for name, held in cls.takes_over.items()}
        counted = Fields(dict.fromkeys(Usage().row(), NUMBER))
        return {
            "id": TEXT,
            **dict.fromkeys(cls.place_columns, TEXT),
            "path": TEXTS,
            "sample": NUMBER,
            **role,
            **carried,
            **fields,
            "model": TEXT,
            "finish_reason": TEXT,
            "usage": counted,
            "call": TEXT,
        }

    def variables(self, row: JsonObject, others: JsonObject) -> JsonObject:  # noqa: ARG002 - for ours that have more
        """What a template has besides `topic`, `path`, `row`, `rows`, `system_prompt`, `schema` and the model's."""
        return {}

    def request(self, place: Place, row: JsonObject, others: JsonObject, number: int) -> "Call":
        """Asks for result `number` of `row`, a line of the stage above; `others` are the rows that the prompt names."""
        role = self.role_of(number)
        messages = self._messages(place, row, others, role)
        return self._call(place, messages, self._sampled(number)[1], role, self.reader(role, messages, others))

    def reader(
        self,
        role: str,
        messages: Sequence[Mapping[str, str]],  # noqa: ARG002 - for those that read a reply by what it answers
        others: JsonObject,  # noqa: ARG002
    ) -> "Reader":
        """What reads the reply of a role to these messages."""
        return self.readers[role]

    def role_of(self, number: int) -> str:
        """Who is asked for result `number` of a row."""
        return self.asked_roles[self._sampled(number)[0]]

    def number(self, line: JsonObject) -> int:
        role = self.asked_roles.index(line["role"]) if "role" in line else 0
        return self._numbered(role, line["sample"])

    def further(self, number: int, more: int) -> int:
        """The number of a result besides those declared, the `more`th of the role that result `number` is from."""
        return self._numbered(self._sampled(number)[0], self.settings.samples - 1 + more)

    def _numbered(self, role: int, sample: int) -> int:
        """The number of a sample from the role at that place: those of a role stand together, further ones behind."""
        return role * self.settings.samples + sample if sample < self.settings.samples else sample * self._roles + role

    def _sampled(self, number: int) -> tuple[int, int]:
        """The place of the role that a result is from, and which of its samples it is."""
        if number < self.results:
            return divmod(number, self.settings.samples)
        sample, role = divmod(number, self._roles)
        return role, sample

    @property
    def _roles(self) -> int:
        return len(self.recipes)

    def _messages(self, place: Place, row: JsonObject, others: JsonObject, role: str) -> list[dict[str, str]]:
        model, asked = self.recipes[role].model, self.recipes[role].thoughts.asked
        return self.prompts.render(
            self.template,
            **self.told_at(place),
            path=list(place.path),
            row=row,
            rows=others,
            system_prompt=self.settings.system_prompt,
            schema=None if self.schema is None else self.schema.document,
            structured="none" if asked else model.structured,
            examples=model.examples,
            **{THOUGHT_MARKS: ASKED_MARKS if asked else None},
            **self.variables(row, others),
        )

    def _call(self, place: Place, messages: list[dict[str, str]], sample: int, role: str, reader: "Reader") -> "Call":
        recipe = self.recipes[role]
        if self.schema is None or recipe.thoughts.asked:  # what is held to JSON from its start on cannot think first
            return recipe.call(place.seen, messages, sample, reader)
        from distill_build.replies.parse import object_format

        response_format = object_format(self.name, self.schema, recipe.model.structured)
        return recipe.call(place.seen, messages, sample, reader, response_format)

    @cached_property
    def schema(self) -> ObjectSchema | None:
        """What a reply has to fit; None for a text."""
        return self.form.schema

    @cached_property
    def readers(self) -> "dict[str, Reader]":
        """What reads a reply of each role: what is kept are its fields, and how it ended."""
        return {role: partial(self.form.read, thoughts=recipe.thoughts) for role, recipe in self.recipes.items()}

    def row_id(self, parent: str, number: int) -> str:
        """The id of a result."""
        role, sample = self._sampled(number)
        named = (self.settings.role[role],) if isinstance(self.settings.role, list) else ()
        return row_id(self.shape.prefix, parent, *named, sample)

    def line(self, place: Place, above: JsonObject, number: int, call: str, kept: JsonObject) -> JsonObject:
        """The line of the artefact. `above` is the row that it is for, `call` the key of the call it was read from."""
        fields, role, (_, sample) = dict(kept), self.role_of(number), self._sampled(number)
        finish_reason, usage = fields.pop("finish_reason"), fields.pop("usage")
        return {
            "id": self.row_id(above["id"], number),
            **self.head(place, above),
            "sample": sample,
            **({"role": role} if isinstance(self.settings.role, list) else {}),
            **{name: above[held] for name, held in self.takes_over.items()},
            **fields,
            "model": self.recipes[role].model.name,
            "finish_reason": finish_reason,
            "usage": usage,
            "call": call,
        }

    def given_line(
        self, place: Place, above: JsonObject, given: Mapping[str, Any], number: int = 0, finish_reason: str = BY_PERSON
    ) -> JsonObject:
        """The line of a result that a person has given: no model was asked for it. `finish_reason` says how."""
        fields = {name: given.get(name) for name in self.editable.columns}
        kept = {**fields, "finish_reason": finish_reason, "usage": Usage().row()}
        return {**self.line(place, above, number, "", kept), "model": BY_PERSON}

    def head(self, place: Place, above: JsonObject) -> JsonObject:
        """The columns that say where the row hangs."""
        return {self.above_column: above["id"], "path": list(place.path)}

    def typical_call(self) -> "Call":
        place = Place((self.build.topic,) * (self.build.depth + 1), "")
        messages = [{"role": "user", "content": "What is " + " ".join(["word"] * 15) + "?"}]
        return self._call(place, messages, 0, self.first, self.readers[self.first])

    def identity(self) -> JsonObject:
        return super().identity() | self.own("schema", "system_prompt") | {"after": self.shape.after}

    def count(self) -> int:
        return self.settings.samples
