"""How settings that differ are told, wherever they are: by values as they are typed, and each shape of a tree once."""

from typing import Any

import pytest

from distill_build.dataset.lockfile import facts_of
from distill_build.history.causes import causes_between, recipe_of
from distill_build.history.setting_wording import cause_words, listed

TEMPLATE = "Answer.\nBe brief."


def recipe(part: str, **settings: Any) -> dict[str, Any]:
    """A recipe with one part; a stage's has its scheme and the names of its settings."""
    stage = {"scheme": 1, "names": {"system_prompt": "system_prompt"}} if part == "answers" else {}
    return {part: stage | settings}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (recipe("tree", breadth=[3]), recipe("tree", breadth=[4]), ["breadth: 3 → 4"]),
        (recipe("tree", breadth=[3]), recipe("tree", breadth=[3, 3]), ["depth: 1 → 2"]),
        (recipe("tree", breadth=[3, 3]), recipe("tree", breadth=[3, 1]), ["breadth: 3 → [3,1]"]),
        (recipe("tree", breadth=[3]), recipe("tree", breadth=[3, 1]), ["breadth: 3 → [3,1]", "depth: 1 → 2"]),
        (recipe("export", metadata=True), recipe("export", metadata=False), ["format.metadata: true → false"]),
        (recipe("export", formats=["csv"]), recipe("export", formats=[]), ['formats: ["csv"] → []']),
        (recipe("tree", breadth=[3] * 30 + [4]), recipe("tree", breadth=[3] * 30 + [5]),
         [f"breadth: [{'3,' * 30}4] → [{'3,' * 30}5]"]),
        (recipe("graph", stages=["tags", "questions", "dedup", "answers", "scores", "attempts", "a", "b"]),
         recipe("graph", stages=["tags", "questions", "dedup", "answers", "scores", "attempts", "a", "c"]),
         ['stages: ["tags","questions","dedup","answers","scores","attempts","a","b"] → '
          '["tags","questions","dedup","answers","scores","attempts","a","c"]']),
        (recipe("answers", seed=None), recipe("answers", seed=7), ["seed: null → 7"]),
        (recipe("answers", system_prompt=None), recipe("answers", system_prompt="Be brief."),
         ["system_prompt: null → Be brief."]),
        (recipe("answers", system_prompt="Be\nbrief."), recipe("answers", system_prompt="Be."),
         ["system_prompt is another text"]),
        (recipe("answers", system_prompt="long " * 50 + "a"), recipe("answers", system_prompt="long " * 50 + "b"),
         ["system_prompt is another text"]),
        (recipe("answers", prompt={"en/answers.jinja": TEMPLATE}), recipe("answers", prompt={"en/answers.jinja": "B"}),
         ["prompt en/answers.jinja edited"]),
        (recipe("answers", prompt={}), recipe("answers", prompt={"en/rules.jinja": TEMPLATE}),
         ["prompt en/rules.jinja added"]),
        (recipe("answers", prompt={"en/rules.jinja": TEMPLATE}), recipe("answers", prompt={}),
         ["prompt en/rules.jinja removed"]),
        (recipe("answers", language="en", prompt={"en/answers.jinja": TEMPLATE}),
         recipe("answers", language="zh", prompt={"zh/answers.jinja": TEMPLATE}), ["language: en → zh"]),
    ],
)  # fmt: skip
def test_versions_and_their_locks_tell_the_same(old: dict[str, Any], new: dict[str, Any], told: list[str]) -> None:
    assert list(map(cause_words, causes_between(old, new))) == told
    assert list(map(cause_words, causes_between(recipe_of(facts_of(old)), recipe_of(facts_of(new))))) == told


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    assert listed(["a", "b"], 2) == "a; b"
    assert listed(["a", "b", "c", "d"], 2) == "a; b; and 2 more"
