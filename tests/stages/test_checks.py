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


def test_a_quota_is_that_of_the_items_that_are_left_of_a_list(tmp_path: Path) -> None:
    values = ["easy"] * 3 + ["medium"] * 5 + ["hard"] * 2 + ["easy"]
    rows = [{"id": f"q_{n}", "tag": "t_1", "question": f"{n}?", "difficulty": each} for n, each in enumerate(values)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {"questions": {"axes": {"difficulty": {"easy": 0.3, "medium": 0.5, "hard": 0.2}}}}

    def told(*dropped: int) -> list[tuple[int, str]]:
        lines = (json.dumps({"id": f"q_{n}", "kept": False, "why": ["alike"]}) for n in dropped)
        (tmp_path / "dedup.jsonl").write_text("".join(line + "\n" for line in lines))
        found = check_rows(tmp_path.joinpath, DEFAULT, recipe)
        assert [(count.rows, count.of) for count in found.counts] == [(row["rows"], 10) for row in found.lines]
        return [(row["rows"], row["text"]) for row in found.lines]

    assert told(10) == [], "one too many was dropped again"
    assert told(3) == [(1, "difficulty: 4 of 3 easy, 2 of 2 hard, 4 of 5 medium")]
