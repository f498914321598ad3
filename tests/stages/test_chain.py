"""The laws of a list that grows: its beginning never changes, and what is asked next depends on its items alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_build.replies.parse import normalise
from distill_build.stages.chain import FRUITLESS_REQUESTS, Chain

items = st.text(alphabet="abAB 1.-ａ体", min_size=1, max_size=4)
replies = st.lists(st.lists(items, max_size=4), max_size=8)
totals = st.integers(1, 8)
law = settings(derandomize=True, deadline=None, max_examples=200)


def grown(wanted: int, given_replies: Sequence[list[str]], *, asked: bool = True) -> Chain:
    """A chain that takes replies for as long as a build would ask for them."""
    chain = Chain(wanted)
    for number, reply in enumerate(given_replies):
        if chain.complete or chain.given_up:
            break
        chain.take(reply, source=(f"call {number}", "response"), asked=asked)
    return chain


def kept(chain: Chain) -> list[str]:
    return chain.items[: chain.wanted]


@law
@given(given_replies=replies, small=totals, more=totals)
def test_a_larger_total_begins_with_the_items_of_a_smaller_one(
    given_replies: list[list[str]], small: int, more: int
) -> None:
    short, long = grown(small, given_replies, asked=False), grown(small + more, given_replies, asked=False)
    assert kept(long)[: len(kept(short))] == kept(short)
    assert long.sources[: short.requests] == short.sources, "it takes the same replies, and then goes on"
    assert len(kept(short)) == min(small, len(kept(long)))


@law
@given(given_replies=replies, small=totals, more=totals)
def test_what_the_next_request_is_given_does_not_depend_on_the_total(
    given_replies: list[list[str]], small: int, more: int
) -> None:
    short, long = Chain(small), Chain(small + more)
    for reply in given_replies:
        if short.complete:
            break
        assert (short.items, short.requests) == (long.items, long.requests)
        for chain in (short, long):
            chain.take(reply, source=("call", "response"), asked=True)


@law
@given(given_replies=replies, wanted=totals)
def test_items_are_distinct_and_the_first_spelling_of_each(given_replies: list[list[str]], wanted: int) -> None:
    chain = grown(wanted, given_replies, asked=False)
    keys = [normalise(item) for item in chain.items]
    assert len(set(keys)) == len(keys)
    spellings = [item for reply in given_replies[: chain.requests] for item in reply]
    first: dict[str, str] = {}
    for item in spellings:
        first.setdefault(normalise(item), item)
    assert chain.items == list(first.values())


@law
@given(given_replies=replies, wanted=totals)
def test_each_wanted_item_is_told_once_and_in_order(given_replies: list[list[str]], wanted: int) -> None:
    chain = Chain(wanted)
    told = [index for reply in given_replies for index in chain.take(reply, source=("call", "response"), asked=True)]
    assert told == list(range(min(wanted, len(chain.items))))
    assert chain.missing == wanted - len(told)
    assert chain.complete is (chain.missing == 0)
    assert chain.requests == len(given_replies)


@law
@given(given_replies=replies, wanted=totals, excluded=items)
def test_an_excluded_item_never_comes_back(given_replies: list[list[str]], wanted: int, excluded: str) -> None:
    chain = Chain(wanted)
    chain.exclude(excluded)
    for reply in given_replies:
        chain.take([*reply, excluded], source=("call", "response"), asked=True)
    assert normalise(excluded) not in map(normalise, chain.items)


@pytest.mark.parametrize("fruitless", range(FRUITLESS_REQUESTS + 1))
def test_a_chain_is_given_up_after_so_many_requests_in_a_row_without_a_new_item(fruitless: int) -> None:
    chain = Chain(5)
    chain.take(["one"], source=("a", "response"), asked=True)
    for _ in range(fruitless):
        assert not chain.given_up
        assert list(chain.take(["ONE", "One!"], source=("b", "response"), asked=True)) == []
    assert chain.given_up is (fruitless == FRUITLESS_REQUESTS)


def test_one_new_item_starts_the_count_again() -> None:
    chain = Chain(9)
    for number in range(2 * FRUITLESS_REQUESTS):
        chain.take(["one", f"item {number // 2}"], source=("a", "response"), asked=True)
        assert not chain.given_up


def test_an_empty_reply_is_fruitless() -> None:
    chain = grown(2, [[]] * 9)
    assert (chain.given_up, chain.requests, chain.missing) == (True, FRUITLESS_REQUESTS, 2)


def test_stored_replies_without_a_new_item_do_not_count_so_that_each_build_tries_again() -> None:
    chain = grown(2, [["one"], ["one"], ["one"], ["one"], ["one"]], asked=False)
    assert (chain.given_up, chain.requests) == (False, 5)
    for _ in range(FRUITLESS_REQUESTS):
        assert not chain.given_up
        chain.take(["one"], source=("new", "response"), asked=True)
    assert chain.given_up


def test_more_than_was_wanted_is_kept_for_a_larger_total_and_not_told() -> None:
    chain = Chain(2)
    assert list(chain.take(["one", "two", "three"], source=("a", "response"), asked=True)) == [0, 1]
    assert (chain.items, chain.complete, chain.missing) == (["one", "two", "three"], True, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ball Games", "ball games"),
        ("Ball Games", "ＢＡＬＬ ＧＡＭＥＳ"),
        ("Ball Games", "Ball-Games!"),
        ("体育 运动", "体育运动"),
    ],
)
def test_case_width_punctuation_and_spaces_make_no_new_item(one: str, other: str) -> None:
    assert grown(5, [[one, other]]).items == [one]


@pytest.mark.parametrize(("one", "other"), [("C", "C++"), ("C++", "C#"), ("3.10", "31.0"), ("Tennis", "Table Tennis")])
def test_names_that_differ_in_a_sign_stay_apart(one: str, other: str) -> None:
    assert grown(5, [[one, other]]).items == [one, other]
