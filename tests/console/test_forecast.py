"""What is said before the first request."""

import re

import pytest
from msgspec.structs import replace

from distill_build.builds.plan.plan import Cost, Plan, StagePlan
from distill_build.console.forecast import advise, footnotes, plan_grid, plan_lines, shape, smaller_settings
from distill_build.settings import Budget, Settings
from distill_build.stages.kinds.declared import Declared, declared
from tests.console.examples import SIFTED, plan, settings


def planned(given: Settings, seconds_each: float) -> Plan:
    """A build of `given` from nothing, each request of so many seconds and a hundredth of a cent."""
    return planned_of(declared(given), seconds_each)


def planned_of(whole: Declared, seconds_each: float) -> Plan:
    counts = dict.fromkeys(whole.graph.names, 0) | whole.requests()
    return Plan(
        {stage: StagePlan(unknown=number) for stage, number in counts.items()},
        {stage: Cost(0, 0, number / 10_000, number * seconds_each) for stage, number in counts.items()},
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


@pytest.mark.parametrize("ask", [0, 40])
def test_rows_that_go_which_the_last_build_kept_are_told_with_what_drops_them(ask: int) -> None:
    going = replace(plan(ask=ask), newly_dropped={"dedup": 2, "good": 1})
    told = "3 rows that the last build kept would be dropped, by dedup and good"
    assert told in [line.text for line in plan_lines(going, settings())]
    assert told in [line.text for line in footnotes(going, settings())]
    assert going.row()["newly_dropped"] == 3


def test_requests_follow_from_the_shape_of_the_tree() -> None:
    given = settings(depth=2, breadth=[7, 3], questions_per_tag=6, answers_per_question=2)
    assert declared(given).requests() == {"tags": 2 + 7 * 1, "questions": 21 * 2, "answers": 21 * 6 * 2}


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
    offers = smaller_settings(planned(given, seconds_each), declared(given))
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
        assert offer.seconds == pytest.approx(sum(declared(taken).requests().values()) * seconds_each)
        assert offer.seconds <= 3600


def test_what_the_cache_holds_is_not_counted_for_smaller_settings() -> None:
    given = settings(depth=2, answers_per_question=10)
    told = planned(given, 2.0)
    told.stages["answers"] = StagePlan(cached=2000, unknown=8000)
    without = planned(given, 2.0)
    assert (
        smaller_settings(told, declared(given))[0].seconds < smaller_settings(without, declared(given))[0].seconds * 2
    )


TEN = Declared(
    graph=SIFTED,
    depth=2,
    breadth=10,
    each={"questions": 10, "answers": 2} | dict.fromkeys(SIFTED.names[4:], 1) | {"scores": 3},
    keys={"questions": "questions_per_tag", "answers": "answers_per_question", "scores": "stage.scores.samples"}
    | {stage: f"stage.{stage}.samples" for stage in SIFTED.names[4:]},
    models=dict.fromkeys(SIFTED.names, 1) | {"scores": 2},
    per_request=dict.fromkeys(SIFTED.names, 1) | {"tags": 5, "questions": 5},
)


def test_rows_and_requests_follow_from_any_graph_of_stages() -> None:
    rows, requests = TEN.rows(), TEN.requests()
    assert [rows[stage] for stage in ("tags", "questions", "dedup", "answers")] == [110, 1000, 1000, 2000]
    assert (rows["scores"], rows["good"]) == (2000 * 3 * 2, 2000 * 3 * 2), "three samples of two judges"
    assert (rows["votes"], rows["last"]) == (1000, 1000), "one for each question"
    assert list(requests) == [shape.name for shape in SIFTED if shape.asks]
    assert (requests["tags"], requests["questions"], requests["scores"]) == (22, 200, 12000)


def test_a_setting_of_a_stage_of_ones_own_is_offered_smaller_too() -> None:
    offers = smaller_settings(planned_of(TEN, 0.19), TEN)
    assert [offer.words for offer in offers] == ["breadth=8", "stage.scores.samples=2"]


def test_a_plan_shows_the_stages_that_ask_and_numbers_that_are_not_one() -> None:
    grid = plan_grid(planned_of(TEN, 1.0), list(TEN.requests()))
    assert [row[0] for row in grid.rows] == [*TEN.requests(), "total"]
    assert shape(settings()) == "depth=2 breadth=10 questions_per_tag=10 answers_per_question=1"
