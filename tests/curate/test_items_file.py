"""Items of one's own are read from JSONL, CSV and Parquet, each at its place."""

import json
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
    assert tree.children["Golf"].items == {"questions": (OwnItem("Why?", place="questions.jsonl, line 1"),)}
    assert tree.holders == {}


def test_items_of_one_place_keep_the_order_of_their_lines_by_whichever_label_they_name_it() -> None:
    renamed = TagByHand(rename={"Bravo": "Teams", "Golf": "Chess", "Chess": "Golf"})
    lines = [("Why?", "Bravo"), ("Who?", "TEAMS"), ("Where?", "bravo"), ("where", "Teams"), ("Which?", "Golf")]
    tree = read("".join(f'{{"question": "{text}", "path": "{path}"}}\n' for text, path in lines), tree=renamed)
    assert own_items_of(tree, "questions") == {
        "below": {
            "Bravo": {"here": [["Why?", {}], ["Who?", {}], ["Where?", {}]]},
            "Golf": {"here": [["Which?", {}]]},  # a tag's own label comes before another one's new label
        }
    }


def test_what_has_no_place_yet_is_held_there() -> None:
    tree = read('{"question": "Why?", "path": ["A", "B"]}\n\n{"question": "Who?", "answer": "I."}\n')
    assert own_items_of(tree, "questions") == {
        "here": [["Who?", {"answer": "I."}]],
        "below": {"A": {"below": {"B": {"here": [["Why?", {}]]}}}},
    }


def test_a_table_gives_the_same() -> None:
    table = read('\ufeffquestion,path,answer\r\n"Why, then?",A/B,\r\nWho?,,I.\r\n', "questions.csv")
    lines = read('{"question": "Why, then?", "path": "A/B"}\n{"question": "Who?", "answer": "I."}')
    assert own_items_of(table, "questions") == own_items_of(lines, "questions")


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("question\na,b\n", "questions.csv", "questions.csv, line 2: it has more or fewer columns than the first"),
        ('question\n"a', "questions.csv", "questions.csv, line 2: it is no CSV"),
        ('question,path\nx,y\n"a,b\nc,d\ne,f\n', "questions.csv", "questions.csv, line 3: it is no CSV"),
        ("question;path\na\n", "questions.csv", "questions.csv, line 2: it has more or fewer columns"),
        ("Why?\nWho?\n", "questions.csv", "questions.csv, line 1: the first line names the columns"),
        ("question,question\na,b\n", "questions.csv", "line 1: two columns are called question"),
        ("question,anwser\na,b\n", "questions.csv", "questions.csv, line 1: anwser: no build reads such a column; did"),
        ("question,\na,b\n", "questions.csv", "questions.csv, line 1: a column without a name: no build reads"),
        (
            '\n{"question": "?", "anwser": "!"}',
            "questions.jsonl",
            "line 2: anwser: no build reads such a column; did",
        ),
        (
            '{"qestion": "?"}',
            "questions.jsonl",
            "line 1: qestion: no build reads such a column; did you",
        ),
        ('{"question": "?", "by": "me"}', "questions.jsonl", "take it out, or put what is for yourself into note"),
        ('{"question": "?", "question": "!"}', "questions.jsonl", "line 1: question stands there twice"),
        ("[" * 100_000, "questions.jsonl", "questions.jsonl, line 1: it is no JSON"),
        ("[1]\n", "questions.jsonl", "questions.jsonl, line 1: each line is an object"),
        (
            '{"question": "?", "topic": 5}',
            "questions.jsonl",
            "line 1: topic is a text: that of the dataset, or left out",
        ),
        ('{"question": "?", "path": "[1"}', "questions.jsonl", "line 1: path is no list in JSON"),
        ('{"question": "?", "path": ["", 1]}', "questions.jsonl", "line 1: path is a list of labels"),
        (f'{{"question": "?", "path": "{"a/" * 11}"}}', "questions.jsonl", "line 1: a tree has 10 levels of tags"),
        ("no parquet", "questions.parquet", "questions.parquet cannot be read as Parquet"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, name: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(text, name)
    assert told in str(refused.value)


def test_an_unknown_column_of_parquet_is_told() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([{"question": "?", "anwser": None}]), "questions.parquet")
    with pytest.raises(ConfigurationError, match=r"questions\.parquet, row 1: anwser: .* did you mean answer\?"):
        with_items(NOTHING_SAID, [Path("questions.parquet")], "questions", "question", "sports")


def test_two_columns_of_parquet_with_one_name_are_told() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    twice = pa.Table.from_arrays([pa.array(["Why?"]), pa.array(["How?"])], names=["question", "question"])
    parquet.write_table(twice, "questions.parquet")
    with pytest.raises(ConfigurationError, match=r"questions\.parquet cannot .* \(two columns are called question"):
        with_items(NOTHING_SAID, [Path("questions.parquet")], "questions", "question", "sports")


def test_a_byte_that_is_no_text_is_told_with_its_line() -> None:
    for name, first in (("questions.jsonl", b'{"question": "?"}'), ("questions.csv", b"question")):
        Path(name).write_bytes(first + b"\n\xff\n")
        with pytest.raises(ConfigurationError, match=f"^{name}, line 2: it is no text in UTF-8"):
            with_items(NOTHING_SAID, [Path(name)], "questions", "question", "sports")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_of_another_spreadsheet_gives_the_same(mark: str) -> None:
    table = read(f'question{mark}path\r\n"Why, then{mark} me?"{mark}A/B\r\n', "questions.csv")
    lines = read(f'{{"question": {json.dumps(f"Why, then{mark} me?")}, "path": "A/B"}}')
    assert own_items_of(table, "questions") == own_items_of(lines, "questions")


def test_a_note_is_for_its_author_alone_and_lines_of_others_are_theirs() -> None:
    lines = '{"question": "Why?", "topic": "", "note": {"from": "Ada"}}\n'
    lines += '{"question": "e4?", "topic": "chess", "opening": 5}\n'
    assert read(lines) == read('{"question": "Why?"}')
