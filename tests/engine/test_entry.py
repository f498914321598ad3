"""Entries: what is written is what is read, damage is noticed, and of two writers the first stands."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_build.engine.entry import Accepted, Attempt, Entry, decode, encode, response_digest
from distill_build.engine.manifest import SCHEME
from distill_build.errors import CorruptEntryError, StorageError

KEY = "ab" * 32
FEW = settings(max_examples=40, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ATTEMPTS = st.builds(
    Attempt,
    index=st.integers(0, 5),
    response=JSON,
    seconds=st.floats(0, 600),
    at=st.just("2026-01-01T00:00:00.000+00:00"),
    added=st.lists(JSON, max_size=2).map(tuple),
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    attempts = tuple(draw(st.lists(ATTEMPTS, min_size=1, max_size=3)))
    place = draw(st.none() | st.integers(0, len(attempts) - 1))
    accepted = None if place is None else Accepted(place, draw(JSON))
    return Entry(KEY, {"stage": "answers"}, attempts, accepted)


def entry(*replies: str, accepted: int | None = None) -> Entry:
    attempts = tuple(Attempt(index, reply, 0.5, "now") for index, reply in enumerate(replies))
    stands = None if accepted is None else Accepted(accepted, f"value of {replies[accepted]}")
    return Entry(KEY, {"stage": "answers"}, attempts, stands)


@FEW
@given(entries())
def test_what_is_written_is_what_is_read(written: Entry) -> None:
    assert decode(KEY, encode(written)) == written


@FEW
@given(entries(), st.data())
def test_a_flipped_bit_anywhere_is_noticed(written: Entry, data: st.DataObject) -> None:
    stored = bytearray(encode(written))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptEntryError):
        decode(KEY, bytes(stored))


@FEW
@given(entries(), st.data())
def test_a_cut_anywhere_is_noticed(written: Entry, data: st.DataObject) -> None:
    stored = encode(written)
    with pytest.raises(CorruptEntryError):
        decode(KEY, stored[: data.draw(st.integers(0, len(stored) - 1))])


@pytest.mark.parametrize("stored", [None, b"", "text", 7, b"\n" * 80, b"0" * 64 + b"\n{}"])
def test_what_was_never_written_by_us_is_corrupt(stored: object) -> None:
    with pytest.raises(CorruptEntryError, match="damaged"):
        decode(KEY, stored)


def test_half_a_surrogate_pair_in_a_reply_survives_the_disk() -> None:
    written = entry("half a pair: \ud83d", accepted=0)
    assert decode(KEY, encode(written)) == written


def test_an_entry_of_another_scheme_is_told_apart_from_damage() -> None:
    body = json.dumps({"scheme": SCHEME + 1, "manifest": {}, "attempts": [], "accepted": None}).encode()
    stored = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    with pytest.raises(StorageError, match=f"scheme {SCHEME + 1}") as caught:
        decode(KEY, stored)
    assert not isinstance(caught.value, CorruptEntryError)


@FEW
@given(entries(), entries(), st.booleans())
def test_joining_keeps_every_attempt_of_both_in_order(first: Entry, second: Entry, displace: bool) -> None:
    assert first.joined(second, displace=displace).attempts == first.attempts + second.attempts


@FEW
@given(entries(), entries(), st.booleans())
def test_what_stands_after_joining_is_what_it_was_read_from(first: Entry, second: Entry, displace: bool) -> None:
    joined = first.joined(second, displace=displace)
    if joined.accepted is None:
        assert first.accepted is None
        assert second.accepted is None
        return
    origin = second if second.accepted and (displace or not first.accepted) else first
    assert origin.accepted is not None
    assert joined.accepted.value == origin.accepted.value
    assert joined.attempts[joined.accepted.place] == origin.attempts[origin.accepted.place]


@FEW
@given(entries(), entries())
def test_what_was_accepted_first_stands_unless_it_is_displaced(first: Entry, second: Entry) -> None:
    if first.accepted is not None:
        assert first.joined(second, displace=False).accepted == first.accepted


def accepted_reply(joined: Entry) -> Any:
    return joined.accepted and joined.attempts[joined.accepted.place].response


@pytest.mark.parametrize(
    ("first", "second", "displace", "stands"),
    [
        (entry("a", accepted=0), entry("b", accepted=0), False, "a"),
        (entry("a", accepted=0), entry("b", accepted=0), True, "b"),
        (entry("a", accepted=0), entry("b"), True, "a"),
        (entry("a"), entry("b", "c", accepted=1), False, "c"),
        (entry("a"), entry("b"), True, None),
    ],
    ids=["first stands", "displaced", "asked anew in vain", "second mends", "neither"],
)
def test_of_two_writers(first: Entry, second: Entry, displace: bool, stands: str | None) -> None:
    assert accepted_reply(first.joined(second, displace=displace)) == stands


@FEW
@given(entries(), entries(), entries(), st.booleans())
def test_joining_is_associative(first: Entry, second: Entry, third: Entry, displace: bool) -> None:
    left = first.joined(second, displace=displace).joined(third, displace=displace)
    right = first.joined(second.joined(third, displace=displace), displace=displace)
    assert left == right


# Two caches


def names(of: Entry) -> set[tuple[str, str]]:
    return {(attempt.digest, attempt.at) for attempt in of.attempts}


@FEW
@given(entries(), entries())
def test_uniting_two_caches_loses_no_response_and_displaces_nothing(here: Entry, there: Entry) -> None:
    united = here.united(there)
    assert united.attempts[: len(here.attempts)] == here.attempts
    assert names(united) == names(here) | names(there)
    if here.accepted is not None:
        assert united.accepted == here.accepted


@FEW
@given(entries(), entries())
def test_uniting_again_changes_nothing(here: Entry, there: Entry) -> None:
    united = here.united(there)
    assert united.united(there) == united
    assert united.united(here) == united


@FEW
@given(entries(), entries())
def test_what_the_other_cache_accepted_stands_where_nothing_does_here(here: Entry, there: Entry) -> None:
    united = here.united(there)
    if here.accepted is None and there.accepted is not None:
        assert united.accepted is not None
        assert united.accepted.value == there.accepted.value
        assert united.response == there.response


def test_a_response_that_both_have_is_there_once_and_one_that_came_at_another_time_is_another() -> None:
    first, same = Attempt(0, "a", 0.5, "monday"), Attempt(1, "a", 0.7, "monday")
    later = Attempt(0, "a", 0.5, "tuesday")
    here, there = Entry(KEY, {}, (first,)), Entry(KEY, {}, (same, later), Accepted(0, "a"))
    assert here.united(there) == Entry(KEY, {}, (first, later), Accepted(0, "a"))


# The digest of a response


@FEW
@given(entries())
def test_a_digest_names_a_response_by_its_content_before_and_after_the_disk(written: Entry) -> None:
    read = decode(KEY, encode(written))
    for attempt, again in zip(written.attempts, read.attempts, strict=True):
        assert again.digest == attempt.digest == response_digest(again.response)


@FEW
@given(JSON, JSON)
def test_two_responses_have_one_digest_only_where_they_are_the_same(first: Any, second: Any) -> None:
    assert (response_digest(first) == response_digest(second)) == (json.dumps(first) == json.dumps(second))


def test_an_entry_written_before_there_were_digests_gets_them_as_it_is_read() -> None:
    attempt = {"index": 0, "response": {"a": 1}, "seconds": 1.0, "at": "now"}
    body = json.dumps({"scheme": SCHEME, "manifest": {}, "attempts": [attempt], "accepted": None}).encode()
    (read,) = decode(KEY, hashlib.sha256(body).hexdigest().encode() + b"\n" + body).attempts
    assert (read.digest, read.usd) == (response_digest({"a": 1}), None)


def test_a_price_of_nothing_is_not_a_price_that_is_unknown() -> None:
    for usd in (0.0, 0.25, None):
        written = Entry(KEY, {}, (Attempt(0, "a", 0.5, "now", usd=usd),))
        assert decode(KEY, encode(written)).attempts[0].usd == usd
