"""What is said before the first request."""

import re

import pytest

from distill_build.console.forecast import advise, plan_lines, requests_of, smaller_settings
from distill_build.settings import Budget, Settings
from distill_build.stages.plan import Cost, Plan, StagePlan
from distill_build.stages.tally import STAGES
from tests.console.examples import plan, settings


def planned(given: Settings, seconds_each: float) -> Plan:
    """A build of `given` from nothing, each request of so many seconds and a thousandth of a dollar."""
    counts = requests_of(given)
    return Plan(
        {stage: StagePlan(unknown=counts[stage]) for stage in STAGES},
        {stage: Cost(0, 0, counts[stage] / 1000, counts[stage] * seconds_each) for stage in STAGES},
    )


def test_the_plan_is_one_line_with_requests_tokens_price_and_time() -> None:
    (line,) = plan_lines(plan(), settings())
    assert line.text == "plan: 40 requests (40 for answers), about 3.0k tokens, $0.50, 60 s"


def test_an_estimate_says_about() -> None:
    (line,) = plan_lines(plan(ask=1, unknown=39, cached=3), settings())
    assert line.text.startswith("plan: about 40 requests")
    assert line.text.endswith("3 requests answered by the cache")


def test_without_prices_the_price_is_unknown() -> None:
    (line,) = plan_lines(plan(usd=None), settings())
    assert "price unknown" in line.text


def test_a_budget_that_would_stop_the_build_is_named() -> None:
    tight, wide = (settings(budget=Budget(calls=calls, usd=1.0)) for calls in (39, 40))
    assert [line.text for line in plan_lines(plan(ask=40, usd=0.5), tight)][1].startswith("budget.calls=39 would stop")
    assert len([*plan_lines(plan(ask=40, usd=0.5), wide)]) == 1


def test_a_plan_of_nothing_says_so() -> None:
    (line,) = plan_lines(plan(ask=0, cached=12), settings())
    assert line.text == "plan: nothing to ask; 12 requests answered by the cache"


def test_requests_follow_from_the_shape_of_the_tree() -> None:
    given = settings(depth=2, breadth=[7, 3], questions_per_tag=6, answers_per_question=2)
    assert requests_of(given) == {"tags": 2 + 7 * 1, "questions": 21 * 2, "answers": 21 * 6 * 2}


def test_smaller_settings_are_named_from_an_hour_on() -> None:
    given = settings(depth=2)
    assert advise(planned(given, 0.5), given) is None
    assert "would take about" in str(advise(planned(given, 20.0), given))


def test_smaller_settings_are_named_where_much_money_goes() -> None:
    assert advise(plan(ask=1000, usd=15.0), settings()) is None
    assert "$" in str(advise(plan(ask=1000, usd=80.0), settings()))


@pytest.mark.parametrize(
    "given",
    [
        settings(depth=3),
        settings(depth=4, breadth=8),
        settings(depth=3, breadth=[20, 10, 5], answers_per_question=4),
        settings(depth=10, breadth=5),
        settings(depth=1, breadth=5000, questions_per_tag=10),
    ],
)
def test_what_is_offered_takes_as_long_as_is_said(given: Settings) -> None:
    seconds_each = 3.0
    offers = smaller_settings(planned(given, seconds_each), given)
    assert offers
    for offer in offers:
        changes = dict(re.findall(r"(\w+)=(\S+)", offer.words))
        breadth = changes.get("breadth", str(given.breadth))
        taken = settings(
            depth=int(changes.get("depth", given.depth)),
            breadth=[int(number) for number in re.findall(r"\d+", breadth)] if "[" in breadth else int(breadth),
            questions_per_tag=int(changes.get("questions_per_tag", given.questions_per_tag)),
            answers_per_question=int(changes.get("answers_per_question", given.answers_per_question)),
        )
        assert not isinstance(taken.breadth, list) or len(taken.breadth) == taken.depth
        assert offer.seconds == pytest.approx(sum(requests_of(taken).values()) * seconds_each)
        assert offer.seconds <= 3600


def test_what_the_cache_holds_is_not_counted_for_smaller_settings() -> None:
    given = settings(depth=2, answers_per_question=10)
    told = planned(given, 2.0)
    told.stages["answers"] = StagePlan(cached=2000, unknown=8000)
    without = planned(given, 2.0)
    assert smaller_settings(told, given)[0].seconds < smaller_settings(without, given)[0].seconds * 2
