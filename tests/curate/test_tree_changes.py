"""A tree.yaml is changed and keeps what was typed in it; what it says then is read back."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from distill_build.curate.tree_changes import Add, Exclude, Include, Rename, TreeChange, amended
from distill_build.curate.tree_file import tree_in
from distill_build.errors import ConfigurationError, UsageError
from distill_build.subtree import TagByHand, said_of

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
        (Rename(("team sports",), "Teams"), "Team games   #", "Teams   #"),
        (Rename(("Ball games", "Tennis"), "No: 1"), "[History]}}}", "[History]}}, rename: {Tennis: 'No: 1'}}"),
        (Add(("No", "C")), "      - B\n", "      - B\n      - C\n"),
    ],
)  # fmt: skip
def test_a_change_changes_its_own_line(change: TreeChange, line: str, instead: str) -> None:
    after = amended(TYPED, [change])
    expected = TYPED.replace(line, instead)
    assert after == expected
    said(after)


def test_what_is_below_a_models_own_tag_goes_under_about_and_leaves_nothing_behind() -> None:
    changes = [Exclude(("Alpha", "Chess")), Rename(("Alpha", "Go", "Ko"), "Rule of ko")]
    after = amended("", changes)
    assert said(after) == {
        "about": {"Alpha": {"about": {"Go": {"rename": {"Ko": "Rule of ko"}}}, "exclude": ["Chess"]}}
    }
    back = [Include(("alpha", "chess")), Rename(("Alpha", "Go", "Ko"), "Ko")]
    assert said(amended(after, back)) == {}


def test_a_tag_by_hand_that_is_thrown_out_stays_as_it_was_typed_and_comes_back_so() -> None:
    before = "only: true\ntags:\n  Golf: {depth: 0}  # ours\n  Chess: {}\n"
    after = amended(before, [Exclude(("golf",))])
    assert after == before + "exclude:\n  - golf\n"
    for change in (Include(("Golf",)), Add(("Golf",))):
        assert amended(after, [change]) == before


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


def test_lines_that_begin_as_comments_do_within_a_text_are_none() -> None:
    text = "description: |\n  on\n  # grass\n\nexclude: [Go]  # dull\n# more\nrename: {A: 'a\n\n  # b'}\n"
    after = amended(text, [Include(("Go",)), Rename(("A",), "A")])
    assert after == "description: |\n  on\n  # grass\n\n# dull\n# more\n"


def test_of_what_is_taken_out_of_brackets_the_comments_stay_and_the_line_goes() -> None:
    text = "exclude: [\n  A,  # a\n  B,\n  C  # c\n]\n"
    assert amended(text, [Include(("B",))]) == "exclude: [\n  A,  # a\n  C  # c\n]\n"
    assert amended(text, [Include(("A",))]) == "exclude: [\n  # a\n  B,\n  C  # c\n]\n"
    assert amended(text, [Include((label,)) for label in "ABC"]) == "# a\n# c\n"


def test_of_the_topic_itself_nothing_of_that_can_be_said() -> None:
    for make in (Exclude, Include, Add):
        with pytest.raises(UsageError, match="that is the topic itself, not a tag below it"):
            make(())


LABELS = ("Golf", "Go", "2024", "No", "体育🏀", "a,b", "it's", "x:y", "q#1", "Chess", "null", "~", "<<")
labels = st.lists(st.sampled_from(LABELS), min_size=1, max_size=3, unique=True)
renames = labels.map(lambda old: {label: f"{label}-new" for label in old})
excluded = labels.map(lambda out: [f"{label}-out" for label in out])


def nodes(level: int) -> st.SearchStrategy[dict[str, Any]]:
    """Nodes of a tree.yaml, as plain data."""
    below = st.none() | (nodes(level + 1) if level < 2 else st.just({}))
    fields = {
        "tags": st.none() | labels | st.dictionaries(st.sampled_from(LABELS), below, max_size=3),
        "about": st.dictionaries(st.sampled_from(LABELS).map(lambda label: f"{label}-own"), below, max_size=2),
        "exclude": st.none() | excluded | excluded.map(lambda out: out[0]),
        "rename": st.none() | renames,
        "description": st.sampled_from(["#1", "on-grass"]),
    }
    return st.fixed_dictionaries({}, optional=fields)


class Dumper(yaml.SafeDumper):
    """Writes what stands twice twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - called by name
        return True


class Indented(Dumper):
    """Sets lists further in than their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - as above
        super().increase_indent(flow, False)


@st.composite
def typed(draw: st.DrawFn) -> str:
    """A tree.yaml as people type it: in lines or in brackets, quoted or not, with comments wherever they can stand."""
    width, style = draw(st.sampled_from([(1, None), (20, None), (1000, None), (1000, '"')]))
    text: str = yaml.dump(
        draw(nodes(0)),
        Dumper=draw(st.sampled_from([Dumper, Indented])),
        default_flow_style=draw(st.sampled_from([True, False, None])),
        indent=draw(st.sampled_from([2, 4])),
        width=width,
        default_style=style,
        allow_unicode=True,
    )
    text = text.replace(": null\n", draw(st.sampled_from([":\n", ": ~\n"])))
    lines = []
    for number, line in enumerate(draw(st.sampled_from(["", "---\n"])).splitlines() + text.splitlines()):
        blank = " " * draw(st.integers(0, 6))
        lines += draw(st.sampled_from([[], [], [f"{blank}#c{number};"], ["", f"# [c{number}; a: b"], [""]]))
        lines.append(line + draw(st.sampled_from(["", "", " ", f" # - e{number};", f"\t#e{number};"])))
    lines += draw(st.sampled_from([[], ["# end;"]]))
    whole = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return whole + draw(st.sampled_from(["", "\n"]))


def facts(node: TagByHand, path: tuple[str, ...] = ()) -> set[tuple[Any, ...]]:
    """All that a tree says, one by one."""
    found: set[tuple[Any, ...]] = {(path, "exclude", label) for label in node.exclude}
    found |= {(path, "rename", *each) for each in node.rename.items()} | {
        (path, "tags", label) for label in node.children
    }
    found |= {(path, "description", node.description)} if node.description is not None else set()
    for label, below in (*node.children.items(), *node.about.items()):
        found |= facts(below, (*path, label))
    return found


def comments(text: str) -> list[str]:
    return sorted(re.findall(r"#\s?\W{0,2}(?:[ce]\d+|end);", text))


def changes(tree: TagByHand) -> st.SearchStrategy[TreeChange]:
    """Changes of tags that are spoken of already, and of others below them."""
    paths = [(), *sorted({fact[0] for fact in facts(tree)})]
    spoken_of = sorted({(*fact[0], fact[2]) for fact in facts(tree) if fact[1] != "description"})
    below = st.builds(lambda path, more: (*path, more), st.sampled_from([*paths, *spoken_of]), st.sampled_from(LABELS))
    path = below if not spoken_of else st.sampled_from(spoken_of) | below
    renamed = st.builds(Rename, path, st.sampled_from(["Shown", *LABELS])) | path.map(lambda own: Rename(own, own[-1]))
    undone: list[TreeChange] = [Include((*fact[0], fact[2])) for fact in facts(tree) if fact[1] == "exclude"]
    undone += [Rename((*fact[0], fact[2]), fact[2]) for fact in facts(tree) if fact[1] == "rename"]
    said = st.one_of(*(st.builds(kind, path) for kind in (Exclude, Include, Add)), renamed)
    return st.sampled_from(sorted(undone, key=repr)) | said if undone else said


@settings(max_examples=200)
@given(typed(), st.data())
def test_every_comment_stays_and_nothing_else_is_said(text: str, data: st.DataObject) -> None:
    try:
        before = tree_in(text.encode(), Path("tree.yaml"), "sports")
    except ConfigurationError:
        assume(False)
    assert before is not None
    change = data.draw(changes(before))
    after = amended(text, [change])
    try:
        said = tree_in(after.encode(), Path("tree.yaml"), "sports")
    except ConfigurationError as refused:
        assert re.search("called|levels|stands under tags", str(refused)), after  # noqa: PT017 - what a tree cannot say
        assume(False)
    assert said is not None
    assert comments(after) == comments(text)
    parent, label = change.path[:-1], change.path[-1]
    wanted: tuple[Any, ...] = (
        parent,
        {Exclude: "exclude", Include: "exclude", Rename: "rename", Add: "tags"}[type(change)],
        label,
    )
    wanted += (change.shown,) if isinstance(change, Rename) else ()
    assert (wanted in facts(said)) is not (isinstance(change, Include) or wanted[2:] == (label, label))
    others = {fact for fact in facts(before) ^ facts(said) if fact[0][: len(change.path)] != change.path}
    assert {fact for fact in others if fact[0] != parent or fact[2] != label} == set()
