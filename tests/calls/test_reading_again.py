"""What was accepted by other settings of reading is read again: first the response that stands, then the others."""

from typing import Any

from distill_build.calls.call import Call, standing
from distill_build.calls.pinned import PinnedResponses
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.replies.reply import Rejection

OLD, NEW = Attempt(0, "old", 0.1, "2026-01-01T00:00:00Z"), Attempt(1, "new", 0.1, "2026-01-02T00:00:00Z")
STANDS = Entry("key", {}, (OLD, NEW), Accepted(1, "new as it was read"))


def call(reading: str, unreadable: str = "") -> Call:
    def read(raw: Any) -> Any:
        return Rejection("empty", "nothing") if raw == unreadable else f"{raw} by {reading}"

    return Call("poems", ("topic",), "key", {}, read, "poet", reading)


def test_what_was_accepted_by_the_same_reading_is_taken_as_it_was_read() -> None:
    assert standing(call(""), STANDS, PinnedResponses()) == Accepted(1, "new as it was read")


def test_another_reading_reads_the_response_that_stands_and_no_earlier_one() -> None:
    assert standing(call("other"), STANDS, PinnedResponses()) == Accepted(1, "new by other", "other")


def test_where_that_cannot_be_read_so_an_earlier_one_counts() -> None:
    assert standing(call("other", "new"), STANDS, PinnedResponses()) == Accepted(0, "old by other", "other")
