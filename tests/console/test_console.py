"""Where things are said: on standard error, in plain lines when it is no terminal, and little of it with --quiet."""

import subprocess
import sys
from pathlib import Path

import pytest

from distill_build.builds.walk.tally import Tally
from distill_build.console import Console, open_console, plan_table
from distill_build.models.traffic import Traffic
from distill_build.records import Usage
from tests.console.examples import EXPECTED, plan, report, settings, short_report

Captured = pytest.CaptureFixture[str]


def plain_console(*, quiet: bool = False, verbose: bool = False) -> Console:
    return open_console(quiet=quiet, verbose=verbose, json=False)


def whole_build(console: Console) -> None:
    tally = Tally.of(EXPECTED)
    console.note("waiting for another build")
    console.plan(plan(), settings())
    with console.progress(tally, EXPECTED, lambda: Traffic(2)):
        tally.stages["answers"].spend("m", Usage(100, 20), None, 0.5)
        tally.stages["answers"].missing += 8
    console.report(short_report())


def test_nothing_goes_to_standard_output(capsys: Captured) -> None:
    whole_build(plain_console())
    assert capsys.readouterr().out == ""


def test_plain_lines_hold_no_control_characters_and_end_with_the_folder(capsys: Captured) -> None:
    whole_build(plain_console())
    text = capsys.readouterr().err
    assert text.replace("\n", "").isprintable()
    for part in ("waiting for another build\n", "plan: 40 requests", "answers 0/480; 8 items failed, 2 in flight"):
        assert part in text
    assert text.index("472 of 480") < text.index("outputs/sports (")


def test_the_table_names_each_stage_with_made_failed_asked_and_cached(capsys: Captured) -> None:
    plain_console().report(short_report())
    head, tags, *_ = capsys.readouterr().err.splitlines()
    assert head.split() == ["stage", "made", "failed", "asked", "cached", "tokens", "cost", "model", "time"]
    assert tags.split() == ["tags", "11", "of", "11", "0", "3", "0", "360", "$0.0001", "1.5", "s"]


def test_quiet_says_what_is_missing_and_nothing_else(capsys: Captured) -> None:
    whole_build(plain_console(quiet=True))
    assert capsys.readouterr().err == "472 of 480 answers; 8 missing: see outputs/sports/failures.jsonl\n"


def test_quiet_is_silent_about_a_complete_build(capsys: Captured) -> None:
    plain_console(quiet=True).report(report())
    assert capsys.readouterr().err == ""


def test_verbose_adds_the_mean_request(capsys: Captured) -> None:
    plain_console(verbose=True).report(report())
    assert "tags: 0.5 s, 100 + 20 tokens a request" in capsys.readouterr().err


def test_an_up_to_date_build_is_one_line(capsys: Captured) -> None:
    plain_console().report(report(up_to_date=True))
    assert capsys.readouterr().err.count("\n") == 1


def test_an_up_to_date_build_with_failures_hides_nothing(capsys: Captured) -> None:
    plain_console().report(short_report(up_to_date=True))
    assert "8 missing" in capsys.readouterr().err


def test_control_characters_of_a_reply_do_not_reach_the_terminal(capsys: Captured) -> None:
    plain_console().report(report(stopped="the last: \x1b[2Jgone\nhere"))
    assert "the last:  [2Jgone here\n" in capsys.readouterr().err


def test_a_console_without_standard_error_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    whole_build(plain_console())


def test_a_closed_standard_error_ends_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = (tmp_path / "log").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    whole_build(plain_console())


def test_a_broken_pipe_on_standard_error_ends_no_build() -> None:
    code = "from tests.console.test_console import *; input(); whole_build(plain_console()); print('whole')"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        assert child.stdout is not None
        child.stderr.close()
        child.stdin.write("\n")
        child.stdin.close()
        assert child.stdout.read() == "whole\n"
    assert child.returncode == 0


def test_rich_is_not_imported_where_nothing_is_drawn() -> None:
    code = (
        "import sys; from tests.console.test_console import *; whole_build(plain_console()); "
        "plan_table(plan(), settings(), {}); sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_plan_is_a_table_on_standard_output(capsys: Captured) -> None:
    plan_table(plan(ask=1, unknown=39, cached=3), settings(), {})
    told = capsys.readouterr()
    assert told.err == ""
    assert "sports: depth=2 breadth=10 questions_per_tag=10 answers_per_question=1\n" in told.out
    assert ["answers", "3", "1", "39", "3.0k", "$0.50", "60", "s"] in [line.split() for line in told.out.splitlines()]
    assert "about 40 requests; tokens, cost and time are estimated\n" in told.out
    assert "unknown: 39 that follow from replies which are not there yet" in told.out


def test_an_exact_plan_says_so_and_explains_no_unknown(capsys: Captured) -> None:
    plan_table(plan(), settings(), {})
    out = capsys.readouterr().out
    assert "40 requests exactly" in out
    assert "unknown:" not in out


def test_a_plan_without_prices_says_where_they_go(capsys: Captured) -> None:
    plan_table(plan(usd=None), settings(), {})
    assert "—: the model has no prices, see model.prices" in capsys.readouterr().out


def test_a_plan_can_be_written_in_an_encoding_that_lacks_letters() -> None:
    code = "from tests.console.test_console import *; plan_table(plan(usd=None), settings(name='体育'), {})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True)
    assert done.stdout.startswith(b"??: depth=2")
