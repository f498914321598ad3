"""The draw of s1 follows its formula, and is the same everywhere."""

from collections import Counter
from fractions import Fraction
from itertools import islice
from math import sqrt

import pytest

from distill_build.stages.measures.draw import Chance, draw_domains

SEEDS = 6000
SIGMAS = 4.5


def expected(domains: dict[str, tuple[str, ...]], count: int) -> Counter[tuple[str, ...]]:
    """The exact probability of each sequence of `count` draws: a domain of those that have any left, then rank r of n
    with 2^-r / (2^-1 + … + 2^-n)."""
    if count == 0:
        return Counter({(): Fraction(1)})  # type: ignore[dict-item]
    left = {name: items for name, items in domains.items() if items}
    found: Counter[tuple[str, ...]] = Counter()
    for name, items in left.items():
        whole = sum(Fraction(1, 2**rank) for rank in range(1, len(items) + 1))
        for rank, item in enumerate(items, start=1):
            chance = Fraction(1, len(left)) * Fraction(1, 2**rank) / whole
            rest = {**left, name: tuple(each for each in items if each != item)}
            for behind, more in expected(rest, count - 1).items():
                found[item, *behind] += chance * more  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("domains", "count"),
    [
        ({"a": ("a1", "a2", "a3", "a4")}, 1),
        ({"a": ("a1", "a2", "a3"), "b": ("b1",)}, 2),
        ({"a": ("a1", "a2"), "b": ("b1", "b2", "b3"), "c": ("c1",)}, 3),
    ],
)
def test_over_many_seeds_the_draws_are_as_often_as_the_formula_says(
    domains: dict[str, tuple[str, ...]], count: int
) -> None:
    wanted = expected(domains, count)
    assert sum(wanted.values()) == 1
    seen = Counter(tuple(islice(draw_domains(domains, seed), count)) for seed in range(SEEDS))
    assert set(seen) <= set(wanted)
    for sequence, share in wanted.items():
        mean = SEEDS * float(share)
        assert abs(seen[sequence] - mean) < SIGMAS * sqrt(mean * (1 - float(share))), (sequence, seen[sequence], mean)


def test_more_draws_begin_with_the_same() -> None:
    domains = {name: [f"{name}{place}" for place in range(20)] for name in "abcde"}
    whole = list(draw_domains(domains, 7))
    assert sorted(whole) == sorted(item for items in domains.values() for item in items), "each once"
    assert list(islice(draw_domains(domains, 7), 30)) == whole[:30]


def test_a_draw_is_the_same_on_every_machine() -> None:
    domains = {"b": ["b1", "b2", "b3"], "a": ["a1", "a2", "a3"], "c": []}
    assert list(draw_domains(domains, 0)) == list(draw_domains(dict(reversed(domains.items())), 0)), (
        "in whatever order domains come"
    )
    assert list(draw_domains(domains, 0)) == PINNED
    assert list(draw_domains(domains, 1)) != PINNED


def test_a_rank_has_no_end_of_its_own() -> None:
    chance = Chance(3)
    ranks = Counter(chance.rank(10_000) for _ in range(4000))
    assert 1800 < ranks[1] < 2200
    assert max(ranks) < 30
    assert [Chance(3).rank(1) for _ in range(3)] == [1, 1, 1]


PINNED = ["a1", "b2", "b1", "b3", "a3", "a2"]
