"""Calls that the cache answers are counted once for all jobs of a sweep."""

from distill_build.sweeps.answered import Answered

FEW, MANY = {b"a", b"b"}, {b"a", b"b", b"c"}


def test_a_call_that_several_jobs_find_counts_once_whatever_their_kind() -> None:
    answered = Answered()
    answered.add("tags", "one recipe", FEW, 0)
    answered.add("tags", "one recipe", MANY, 0)
    answered.add("tags", "another recipe", {b"c", b"d"}, 0)
    assert (answered.number("tags"), answered.number("answers")) == (4, 0)


def test_of_what_is_known_by_number_alone_the_longest_of_a_kind_holds_the_others() -> None:
    answered = Answered()
    answered.add("answers", "one recipe", set(), 7)
    answered.add("answers", "one recipe", set(), 10)
    answered.add("answers", "one recipe", MANY, 1)
    assert answered.number("answers") == 10
    answered.add("answers", "another recipe", {b"d"}, 2)
    assert answered.number("answers") == 10 + 3
