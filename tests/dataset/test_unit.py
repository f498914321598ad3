"""Which rows a stage sees: verdicts on a row, on what it hangs on, and on what hangs on it."""

from typing import Any

import pytest

from distill_build.dataset.unit import DROPPED_BEFORE, Row, Sight, Verdict, View, nothing_lacks, restored, topic_row
from distill_build.graph import END, Graph

GRAPH = Graph.parse(
    {
        "topics": "t: list",
        "texts": "x: list of topics",
        "sieve": "sieve: transform of texts",
        "marks": "marks: map of texts",
        "good": "good: transform of marks",
        "votes": "votes: group of marks by texts",
        "notes": "notes: map of marks",
    }
)
DROPPED = Verdict(kept=False, why=("too short",))


def below(above: Row, stage: str, number: int = 0, *verdicts: tuple[str, Verdict]) -> Row:
    """A new row below `above`."""
    column = "tag" if stage == "texts" else "parent"
    line = {"id": f"{stage}_{above.id}_{number}", column: above.id}
    row = Row(stage, line, (*above.place, number), above, verdicts=dict(verdicts))
    above.hang(row)
    return row


@pytest.fixture
def tag() -> Row:
    return Row("topics", {"id": "t_1"}, ())


@pytest.fixture
def view() -> View:
    return View(GRAPH)


def test_a_verdict_on_the_row_itself_counts_for_the_stages_behind_it(view: View, tag: Row) -> None:
    text = below(tag, "texts")
    assert view.sight(text, "sieve") is Sight.SEEN, "it stands before its own verdict"
    assert view.sight(text, "marks") is Sight.UNDECIDED
    text.verdicts["sieve"] = Verdict(kept=True)
    assert view.sight(text, "marks") is Sight.SEEN
    text.verdicts["sieve"] = DROPPED
    assert view.sight(text, "marks") is Sight.DROPPED


def test_a_verdict_on_what_a_row_hangs_on_counts_too(view: View, tag: Row) -> None:
    mark = below(below(tag, "texts"), "marks")
    assert mark.above is not None
    for verdict, sight in ((Verdict(kept=True), Sight.SEEN), (DROPPED, Sight.DROPPED), (DROPPED_BEFORE, Sight.DROPPED)):
        mark.above.verdicts["sieve"] = verdict
        assert view.sight(mark, "good") is sight


def test_a_row_is_dropped_where_all_that_hang_on_it_were(view: View, tag: Row) -> None:
    text = below(tag, "texts", 0, ("sieve", Verdict(kept=True)))
    marks = [below(text, "marks", number, ("good", DROPPED)) for number in range(2)]
    assert view.sight(text, "votes") is Sight.DROPPED
    assert view.sight(text, "good") is Sight.SEEN, "it stands before those verdicts"
    marks[1].verdicts["good"] = Verdict(kept=True)
    assert view.sight(text, "votes") is Sight.SEEN
    assert view.sight(marks[0], "notes") is Sight.DROPPED
    assert view.sight(tag, END) is Sight.SEEN


def test_a_row_with_a_level_of_its_own_is_not_the_topic(tag: Row) -> None:
    mark = below(below(tag, "texts"), "marks")
    mark.line["level"] = 0
    assert not mark.is_topic
    assert topic_row("topics", "sports").is_topic


def test_what_one_transform_drops_is_dropped_though_another_has_not_decided(view: View, tag: Row) -> None:
    text = below(tag, "texts")
    below(text, "marks", 0, ("good", DROPPED))
    assert view.sight(text, "votes") is Sight.DROPPED


def test_nothing_is_decided_while_a_verdict_or_a_row_is_missing_that_could(view: View, tag: Row) -> None:
    text = below(tag, "texts", 0, ("sieve", Verdict(kept=True)))
    below(text, "marks", 0, ("good", DROPPED))
    second = below(text, "marks", 1)
    assert view.sight(text, "votes") is Sight.UNDECIDED
    second.verdicts["good"] = DROPPED
    text.lacking |= {"marks"}
    assert view.sight(text, "votes") is Sight.UNDECIDED, "another mark may come"
    second.verdicts["good"] = Verdict(kept=True)
    assert view.sight(text, "votes") is Sight.SEEN, "whatever comes"


def test_others_are_the_row_above_and_lists_of_those_below_that_are_seen(view: View, tag: Row) -> None:
    text = below(tag, "texts", 0, ("sieve", Verdict(kept=True)))
    one, two = below(text, "marks", 0, ("good", Verdict(kept=True))), below(text, "marks", 1, ("good", DROPPED))
    assert view.others(one, ["texts", "topics"], "notes") == {"texts": text.line, "topics": tag.line}
    assert view.others(text, ["marks"], "votes") == {"marks": [one.line]}
    assert view.others(one, ["good", "sieve"], "notes") == {
        "good": {"id": one.id, "kept": True, "why": []},
        "sieve": {"id": text.id, "kept": True, "why": []},
    }
    assert view.others(text, ["good"], "votes") == {
        "good": [{"id": one.id, "kept": True, "why": []}, {"id": two.id, "kept": False, "why": ["too short"]}]
    }
    del two.verdicts["good"]
    assert view.others(text, ["marks"], "votes") is None
    assert view.others(text, ["good"], "votes") is None


def test_others_of_a_list_that_is_short_are_not_there(view: View, tag: Row) -> None:
    text = below(tag, "texts", 0, ("sieve", Verdict(kept=True)))
    below(text, "marks", 0, ("good", Verdict(kept=True)))
    text.lacking |= {"marks"}
    assert view.others(text, ["marks"], "votes") is None


def test_rows_come_back_from_their_lines_with_the_verdicts_on_them(view: View) -> None:
    tag = Row("topics", {"id": "t_1"}, ())
    lines: dict[str, list[dict[str, Any]]] = {
        "texts": [{"id": "x_1", "tag": "t_1"}, {"id": "x_2", "tag": "t_1"}],
        "sieve": [{"id": "x_1", "kept": True, "why": []}, {"id": "x_2", "kept": False, "why": ["old"], "share": 0.5}],
        "marks": [{"id": "m_1", "parent": "x_1"}, {"id": "m_2", "parent": "x_1"}],
    }
    rows = restored(tag, GRAPH, lines, lambda _stage, _line, before: before, nothing_lacks)
    assert [(row.stage, row.id, row.place) for row in rows] == [
        ("texts", "x_1", (0,)),
        ("texts", "x_2", (1,)),
        ("marks", "m_1", (0, 0)),
        ("marks", "m_2", (0, 1)),
    ]
    assert rows[1].verdicts == {"sieve": Verdict(False, ("old",), {"share": 0.5})}
    assert view.sight(rows[1], "marks") is Sight.DROPPED
    assert [row.id for row in rows[0].below["marks"]] == ["m_1", "m_2"]


def test_what_was_dropped_before_has_no_line_and_is_told_by_what_dropped_it() -> None:
    graph = Graph.parse(
        {"topics": "t: list", "texts": "x: list of topics", "first": "f: transform of texts",
         "second": "s: transform of texts"}
    )  # fmt: skip
    tag = Row("topics", {"id": "t_1"}, ())
    lines: dict[str, list[dict[str, Any]]] = {
        "texts": [{"id": "x_1", "tag": "t_1"}],
        "first": [{"id": "x_1", "kept": False, "why": ["short"]}],
        "second": [],
    }
    (row,) = restored(tag, graph, lines, lambda _stage, _line, before: before, nothing_lacks)
    assert row.verdicts["second"] is DROPPED_BEFORE
    assert View(graph).sight(row, END) is Sight.DROPPED


def test_a_row_that_comes_back_knows_what_it_lacks() -> None:
    tag = Row("topics", {"id": "t_1", "leaf": True}, ())
    lines: dict[str, list[dict[str, Any]]] = {
        "texts": [{"id": f"x_{number}", "tag": "t_1"} for number in range(3)],
        "sieve": [
            {"id": "x_0", "kept": True, "why": []},
            {"id": "x_1", "kept": False, "why": ["old"]},
            {"id": "x_2", "kept": True, "why": []},
        ],
        "marks": [{"id": "m_1", "parent": "x_0"}, {"id": "m_2", "parent": "x_0"}, {"id": "m_3", "parent": "x_2"}],
    }
    wanted = {"texts": 4, "marks": 2}
    rows = restored(
        tag,
        GRAPH,
        lines,
        lambda _stage, _line, before: before,
        lambda row, shape: len(row.below.get(shape.name, ())) < wanted.get(shape.name, 0),
    )
    assert tag.lacking == {"texts"}
    assert {row.id: row.lacking for row in rows if row.stage == "texts"} == {
        "x_0": set(),
        "x_1": set(),
        "x_2": {"marks"},
    }
