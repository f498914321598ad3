"""What is said of a build that has ended."""

import re
from pathlib import Path

import pytest

from distill_build.builds.report import Report
from distill_build.console.checks import SENTENCES
from distill_build.console.outcome import details, ending, report_grid, troubles, up_to_date, verdicts
from distill_build.dataset.layout import CheckCount, CheckExample
from distill_build.export import LABELS, PREFERENCE, RATING
from distill_build.graph import END
from distill_build.records import number_of
from distill_build.stages import flags
from distill_build.stages.checks import APART, QUOTA, REPEATED, SAME_LABEL
from distill_build.stages.training import checks, length, soft_rows, student_fit
from tests.console.examples import report, short_report, sifted_report


def said(told: Report) -> str:
    return "\n".join(line.text for line in ending(told))


def test_a_complete_build_says_exact_counts_and_the_folder() -> None:
    text = said(report())
    assert "sports is complete: 11 of 11 tags, 60 of 60 questions, 480 of 480 answers" in text
    assert "outputs/sports (version 3f2a91c0ffee, run 20260102-030405-ab12, 3 min 20 s)" in text
    assert "  tags.jsonl  dataset/train.messages.jsonl" in text


def test_missing_items_are_counted_with_the_place_of_their_causes() -> None:
    lines = list(ending(short_report()))
    assert lines[0].text == "472 of 480 answers; 8 missing: see outputs/sports/failures.jsonl"
    assert lines[0].tone == "warning"
    assert not any("complete" in line.text for line in lines)


def test_each_short_stage_is_named() -> None:
    text = said(report(counts={"tags": 10, "questions": 50, "answers": 400}, failures=1))
    assert (
        "10 of 11 tags, 50 of 60 questions, 400 of 480 answers; 1 tag, 10 questions, 80 answers missing: "
        "see outputs/sports/failures.jsonl"
    ) in text


def test_failures_that_left_nothing_missing_are_told_all_the_same() -> None:
    assert "2 failures: see outputs/sports/failures.jsonl" in said(report(failures=2))


def test_a_stopped_build_says_why_before_what_is_missing() -> None:
    lines = list(troubles(short_report(stopped="budget.usd is spent: $5")))
    assert [line.tone for line in lines] == ["bad", "warning"]
    assert lines[0].text == "budget.usd is spent: $5"


def test_where_old_files_stay_the_table_tells_what_the_stopped_build_made() -> None:
    """Tags were made, and nothing below: the counts of the files are those of another version."""
    told = report(stopped="budget.calls is spent", kept_rows=480)
    assert [row[1] for row in report_grid(told).rows] == ["11 of 11", "0 of 60", "0 of 480", ""]
    assert [told.missing(stage) for stage in ("tags", "questions", "answers")] == [0, 60, 480]
    assert "the files stay those of version 3f2a91c0ffee" in said(told)


def test_a_stopped_build_is_not_complete() -> None:
    assert "complete" not in said(report(stopped="budget.calls is spent"))


def test_an_edited_file_is_named_with_the_place_where_it_is_kept() -> None:
    copy = Path("outputs/sports/runs/r1/answers.jsonl")
    told = said(report(edited=(copy,)))
    assert f"answers.jsonl had been edited by hand or put there; that file is kept as {copy}" in told


def test_a_lock_that_was_not_written_here_is_no_edit_by_hand() -> None:
    told = said(report(edited=(Path("outputs/sports/runs/r1/distill.lock"),)))
    assert "edited by hand" not in told
    assert "it may have come from git" in told
    assert "kept as outputs/sports/runs/r1/distill.lock" in told


def test_an_up_to_date_build_says_so_in_one_line() -> None:
    (told,) = up_to_date(report(up_to_date=True, counts={"tags": 11, "questions": 60, "answers": 1}))
    assert told.text == (
        "sports is up to date: 11 tags, 60 questions, 1 answer (version 3f2a91c0ffee); nothing was asked"
    )


def test_stages_behind_until_are_neither_counted_nor_missing() -> None:
    told = report(until="tags", counts={"tags": 11, "questions": 0, "answers": 0})
    assert told.complete
    assert "sports is complete: 11 of 11 tags\n" in said(told)


def test_verbose_tells_the_mean_request_of_each_stage_that_was_asked() -> None:
    texts = [line.text for line in details(report())]
    assert texts[0] == "tags: 0.5 s, 100 + 20 tokens a request"
    assert not any(text.startswith("answers") for text in texts)


def test_dropped_is_not_missing() -> None:
    told = sifted_report()
    assert told.complete
    text = said(told)
    assert "complete: 11 of 11 tags, 100 of 100 questions, 94 answers, 94 rows of a_stage_" in text
    assert text.splitlines()[0].endswith(", 94 votes, 94 rows of last; dedup dropped 6 of 100 questions")
    assert "good" not in text, "it dropped nothing, and has no rows of its own"


def test_what_is_missing_beside_what_was_dropped_is_counted_without_it() -> None:
    told = sifted_report(counts=sifted_report().counts | {"answers": 90}, failures=4)
    assert told.missing("answers") == 4
    assert "90 of 94 answers; 4 missing: see outputs/sports/failures.jsonl" in said(told)


def test_a_transform_says_what_went_in_what_stayed_and_the_main_reasons() -> None:
    told = sifted_report()
    rows = {row[0]: row[1:] for row in report_grid(told).rows}
    assert rows["dedup"] == ("94 of 100", "", "", "", "", "", "")
    assert rows["votes"] == ("94 of 94", "", "", "", "", "", "")
    assert [line.text for line in verdicts(told)] == [
        "dedup dropped 6 rows: the same as another one (4), too short (1), no words (1), …"
    ]


def test_what_a_stage_that_asks_nobody_lacks_is_missing_above_it_but_for_its_own_failures() -> None:
    told = sifted_report(counts=sifted_report().counts | {"questions": 97, "dedup": 97, "votes": 91}, failures=1)
    assert [stage for stage in told.stages if told.missing(stage)] == ["questions"]
    told = sifted_report(counts=sifted_report().counts | {"good": 90, "votes": 92}, failures=6)
    assert {stage: told.missing(stage) for stage in told.stages if told.missing(stage)} == {"good": 4, "votes": 2}
    assert "90 of 94 rows of good, 92 of 94 votes; 4 rows of good, 2 votes missing: see" in said(told)


def test_the_table_says_what_a_stage_that_asks_nobody_has_failed_at() -> None:
    told = sifted_report(failures=94)
    told.tally.stages["good"].judged, told.tally.stages["good"].missing = 0, 94
    rows = {row[0]: row[1:] for row in report_grid(told).rows}
    assert rows["good"] == ("0 of 94", "94", "", "", "", "", "")


def test_texts_that_stand_under_more_than_one_parent_are_told() -> None:
    one = CheckCount("same_label", "tags", 2, 11, 1, (CheckExample("Cycling", 2),))
    assert said(report(checks=(one,))).endswith("\n1 label stands under several parents: Cycling (2) (checks.jsonl)")
    examples = (CheckExample("Cycling", 5), CheckExample("Road", 3), CheckExample("History", 2))
    more = CheckCount("same_label", "tags", 9_000, 11_000, 1_200, examples)
    assert said(report(checks=(more,))).endswith(
        "\n1,200 labels stand under several parents: Cycling (5), Road (3), History (2), … (checks.jsonl)"
    )


@pytest.mark.parametrize(
    ("check", "rows", "told"),
    [
        ("no_reasoning", 480, "0 of 480 answers have reasoning"),
        ("of_another_version", 12, "12 of 480 answers: of_another_version"),
        ("repeats_question", 1, "1 of 480 answers repeats its question (flag repeats_question)"),
        ("special_tokens", 12, "12 of 480 answers hold special tokens (flag special_tokens)"),
        ("repeated", 23, "23 of 480 answers repeat another (checks.jsonl)"),
    ],
)
def test_what_rows_show_that_they_should_not_is_a_line_for_each_kind(check: str, rows: int, told: str) -> None:
    assert said(report(checks=(CheckCount(check, "answers", rows, 480, rows, ()),))).endswith(f"\n{told}")


def test_every_check_has_a_sentence() -> None:
    named = {flag.name for flag in vars(flags).values() if isinstance(flag, flags.RowFlag)}
    of_exports = {
        value
        for module in (checks, length, soft_rows, student_fit)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", value)
    }
    assert SENTENCES.keys() == named | {APART, QUOTA, REPEATED, SAME_LABEL} | (
        of_exports - {END, LABELS, PREFERENCE, RATING}
    )


def test_one_of_a_stage_whose_name_ends_in_ss_keeps_its_name() -> None:
    assert [number_of(1, stage) for stage in ("answers", "translate", "class")] == [
        "1 answer",
        "1 translate",
        "1 class",
    ]
