"""A map whose results answer something in one of three kinds: in free text, with one of some labels, or in JSON."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec
from msgspec.structs import replace

from distill_build.dataset.unit import Place
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.records import JsonObject
from distill_build.replies.forms import JsonForm, LabelForm, ReplyForm, TextForm
from distill_build.replies.labels import normalise
from distill_build.replies.schemas import ObjectSchema
from distill_build.settings import Settings, StageSettings, names_of
from distill_build.stages.kinds.base import Weights
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.subtree import AnswerByHand, answers_said

if TYPE_CHECKING:  # as in `base`
    from distill_build.calls.call import Call
    from distill_build.prompting.prompts import Prompts

AnswerKind = Literal["text", "label", "json"]
KIND, LABELS, SCHEMA = "answer_kind", "labels", "answer_schema"
LONGEST_LABEL = 100
"""Characters."""


class AnsweringSettings(StageSettings, frozen=True, kw_only=True):
    """An answer of the kind `label` is one of `labels`; one of the kind `json` fits the JSON schema `answer_schema`."""

    answer_kind: AnswerKind = "text"
    labels: list[str] = msgspec.field(default_factory=list)
    answer_schema: dict[str, Any] | None = None


class AnsweringStage(MapStage):
    """Raises ConfigurationError for labels or a schema that answers cannot be held to."""

    settings_type = AnsweringSettings
    settings: AnsweringSettings
    variables_of = MapStage.variables_of | {LABELS, SCHEMA}

    def __init__(
        self, shape: Shape, settings: StageSettings, build: Settings, prompts: "Prompts", weights: Weights
    ) -> None:
        assert isinstance(settings, AnsweringSettings), "its settings are its own"  # noqa: S101
        self._check(shape.name, settings)
        super().__init__(shape, settings, build, prompts, weights)
        self._weights = weights
        self._elsewhere: dict[AnswerByHand, Self] = {}

    @classmethod
    def form_by(cls, own: Mapping[str, Any]) -> ReplyForm:
        match own.get(KIND, "text"):
            case "label":
                return LabelForm(labels=tuple(own[LABELS]))
            case "json":
                return JsonForm(document=own[SCHEMA])
        return super().form_by(own)

    def at(self, place: Place) -> Self:
        """Where a person has answers held to something else, it is the stage with that in its settings."""
        said = place.answer
        changed = {} if said is None else held_to(self.settings.answer_kind, said)
        if said is None or not changed:
            return self
        if said not in self._elsewhere:
            own = replace(self.settings, **changed)
            self._elsewhere[said] = type(self)(self.shape, own, self.build, self.prompts, self._weights)
        return self._elsewhere[said]

    @property
    def variants(self) -> tuple[Self, ...]:
        said = dict.fromkeys(answer for _, answer in answers_said(self.build.by_hand))
        return tuple(dict.fromkeys([self, *(self.at(Place((), "", answer=each)) for each in said)]))

    def request(self, place: Place, row: JsonObject, others: JsonObject, number: int) -> "Call":
        return MapStage.request(self.at(place), place, row, others, number)

    @property
    def notices(self) -> tuple[str, ...]:
        shown = LABELS if self.settings.answer_kind == "label" else SCHEMA
        if type(self.form) is TextForm or self.settings.schema is not None or self.prompts.shows(self.template, shown):
            return super().notices
        return (
            *super().notices,
            f"the prompt {self.template} does not say by itself what {self.called(KIND)}={self.settings.answer_kind} "
            f"asks for: show its variable {shown}, as the packed one does",
        )

    def variables(self, row: JsonObject, others: JsonObject) -> JsonObject:  # noqa: ARG002 - see `MapStage`
        schema = self.settings.answer_schema
        return {LABELS: self.settings.labels, SCHEMA: None if schema is None else msgspec.json.encode(schema).decode()}

    def identity(self) -> JsonObject:
        """Answers in free text are told as they were before there were others."""
        told = super().identity()
        own = (KIND, LABELS) if self.settings.answer_kind == "text" else ()
        return {key: value for key, value in told.items() if key not in own and value != []}

    def _check(self, name: str, own: AnsweringSettings) -> None:
        called = {key: names_of(name, own).get(key, f"stage.{name}.{key}") for key in (KIND, LABELS, SCHEMA)}
        kind = f"{called[KIND]}={own.answer_kind}"
        if own.labels and own.answer_kind != "label":
            raise ConfigurationError(
                f"{called[LABELS]}=[{','.join(own.labels)}] does nothing with {kind}: say {called[KIND]}=label, or "
                f"leave {called[LABELS]} out"
            )
        if own.answer_schema is not None and own.answer_kind != "json":
            raise ConfigurationError(
                f"{called[SCHEMA]} does nothing with {kind}: say {called[KIND]}=json, or leave {called[SCHEMA]} out"
            )
        if own.schema is not None and own.answer_kind != "text":
            raise ConfigurationError(
                f"stage.{name}.schema and {kind} both say what an answer is: leave one of the two out"
            )
        if own.answer_kind == "label":
            check_labels(kind, called[LABELS], own.labels)
        if own.answer_kind == "json":
            check_answer_schema(kind, called[SCHEMA], own.answer_schema)


def held_to(kind: AnswerKind, said: AnswerByHand) -> JsonObject:
    """The settings of answers of a kind that are otherwise where a person said that; none where it is no matter of
    theirs."""
    if kind == "label" and said.labels:
        return {LABELS: list(said.labels)}
    return {SCHEMA: msgspec.json.decode(said.schema)} if kind == "json" and said.schema is not None else {}


def check_said(stages: Mapping[str, StageSettings], said: AnswerByHand) -> None:
    """Raises ConfigurationError, with the name of the setting that it stands for, for a person's word on a part of the
    tree which answers there cannot be held to, or which is a matter of none of the `stages` in force that answer."""
    answering = {name: own for name, own in stages.items() if isinstance(own, AnsweringSettings)}
    changed = {name: keys for name, own in answering.items() if (keys := held_to(own.answer_kind, said))}
    for name, keys in changed.items():
        kind = f"answer.kind={answering[name].answer_kind}"
        if SCHEMA in keys:
            check_answer_schema(kind, "answer.schema", keys[SCHEMA])
            continue
        check_labels(kind, "answer.labels", keys[LABELS])
        known = answering[name].labels
        if new := [label for label in said.labels if label not in known]:
            called = names_of(name, answering[name]).get(LABELS, f"stage.{name}.{LABELS}")
            raise ConfigurationError(
                f"answer.labels has {new[0]}, and {called}=[{','.join(known)}] does not: a part of the tree chooses "
                "among some of the labels of all; name it there, too, or take it out here"
            )
    if answering and not changed:
        key, kind = ("labels", "label") if said.labels else ("schema", "json")
        there = next(iter(answering.values())).answer_kind
        raise ConfigurationError(
            f"answer.{key} does nothing with answer.kind={there}: say answer.kind={kind}, or take it out here"
        )


def check_labels(kind: str, key: str, labels: list[str]) -> None:
    """Whether an answer can be one of `labels`; raises ConfigurationError with their setting's name, `key`."""
    if len(labels) < 2:
        has = f"has {labels[0]} alone" if labels else "is empty"
        raise ConfigurationError(
            f"{kind} chooses among labels, and {key} {has}: name two at the least, as in {key}=[positive,negative]"
        )
    seen: dict[str, str] = {}
    for label in labels:
        if not label.strip() or label != label.strip() or len(label) > LONGEST_LABEL or not label.isprintable():
            raise ConfigurationError(
                f"{key}: {label[:LONGEST_LABEL]!r} is no label: expected a word or a few on one line, without spaces "
                "around them"
            )
        if (other := seen.get(normalise(label))) is not None:
            raise ConfigurationError(
                f"{key}: {other} and {label} are read as one label: leave one out, or give it another name"
            )
        seen[normalise(label)] = label


def check_answer_schema(kind: str, key: str, schema: dict[str, Any] | None) -> None:
    """Whether an answer can be held to `schema`; raises ConfigurationError with its setting's name, `key`."""
    if schema is None:
        raise ConfigurationError(
            f"{kind} needs {key}, the JSON schema of an answer: the name of a JSON file, or in braces, as in "
            f"{key}='{{type: object, properties: {{city: {{type: string}}}}, required: [city]}}'"
        )
    ObjectSchema(schema).check(key)
