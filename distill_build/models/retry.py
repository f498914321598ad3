"""When a failed request is sent again: pure arithmetic. Knows nothing of HTTP, clocks or sleeping."""

import msgspec

BASE_S = 0.5
CAP_S = 60.0
QUICK_RETRIES = 2
QUICK_S = 0.25
LONGEST_WAIT_S = 3600.0


class RetryableError(Exception):
    """An attempt that failed in a way that another attempt may mend.

    `cause` is timeout, connection, server_error, rate_limited or bad_response; `retry_after_s` is what the
    endpoint asked to wait, in seconds; `unreachable` says that no connection could be made at all.
    """

    def __init__(
        self, cause: str, detail: str, *, retry_after_s: float | None = None, unreachable: bool = False
    ) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.unreachable = unreachable


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how soon: `retries` after the first attempt; times in seconds.

    Exponential back-off with full jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. What the
    endpoint asks to wait is a minimum: who says 0 and refuses again is not asked all its retries at once.
    """

    retries: int
    base_s: float = BASE_S
    cap_s: float = CAP_S

    def delay(self, failure: RetryableError, attempt: int, random: float, *, answered: bool = True) -> float | None:
        """Seconds until the next attempt, or None to give up.

        `attempt` counts the attempts that failed, from 1; `random` is in [0, 1). An endpoint that cannot be
        reached and has never `answered` is probably not there: it gets two quick retries at most.
        """
        if failure.unreachable and not answered:
            return QUICK_S * attempt if attempt <= min(self.retries, QUICK_RETRIES) else None
        if attempt > self.retries:
            return None
        asked_s = failure.retry_after_s
        if asked_s is None:
            return random * self._ceiling(attempt)
        soonest_s = asked_s + random * min(self.base_s, asked_s)
        return max(soonest_s, random * self._ceiling(attempt - 1)) if attempt > 1 else soonest_s

    def _ceiling(self, attempt: int) -> float:
        return min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 30))
