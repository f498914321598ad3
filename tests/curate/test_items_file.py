"""Items of one's own are read from JSONL, CSV and Parquet, each at its place."""

from pathlib import Path

import pytest

from distill_build.curate.items_file import with_items
from distill_build.errors import ConfigurationError
from distill_build.subtree import NOTHING_SAID, OwnItem, TagByHand, own_items_of

GOLF = TagByHand(children={"Golf": NOTHING_SAID})


def read(text: str, name: str = "questions.jsonl", tree: TagByHand = NOTHING_SAID) -> TagByHand:
    Path(name).write_text(text, encoding="utf-8", newline="")
    return with_items(tree, [Path(name)], "questions", "question", "sports")


@pytest.mark.parametrize("path", ['["sports", "Golf"]', '["golf"]', '"Golf"', '"SPORTS/ golf "', '"[\\"Golf\\"]"'])
def test_a_path_is_a_list_or_a_text_with_or_without_the_topic(path: str) -> None:
    tree = read(f'{{"question": " Why? ", "path": {path}}}\n', tree=GOLF)
    assert tree.children["Golf"].items == {"questions": (OwnItem("Why?"),)}
    assert tree.holders == {}


def test_what_has_no_place_yet_is_held_there() -> None:
    tree = read('{"question": "Why?", "path": ["A", "B"]}\n\n{"question": "Who?", "answer": "I."}\n')
    assert own_items_of(tree, "questions") == {
        "here": [["Who?", {"answer": "I."}]],
        "below": {"A": {"below": {"B": {"here": [["Why?", {}]]}}}},
    }


def test_a_table_gives_the_same() -> None:
    table = read('\ufeffquestion,path,answer\r\n"Why, then?",A/B,\r\nWho?,,I.\r\n', "questions.csv")
    lines = read('{"question": "Why, then?", "path": "A/B"}\n{"question": "Who?", "answer": "I."}')
    assert table == lines


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("question\na,b\n", "questions.csv", "questions.csv, line 2: it has more or fewer columns than the first"),
        ('question\n"a', "questions.csv", "it is no CSV"),
        ("[1]\n", "questions.jsonl", "questions.jsonl, line 1: each line is an object"),
        ('{"question": "?", "path": "[1"}', "questions.jsonl", "line 1: path is no list in JSON"),
        ('{"question": "?", "path": ["", 1]}', "questions.jsonl", "line 1: path is a list of labels"),
        (f'{{"question": "?", "path": "{"a/" * 11}"}}', "questions.jsonl", "line 1: a tree has 10 levels of tags"),
        ("no parquet", "questions.parquet", "questions.parquet is no Parquet"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, name: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(text, name)
    assert told in str(refused.value)
