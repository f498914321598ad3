"""What training rows show that a trainer, or a format, would stumble over: counted while they are written.

The counts belong to the exports, so they are of END and no stage; the rows are all there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from distill_build.dataset.layout import CheckCount, CheckExample
from distill_build.export import LABELS, PREFERENCE, Layout, TrainingRow
from distill_build.export.preference import RATING, PreferencePair, Questions, pair_of
from distill_build.graph import END

FEW_RATED, CLOSE, UNRATED, UNLABELLED = "few_rated", "close", "unrated", "unlabelled"
"""Of questions: no pair, since fewer than two answers are rated, or the best and the worst too much alike. Of rows: no
rating, no label."""
EXAMPLES = 3
"""Ids that a count names."""


class TrainingChecks:
    """Counts what rows show, on their way into `formats`."""

    def __init__(self, formats: Sequence[str], layout: Layout) -> None:
        self._pairs, self._labels = PREFERENCE in formats, LABELS in formats
        self._layout = layout
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
        return tuple(
            CheckCount(
                check, END, len(ids), self._of[check], len(ids), tuple(CheckExample(key, 1) for key in ids[:EXAMPLES])
            )
            for check, ids in sorted(self._found.items())
        )

    def _look(self, row: TrainingRow) -> None:
        if self._labels:
            self._count(UNLABELLED, row.id, found=row.label is None)
        if self._pairs:
            self._count(UNRATED, row.id, found=row.more.get(RATING) is None)
            for ended in self._questions.ended_by([row]):
                self._look_at_question(ended)

    def _look_at_question(self, rows: Sequence[TrainingRow]) -> None:
        pair = pair_of(rows, self._layout.margin)
        for why in (FEW_RATED, CLOSE):
            self._count(
                why, rows[0].question_id or rows[0].id, found=not isinstance(pair, PreferencePair) and pair == why
            )

    def _count(self, check: str, key: str, *, found: bool) -> None:
        self._of[check] += 1
        if found:
            self._found.setdefault(check, []).append(key)


def with_checks_of_exports(before: Iterable[CheckCount], now: Iterable[CheckCount]) -> tuple[CheckCount, ...]:
    """The counts of all stages as they were, and of exports as they are now."""
    return (*(each for each in before if each.stage != END), *now)
