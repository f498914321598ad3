"""When two items are the same, and what is numbering in front of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.replies.labels import normalise
from distill_build.replies.numbering import without_counting, without_marker

SAME = [
    ("Foo", "foo"),
    ("Hip-Hop", "hip  hop"),
    ("1. Foo", "Foo"),
    ("- Foo", "Foo"),
    ("**Foo**", "Foo"),
    ("一、网球", "网球"),
    ("Ｔｅｎｎｉｓ", "tennis"),
    ("Python 编程", "python编程"),
    ("Don't", "Don’t"),
    ("What is it?", "What is it"),
    ("什么是网球？", "什么是网球"),
    ("STRASSE", "straße"),
]
DIFFERENT = ["C", "C++", "C#", "3.10", "31.0", "310", "3 10", "5", "-5", "50%", "50", ".NET", "NET", "网球", "足球"]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_case_width_markers_punctuation_and_spaces_do_not_count(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_signs_that_make_a_name_count() -> None:
    assert len(set(map(normalise, DIFFERENT))) == len(DIFFERENT)


@given(st.text(min_size=1))
def test_a_key_is_never_empty(text: str) -> None:
    assert normalise(text) != ""


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("1. Foo", "Foo"),
        ("12) Foo", "Foo"),
        ("(3) Foo", "Foo"),
        ("[4] Foo", "Foo"),
        ("1.2. Foo", "Foo"),
        ("b) Foo", "Foo"),
        ("- Foo", "Foo"),
        ("• Foo", "Foo"),
        ("- [x] Foo", "Foo"),
        ("## Foo", "Foo"),
        ("③ Foo", "Foo"),
        ("1、网球", "网球"),
        ("2.网球", "网球"),
        ("3．网球", "网球"),
        ("一、网球", "网球"),
        ("（二）网球", "网球"),
        ("问题3：什么是网球", "什么是网球"),
        ("Q1: Why?", "Why?"),
        ("1. - Foo", "Foo"),
    ],
)
def test_markers_are_taken_off(marked: str, text: str) -> None:
    assert without_marker(marked) == text


@pytest.mark.parametrize(
    "name",
    ["3.10 release", "2001: A Space Odyssey", "7 Wonders", "3D printing", "1.2 Foo", "C. elegans", "-5 degrees", "1.",
     "三、四线城市", "一带一路", "第一次世界大战", "__init__", "*args", "#include", "100 Meters", "1984", "4-4-2",
     "Q&A",     "300: Rise of an Empire", "A Farewell to Arms", ".NET", "十项全能"],
)  # fmt: skip
def test_names_that_begin_like_numbering_stay(name: str) -> None:
    assert without_marker(name) == name
    assert without_counting([name]) == [name]


@pytest.mark.parametrize(
    "items",
    [
        ["1.1 Foo", "1.2 Bar"],
        ["1 Foo", "2 Bar"],
        ["A. Foo", "B. Bar"],
        ["1: Foo", "2: Bar"],
    ],
)
def test_items_that_count_up_together_are_numbered(items: list[str]) -> None:
    assert without_counting(items) == ["Foo", "Bar"]


def test_beside_plain_numbers_a_dotted_one_is_numbering_too() -> None:
    assert without_counting(["1. Foo", "1.2 Bar", "3.10 release"]) == ["1. Foo", "Bar", "3.10 release"]


@pytest.mark.parametrize(
    "items",
    [
        ["7 Wonders", "8 Queens"],
        ["1 Samuel", "2 Samuel"],
        ["3.10 Pattern Matching", "3.11 Exception Groups"],
        ["E. coli", "C. elegans"],
        ["A Farewell to Arms", "B Movies"],
        ["1 Foo", "Bar"],
    ],
)
def test_items_that_do_not_count_from_the_first_keep_their_names(items: list[str]) -> None:
    assert without_counting(items) == items
