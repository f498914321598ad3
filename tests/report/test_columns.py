"""What is told of columns: the lengths of texts, the spread of numbers and of few values."""

import pytest

from distill_build.report.columns import ColumnCounts, nice_width


def test_texts_are_told_by_their_lengths() -> None:
    columns = ColumnCounts()
    for length in range(1, 101):
        columns.add("answers", {"answer": "x" * length, "reasoning": None})
    (answer,) = columns.lengths()
    assert (answer.texts, answer.median, answer.ninth_decile, answer.longest) == (100, 50, 90, 100)
    assert (answer.width, sum(answer.bins)) == (5, 100)
    assert answer.bins[:3] == [4, 5, 5]


def test_one_very_long_text_does_not_flatten_the_others() -> None:
    columns = ColumnCounts()
    for place in range(1_000):
        columns.add("answers", {"answer": "x" * (30 + place % 30)})
    columns.add("answers", {"answer": "x" * 1_000_000})
    (answer,) = columns.lengths()
    assert (answer.width, answer.longest, answer.bins[-1]) == (2, 1_000_000, 1)


def test_few_values_and_numbers_are_counted_one_by_one() -> None:
    columns = ColumnCounts()
    for place in range(10):
        level = ["easy", "hard", "hard", None, "easy"][place % 5]
        columns.add("questions", {"difficulty": level, "good": place > 3, "by": {"clear": place % 2}, "score": 2.5})
    shares = {each.column: (each.values, each.mean) for each in columns.shares()}
    assert shares == {
        "difficulty": ([("easy", 4), ("hard", 4), ("—", 2)], None),
        "good": ([("true", 6), ("false", 4)], None),
        "by.clear": ([("0", 5), ("1", 5)], 0.5),
        "score": ([("2.5", 10)], 2.5),
    }
    assert columns.lengths() == []


def test_many_numbers_are_put_together() -> None:
    columns = ColumnCounts()
    for place in range(1_000):
        columns.add("dedup", {"likeness": place / 1_000})
    (likeness,) = columns.shares()
    assert len(likeness.values) == 24
    assert sum(count for _, count in likeness.values) == 1_000


@pytest.mark.parametrize(("width", "nice"), [(0, 1), (1, 1), (1.1, 2), (3, 5), (7, 10), (12, 20), (230, 500)])
def test_bins_are_of_round_widths(width: float, nice: int) -> None:
    assert nice_width(width) == nice
