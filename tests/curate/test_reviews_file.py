"""Lines of reviews.jsonl: each mistake is told with its line and a way out."""

import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.curate.reviews_file import FIELDS, fault_of_review, read_reviews, time_behind
from distill_build.curate.writing import append_reviews
from distill_build.errors import ConfigurationError
from distill_build.review import Review

FILE = Path("reviews.jsonl")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"verdict": "reject"}', "a review names its row"),
        ('{"id": "a", "verdict": "rejct"}', "verdict is accept, reject, edit or left out, not 'rejct'"),
        ('{"id": "a", "verdict": "edit"}', "an edit has the new text"),
        ('{"id": "a", "rateing": 3}', "rateing: only an edit changes columns of a row; did you mean rating?"),
        ('{"id": "a", "answer": "x"}', 'only an edit changes columns of a row; say "verdict": "edit", or take it out'),
        ('{"id": "a", "rating": 9}', "rating is a whole number from 1 to 5, not 9"),
        ('{"id": "a", "tags": "x"}', "tags is a list of texts"),
        ('{"id": "a", "note": 1}', "note is a text, or left out"),
        ('{"id": "a", "at": "yesterday"}', "at is a time in ISO 8601"),
        (
            '{"id": "a", "verdict": "edit", "answer": "", "row.answer": ""}',
            "answer stands there twice: leave row.answer",
        ),
        ('{"id": "a", "id": "b"}', "id stands there twice: leave one of them out"),
        ('{"id": "a", "topic": 5}', "topic is a text: that of the dataset, or left out, not 5"),
        ('{"id": "a", "topic": ["sports"]}', "topic is a text: that of the dataset, or left out, not ['sports']"),
        ("reject a", "it is no JSON"),
        ('{"id": "a", "verdict": "edit", "score": NaN}', "a number that no JSON has, as NaN"),
        ('{"id": "a", "verdict": "edit", "score": -1e999}', "a number that no JSON has, as NaN"),
        (f'{{"id": "a", "verdict": "edit", "score": {"9" * 5000}}}', "or one that is too long"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: str, told: str) -> None:
    FILE.write_text(f'{{"id": "a_1", "verdict": "accept"}}\n\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_reviews(FILE, "sports")
    assert str(refused.value).startswith("reviews.jsonl, line 3: ")
    assert told in str(refused.value)


def test_a_column_that_is_called_as_a_key_of_the_line_is_written_and_read() -> None:
    text = {**dict.fromkeys(FIELDS - {"id"}, "of the row"), "tags": ["x"], "answer": "So.", "reasoning": None}
    review = Review("a_1", "edit", text, "5d1e", 4, ("good",), "mine", "2026-11-29T12:00:00Z", "Ada")
    assert fault_of_review(review) is None
    file = append_reviews("sports", "sports", [review])
    assert read_reviews(file, "sports") == {"a_1": replace(review, place=f"{file}, line 1")}
    file.write_text('{"id": "a_1", "verdict": "edit", "row.answer": "So."}')
    assert read_reviews(file, "sports")["a_1"].text == {"answer": "So."}


def test_a_byte_that_is_no_text_is_told_with_its_line() -> None:
    FILE.write_bytes(b'{"id": "a"}\n{"id": "\xff"}\n')
    with pytest.raises(ConfigurationError, match=r"^reviews\.jsonl, line 2: it is no text in UTF-8"):
        read_reviews(FILE, "sports")


def counts(notes: Iterable[tuple[str, str]]) -> Review:
    """The one that counts of several lines on one row, each a note with its time."""
    lines = (json.dumps({"id": "a", "note": note} | ({"at": at} if at else {})) for note, at in notes)
    FILE.write_text("\n".join(lines), encoding="utf-8")
    return read_reviews(FILE, "sports")["a"]


@pytest.mark.parametrize(
    ("notes", "last"),
    [
        ((("first", ""), ("second", "")), "second"),
        ((("seen", "2026-11-29"), ("typed", "")), "typed"),
        ((("typed", ""), ("seen", "2026-11-29")), "seen"),
        ((("late", "2026-11-30"), ("early", "2026-11-29"), ("typed", "")), "typed"),
        ((("late", "2026-11-30"), ("typed", ""), ("early", "2026-11-29")), "late"),
        ((("one", "2026-11-29T12:00:00Z"), ("other", "2026-11-29T13:00:00+01:00")), "other"),
    ],
)
def test_a_line_without_a_time_comes_behind_those_before_it(notes: tuple[tuple[str, str], ...], last: str) -> None:
    assert counts(notes).note == last


def test_how_a_merge_puts_the_lines_of_two_branches_says_nothing() -> None:
    """Of one branch a line without a time has been followed by one with: of what was said there, that is the last."""
    ours = [("typed", ""), ("seen", "2026-11-29T12:00:00Z")]
    theirs = [("theirs", "2026-11-29T11:00:00Z"), ("later", "2026-11-29T11:30:00Z")]
    every = itertools.permutations(ours + theirs)
    assert {counts(order).note for order in every if order.index(ours[0]) < order.index(ours[1])} == {"seen"}


def test_what_is_said_next_comes_behind_what_was_typed_and_all_before_it() -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    notes = [("of a clock ahead", "2027-01-01T00:00:00Z"), ("typed", "")]
    assert counts([*notes, ("next", time_behind(counts(notes), now))]).note == "next"


def test_a_line_is_of_the_topic_that_it_names_and_else_of_all() -> None:
    told = ['"Sports"', '""', '" "', "null", '"chess"']
    lines = [f'{{"id": "a_{number}", "verdict": "reject", "topic": {each}}}\n' for number, each in enumerate(told)]
    FILE.write_text("".join(lines), encoding="utf-8")
    assert list(read_reviews(FILE, "sports")) == ["a_0", "a_1", "a_2", "a_3"]
