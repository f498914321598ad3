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


def test_a_topic_says_whose_it_is() -> None:
    assert tree_in(b"topic: Chess\nexclude: [a]\n", FILE, "sports") is None
    assert tree_in(b"topic: SPORTS\nexclude: [a]\n", FILE, "sports") is not None


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("- Golf\n", 1, "the file says what is by hand below the topic"),
        ("tags: {a: b: c}\n", 1, "this is no YAML"),
        ("\ntag: {Golf: {}}\n", 2, "tag: a tag has no such key; did you mean tags?"),
        ("tags:\n  Golf: 5\n", 2, "Golf has keys of a tag below it"),
        ("exclude: {a: b}\n", 1, "this is a list of labels"),
        ("exclude: [[a]]\n", 1, "this is a text"),
        ("rename: [a]\n", 1, "labels and what they are to be called"),
        ("breadth: many\n", 1, "many is no number from 1 to 1,000,000"),
        ("depth: 11\n", 1, "11 is no number from 0 to 10"),
        ("only: maybe\n", 1, "maybe is neither true nor false"),
        ("tags: [Golf, golf]\n", 1, "Golf and golf are one label"),
        ("tags: [Golf]\nexclude: [GOLF]\n", 2, "GOLF is excluded, and stands under tags"),
        ("tags: [Golf]\nabout: {golf: {}}\n", 2, "golf stands under tags, too"),
        ("tags: [Golf, Chess]\nrename: {Golf: Chess}\n", 1, "two children would be called Chess"),
        ("breadth: 2\nbreadth: 3\n", 2, "breadth stands there twice"),
        (f"tags: [{'x' * 121}]\n", 1, "is no label: a label has 1 to 120 characters"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tree_in(text.encode(), FILE, "sports")
    assert str(refused.value).startswith(f"tree.yaml, line {line}: ")
    assert told in str(refused.value)


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
