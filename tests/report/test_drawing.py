"""Which rows are on the page where there is no room for all."""

import gzip
import json
from random import Random

import pytest

from distill_build.report.drawing import BLOCK, Drawing


def taken(number: int, bound: int, seed: int = 0) -> tuple[Drawing, list[str]]:
    """So many families of texts that do not compress, and the ids of those that were kept."""
    drawing, random = Drawing(seed, bound), Random(1)
    for place in range(number):
        key = f"q_{place:05}"
        text = random.randbytes(600).hex()
        if drawing.wants(key):
            drawing.add(key, json.dumps([place, [key]]).encode(), json.dumps([key, text]).encode())
    wholes = [json.loads(gzip.decompress(block.whole)) for block in drawing.blocks()]
    facts = [json.loads(gzip.decompress(block.facts)) for block in drawing.blocks()]
    ids = [key for families in wholes for key, _ in families]
    assert ids == [key for families in facts for _, (key,) in families]
    return drawing, ids


def test_all_are_there_where_there_is_room() -> None:
    drawing, ids = taken(500, 10_000_000)
    assert (drawing.kept, drawing.seen, len(ids)) == (500, 500, 500)
    assert ids == sorted(ids)


@pytest.mark.parametrize("number", [1_000, 4_000])
def test_where_there_is_none_a_part_is_drawn_that_fits(number: int) -> None:
    drawing, ids = taken(number, 400_000)
    assert sum(block.size for block in drawing.blocks()) <= 400_000
    assert (drawing.seen, drawing.kept) == (number, len(ids))
    assert 100 < len(ids) < 450
    assert ids == sorted(ids), "the order stays that in which they came"
    assert int(ids[-1][2:]) > number * 0.9, "and they come from everywhere"


def test_the_seed_and_the_rows_alone_say_which() -> None:
    assert taken(1_500, 400_000)[1] == taken(1_500, 400_000)[1]
    assert taken(1_500, 400_000, seed=1)[1] != taken(1_500, 400_000)[1]


def test_a_smaller_room_takes_from_those_of_a_larger_one() -> None:
    large, small = taken(1_500, 800_000)[1], taken(1_500, 400_000)[1]
    assert set(small) < set(large)
    assert BLOCK < 400_000, "the bound is of several blocks"
