"""What came of jobs together, also where they have different stages."""

from distill_build.builds.walk.tally import Tally
from distill_build.graph import in_order
from distill_build.records import Usage
from distill_build.sweeps.outcome import SumOfTallies

PLAIN, SIFTED = ("topics", "texts", "last"), ("topics", "texts", "sieve", "marks", "last")


def test_stages_of_several_graphs_stand_in_their_order() -> None:
    assert in_order([PLAIN, SIFTED]) == in_order([SIFTED, PLAIN]) == list(SIFTED)
    assert in_order([]) == []


def test_tallies_of_jobs_with_different_stages_are_added_up_by_stage() -> None:
    whole, parts = SumOfTallies(), [Tally.of(PLAIN), Tally.of(SIFTED)]
    for part in parts:
        whole.add(part)
        part.stages["last"].spend("m", Usage(100, 20), 0.25, 0.5)
        part.stages["last"].spared = 2
    for kept in (True, False):
        parts[1].stages["sieve"].judge(["too short"], kept=kept)
    assert list(whole.stages) == list(SIFTED)
    assert whole.stages["last"].usd == 0.5
    assert (whole.stages["last"].asked, whole.stages["last"].spared, whole.tokens) == (2, 4, (200, 40))
    sieve = whole.stages["sieve"]
    assert (sieve.judged, sieve.dropped, sieve.why) == (2, 1, {"too short": 1})
