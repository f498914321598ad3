"""What one pass over a dataset's rows brings, for stages of a user's own as for ours."""

import gzip
import json
from pathlib import Path

from distill_build.report.data import DatasetPage, Measure, RowState
from distill_build.report.dataset import Around, dataset_page
from distill_build.report.drawing import Drawing
from tests.small_dataset import write_dataset
from tests.staged_dataset import GRAPH, dropped, rows, write_staged


def page_of(folder: Path) -> tuple[DatasetPage, list[list[object]], list[list[object]]]:
    """The page of a dataset with stages of its own, the facts and the whole of its families."""
    page, blocks = dataset_page(write_staged(folder), GRAPH, Around("v", None, None, []), Drawing(0))
    (block,) = blocks
    return page, json.loads(gzip.decompress(block.facts)), json.loads(gzip.decompress(block.whole))


def test_every_stage_is_counted_and_what_transforms_dropped(tmp_path: Path) -> None:
    page, _, _ = page_of(tmp_path / "sports")
    assert {each.name: each.rows for each in page.stages} == {name: len(lines) for name, lines in rows().items()}
    assert [(each.stage, each.why, each.rows) for each in page.dropped] == [("dedup", "the same as an earlier one", 1)]
    assert (page.topic, len(page.tree), page.measure) == ("sports", 5, None)
    places = [(each.label, each.parent) for each in page.tree]
    assert places == [("Team 团队", -1), ("Football", 0), ("Handball", 0), ("Chess", -1), ("Openings", 3)]


def test_a_family_has_all_below_a_row_and_says_what_became_of_each(tmp_path: Path) -> None:
    page, facts, wholes = page_of(tmp_path / "sports")
    stages = [each.name for each in page.stages]
    assert len(facts) == page.rows.families == page.rows.of == len(rows()["questions"]) + len(rows()["summary"])
    told = {row[2]: (stages[row[0]], row[4], row[5]) for _, family in facts for row in family}
    assert told[dropped()] == ("questions", RowState.OUT, stages.index("dedup"))
    first = next(family for _, family in facts if stages[family[0][0]] == "questions")
    assert [(stages[row[0]], row[1]) for row in first] == [
        *[("questions", -1), ("answers", 0), ("translate", 1), ("answers", 0), ("translate", 3), ("votes", 0)]
    ]
    content, more, verdicts = next(each for family in wholes for each in family if "translation" in each[0])
    assert content["translation"].startswith("译 ")
    assert (more["model"], verdicts) == ("teacher-1", {})


def test_two_rows_that_are_alike_stand_side_by_side(tmp_path: Path) -> None:
    page, _, _ = page_of(tmp_path / "sports")
    (pair,) = page.pairs.shown
    assert page.pairs.of == 1
    assert (pair.row.id, pair.other.id) == (dropped(), rows()["questions"][0]["id"])
    assert (pair.kept, pair.other.text) == (False, rows()["questions"][0]["question"])


def test_what_is_missing_is_told_where_it_is_missing(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "sports")
    page, _ = dataset_page(dataset, GRAPH.up_to("answers"), Around(None, None, None, []), Drawing(0))
    assert {each.label: each.missing for each in page.tree if each.missing} == {"Handball": 1, "Openings": 1}
    assert {(each.stage, each.cause) for each in page.failures.causes} == {
        ("answers", "timeout"),
        ("questions", "nothing_new"),
    }
    assert {each.name: each.missing for each in page.stages if each.missing} == {"answers": 1, "questions": 1}


def test_rows_are_rated_by_the_score_that_a_judge_gave(tmp_path: Path) -> None:
    dataset = write_staged(tmp_path / "sports")
    file = dataset.artefact("translate.jsonl")
    lines = [json.loads(line) | {"quality": 7, "score": place % 5} for place, line in enumerate(file.open())]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page, blocks = dataset_page(dataset, GRAPH, Around("v", None, None, []), Drawing(0))
    assert page.measure == Measure("translate", "score")
    assert sum(tag.below.sum for tag in page.tree) == sum(line["score"] for line in lines)
    facts = json.loads(gzip.decompress(blocks[0].facts))
    rated = {row[2]: row[6] for _, family in facts for row in family}
    assert rated[lines[0]["parent"]] == lines[0]["score"]
