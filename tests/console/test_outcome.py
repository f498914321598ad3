"""What is said of a build that has ended."""

from pathlib import Path

from distill_build.console.outcome import details, ending, troubles, up_to_date
from distill_build.stages.report import Report
from tests.console.examples import report, short_report


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


def test_duplicates_across_parents_are_counted() -> None:
    assert "1 question stands under more than one parent" in said(report(duplicates=1))
    assert "4 questions stand under more than one parent" in said(report(duplicates=4))


def test_an_up_to_date_build_says_so_in_one_line() -> None:
    told = up_to_date(report(up_to_date=True, counts={"tags": 11, "questions": 60, "answers": 1}))
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
