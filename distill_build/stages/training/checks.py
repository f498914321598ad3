"""What training rows show that a trainer, or a format, would stumble over: counted while they are written.

The counts belong to the exports, so they are of END and no stage; the rows are all there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from distill_build.dataset.layout import CheckCount, CheckExample
from distill_build.export import LABELS, PREFERENCE, Layout, TrainingRow
from distill_build.export.preference import CLOSE, FEW_RATED, RATING, Questions, pair_of
from distill_build.export.reasoning import cut_answers
from distill_build.graph import END
from distill_build.records import JsonObject
from distill_build.stages.training.length import RowLength
from distill_build.stages.training.rows import goes_by_acceptance

UNRATED, UNLABELLED = "unrated", "unlabelled"
"""Of rows: no rating, no label. Of questions there is why one has no pair."""
TOKEN_IN_TEXT, ENDS_THOUGHT = "token_in_text", "ends_thought"
ENDS_THOUGHT_IN_TEXT, MAY_END_THOUGHT = "ends_thought_in_text", "may_end_thought"
"""Of rows: a text that a tokenizer takes for a token of the chat template, where trainers are named; an answer that
says where the student's template cuts it, where it would not with the thought in a field, or where it is not known."""
ACCEPTED_ALONE = "accepted_alone"
"""Of rows, where only those go on that a person accepted."""
END_OF_THOUGHT = "</think>"
EXAMPLES = 3
"""Ids that a count names."""


class TrainingChecks:
    """Counts what rows show, on their way into `formats`; `recipe` is what they were made with."""

    def __init__(self, formats: Sequence[str], layout: Layout, recipe: JsonObject) -> None:
        self._pairs, self._labels = PREFERENCE in formats, LABELS in formats
        self._layout = layout
        self._cut = cut_answers(layout.reasoning, layout.training.trainers, layout.training.student, formats)
        self._length = RowLength(layout, recipe) if layout.training.trainers else None
        self._accepted_alone = goes_by_acceptance(recipe)
        self._questions = Questions()
        self._of = Counter[str]()
        self._found: dict[str, list[str]] = {}

    def watched(self, rows: Iterable[TrainingRow]) -> Iterator[TrainingRow]:
        """The same rows; once they have all gone by, the counts are whole."""
        for row in rows:
            self._look(row)
            yield row
        for ended in self._questions.last():
            self._look_at_question(ended)

    def counts(self) -> tuple[CheckCount, ...]:
        """By check; nothing of what no row shows."""
        return tuple(count_of(check, ids, self._of[check]) for check, ids in sorted(self._found.items()))

    def _look(self, row: TrainingRow) -> None:
        if self._length is not None:
            self._look_as_trainers_do(row, self._length)
        self._count(self._ends_thought, row.id, found=self._is_cut(row))
        if self._accepted_alone:
            self._count(ACCEPTED_ALONE, row.id, found=True)
        if self._labels:
            self._count(UNLABELLED, row.id, found=row.label is None)
        if self._pairs:
            self._count(UNRATED, row.id, found=row.more.get(RATING) is None)
            for ended in self._questions.ended_by([row]):
                self._look_at_question(ended)

    def _look_as_trainers_do(self, row: TrainingRow, length: RowLength) -> None:
        from distill_build.replies.flags import has_any_token  # its patterns are for who looks at texts

        answers = [row.answer, *(turn.answer for turn in row.history)]
        texts = [row.question, (row.reasoning or "") if self._layout.reasoning != "drop" else "", *answers]
        texts += [turn.question for turn in row.history]
        self._count(TOKEN_IN_TEXT, row.id, found=any(map(has_any_token, texts)))
        self._count(length.check, row.id, found=length.exceeds(row))

    @cached_property
    def _ends_thought(self) -> str:
        if not self._cut.known:
            return MAY_END_THOUGHT
        return ENDS_THOUGHT_IN_TEXT if self._cut.in_field else ENDS_THOUGHT

    def _is_cut(self, row: TrainingRow) -> bool:
        last, before = self._cut.last, self._cut.before
        return (last and END_OF_THOUGHT in row.answer) or (
            before and any(END_OF_THOUGHT in turn.answer for turn in row.history)
        )

    def _look_at_question(self, rows: Sequence[TrainingRow]) -> None:
        pair = pair_of(rows, self._layout.margin)
        for why in (FEW_RATED, CLOSE):
            self._count(why, rows[0].question_id or rows[0].id, found=pair == why)

    def _count(self, check: str, key: str, *, found: bool) -> None:
        self._of[check] += 1
        if found:
            self._found.setdefault(check, []).append(key)


def count_of(check: str, shown: Sequence[str], of: int) -> CheckCount:
    """What those `shown`, of so many rows or questions, have in common, with the first of them."""
    return CheckCount(check, END, len(shown), of, len(shown), tuple(CheckExample(each, 1) for each in shown[:EXAMPLES]))


def with_checks_of_exports(before: Iterable[CheckCount], now: Iterable[CheckCount]) -> tuple[CheckCount, ...]:
    """The counts of all stages as they were, and of exports as they are now."""
    return (*(each for each in before if each.stage != END), *now)
