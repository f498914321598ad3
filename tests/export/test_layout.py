"""The one text that holds reasoning and answer can always be taken apart again."""

from typing import Literal

import pytest

from distill_build.export.layout import Layout, TrainingRow, Turn, asked, with_reasoning


def test_reasoning_stands_in_a_block_before_the_answer() -> None:
    assert with_reasoning("First.\nThen.", "So.") == "<think>\nFirst.\nThen.\n</think>\n\nSo."


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_answer_without_reasoning_has_no_block(nothing: str | None) -> None:
    assert with_reasoning(nothing, "The <think> tag opens it.") == "The <think> tag opens it."


def test_an_answer_that_speaks_of_the_closing_tag_gets_an_empty_block() -> None:
    assert with_reasoning(None, "Close it with </think>.") == "<think>\n\n</think>\n\nClose it with </think>."


@pytest.mark.parametrize("reasoning", ["I write </think> here.", "<think> and </think>", "</think></think>"])
def test_the_first_closing_tag_ends_the_reasoning_whatever_it_says(reasoning: str) -> None:
    thought, _, answer = with_reasoning(reasoning, "Use </think>.").partition("</think>")
    assert answer == "\n\nUse </think>."
    assert thought.count("<think>") == 1
    assert thought.removeprefix("<think>\n").replace("< ", "<").replace("</ ", "</").strip() == reasoning


@pytest.mark.parametrize("place", ["think", "field", "drop"])
def test_an_answer_before_the_last_shows_its_thought_in_a_field_alone(place: Literal["think", "field", "drop"]) -> None:
    before = (Turn("a", "Why?", "Since.", "So."), Turn("b", "And?", None, "It ends with </think>."))
    row = TrainingRow("c", None, None, ("topic",), 0, "Then?", "Hm.", "No.", "m", history=before)
    shown = asked(row, Layout(place, metadata=False, system_prompt=None))
    assert [each["content"] for each in shown] == [
        "Why?",
        "So.",
        "And?",
        with_reasoning(None, "It ends with </think>.") if place == "think" else "It ends with </think>.",
        "Then?",
    ]
    assert [each.get("reasoning_content") for each in shown[1::2]] == (
        ["Since.", ""] if place == "field" else [None] * 2
    )
