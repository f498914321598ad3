"""The format for preference learning (DPO and its kin): of several answers to one question the best against the worst.

    {"prompt": [messages], "chosen": [the reply], "rejected": [the reply]}

Reference: https://huggingface.co/docs/trl/dataset_formats (conversational preference, with an explicit prompt).

Rows of one question stand together, so a pair is made as soon as the next question begins. Where several answers are
rated alike the first counts.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from distill_build.export.layout import Layout, TrainingRow, Turn, Write, additions, asked, replied
from distill_build.records import JsonObject

RATING = "score"
"""What rows are compared by, in `TrainingRow.more`."""
FEW_RATED: Literal["few_rated"] = "few_rated"
CLOSE: Literal["close"] = "close"
"""Why a question has no pair: fewer than two of its answers have a rating; or the best and the worst are rated alike,
closer than the margin, or say the same."""


class PreferencePair(msgspec.Struct, frozen=True):
    """Two rows of one question."""

    chosen: TrainingRow
    rejected: TrainingRow


class Questions:
    """Gathers rows that come in order into those of one question each."""

    def __init__(self) -> None:
        self._held: list[TrainingRow] = []

    def ended_by(self, rows: Sequence[TrainingRow]) -> Iterator[Sequence[TrainingRow]]:
        """Takes `rows`, and gives those of each question behind which another has begun."""
        for row in rows:
            if self._held and _question_of(row) != _question_of(self._held[0]):
                yield self._held
                self._held = []
            self._held.append(row)

    def last(self) -> Iterator[Sequence[TrainingRow]]:
        """Those of the last question; nothing where there was no row."""
        if self._held:
            yield self._held


def _question_of(row: TrainingRow) -> tuple[str | None, str | None, str, tuple[Turn, ...]]:
    """What two replies have to be to so that one can be better: the turns before are part of it."""
    return row.question_id, row.tag, row.question, row.history


def pair_of(rows: Sequence[TrainingRow], margin: float) -> PreferencePair | Literal["few_rated", "close"]:
    """The pair of one question's rows, at least `margin` apart."""
    rated = [row for row in rows if row.more.get(RATING) is not None]
    if len(rated) < 2:
        return FEW_RATED
    best, worst = max(rated, key=rating_of), min(rated, key=rating_of)
    apart = rating_of(best) - rating_of(worst)
    same = (best.reasoning, best.answer) == (worst.reasoning, worst.answer)
    return CLOSE if same or apart == 0 or apart < margin else PreferencePair(best, worst)


def rating_of(row: TrainingRow) -> float:
    """The rating of a row that has one."""
    return float(row.more[RATING] or 0)


@contextmanager
def open_preference(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file; a pair is written when its question has ended, the last one at the end."""
    encode, questions = msgspec.json.Encoder().encode_lines, Questions()
    with path.open("wb") as file:

        def write_pairs(ended: Iterator[Sequence[TrainingRow]]) -> None:
            pairs = (pair_of(rows, layout.margin) for rows in ended)
            file.write(encode([_record(pair, layout) for pair in pairs if isinstance(pair, PreferencePair)]))

        yield lambda rows: write_pairs(questions.ended_by(rows))
        write_pairs(questions.last())


def _record(pair: PreferencePair, layout: Layout) -> JsonObject:
    """The metadata is that of the row that is chosen, with the id and the rating of the other."""
    other = {"rejected_id": pair.rejected.id, f"rejected_{RATING}": rating_of(pair.rejected)}
    own = additions(pair.chosen, layout)
    return {
        "prompt": asked(pair.chosen, layout),
        "chosen": [replied(pair.chosen, layout)],
        "rejected": [replied(pair.rejected, layout)],
        **({"metadata": own["metadata"] | other} if own else {}),
    }
