"""Whether the first replies are of use to the student that the format kd is made for: where none is, a build asks for
no more. That no other would be is sure of another vocabulary; of another prompt it is assumed, for a template of a
person's own may show more at one place than at another.
"""

from collections.abc import Callable

from distill_build.calls.attempt import Judged, Request
from distill_build.calls.budget import AbandonedError
from distill_build.calls.call import Call, Made
from distill_build.calls.resolver import Executor
from distill_build.engine.entry import Entry
from distill_build.errors import StudentError
from distill_build.replies.reasoning import Thoughts
from distill_build.replies.reply import read_usage
from distill_build.soft_labels import soft_labels_in
from distill_build.stages.training.student_fit import StudentFit, of_no_use, stored_reply

FIRST = 8
"""Replies of no use that stop a build: one may hold a token that only the teacher has."""
MOST_UNLISTED = 64
"""Replies without all of their tokens that are looked at: each is read from the store once more, and of an endpoint
that never lists them nothing will be known."""


class StudentWatch:
    """Executes as `executor` does while replies to `stage` are of use by `fit`, or not known yet to be of none.

    What is stored counts as what is asked for, so that a build which is tried again pays for no more; but where nothing
    is to be asked, all rows decide, at the end. Others may wait for the same replies: so an AbandonedError leaves
    `execute`, for which they ask themselves, and `require_use` says why.
    """

    def __init__(
        self, executor: Executor, stage: str, fit: StudentFit, thoughts: Callable[[str], Thoughts], place: str | None
    ) -> None:
        """`thoughts` says how the reasoning of a role's replies is read; the student lies at `place`."""
        self._executor = executor
        self._stage = stage
        self._fit = fit
        self._thoughts = thoughts
        self._place = place
        self._of_no_use = self._unlisted = 0
        self._done = False
        self._error: StudentError | None = None

    async def execute(self, request: Request) -> Judged:
        if self._error is not None:
            raise AbandonedError("the replies before it are of no use to the student")
        return await self._executor.execute(request)

    def require_use(self) -> None:
        """Raises StudentError where none of the first replies is of use to the student."""
        if self._error is not None:
            raise self._error

    def look(self, call: Call, made: Made, lookup: Callable[[str], Entry | None]) -> None:
        """Looks at a reply that came back; `lookup` gives what is stored under a key. Raises StudentError as
        `require_use`, where it was asked for."""
        if self._done or call.stage != self._stage:
            return
        entry = lookup(call.key)
        reply = None if entry is None else stored_reply(entry, made.response)
        labels = None if reply is None else soft_labels_in(reply.response)
        if reply is None or labels is None or not 0 < len(labels) == read_usage(reply.response).completion_tokens:
            self._unlisted += 1
            self._done = self._unlisted == MOST_UNLISTED
            return
        why = self._fit.fault(reply, labels, self._thoughts(call.role))
        if why is None:
            self._done, self._error = True, None
            return
        self._of_no_use += 1
        if self._of_no_use == FIRST:
            first = f"the first, as for {' / '.join(call.path)}"
            self._error = of_no_use(self._place, why, FIRST, FIRST, first)
        if made.asked:
            self.require_use()
