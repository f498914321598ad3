"""Words, not letters or lines: what was removed from a text, and what was added."""

from hypothesis import given
from hypothesis import strategies as st

from distill_build.console.word_diff import changed_words

MARKS = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}


def woven(old: str, new: str) -> str:
    return "".join(piece.text.join(MARKS[piece.kind]) for piece in changed_words(old, new))


def test_a_word_is_changed_as_a_whole() -> None:
    assert woven("The cat sat.", "The car sat.") == "The [-cat-]{+car+} sat."


def test_words_side_by_side_are_one_change() -> None:
    assert woven("a quick brown fox", "a slow red fox") == "a [-quick brown-]{+slow red+} fox"


def test_scripts_without_spaces_are_compared_by_character() -> None:
    assert woven("体育与运动很好", "体育和运动很好") == "体育[-与-]{+和+}运动很好"


def test_a_text_that_comes_or_goes_is_one_piece() -> None:
    assert woven("", "All new.") == "{+All new.+}"
    assert woven("All gone.", "") == "[-All gone.-]"
    assert changed_words("", "") == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_each_side_can_be_read_out_of_the_whole(old: str, new: str) -> None:
    pieces = changed_words(old, new)
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == old
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == new
