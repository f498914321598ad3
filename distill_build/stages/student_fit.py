"""Whether what a teacher said is of use to a student: it was shown what the student will be, in the same tokens."""

import struct
from collections.abc import Sequence

from distill_build.engine.entry import Entry
from distill_build.prompting.chat_template import ChatTemplateError
from distill_build.records import JsonObject
from distill_build.replies.parse import parts_of
from distill_build.replies.reasoning import Thoughts
from distill_build.replies.reply import Rejection, read_reply, read_usage
from distill_build.soft_labels import SoftLabels
from distill_build.stages.measures.student import Student, student_of
from distill_build.stages.soft_rows import OTHER_PROMPT, OTHER_TOKENS, StoredReply


class StudentFit:
    """Holds replies against `student`. The marks of thoughts are not looked for: they may be no text of tokens."""

    def __init__(self, student: Student) -> None:
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
    export = recipe["export"]
    return StudentFit(student_of(export.get("kd_tokenizer"), export.get("kd_student")))
