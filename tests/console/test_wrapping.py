"""What is done with lines that a terminal has no room for."""

import sys

import pytest

from distill_build.console.wrapping import cells, cut, shortened, wrapped

SENTENCE = "  outputs/sports holds version 2160983bd608 again: 3 tags, 6 questions"


def test_a_line_is_broken_between_words_and_goes_on_a_little_to_the_right() -> None:
    assert wrapped(SENTENCE, 40) == [
        "  outputs/sports holds version",
        "    2160983bd608 again: 3 tags, 6",
        "    questions",
    ]


def test_a_line_that_fits_or_that_programs_read_stays_as_it_is() -> None:
    assert wrapped(SENTENCE, len(SENTENCE)) == [SENTENCE]
    assert wrapped(SENTENCE, sys.maxsize) == [SENTENCE]
    assert wrapped("", 10) == [""]


def test_what_can_be_copied_is_never_broken() -> None:
    digest = 64 * "7"
    assert wrapped(f"call {digest} is gone", 20) == ["call", digest, "  is gone"]


def test_a_row_begins_further_to_the_left_where_a_word_has_no_room_otherwise() -> None:
    assert wrapped("    the files of outputs/games-of-all-kinds", 26) == [
        "    the files of",
        "outputs/games-of-all-kinds",
    ]


def test_chinese_is_broken_between_characters_and_counted_by_its_width() -> None:
    text = "体育与运动：网球、游泳。怎样发球？"
    rows = wrapped(text, 11)
    assert "".join(row.strip() for row in rows) == text
    assert all(cells(row) <= 11 for row in rows)
    assert not any(row.strip()[0] in "：、。？" for row in rows)


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("How so?", 7, "How so?"), ("How so?", 6, "How s…"), ("网球", 3, "网…")]
)
def test_a_text_is_cut_to_its_cells(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


def test_what_is_cut_off_costs_nothing_however_long_it_is() -> None:
    text = 200_000 * "球"  # looked at again with each character that goes, it would take half an hour
    assert [cut(text, width) for width in (-1, 6)] == ["…", "球球…"]
    assert [shortened(text, width) for width in (1, 2, 6)] == ["…", "…", "球…球"]
