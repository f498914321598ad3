"""A tree.yaml is changed and keeps what was typed in it; what it says then is read back."""

from pathlib import Path

import pytest

from distill_build.curate.tree_changes import Add, Exclude, Include, Rename, TreeChange, amended
from distill_build.curate.tree_file import tree_in
from distill_build.subtree import said_of

TYPED = """\
# what we want
topic: sports   # ours
rename:
  Team Sports: Team games   # shorter
exclude: [Miscellaneous]
tags:
  # by hand
  Ball games: {questions_per_tag: 20, tags: {Football: {}, Tennis: {exclude: [History]}}}
  2024: {}
  3.10:
  No:
    tags:
      - A
      - B
"""


def said(text: str) -> object:
    tree = tree_in(text.encode(), Path("tree.yaml"), "sports")
    assert tree is not None
    return said_of(tree)


def test_nothing_to_change_gives_the_text_as_it_was_typed() -> None:
    assert amended(TYPED, []) == TYPED
    assert amended(TYPED, [Include(("Chess",)), Exclude(("miscellaneous",))]) == TYPED


@pytest.mark.parametrize(
    ("change", "line", "instead"),
    [
        (Exclude(("Chess",)), "exclude: [Miscellaneous]", "exclude: [Miscellaneous, Chess]"),
        (Exclude(("2024",)), "exclude: [Miscellaneous]", "exclude: [Miscellaneous, 2024]"),
        (Include(("MISCELLANEOUS",)), "exclude: [Miscellaneous]\n", ""),
        (Rename(("team sports",), "Teams"), "Team games   #", "Teams        #"),
        (Rename(("Ball games", "Tennis"), "No: 1"), "[History]}}}", "[History]}}, rename: {Tennis: 'No: 1'}}"),
        (Add(("No", "C")), "      - B\n", "      - B\n      - C\n"),
    ],
)  # fmt: skip
def test_a_change_changes_its_own_line(change: TreeChange, line: str, instead: str) -> None:
    after = amended(TYPED, [change])
    expected = TYPED.replace(line, instead)
    assert after == (expected.replace("  2024: {}\n", "") if change == Exclude(("2024",)) else expected)
    said(after)


def test_what_is_below_a_models_own_tag_goes_under_about_and_leaves_nothing_behind() -> None:
    changes = [Exclude(("Alpha", "Chess")), Rename(("Alpha", "Go", "Ko"), "Rule of ko")]
    after = amended("", changes)
    assert said(after) == {
        "about": {"Alpha": {"about": {"Go": {"rename": {"Ko": "Rule of ko"}}}, "exclude": ["Chess"]}}
    }
    back = [Include(("alpha", "chess")), Rename(("Alpha", "Go", "Ko"), "Ko")]
    assert said(amended(after, back)) == {}


def test_a_tag_by_hand_that_is_thrown_out_is_named_where_a_model_may_have_it_too() -> None:
    assert said(amended("tags: [Golf, Chess]\n", [Exclude(("golf",))])) == {
        "tags": {"Chess": {}},
        "exclude": ["golf"],
    }
    assert said(amended("only: true\ntags: [Golf, Chess]\n", [Exclude(("golf",))])) == {
        "tags": {"Chess": {}},
        "only": True,
    }


def test_a_list_of_labels_becomes_a_mapping_where_more_is_said_of_one() -> None:
    after = amended("tags: [Golf, Chess]\n", [Exclude(("Golf", "Putting"))])
    assert said(after) == {"tags": {"Golf": {"exclude": ["Putting"]}, "Chess": {}}}
    assert said(amended(after, [Include(("Golf", "Putting"))])) == {"tags": {"Golf": {}, "Chess": {}}}


def test_a_file_of_comments_alone_keeps_them() -> None:
    assert amended("# tags: {}", [Exclude(("Chess",))]) == "# tags: {}\nexclude:\n  - Chess\n"
    assert amended("# tags: {}", [Include(("Chess",))]) == "# tags: {}"


def test_labels_that_yaml_reads_otherwise_are_labels() -> None:
    odd = ["2024", "3.10", "No", "true", "null", "~x", "- y", "a: b", "#1", "体育", "x" * 120, "'q'", "0x1F", "1_000"]
    after = amended("", [Add((label,)) for label in odd])
    assert said(after) == {"tags": {label: {} for label in odd}}
    for label in odd:
        after = amended(after, [Rename((label, "Go"), f"{label[:100]} Go")])
    assert said(after) == {"tags": {label: {"rename": {"Go": f"{label[:100]} Go"}} for label in odd}}
