"""A tree.yaml is read as it is typed, and each mistake is told with its line and a way out."""

from pathlib import Path

import pytest

from distill_build.curate.tree_file import read_tree, tree_in
from distill_build.errors import ConfigurationError
from distill_build.subtree import NOTHING_SAID, said_of

FILE = Path("tree.yaml")


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "tags:\n", "tags: {}\nexclude: []\nrename: {}\n"])
def test_what_says_nothing_is_nothing(text: str) -> None:
    assert tree_in(text.encode(), FILE, "sports") == NOTHING_SAID


def test_what_it_says_is_read_as_it_is_typed() -> None:
    text = """
tags:
  2024: {questions_per_tag: 3, breadth: [2, 1], depth: 2, description: " all of it "}
  "No":
    only: yes
    tags: [a  b, 3.10]
about: {Golf: {rename: {Old: "2025"}}}
exclude: Misc
"""
    tree = tree_in(text.encode(), FILE, "sports")
    assert tree is not None
    assert said_of(tree) == {
        "tags": {
            "2024": {"breadth": [2, 1], "depth": 2, "description": "all of it", "questions_per_tag": 3},
            "No": {"tags": {"a b": {}, "3.10": {}}, "only": True},
        },
        "about": {"Golf": {"rename": {"Old": "2025"}}},
        "exclude": ["Misc"],
    }


def test_a_tag_by_hand_may_be_excluded_in_any_letter_case() -> None:
    tree = tree_in(b"tags: {Golf: {depth: 0}, Chess: {}}\nexclude: [GOLF, Misc]\n", FILE, "sports")
    assert tree is not None
    assert list(tree.children) == ["Golf", "Chess"]
    assert list(tree.wanted) == ["Chess"]


def test_a_topic_says_whose_it_is() -> None:
    assert tree_in(b"topic: Chess\nexclude: [a]\n", FILE, "sports") is None
    assert tree_in(b"topic: SPORTS\nexclude: [a]\n", FILE, "sports") is not None


@pytest.mark.parametrize("topic", ["", " ~", " null", " ''"])
def test_a_topic_that_is_left_empty_is_everybodys(topic: str) -> None:
    tree = tree_in(f"topic:{topic}\nexclude: [a]\n".encode(), FILE, "sports")
    assert tree is not None
    assert tree.exclude == ("a",)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("- Golf\n", 1, "the file says what is by hand below the topic"),
        ("tags: {a: b: c}\n", 1, "this is no YAML"),
        ("\ntag: {Golf: {}}\n", 2, "tag: the topic has no such key; did you mean tags?"),
        ("tag:\n  Golf: {}\n", 1, "tag: the topic has no such key; did you mean tags?"),
        ("topci: chess\n", 1, "did you mean topic?"),
        ("tags: {Golf: {tipic: 5}}\n", 1, "it may have tags, only, about, rename, exclude, breadth, depth, "),
        ("tags: {Golf: {xyzzy: 5}}\n", 1, "questions_per_tag, description, answer. A tag by hand stands below `tags:`"),
        ("topic: [a]\n", 1, "topic is a text"),
        ("tags:\n  Golf: 5\n", 2, "Golf has keys of a tag below it"),
        ("exclude: {a: b}\n", 1, "this is a list of labels"),
        ("exclude: [[a]]\n", 1, "a label is a text on one line"),
        ("rename: [a]\n", 1, "rename has labels and what they are to be called"),
        ("breadth: many\n", 1, "many is no number from 1 to 1,000,000"),
        ("depth: 11\n", 1, "11 is no number from 0 to 10"),
        ("only: maybe\n", 1, "maybe is neither true nor false"),
        ("tags: [Golf, golf]\n", 1, "Golf and golf are one label"),
        ("tags:\n- Golf\n- Golf\n", 3, "Golf stands there twice: leave one of them out"),
        ("tags: {Golf: {}, golf: {}}\n", 1, "Golf and golf are one label"),
        ("exclude: [Golf, golf]\n", 1, "Golf and golf are one label"),
        ("rename: {Golf: A, golf: B}\n", 1, "Golf and golf are one label"),
        ("tags: {a: {}, <<: {b: {}}}\n", 1, "<<: write out what it stands for"),
        ("tags:\n  a: &c {depth: 1}\n  b: *c\n", 2, "&c: write out what it stands for"),
        ("tags: [*c]\n", 1, "*c: write out what it stands for; a label that begins with such a sign stands in quotes"),
        ("exclude: [a\nbreadth: 3\n", 1, "this is no YAML"),
        ("tags:\n\tGolf: {}\n", 2, "lines are indented by spaces"),
        ("a: 1\n---\nb: 2\n", 2, "this is no YAML"),
        ("breadth: 2\ndescription: \x01\n", 2, "this is no YAML (control characters are not allowed)"),
        ("tags: [Golf]\nabout: {golf: {}}\n", 2, "golf stands under tags, too"),
        ("tags: [Golf, Chess]\nrename: {GOLF: Chess}\n", 2, "two children would be called Chess"),
        ("breadth: 2\nbreadth: 3\n", 2, "breadth stands there twice"),
        (f"tags: [{'x' * 121}]\n", 1, "is no label: a label has 1 to 120 characters"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tree_in(text.encode(), FILE, "sports")
    assert str(refused.value).startswith(f"tree.yaml, line {line}: ")
    assert told in str(refused.value)


def test_a_byte_that_is_no_text_is_told_with_its_line() -> None:
    with pytest.raises(ConfigurationError, match=r"^tree\.yaml, line 2: it is no text in UTF-8"):
        tree_in(b"breadth: 3\ndescription: \xff\n", FILE, "sports")


def test_what_is_said_of_nothing_is_no_text() -> None:
    tree = tree_in(b"tags: {Golf: {description: null}}\n", FILE, "sports")
    assert tree is not None
    assert tree.children["Golf"].description == ""


def test_a_tree_has_ten_levels_at_the_most() -> None:
    text = "Golf: {}"
    for _ in range(11):
        text = f"a: {{tags: {{{text}}}}}"
    with pytest.raises(ConfigurationError, match="a tree has 10 levels of tags at the most"):
        tree_in(f"tags: {{{text}}}".encode(), FILE, "sports")


def test_a_file_that_cannot_be_read_is_told() -> None:
    FILE.mkdir()
    with pytest.raises(ConfigurationError, match=r"tree\.yaml cannot be read"):
        read_tree(FILE, "sports")
