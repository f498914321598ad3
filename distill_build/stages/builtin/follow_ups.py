"""Follow-ups: what the student, as a reader of the dialogue so far, asks next, and has not asked before."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from distill_build.records import JsonObject
from distill_build.replies.forms import FieldsForm, ReplyForm, UtteranceForm
from distill_build.stages.dialogue import FOLLOW_UP
from distill_build.stages.kinds.dialogue_stage import DialogueStage

if TYPE_CHECKING:  # as in `base`
    from distill_build.stages.kinds.map_stage import Reader


class Builtin(DialogueStage):
    reads = frozenset({"question", "answer"})

    @classmethod
    def form_by(cls, own: Mapping[str, Any]) -> ReplyForm:
        form = super().form_by(own)
        return UtteranceForm(form.schema, FOLLOW_UP) if isinstance(form, FieldsForm) else form

    def reader(self, role: str, messages: Sequence[Mapping[str, str]], others: JsonObject) -> "Reader":
        """Questions count that the request shows, so that dialogues which share it read its reply alike."""
        if not isinstance(self.form, UtteranceForm):
            return super().reader(role, messages, others)
        asked = [others[name]["question"] for name in self.before]
        shown = [question for question in asked if any(question.strip() in each["content"] for each in messages)]
        return partial(self.form.read, thoughts=self.recipes[role].thoughts, before=shown)
