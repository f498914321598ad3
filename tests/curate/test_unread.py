"""What a dataset does not read, though people may take it to be read, is told; what is another one's is not."""

from pathlib import Path

import pytest

from distill_build.curate.unread import unread_files
from distill_build.errors import ConfigurationError

FILES = ("tree.yaml", "reviews.jsonl", "questions.jsonl", "questions.csv", "questions.parquet")


def made(*places: str) -> None:
    for place in map(Path, places):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(place.name)


def told(says: object = True) -> list[str]:
    return list(unread_files("sports", dict.fromkeys(FILES, lambda _: says), {"chess"}))


def test_a_file_behind_one_of_the_datasets_own_is_told() -> None:
    made("curate/sports/reviews.jsonl", "reviews.jsonl", "tree.yaml")
    assert told() == ["reviews.jsonl is not read: curate/sports/reviews.jsonl comes before it; move there what it says"]
    assert told(says=False) == [], "it is for another dataset"


def test_one_that_nobody_can_read_is_told_too() -> None:
    def refuses(_: Path) -> bool:
        raise ConfigurationError("it is no JSON")

    made("curate/sports/reviews.jsonl", "reviews.jsonl")
    assert len(list(unread_files("sports", {"reviews.jsonl": refuses}, ()))) == 1


def test_one_file_under_two_names_is_read() -> None:
    made("reviews.jsonl", "curate/sports/other")
    Path("curate/sports/reviews.jsonl").symlink_to("../../reviews.jsonl")
    assert told() == []


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("tree.yml", "tree.yml is not read: call it tree.yaml"),
        ("Questions.jsonl", "Questions.jsonl is not read: call it questions.jsonl"),
        ("question.csv", "question.csv is not read: call it questions.csv"),
        ("review.jsonl", "review.jsonl is not read: call it reviews.jsonl"),
        ("reviews.json", "reviews.json is not read: call it reviews.jsonl"),
        ("curate/sports/TREE.YAML", "curate/sports/TREE.YAML is not read: call it tree.yaml"),
        ("curate/tree.yaml", "curate/tree.yaml is not read: move it to curate/sports/tree.yaml"),
        (
            "curate/sport/tree.yaml",
            "curate/sport is of no dataset that was built here: what people say of sports stands in curate/sports",
        ),
    ],
)
def test_a_slip_in_a_name_is_told(place: str, sentence: str) -> None:
    made(place)
    assert told() == [sentence]


def test_what_is_something_else_is_not_told() -> None:
    made("tree.txt", "train.yaml", "answers.jsonl", "curate/chess/tree.yaml", "curate/sports/notes.md", ".tree.yml")
    made("questions.md", "curate/README.md", "questions.jsonl", "tree.yaml", "three.py", "review.py")
    assert told() == []
