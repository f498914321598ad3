"""Pinned responses: what a dataset was made from counts for it, until its own --rebuild names the call."""

from dataclasses import dataclass

import pytest

from distill_build.calls.pinned import PinnedResponses
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.records import Source

CALL = "ca11" * 16
OLD, NEW = (
    Attempt(0, {"text": "old"}, 1.0, "2026-01-01T00:00:00"),
    Attempt(0, {"text": "new"}, 1.0, "2026-01-03T00:00:00"),
)
ENTRY = Entry(CALL, {}, (OLD, NEW), Accepted(1, "new"))


@dataclass
class Row:
    """What a tag's rows were read from."""

    id: str
    calls: dict[str, list[Source]]


def pinned(digest: str, **more: str) -> PinnedResponses:
    found = PinnedResponses(**more)  # type: ignore[arg-type]  # `since` alone is text
    found.add([Row("t_1", {"answers": [(CALL, digest)]})], {"t_1": ["answers"]} if more else {})
    return found


def test_the_response_that_rows_were_read_from_counts_though_another_one_stands() -> None:
    assert pinned(OLD.digest).place(ENTRY) == 0


@pytest.mark.parametrize("digest", [NEW.digest, "0f" * 32])
def test_what_stands_counts_where_it_is_the_pinned_one_or_that_is_not_there(digest: str) -> None:
    assert pinned(digest).place(ENTRY) is None


def test_a_call_that_nothing_is_pinned_to_goes_by_what_stands() -> None:
    assert PinnedResponses().place(ENTRY) is None


def test_who_pins_first_counts() -> None:
    found = pinned(OLD.digest)
    found.add([Row("t_2", {"answers": [(CALL, NEW.digest)]})])
    assert found.responses == {bytes.fromhex(CALL): bytes.fromhex(OLD.digest)}


def test_a_call_that_was_asked_anew_here_goes_by_what_stands() -> None:
    found = pinned(OLD.digest)
    found.others.add(CALL)
    found.displaced(CALL)
    assert found.place(ENTRY) is None
    assert not found.others


@pytest.mark.parametrize(("since", "place"), [("2026-01-02T00:00:00", None), ("2026-01-04T00:00:00", 0)])
def test_what_came_of_a_rebuild_that_was_ended_is_wanted_and_what_stood_before_it_is_not(
    since: str, place: int | None
) -> None:
    assert pinned(OLD.digest, since=since).place(ENTRY) == place
