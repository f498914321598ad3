"""The soft labels of training rows: those that were stored with the reply that a row says, and which rows have none.

A row has none where a person wrote it, where its reply was asked for without log probabilities, and where not all of
the reply's tokens are listed (llama.cpp lists no piece of a character by itself), or one with fewer of the likeliest
than were asked for. The rows are counted, never guessed: a row is the reply's where its columns are what the stage
reads in the reply.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from distill_build.dataset.layout import CheckCount
from distill_build.export import Layout, TrainingRow
from distill_build.export.layout import TokenSequence, asked
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject
from distill_build.replies.reasoning import Thoughts
from distill_build.replies.reply import Rejection, read_usage
from distill_build.soft_labels import SoftLabels, soft_labels_in
from distill_build.stages.training.checks import count_of
from distill_build.stages.training.rows import exported_stage, said_in
from distill_build.stages.training.student_fit import (
    DROPPED_THOUGHT,
    OF_NO_USE,
    OTHER_PROMPT,
    OTHER_TOKENS,
    TOO_LONG,
    StoredReply,
    StudentFit,
    fit_of,
    of_no_use,
    parts_in,
)

if TYPE_CHECKING:  # it loads every kind of stage, and most exports read no replies
    from distill_build.stages.readers import OwnSettings, ReplyReader

OF_PEOPLE, NOT_STORED, NOT_LISTED = "soft_of_people", "soft_not_stored", "soft_not_listed"
"""Why a row has no soft labels."""


class SoftRows:
    """See `distill_build.export.layout.TokensOf`. Which rows lack something is counted, once for all formats."""

    def __init__(self, reply: Callable[[str], StoredReply], layout: Layout, graph: Graph, recipe: JsonObject) -> None:
        """`reply` gives the one to a call; `recipe` is what the rows of `graph` were made with."""
        self._reply = reply
        self._layout = layout
        self._graph = graph
        self._recipe = recipe
        self._looked = set[str]()
        self._lacking: dict[str, _Lack] = {}
        self._of_use = 0

    def soft_labels(self, row: TrainingRow) -> SoftLabels | None:
        """Raises what `reply` does."""
        found = self._found(row)
        return None if found is None else found.labels

    def token_sequence(self, row: TrainingRow) -> TokenSequence | None:
        """Raises what `reply` does, and StudentError as `student_of` does."""
        if (found := self._found(row)) is None:
            return None
        made = self._of_student(row, found)
        if isinstance(made, TokenSequence):
            self._of_use += 1
            return made
        self._lacking[row.id] = made
        return None

    def counts(self) -> tuple[CheckCount, ...]:
        """How many rows lack something, by reason."""
        found: dict[str, list[str]] = {}
        for lack in self._lacking.values():
            found.setdefault(lack.why, []).append(lack.example)
        return tuple(count_of(why, told, len(self._looked)) for why, told in sorted(found.items()))

    def require_use(self) -> None:
        """Raises StudentError, once all rows have gone by, where the rows of the format kd are of no use to the
        student: it has another vocabulary than the teacher, or none of them is left."""
        lacks = Counter(lack.why for lack in self._lacking.values() if lack.why in OF_NO_USE)
        compared = self._of_use + lacks.total() - lacks[DROPPED_THOUGHT]
        if lacks[OTHER_TOKENS] * 2 > compared:
            number, of, why = lacks[OTHER_TOKENS], compared, OTHER_TOKENS
        elif lacks and not self._of_use:
            ((why, number),), of = lacks.most_common(1), lacks.total()
        else:
            return
        first = next(lack.example for lack in self._lacking.values() if lack.why == why)
        raise of_no_use(self._layout.kd.tokenizer, why, number, of, first)

    def _found(self, row: TrainingRow) -> "_Found | None":
        self._looked.add(row.id)
        reply = self._reply(row.call) if row.call else None
        found = None if reply is None else soft_labels_in(reply.response)
        thoughts = None if reply is None else self._thoughts(reply.response, row)
        if reply is None or thoughts is None:
            self._lacking[row.id] = _Lack(OF_PEOPLE, row.id)
        elif found is None:
            self._lacking[row.id] = _Lack(NOT_STORED, row.id)
        elif not self._is_whole(found, reply.response):
            self._lacking[row.id] = _Lack(NOT_LISTED, row.id)
        else:
            return _Found(found, reply, thoughts)
        return None

    def _is_whole(self, found: SoftLabels, raw: JsonObject) -> bool:
        """Whether all tokens of a reply are listed, and at each as many of the likeliest as were asked for."""
        return 0 < len(found) == read_usage(raw).completion_tokens and found.width >= self._asked

    def _thoughts(self, raw: JsonObject, row: TrainingRow) -> Thoughts | None:
        """How the reasoning in a reply is read by the one of the stage's roles that it says to what the row does; None
        where it is none, and somebody has changed the row in its file. Of several, by which the same label or JSON
        stands behind a thought or in an answer, the one that sees most of a thought: it may not be learnt unseen."""
        says = [
            reader.thoughts
            for reader in self._readers(row.path)
            if not isinstance(kept := reader.read(raw), Rejection)
            and said_in(kept, self._recipe) == (row.reasoning, row.answer)
        ]
        if len(says) < 2:
            return says[0] if says else None
        return max(says, key=lambda thoughts: sum(map(len, parts_in(raw, thoughts)[0])))

    def _readers(self, path: Sequence[str]) -> "Sequence[ReplyReader]":
        from distill_build.stages.readers import reader_of

        own = self._own.at(self._shape, path)
        return [reader_of(self._shape, own, role) for role in own.get("models") or ("",)]

    @cached_property
    def _own(self) -> "OwnSettings":
        from distill_build.stages.readers import OwnSettings

        return OwnSettings(self._recipe)

    @cached_property
    def _asked(self) -> int:
        """How many of the likeliest each token has at the least."""
        models: JsonObject = self._recipe.get(self._shape.name, {}).get("models", {})
        return min((model["logprobs"] for model in models.values() if model.get("logprobs")), default=1)

    @cached_property
    def _shape(self) -> Shape:
        shape = exported_stage(self._graph, self._recipe)
        assert shape is not None, "it has rows"  # noqa: S101
        return shape

    def _of_student(self, row: TrainingRow, found: "_Found") -> "TokenSequence | _Lack":
        """A row in the student's tokens, or why it is of no use to it."""
        said, reply = None if self._layout.reasoning == "drop" else row.reasoning, found.reply
        if any(thought != said for thought in parts_in(reply.response, found.thoughts)[0]):
            return _Lack(DROPPED_THOUGHT, row.id)
        if not self._fit.has_tokens(reply.response, found.labels, found.thoughts):
            return _Lack(OTHER_TOKENS, row.id)
        prompt = self._fit.prompt(asked(row, self._layout))
        if prompt is None or prompt != self._fit.prompt(reply.messages):
            return _Lack(OTHER_PROMPT, row.id)  # by one template: it may show nothing of what only one of them has
        if len(prompt) != (counted := read_usage(reply.response).prompt_tokens):
            return _Lack(OTHER_PROMPT, f"{len(prompt):,} tokens for {counted:,} of {row.id}")
        made, longest = TokenSequence(prompt, found.labels), self._layout.kd.length
        return made if longest is None or len(made) <= longest else _Lack(TOO_LONG, f"{len(made):,} tokens of {row.id}")

    @cached_property
    def _fit(self) -> StudentFit:
        return fit_of(self._recipe)


class _Found(msgspec.Struct, frozen=True):
    """The soft labels of a row, the reply that they are of, and how its reasoning is read."""

    labels: SoftLabels
    reply: StoredReply
    thoughts: Thoughts


class _Lack(msgspec.Struct, frozen=True):
    """Why a row is not in a file, and how it is named where that is told."""

    why: str
    example: str
