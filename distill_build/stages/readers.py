"""How replies to stages are read, and what may be edited of their rows, by what a recipe says of them: so also those of
older versions, without their prompts.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec

from distill_build.graph import Shape
from distill_build.records import JsonObject
from distill_build.replies.forms import ReplyForm
from distill_build.replies.reasoning import Thoughts
from distill_build.stages.chain import same
from distill_build.stages.classes import class_of
from distill_build.stages.identity import BY_HAND, tag_said_of
from distill_build.stages.kinds.answering import KIND, held_to
from distill_build.stages.kinds.editable import Editable
from distill_build.stages.kinds.list_stage import ListStage, read_list
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.stages.kinds.recipe import reading_of
from distill_build.subtree import TagByHand, answer_at


def editable_of(shape: Shape, identity: JsonObject) -> Editable:
    """What may be edited of a stage's rows. `identity` is that of the stage, as a recipe holds it."""
    return class_of(shape.kind, identity.get("builtin")).editable_by(identity)


class OwnSettings:
    """What a recipe says of its stages' own settings, where people may have said something else of a part of the
    tree."""

    def __init__(self, recipe: JsonObject) -> None:
        self._recipe = recipe

    def at(self, shape: Shape, path: Sequence[str]) -> JsonObject:
        """Those of a stage at the place `path`, topic first, with the labels that people see or a tag's own."""
        own: JsonObject = self._recipe.get(shape.name, {})
        if KIND not in own or (said := answer_at(self._by_hand, path[1:], same)) is None:
            return own
        return own | held_to(own[KIND], said)

    @cached_property
    def _by_hand(self) -> TagByHand:
        return tag_said_of(self._recipe.get("tree", {}).get(BY_HAND, {}))


class ReplyReader(msgspec.Struct, frozen=True):
    """How replies to the requests of a stage are read: `read` makes of a raw response what a build would keep of it, or
    a Rejection; `reading` stands for the settings that it goes by, as `Accepted` has it, `thoughts` is how reasoning
    is read."""

    read: Callable[[Any], Any]
    reading: str
    thoughts: Thoughts


def reader_of(shape: Shape, identity: JsonObject, role: str | None = None) -> ReplyReader:
    """How replies to the `role` of a stage are read; None is its first, which alone is asked for a list.

    `identity` is that of the stage, as a recipe holds it: so stages of older versions can be read too.
    """
    kind = class_of(shape.kind, identity.get("builtin"))
    thoughts = _thoughts_in(identity, role or next(iter(identity.get("role", ())), ""))
    if issubclass(kind, ListStage):
        reading = kind.reading_by(identity)
        return ReplyReader(lambda raw: read_list(raw, reading, thoughts.marks), reading_of(thoughts), thoughts)
    assert issubclass(kind, MapStage), "no other kind asks"  # noqa: S101
    form = kind.form_by(identity)
    return ReplyReader(lambda raw: form.read(raw, thoughts), reading_of(thoughts, form.told), thoughts)


def reply_form(shape: Shape, identity: JsonObject) -> ReplyForm | None:
    """What each reply to a stage becomes a row of; None for one whose rows are not replies. See `reader_of`."""
    kind = class_of(shape.kind, identity.get("builtin"))
    return kind.form_by(identity) if issubclass(kind, MapStage) else None


def _thoughts_in(identity: JsonObject, role: str) -> Thoughts:
    """How the reasoning of the model of a role is read."""
    model = identity.get("models", {}).get(role, {})
    own = model.get("reasoning_marks")
    marks = None if own is None else tuple((opening, closing) for opening, closing in own)
    return Thoughts(marks, model.get("reasoning", "native"))
