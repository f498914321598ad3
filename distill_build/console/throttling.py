"""What is said of requests that brought no response: by which model, how many, why, and how long that held up. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping

from distill_build.builds.walk.tally import Tally
from distill_build.console.outcome import Sentence
from distill_build.console.words import duration
from distill_build.models.traffic import GateTraffic, Traffic
from distill_build.records import number_of

CAUSES = {
    "rate_limited": "rate limited (429)",
    "server_error": "server errors",
    "timeout": "timeouts",
    "connection": "lost connections",
    "bad_response": "no completions",
}
THROTTLE = "rate_limited"
MANY = 0.05
"""From this share of requests on, settings are named that ask more gently."""
A_WHILE_SECONDS = 10.0
"""In less time it does not show how much an endpoint lets through in a minute."""


def reasons(traffic: Traffic, tally: Tally, before: Mapping[str, int]) -> Iterator[str]:
    """Why requests are held back now, by model; `before` are those that had brought no response a while ago."""
    failed = _by_model(tally)
    gates = {gate.model: gate for gate in traffic.gates}
    for model, causes in failed.items():
        gate = gates.get(model)
        hold = None if gate is None else gate.hold
        if causes.total() > before.get(model, 0) or (hold is not None and hold.why == "retry"):
            yield ", ".join([_failing(model, causes, _sent(tally, model)), *_narrowed(gate), *_next(gate)])
    for model, gate in gates.items():
        if not traffic.in_flight and gate.hold is not None and gate.hold.why == "pace":
            yield ", ".join([f"{model} keeps to limits.rpm and limits.tpm", *_next(gate)])


def unanswered_lines(tally: Tally, seconds: float) -> Iterator[Sentence]:
    """A line for each model that had to be asked again, after a build of so many `seconds`."""
    for model, causes in _by_model(tally).items():
        sent = _sent(tally, model)
        many = causes.total() > MANY * sent
        waited = sum(each.wait_s for (name, _), each in tally.unanswered.items() if name == model)
        advice = _advice(tally, model, causes, seconds) if many else ""
        yield Sentence(
            f"{_failing(model, causes, sent)}; retries waited {duration(waited)}, side by side{advice}",
            "warning" if many else "quiet",
        )


def unanswered_details(tally: Tally) -> Iterator[Sentence]:
    """What --verbose adds: a line for each cause."""
    for (model, cause), each in sorted(tally.unanswered.items()):
        waited = duration(each.wait_s / each.requests)
        yield Sentence(
            f"{model}, {CAUSES.get(cause, cause)}: {number_of(each.requests, 'requests')}, "
            f"{duration(each.wait_s)} of waiting, {waited} each",
            "quiet",
        )


def _by_model(tally: Tally) -> dict[str, Counter[str]]:
    """Requests that brought no response, by model and cause."""
    found: dict[str, Counter[str]] = {}
    for (model, cause), each in tally.unanswered.items():
        found.setdefault(model, Counter())[cause] += each.requests
    return found


def _sent(tally: Tally, model: str) -> int:
    """Requests to a model that have come back in one way or another."""
    answered = tally.by_model[model].requests if model in tally.by_model else 0
    return answered + sum(each.requests for (name, _), each in tally.unanswered.items() if name == model)


def _failing(model: str, causes: Counter[str], sent: int) -> str:
    """ "m refused 12 of 52 requests: rate limited (429)"; "m failed 12 of 52 requests: timeouts 9, server errors 3"."""
    told = [CAUSES.get(cause, cause) + (f" {number:,}" * (len(causes) > 1)) for cause, number in causes.most_common()]
    verb = "refused" if set(causes) == {THROTTLE} else "failed"
    return f"{model} {verb} {causes.total():,} of {number_of(sent, 'requests')}: {', '.join(told)}"


def _narrowed(gate: GateTraffic | None) -> list[str]:
    return [f"{gate.width:,} of {gate.concurrency:,} at once"] if gate and gate.width < gate.concurrency else []


def _next(gate: GateTraffic | None) -> list[str]:
    return [f"next in {duration(gate.hold.seconds)}"] if gate is not None and gate.hold is not None else []


def _advice(tally: Tally, model: str, causes: Counter[str], seconds: float) -> str:
    """The settings that ask more gently, or wait longer; a number where it has shown."""
    if causes[THROTTLE]:
        through = tally.by_model[model].requests if model in tally.by_model else 0
        if through and seconds >= A_WHILE_SECONDS:
            rpm = max(1, int(through / seconds * 60))
            return f". {rpm:,} a minute got through: limits.rpm={rpm}, or a lower limits.concurrency, asks more gently"
        return ". A lower limits.concurrency, or limits.rpm, asks more gently"
    if causes["timeout"]:
        return ". A longer limits.timeout_s, or a lower limits.concurrency, gives it more time"
    return ""
