"""Lines of reviews.jsonl: each mistake is told with its line and a way out."""

from pathlib import Path

import pytest

from distill_build.curate.reviews_file import read_reviews
from distill_build.errors import ConfigurationError

FILE = Path("reviews.jsonl")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"verdict": "reject"}', "a review names its row"),
        ('{"id": "a", "verdict": "rejct"}', "verdict is accept, reject, edit or left out, not 'rejct'"),
        ('{"id": "a", "verdict": "edit"}', "an edit has the new text"),
        ('{"id": "a", "rateing": 3}', "rateing: only an edit changes columns of a row; did you mean rating?"),
        ('{"id": "a", "answer": "x"}', 'only an edit changes columns of a row; say "verdict": "edit", or take it out'),
        ('{"id": "a", "rating": 9}', "rating is a whole number from 1 to 5, not 9"),
        ('{"id": "a", "tags": "x"}', "tags is a list of texts"),
        ('{"id": "a", "note": 1}', "note is a text, or left out"),
        ('{"id": "a", "at": "yesterday"}', "at is a time in ISO 8601"),
        ('{"id": "a", "id": "b"}', "id stands there twice: leave one of them out"),
        ("reject a", "it is no JSON"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: str, told: str) -> None:
    FILE.write_text(f'{{"id": "a_1", "verdict": "accept"}}\n\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_reviews(FILE, "sports")
    assert str(refused.value).startswith("reviews.jsonl, line 3: ")
    assert told in str(refused.value)


def test_a_byte_that_is_no_text_is_told_with_its_line() -> None:
    FILE.write_bytes(b'{"id": "a"}\n{"id": "\xff"}\n')
    with pytest.raises(ConfigurationError, match=r"^reviews\.jsonl, line 2: it is no text in UTF-8"):
        read_reviews(FILE, "sports")
