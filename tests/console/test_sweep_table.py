"""The table at the end of a sweep: what it says of each job, and what goes where the terminal is too narrow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from distill_build.builds.plan.plan import Plan
from distill_build.console import open_console
from distill_build.console.outcome import Sentence
from distill_build.console.sweep_table import SweepTable, short_names
from distill_build.console.sweeps import (
    jobs_table,
    plan_footnotes,
    report_table,
    sweep_ending,
    sweep_plan_lines,
    sweep_troubles,
)
from distill_build.console.wrapping import cells
from distill_build.errors import DifferenceError, EndpointError
from distill_build.settings import Budget
from distill_build.sweeps.jobs import Choice, Sweep, Variant, jobs_in
from distill_build.sweeps.objectives import Target
from distill_build.sweeps.outcome import JobOutcomes, SweepReport
from distill_build.sweeps.planning import SweepPlan
from distill_build.sweeps.results import JobRow, Results, SweepCost, Tokens
from tests.console import examples

FOLDER = Path("outputs/sports/sweeps/c3dbbd9fab06")
VERSION = "3f2a91c0ffee"
PROMPT = "You are a patient teacher of " + "very " * 100 + "young people"


def sweep(*all_choices: dict[str, str]) -> Sweep:
    """A sweep of jobs that differ in `all_choices`."""
    variants = [
        Variant(tuple(Choice(*each) for each in choices.items()), examples.settings(seed=number))
        for number, choices in enumerate(all_choices)
    ]
    return Sweep(FOLDER.name, FOLDER, jobs_in(FOLDER, variants))


def breadths(*values: int) -> Sweep:
    return sweep(*({"breadth": str(value)} for value in values))


def done(told: Sweep, **changes: Any) -> SweepReport:
    """A sweep in which all went well; `changes` are those of every row."""
    given: dict[str, Any] = {
        "version": VERSION + "0" * 52,
        "counts": {"tags": 2, "questions": 12, "answers": 12},
        "unique": 0.75,
        "near_duplicates": 0.0833,
        "leaf_coverage": 0.9999,
        "calls": 15,
        "tokens": Tokens(800, 900),
        "usd": 0.5,
        "share_usd": 0.25,
    }
    rows = [JobRow(**given | {"job": job.name, "choices": {}} | changes) for job in told.jobs]
    return SweepReport(told, Results(rows, SweepCost(20, Tokens(1000, 1200), rows[0].usd)), JobOutcomes(), 3.0)


def shown(table: SweepTable, width: int) -> list[str]:
    """The lines of a table, with those above and below it."""
    above, grid, below = table.fitted(width)
    lines = [line.text for line in above] + grid.lines()
    assert max(map(cells, lines)) <= width
    return lines + [line.text for line in below]


def texts(lines: Sequence[Sentence]) -> str:
    return "\n".join(line.text for line in lines)


def test_a_row_says_what_a_job_holds_how_varied_it_is_and_what_that_cost() -> None:
    grid = report_table(done(breadths(2, 3))).fitted(140)[1]
    assert dict(zip(grid.heads, grid.rows[0], strict=True)) == {
        "breadth": "2", "tags": "2", "questions": "12", "answers": "12", "unique": "75%", "near-dup": "8%",
        "leaves": "99.99%", "tokens": "1.7k", "cost alone": "$0.5000", "its share": "$0.2500", "failed": "0",
        "version": VERSION,
    }  # fmt: skip
    assert " ".join(grid.rows[-1]).split() == ["together", "2.2k", "$0.5000", "$0.5000", "0"]


@pytest.mark.parametrize("width", [80, 100])
def test_columns_that_say_nothing_go_first_and_the_version_stays(width: int) -> None:
    heads, *_, note = shown(report_table(done(breadths(2, 3), usd=0.0, share_usd=0.0)), width)
    assert all(head in heads for head in ("answers", "unique", "near-dup", "leaves", "tokens", "version"))
    assert "cost alone" not in heads + note, "there is nothing to see"
    *_, note = shown(report_table(done(breadths(2, 3))), 60)
    assert "its share" in note
    assert note.endswith(": see -v, or sweep.jsonl in the sweep's folder")
    bad = shown(report_table(done(breadths(2, 3), usd=None, share_usd=None, failures=4)), width)
    assert "failed" in bad[0]
    assert "cost alone" not in bad[0]


def test_keys_stand_once_and_names_are_cut_but_tell_jobs_and_folders_apart() -> None:
    prompts = [PROMPT, PROMPT.replace("patient", "tired"), "short"]
    told = sweep(*({"system_prompt": prompt, "seed": seed} for prompt in prompts for seed in "01"))
    heading, _, *rows, _, _, note = shown(report_table(done(told)), 80)
    assert heading == "job: system_prompt, seed"
    assert VERSION in rows[0]
    for row, job in zip(rows, told.jobs, strict=True):
        assert PROMPT not in row
        assert job.name.partition("~")[2] in row
    assert "no room for" in note


def test_where_columns_that_say_nothing_make_room_keys_stay_above_their_values() -> None:
    told = sweep(*({"questions_per_tag": "1", "seed": seed} for seed in "01"))
    heads, first = shown(report_table(done(told, usd=None, share_usd=None)), 120)[:2]
    assert heads.startswith("questions_per_tag  seed ")
    assert first.startswith("1                  0 ")


def test_names_that_differ_in_their_middle_alone_are_cut_less() -> None:
    told = sweep(*({"teacher.name": f"{'a' * 20}{middle}{'b' * 20}"} for middle in "12"))
    first, second = short_names(told.jobs, 20).cells
    assert first != second
    assert "…" not in first + second


def test_jobs_that_choose_different_settings_are_named_by_all_that_they_choose() -> None:
    table = report_table(done(sweep({"depth": "1", "breadth": "2"}, {"depth": "2"})))
    assert [line.split("  ")[0] for line in shown(table, 140)[:3]] == ["job", "depth=1 breadth=2", "depth=2"]


def test_what_a_terminal_would_obey_is_in_no_name() -> None:
    odd = {"system_prompt": "a\x1b[2J\nb"}
    for told in (sweep(odd), sweep(odd, {"seed": "1"})):
        assert not [line for line in shown(report_table(done(told)), 140) if not line.isprintable()]


def test_verbose_has_the_whole_name_the_folder_and_every_column() -> None:
    told = sweep({"system_prompt": PROMPT}, {"system_prompt": "short"})
    said = texts(list(report_table(done(told)).details()))
    assert f"system_prompt={PROMPT}\n  {told.jobs[0].folder}\n  tags 2, " in said
    assert f"its share $0.2500, failed 0, version {VERSION}" in said


def test_a_job_that_failed_has_no_figures() -> None:
    told = breadths(2)
    failed = done(told, error="no such model")
    row = shown(report_table(failed), 140)[1]
    assert row.split() == ["2", "failed"]


def test_what_a_sweeper_looks_at_is_a_column_and_the_best_are_marked() -> None:
    told = done(breadths(2, 3))
    told.results.rows[1] = JobRow(job="breadth=3", choices={}, unique=1.0, near_duplicates=0.0)
    above, grid, _ = report_table(told, [Target("repeats", "minimize")]).fitted(80)
    assert above == []
    assert grid.heads[:2] == ("  breadth", "repeats")
    assert [row[:2] for row in grid.rows[:2]] == [("  2", "33.33%"), ("* 3", "0.00%")]
    heads = report_table(told, [Target("failures", "minimize")]).fitted(80)[1].heads
    assert "failed" in heads, "it is looked at, so it stays, though all are 0"


def test_the_end_says_what_jobs_have_in_common_only_where_they_have() -> None:
    outcomes = JobOutcomes({}, {"breadth=2": EndpointError("no such model")})
    told = done(breadths(2, 3))
    sent = texts(list(sweep_ending(SweepReport(told.sweep, told.results, outcomes, 3.0))))
    assert "failed: breadth=2: no such model" in sent
    assert "0 requests answered; the jobs rest on 20 together, 30 one by one" in sent
    apart = Results(told.results.rows, SweepCost(30, Tokens(), None))
    assert "0 requests answered\n" in texts(list(sweep_ending(SweepReport(told.sweep, apart, outcomes, 3.0))))


def test_a_cause_is_said_once_and_of_many_causes_the_first() -> None:
    told = done(breadths(*range(1, 7)))

    def said(sentence: str) -> list[str]:
        errors = {job.name: DifferenceError(sentence.format(job=job)) for job in told.sweep.jobs}
        return [
            line.text
            for line in sweep_troubles(SweepReport(told.sweep, told.results, JobOutcomes({}, dict(errors)), 3.0))
        ]

    names = [f"breadth={number}" for number in range(1, 7)]
    assert said("there is no {job.folder}/distill.lock") == [
        f"failed: {', '.join(names)}: there is no {FOLDER}/*/distill.lock"
    ]
    *shown, rest = said("{job.folder} is not {job.words}")
    assert shown == [f"failed: {name}: {FOLDER}/{name} is not {name}" for name in names[:3]]
    assert rest == f"failed: {', '.join(names[3:])}: --json says why"


def test_a_job_that_a_cap_has_cut_short_is_not_the_best() -> None:
    told = done(breadths(2, 3))
    told.results.rows[0] = msgspec.structs.replace(told.results.rows[0], calls=1)
    targets = [Target("calls", "minimize")]
    assert report_table(told, targets).best == {0}
    told.outcomes.reports[told.sweep.jobs[0].name] = examples.report(stopped="budget.calls is reached")
    assert report_table(told, targets).best == {1}


def test_where_nothing_is_built_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (None, "gone"):
        told = done(breadths(2, 3), error=error)
        outcomes = JobOutcomes({}, {"breadth=2": EndpointError("gone"), "breadth=3": EndpointError("gone")})
        open_console(quiet=False, verbose=False, json=False).sweep_report(
            SweepReport(told.sweep, told.results, outcomes, 3.0)
        )
        shows = capsys.readouterr().err
        assert "failed: breadth=2, breadth=3: gone\n" in shows
        assert ("together " in shows) == (error is None), "older versions say nothing of this build"


def test_a_plan_names_the_caps_that_would_stop_it() -> None:
    union = examples.plan(ask=40, usd=0.5)
    jobs: list[Plan] = [union, examples.plan(ask=30, usd=0.25)]
    plan = SweepPlan(jobs, union, [0.375, 0.125])
    stops = "budget.calls=39 and budget.usd=0.1 would stop this before its end"
    tight, wide = Budget(calls=39, tokens=3_000, usd=0.1), Budget(calls=40, tokens=3_000, usd=0.5)
    for lines in (plan_footnotes, sweep_plan_lines):
        assert stops in texts(list(lines(plan, tight)))
        assert "budget" not in texts(list(lines(plan, wide)))
    heads = shown(jobs_table(breadths(2, 3), plan), 60)[0]
    assert "cached" not in heads, "nothing is"
