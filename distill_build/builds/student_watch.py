"""Whether the first replies are of use to the student that the format kd is made for: where none is, no other will be,
and a build need not pay for all."""

from collections.abc import Callable

from distill_build.calls.attempt import Judged, Request
from distill_build.calls.resolver import Executor
from distill_build.engine.entry import Accepted
from distill_build.errors import StudentError
from distill_build.records import JsonObject
from distill_build.replies.reasoning import Thoughts
from distill_build.replies.reply import read_usage
from distill_build.soft_labels import soft_labels_in
from distill_build.stages.soft_rows import StoredReply, of_no_use
from distill_build.stages.student_fit import StudentFit

FIRST = 8
"""Replies that are looked at: one may hold a token that only the teacher has."""


class StudentWatch:
    """Executes as `executor` does, and looks by `fit` at the first replies to `stage`, which are stored by then. They
    may be another build's, too: so it is `require_use` that raises."""

    def __init__(
        self, executor: Executor, stage: str, fit: StudentFit, thoughts: Callable[[str], Thoughts], place: str | None
    ) -> None:
        """`thoughts` says how the reasoning of a role's replies is read; the student lies at `place`."""
        self._executor = executor
        self._stage = stage
        self._fit = fit
        self._thoughts = thoughts
        self._place = place
        self._of_no_use = 0
        self._done = False
        self._error: StudentError | None = None

    def require_use(self) -> None:
        """Raises StudentError where none of the first replies is of use to the student."""
        if self._error is not None:
            raise self._error

    async def execute(self, request: Request) -> Judged:
        judged = await self._executor.execute(request)
        if not self._done and request.call.stage == self._stage and isinstance(judged.verdict, Accepted):
            self._look(request, judged.entry.attempts[judged.verdict.place].response)
        return judged

    def _look(self, request: Request, response: JsonObject) -> None:
        labels = soft_labels_in(response)
        if labels is None or not 0 < len(labels) == read_usage(response).completion_tokens:
            return  # of which not all tokens are listed nothing is known
        thoughts = self._thoughts(request.call.role)
        why = self._fit.fault(StoredReply(request.body["messages"], response), labels, thoughts)
        self._done = why is None
        if why is not None:
            self._of_no_use += 1
            if self._of_no_use == FIRST:
                first = f"the first, as for {' / '.join(request.call.path)}"
                self._error = of_no_use(self._place, why, FIRST, FIRST, first)
