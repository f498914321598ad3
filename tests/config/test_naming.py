"""Folder names: from topics, and as given."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.config.naming import LONGEST_BYTES, RESERVED, check_name, dataset_name
from distill_build.errors import ConfigurationError

DIGEST = re.compile(r"-[0-9a-f]{6}$")


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("sports", "sports"),
        ("Board Games", "board-games"),
        ("体育与运动", "体育与运动"),
        ("  two   spaces  ", "two-spaces"),
        ("全角\u3000空格", "全角-空格"),
        ("Straße", "strasse"),
        ("a-b", "a-b"),
        ("हिन्दी", "हिन्दी"),
        ("C", "c"),
    ],
)
def test_a_name_keeps_letters_digits_and_hyphens_and_nothing_is_added(topic: str, name: str) -> None:
    assert dataset_name(topic) == name


@pytest.mark.parametrize(
    ("topic", "start"),
    [
        ("C++", "c"),
        ("C#", "c"),
        ("C++ (basics), part 1", "c-basics-part-1"),
        ("3.10", "3-10"),
        ("../../etc/passwd", "etc-passwd"),
        ("-rf", "rf"),
        ("snake_case", "snake-case"),
        ("😀", "topic"),
        ("..", "topic"),
        ("sweeps", "sweeps"),
        ("Sweeps", "sweeps"),
        ("x" * 1000, "x" * LONGEST_BYTES),
        ("体" * 1000, "体" * (LONGEST_BYTES // 3)),
    ],
)
def test_six_digits_are_added_where_more_than_spaces_or_case_had_to_go(topic: str, start: str) -> None:
    assert re.fullmatch(re.escape(start) + "-[0-9a-f]{6}", dataset_name(topic))


def test_c_and_its_relatives_stay_apart() -> None:
    assert len({dataset_name(topic) for topic in ("C", "C++", "C#", "C--")}) == 4


def test_two_spellings_of_one_text_have_one_name() -> None:
    for text in ("Café", "Café!"):
        spellings = {dataset_name(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
        assert len(spellings) == 1


def test_the_digest_is_pinned_so_that_a_folder_is_found_again() -> None:
    assert dataset_name("C++") == "c-f1deb7"


@given(st.text())
def test_every_text_has_a_safe_name(topic: str) -> None:
    name = dataset_name(topic)
    assert name
    assert name not in RESERVED
    assert not name.startswith((".", "-"))
    assert len(name.encode()) <= LONGEST_BYTES + 7
    assert all(unicodedata.category(character)[0] in "LNM" or character == "-" for character in name)
    assert check_name(name if len(name.encode()) <= LONGEST_BYTES else "cut") is not None


@pytest.mark.parametrize("name", ["sports", "my_data.v1", "体育", "Two Words", "${x}"])
def test_a_given_name_may_be_any_safe_folder_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "..", ".", "../x", "/abs", "a\\b", "a\nb", "a\0b", "-x", ".hidden", " x", "Sweeps", "x" * 200],
)
def test_an_unsafe_name_gets_a_sentence(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"name=.* cannot be used: .*; for example name=sports-v2"):
        check_name(name)
