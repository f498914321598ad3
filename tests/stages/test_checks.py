"""What repeats across rows, read from files as they lie there."""

import json
from pathlib import Path

from distill_build.stages.checks import check_rows
from distill_build.stages.default import DEFAULT


def test_rows_that_are_dropped_and_empty_lines_between_change_nothing_of_which_texts_are_equal(tmp_path: Path) -> None:
    """Rows are compared in a second reading, by their places in the first."""
    texts = {"q_a": "How high is it?", "q_b": "How high is it?", "q_c": "Who won?", "q_d": "how high is it", "q_e": "…"}
    lines = [json.dumps({"id": key, "question": text, "flags": []}) for key, text in texts.items()]
    (tmp_path / "questions.jsonl").write_text("\n\n".join(lines))
    (tmp_path / "dedup.jsonl").write_text(json.dumps({"id": "q_a", "kept": False, "why": ["too easy"]}))
    found = check_rows(tmp_path.joinpath, DEFAULT, {})
    assert [(line["text"], line["ids"]) for line in found.lines] == [("How high is it?", ["q_b", "q_d"])]
    assert [(count.check, count.rows, count.of) for count in found.counts] == [("repeated", 2, 4)]
