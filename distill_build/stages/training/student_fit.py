"""Whether what a teacher said is of use to a student: it was shown what the student will be, in the same tokens."""

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from distill_build.engine.entry import Entry
from distill_build.errors import StudentError
from distill_build.records import JsonObject, number_of
from distill_build.replies.parse import parts_of
from distill_build.replies.reasoning import Thoughts
from distill_build.replies.reply import Rejection, read_reply, read_usage
from distill_build.soft_labels import SoftLabels

if TYPE_CHECKING:  # it renders templates: who tells why a row is left out, or brings a reply, needs none
    from distill_build.stages.measures.student import Student

DROPPED_THOUGHT = "kd_dropped_thought"
OTHER_PROMPT, OTHER_TOKENS, TOO_LONG = "kd_other_prompt", "kd_other_tokens", "kd_too_long"
OF_NO_USE: Mapping[str, str] = {
    DROPPED_THOUGHT: (
        "their tokens hold a thought that the rows are written without, and it would be learnt (format.reasoning, "
        "teacher.reasoning)"
    ),
    OTHER_TOKENS: "the teacher's tokens are not those of kd.tokenizer",
    OTHER_PROMPT: (
        "by kd.tokenizer and its chat template their prompt is another one than the endpoint was sent, or has another "
        "length than it counted, so the teacher was shown something else (teacher.examples, audience, another template)"
    ),
    TOO_LONG: "they are longer than kd.length",
}
"""Why rows that have some are of no use to a student, in the order in which that is looked for."""


class StoredReply(msgspec.Struct, frozen=True):
    """What a model was sent, as chat messages, and its raw response."""

    messages: Sequence[JsonObject]
    response: JsonObject


class StudentFit:
    """Holds replies against `student`. The marks of thoughts are not looked for: they may be no text of tokens."""

    def __init__(self, student: "Student") -> None:
        self._student = student

    def has_tokens(self, raw: JsonObject, labels: SoftLabels, thoughts: Thoughts) -> bool:
        """Whether a reply's tokens are the student's: then they say, line by line, its parts."""
        tokens = struct.unpack(f"<{len(labels)}i", labels.token_ids)
        tops = struct.unpack(f"<{len(labels) * labels.width}i", labels.top_ids)
        if max((*tokens, *tops)) >= self._student.vocabulary:
            return False
        said, answer = parts_in(raw, thoughts)
        text = self._student.text(tokens)
        return all(line in text for part in (*said, answer) for line in part.splitlines())

    def prompt(self, messages: Sequence[JsonObject]) -> list[int] | None:
        """The tokens of messages up to where a reply begins; None where the student's template makes no text of
        them."""
        from distill_build.prompting.chat_template import ChatTemplateError

        try:
            return self._student.prompt(messages)
        except ChatTemplateError:
            return None

    def fault(self, reply: StoredReply, labels: SoftLabels, thoughts: Thoughts) -> str | None:
        """The one of OF_NO_USE for which no row of a reply is of use, None where there is none."""
        if not self.has_tokens(reply.response, labels, thoughts):
            return OTHER_TOKENS
        sent = self.prompt(reply.messages)
        return OTHER_PROMPT if sent is None or len(sent) != read_usage(reply.response).prompt_tokens else None


def stored_reply(entry: Entry, digest: str) -> StoredReply | None:
    """The response of that digest among the attempts of a call, with what was sent for it; None where it is none."""
    sent = entry.manifest["body"]["messages"]
    found = (StoredReply([*sent, *each.added], each.response) for each in entry.attempts if each.digest == digest)
    return next(found, None)


def parts_in(raw: JsonObject, thoughts: Thoughts) -> tuple[tuple[str, ...], str]:
    """The thoughts in a raw response that was read before, and the text after them; `thoughts` is how they are read."""
    reply = read_reply(raw)
    assert not isinstance(reply, Rejection), "it was read before"  # noqa: S101
    return parts_of(reply, thoughts)


def fit_of(recipe: JsonObject) -> StudentFit:
    """That of the student that `recipe` makes rows for. Raises StudentError as `student_of`."""
    from distill_build.stages.measures.student import student_of

    export = recipe["export"]
    return StudentFit(student_of(export.get("kd_tokenizer"), export.get("kd_student")))


def of_no_use(place: str | None, why: str, number: int, of: int, example: str) -> StudentError:
    """What to raise where the format kd makes no sense for the student at `place`: `number` of so many rows would be
    left out."""
    return StudentError(
        f"the format kd is of no use to kd.tokenizer={place}: of {number_of(of, 'rows')} with soft labels {number:,} "
        f"would be left out ({example}), since {OF_NO_USE[why]}. Mend that, or leave kd out of formats: replies are "
        "stored, and are not asked for again"
    )
