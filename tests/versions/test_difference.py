"""What differs between two versions, item by item: the tree, the questions, the texts of answers."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.graph import Graph
from distill_build.records import JsonObject
from distill_build.stages.default import DEFAULT
from distill_build.versions.content import FolderContent, KeptContent
from distill_build.versions.difference import Difference, compare, stages_of
from distill_build.versions.difference_rows import Item, Told, VersionRows
from distill_build.versions.snapshot import take_snapshot
from tests.versions.small_versions import MORE, Shape, Texts, more, read, texts, write_version

TREE: Shape = {
    "Team": {"Football": ["What is it?", "Who plays?"], "Handball": ["How fast?"]},
    "Chess": {"Openings": ["Which first?"], "Endings": ["Who wins?"]},
}


@pytest.fixture
def old(tmp_path: Path) -> VersionRows:
    return version(tmp_path / "old", TREE)


def version(folder: Path, shape: Shape, *answer: Callable[[str, int], Texts], **options: Any) -> VersionRows:
    return VersionRows(write_version(folder, shape, *answer, **options), DEFAULT)


def against(tmp_path: Path, old: VersionRows, shape: Shape, **options: Any) -> Difference:
    return compare(old, version(tmp_path / "new", shape, **options))


def told(rows: VersionRows, stage: str, items: Iterable[Item]) -> list[str]:
    """What the rows are known by."""
    found = rows.told(stage, [item.id for item in items])
    return [row.text for row in found.values()]


def counts(difference: Difference) -> dict[str, tuple[int, ...]]:
    """Added, removed and same; of tags the renamed ones, of answers the changed ones behind them."""
    tags, questions, answers = (difference.stages[stage] for stage in ("tags", "questions", "answers"))
    return {
        "tags": (len(tags.added), len(tags.removed), tags.same, len(difference.renamed)),
        "questions": (len(questions.added), len(questions.removed), questions.same),
        "answers": (len(answers.added), len(answers.removed), answers.same, len(answers.changed)),
    }


def renamed(difference: Difference) -> list[tuple[str, str]]:
    return [("/".join(old.path[1:]), "/".join(new.path[1:])) for old, new in difference.renamed]


def replaced(**tops: object) -> Shape:
    """TREE with other tags on level 1; None takes one away."""
    return {label: below for label, below in {**TREE, **tops}.items() if below is not None}  # type: ignore[misc]


def test_the_same_files_have_no_difference(tmp_path: Path, old: VersionRows) -> None:
    assert counts(against(tmp_path, old, TREE)) == {
        "tags": (0, 0, 6, 0),
        "questions": (0, 0, 5),
        "answers": (0, 0, 5, 0),
    }


def test_a_tag_that_comes_brings_its_questions_and_answers(tmp_path: Path, old: VersionRows) -> None:
    found = against(tmp_path, old, replaced(Golf={"Clubs": ["Which club?"]}))
    assert counts(found) == {"tags": (2, 0, 6, 0), "questions": (1, 0, 5), "answers": (1, 0, 5, 0)}
    found = compare(version(tmp_path / "more", replaced(Golf={"Clubs": ["Which club?"]})), old)
    assert counts(found) == {"tags": (0, 2, 6, 0), "questions": (0, 1, 5), "answers": (0, 1, 5, 0)}


def test_reasoning_and_answer_are_compared_apart(tmp_path: Path, old: VersionRows) -> None:
    def other(question: str, sample: int) -> Texts:
        reasoning, answer = texts(question, sample)
        edited = {"What is it?": (None, answer), "Who plays?": (reasoning, "22"), "How fast?": ("Hm", "Very")}
        return edited.get(question, (reasoning, answer))

    changed = against(tmp_path, old, TREE, answer=other).stages["answers"].changed
    assert told(old, "answers", (each.old for each in changed)) == ["What is it?", "Who plays?", "How fast?"]
    assert [each.columns for each in changed] == [("reasoning",), ("answer",), ("reasoning", "answer")]


def test_the_same_text_from_another_request_is_the_same(tmp_path: Path, old: VersionRows) -> None:
    found = against(tmp_path, old, TREE, call="d").stages["answers"]
    assert (found.changed, found.same, found.other_request) == ([], 5, 5)


def test_no_reasoning_is_not_empty_reasoning(tmp_path: Path) -> None:
    none = version(tmp_path / "none", TREE, lambda question, _: (None, question))
    empty = version(tmp_path / "empty", TREE, lambda question, _: ("", question))
    changed = compare(none, empty).stages["answers"].changed
    assert [each.columns for each in changed] == [("reasoning",)] * 5


def test_an_unchanged_subtree_under_a_new_label_is_one_rename(tmp_path: Path, old: VersionRows) -> None:
    found = against(tmp_path, old, replaced(Team=None, Teams=TREE["Team"]))
    assert renamed(found) == [("Team", "Teams")]
    assert counts(found) == {"tags": (0, 0, 5, 1), "questions": (0, 0, 5), "answers": (0, 0, 5, 0)}


def test_answers_are_compared_under_the_new_label(tmp_path: Path, old: VersionRows) -> None:
    def other(question: str, sample: int) -> Texts:
        return ("Other", "Other") if question == "Who plays?" else texts(question, sample)

    found = against(tmp_path, old, replaced(Team=None, Teams=TREE["Team"]), answer=other)
    (changed,) = found.stages["answers"].changed
    assert told(old, "answers", [changed.old]) == ["Who plays?"]
    assert changed.old.id != changed.item.id
    assert counts(found)["answers"] == (0, 0, 4, 1)


def test_a_subtree_that_moved_is_one_rename(tmp_path: Path, old: VersionRows) -> None:
    chess: Shape = {"Openings": ["Which first?"], "Endings": ["Who wins?"]}
    moved: Shape = {"Team": {"Football": ["What is it?", "Who plays?"]},
             "Chess": {**chess, "Handball": ["How fast?"]}}  # fmt: skip
    assert renamed(against(tmp_path, old, moved)) == [("Team/Handball", "Chess/Handball")]


def test_a_changed_subtree_is_no_rename(tmp_path: Path, old: VersionRows) -> None:
    team = {"Football": ["What is it?", "Who plays?"], "Handball": ["How slow?"]}
    new = version(tmp_path / "new", replaced(Team=None, Teams=team))
    found = compare(old, new)
    assert renamed(found) == [("Team/Football", "Teams/Football")], "the part that is unchanged has moved"
    assert told(old, "questions", found.stages["questions"].removed) == ["How fast?"]
    assert told(new, "questions", found.stages["questions"].added) == ["How slow?"]


def test_a_rename_under_the_same_parent_is_preferred(tmp_path: Path) -> None:
    same = ["Why?", "What for?"]
    old = version(tmp_path / "old", {"A": {"X": same}, "B": {"Y": same}})
    found = against(tmp_path, old, {"B": {"X2": same}, "A": {"Y2": same}})
    assert renamed(found) == [("A/X", "A/Y2"), ("B/Y", "B/X2")]


def test_of_subtrees_that_moved_the_one_with_the_same_label_is_preferred(tmp_path: Path) -> None:
    same = ["Why?", "What for?"]
    old = version(tmp_path / "old", {"A": {"X": same, "Y": same, "Z": ["Z?"]}, "B": {"W": ["W?"]}})
    found = against(tmp_path, old, {"A": {"Z": ["Z?"]}, "B": {"W": ["W?"], "Y": same, "X": same}})
    assert sorted(renamed(found)) == [("A/X", "B/X"), ("A/Y", "B/Y")]


def test_tags_with_nothing_below_them_are_no_renames(tmp_path: Path) -> None:
    old = version(tmp_path / "old", {"A": {"X": [], "Y": []}})
    found = against(tmp_path, old, {"A": {"X": [], "Z": []}})
    assert (renamed(found), counts(found)["tags"]) == ([], (1, 1, 2, 0))


def test_the_order_of_questions_and_tags_is_no_difference_below_a_rename(tmp_path: Path, old: VersionRows) -> None:
    turned: Shape = {"Handball": ["How fast?"], "Football": ["Who plays?", "What is it?"]}
    assert renamed(against(tmp_path, old, replaced(Team=None, Teams=turned))) == [("Team", "Teams")]


def test_under_another_topic_the_same_labels_are_the_same_tags(tmp_path: Path, old: VersionRows) -> None:
    found = against(tmp_path, old, TREE, topic="Sport")
    assert counts(found) == {"tags": (0, 0, 6, 0), "questions": (0, 0, 5), "answers": (0, 0, 5, 0)}


def test_more_samples_are_added_answers(tmp_path: Path, old: VersionRows) -> None:
    found = against(tmp_path, old, TREE, samples=3)
    assert counts(found)["answers"] == (10, 0, 5, 0)
    assert {item.sample for item in found.stages["answers"].added} == {1, 2}


def test_a_version_in_the_cache_and_the_folder_it_came_from_are_the_same(tmp_path: Path) -> None:
    many: Shape = {
        f"Tag {n}": {f"Leaf {m}": [f"Question {n} {m} {q}?" for q in range(9)] for m in range(9)} for n in range(9)
    }
    folder = version(tmp_path / "folder", many)
    objects, names = Objects(tmp_path / "objects"), ("tags.jsonl", "questions.jsonl", "answers.jsonl")
    content = KeptContent(objects, {name: take_snapshot(objects, tmp_path / "folder" / name) for name in names})
    kept = VersionRows(content, DEFAULT)
    found = compare(folder, kept)
    assert (found.stages["questions"].same, found.stages["answers"].same) == (729, 729)
    for file in names[1:]:
        assert set(folder.content.chunks(file)) == set(content.chunks(file))
        for chunk in content.chunks(file):
            objects.place(chunk).unlink()
    assert compare(folder, kept).stages["answers"].same == 729, "what both have is not read"


def test_what_cannot_be_read_is_said(tmp_path: Path, old: VersionRows) -> None:
    new = version(tmp_path / "new", replaced(Golf={"Clubs": ["Which club?"]}))
    (tmp_path / "new" / "questions.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(StorageError, match=r"questions\.jsonl"):
        compare(old, new)
    objects = Objects(tmp_path / "objects")
    kept = KeptContent(objects, {"tags.jsonl": take_snapshot(objects, tmp_path / "old" / "tags.jsonl")})
    for object_ in list(objects):
        objects.place(object_).unlink()
    with pytest.raises(CorruptEntryError):
        compare(old, VersionRows(kept, DEFAULT))


def test_a_folder_that_is_replaced_meanwhile_is_said(tmp_path: Path, old: VersionRows) -> None:
    new = version(tmp_path / "new", replaced(Golf={"Clubs": ["Which club?"]}))
    new.content.chunks("answers.jsonl")
    (tmp_path / "new" / "answers.jsonl").write_bytes(b"\n" * 10_000)
    with pytest.raises(StorageError, match="replaced while it was read"):
        compare(old, new)


# Stages of any kind.


def numbers(difference: Difference, *stages: str) -> dict[str, tuple[int, ...]]:
    """Added, removed, changed and same, where anything differs."""
    found = {stage: difference.stages[stage] for stage in stages or difference.stages}
    return {
        stage: (len(each.added), len(each.removed), len(each.changed), each.same)
        for stage, each in found.items()
        if stages or each.differs
    }


def test_rows_of_every_kind_are_compared_by_their_own_columns(tmp_path: Path) -> None:
    old = more(tmp_path / "old", TREE)
    new = more(
        tmp_path / "new",
        TREE,
        scores=lambda question: {"score": 2 if question == "How fast?" else 4, "by": {"style": 4}},
        good=lambda question: {"kept": question != "How fast?", "why": ["score"] * (question == "How fast?")},
        votes=lambda question: {"label": "other" if question == "How fast?" else "same", "shares": {"same": 1.0}},
    )
    found = compare(old, new)
    assert numbers(found) == {"scores": (0, 0, 1, 4), "good": (0, 0, 1, 4), "votes": (0, 0, 1, 4)}
    columns = {stage: found.stages[stage].changed[0].columns for stage in numbers(found)}
    assert columns == {"scores": ("score",), "good": ("kept", "why"), "votes": ("label",)}


def test_a_number_is_no_truth_value_and_a_column_that_comes_is_a_change(tmp_path: Path) -> None:
    values: list[JsonObject] = [{"score": 1}, {"score": True}, {"score": -1}, {"score": -2}, {"score": -2, "by": None}]
    sides = [more(tmp_path / str(at), TREE, scores=lambda _, value=value: value) for at, value in enumerate(values)]  # type: ignore[misc]  # bound at once
    for old, new in pairwise(sides):
        assert len(compare(old, new).stages["scores"].changed) == 5


def test_a_map_may_have_columns_that_are_called_as_those_of_a_list(tmp_path: Path) -> None:
    old, new = (
        more(tmp_path / question, TREE, translate=lambda _, question=question: {"question": question, "label": "a"})  # type: ignore[misc]  # bound at once
        for question in ("one", "two")
    )
    assert {each.columns for each in compare(old, new).stages["translate"].changed} == {("question",)}


def test_a_column_that_some_rows_have_is_compared(tmp_path: Path) -> None:
    def note(text: str) -> Callable[[str], JsonObject]:
        return lambda question: {"score": 4} | ({"note": text} if question == "Who wins?" else {})

    old, new = (more(tmp_path / text, TREE, scores=note(text)) for text in ("one", "two"))
    (changed,) = compare(old, new).stages["scores"].changed
    assert changed.columns == ("note",)


def test_ids_of_every_stage_follow_a_renamed_tag(tmp_path: Path) -> None:
    old, new = more(tmp_path / "old", TREE), more(tmp_path / "new", replaced(Team=None, Teams=TREE["Team"]))
    found = compare(old, new)
    assert renamed(found) == [("Team", "Teams")]
    assert numbers(found) == {}
    assert [found.stages[stage].same for stage in MORE.names] == [5] * len(MORE.names)


def test_a_stage_that_one_side_has_is_added_or_removed_whole(tmp_path: Path) -> None:
    old, new = more(tmp_path / "old", TREE, graph=MORE.up_to("translate")), more(tmp_path / "new", TREE)
    assert numbers(compare(old, new)) == {"scores": (5, 0, 0, 0), "good": (5, 0, 0, 0), "votes": (5, 0, 0, 0)}
    assert numbers(compare(new, old)) == {"scores": (0, 5, 0, 0), "good": (0, 5, 0, 0), "votes": (0, 5, 0, 0)}
    assert list(compare(new, old).stages) == list(MORE.names)


def test_stages_of_both_sides_stand_in_the_order_that_they_have() -> None:
    def graph(*names: str) -> Graph:
        return Graph.parse({"tags": "t: list", **{name: f"{name}: map of tags" for name in names}})

    assert stages_of(graph("a", "b", "c"), graph("a", "d", "c")) == ["tags", "a", "b", "d", "c"]
    assert stages_of(graph(), graph("a")) == ["tags", "a"]
    assert stages_of(graph("a", "b"), graph()) == ["tags", "a", "b"]


def test_a_row_is_known_by_its_path_and_the_question_above_it(tmp_path: Path) -> None:
    rows = more(tmp_path / "rows", TREE)
    for stage in ("questions", "answers", "translate", "scores", "good", "votes"):
        last = read(tmp_path / "rows", stage)[-1]["id"]
        assert rows.told(stage, [last]) == {last: Told(("sports", "Chess", "Endings"), "Who wins?")}, stage
    tag = read(tmp_path / "rows", "tags")[-1]["id"]
    assert rows.told("tags", [tag]) == {tag: Told(("sports", "Chess", "Endings"), "Endings")}


def test_rows_that_lack_what_their_kind_has_are_said(tmp_path: Path) -> None:
    old, new = more(tmp_path / "old", TREE), more(tmp_path / "new", TREE)
    for stage in ("translate", "good", "votes"):
        (tmp_path / "new" / f"{stage}.jsonl").write_text('{"name": "x"}\n')
        with pytest.raises(StorageError, match=f"a line of {stage}.jsonl cannot be read"):
            compare(old, VersionRows(FolderContent(tmp_path / "new"), new.graph))
        (tmp_path / "new" / f"{stage}.jsonl").unlink()
