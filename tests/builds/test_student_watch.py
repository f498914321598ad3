"""Whether the first replies are of use to a student: how many of them are looked at."""

from pathlib import Path

import pytest

from distill_build.builds.student_watch import MOST_UNLISTED, StudentWatch
from distill_build.calls.attempt import Judged, Request
from distill_build.calls.call import Call, Made
from distill_build.engine.entry import Attempt, Entry
from distill_build.replies.reasoning import NATIVE
from distill_build.stages.training.student_fit import StudentFit
from tests.teacher import write_student

RESPONSE = {"choices": [{"message": {"content": "Yes."}}], "usage": {"completion_tokens": 2}}


class Nobody:
    async def execute(self, request: Request) -> Judged:
        raise AssertionError(f"{request} is asked of nobody")


def test_of_an_endpoint_that_never_lists_all_tokens_few_replies_are_read_again(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    from distill_build.stages.measures.student import student_digest, student_of

    place = str(write_student(tmp_path / "student"))
    fit = StudentFit(student_of(place, student_digest(place)))
    watch = StudentWatch(Nobody(), "answers", fit, lambda _: NATIVE, "student")
    attempt, read = Attempt(0, RESPONSE, 0.1, ""), list[str]()

    def look_up(key: str) -> Entry:
        read.append(key)
        return Entry(key, {"body": {"messages": []}}, (attempt,))

    for number in range(10 * MOST_UNLISTED):
        call = Call("answers", ("sports",), str(number), {}, lambda raw: raw, "teacher")
        watch.look(call, Made({}, attempt.digest, asked=True), look_up)
    watch.require_use()
    assert len(read) == MOST_UNLISTED
