"""What differs between two versions, item by item: the tree, the questions, the texts of answers."""

from pathlib import Path

import pytest

from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.versions.content import Content, KeptContent
from distill_build.versions.difference import Difference, compare
from distill_build.versions.snapshot import take_snapshot
from tests.versions.small_versions import Shape, Texts, texts, write_version

TREE: Shape = {
    "Team": {"Football": ["What is it?", "Who plays?"], "Handball": ["How fast?"]},
    "Chess": {"Openings": ["Which first?"], "Endings": ["Who wins?"]},
}


@pytest.fixture
def old(tmp_path: Path) -> Content:
    return write_version(tmp_path / "old", TREE)


def against(tmp_path: Path, old: Content, shape: Shape, **options: object) -> Difference:
    return compare(old, write_version(tmp_path / "new", shape, **options))  # type: ignore[arg-type]  # as named there


def counts(difference: Difference) -> dict[str, tuple[int, ...]]:
    """Added, removed and same; of tags the renamed ones, of answers the changed ones behind them."""
    tags, questions, answers = difference.tags, difference.questions, difference.answers
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


def test_the_same_files_have_no_difference(tmp_path: Path, old: Content) -> None:
    assert counts(against(tmp_path, old, TREE)) == {
        "tags": (0, 0, 6, 0),
        "questions": (0, 0, 5),
        "answers": (0, 0, 5, 0),
    }


def test_a_tag_that_comes_brings_its_questions_and_answers(tmp_path: Path, old: Content) -> None:
    found = against(tmp_path, old, replaced(Golf={"Clubs": ["Which club?"]}))
    assert counts(found) == {"tags": (2, 0, 6, 0), "questions": (1, 0, 5), "answers": (1, 0, 5, 0)}
    found = compare(write_version(tmp_path / "more", replaced(Golf={"Clubs": ["Which club?"]})), old)
    assert counts(found) == {"tags": (0, 2, 6, 0), "questions": (0, 1, 5), "answers": (0, 1, 5, 0)}


def test_reasoning_and_answer_are_compared_apart(tmp_path: Path, old: Content) -> None:
    def other(question: str, sample: int) -> Texts:
        reasoning, answer = texts(question, sample)
        edited = {"What is it?": (None, answer), "Who plays?": (reasoning, "22"), "How fast?": ("Hm", "Very")}
        return edited.get(question, (reasoning, answer))

    changed = against(tmp_path, old, TREE, answer=other).answers.changed
    assert [(each.item.question, each.reasoning, each.answer) for each in changed] == [
        ("What is it?", True, False),
        ("Who plays?", False, True),
        ("How fast?", True, True),
    ]


def test_the_same_text_from_another_request_is_the_same(tmp_path: Path, old: Content) -> None:
    found = against(tmp_path, old, TREE, call="d").answers
    assert (found.changed, found.same, found.other_request) == ([], 5, 5)


def test_no_reasoning_is_not_empty_reasoning(tmp_path: Path) -> None:
    none = write_version(tmp_path / "none", TREE, lambda question, _: (None, question))
    empty = write_version(tmp_path / "empty", TREE, lambda question, _: ("", question))
    assert all(each.reasoning and not each.answer for each in compare(none, empty).answers.changed)
    assert len(compare(none, empty).answers.changed) == 5


def test_an_unchanged_subtree_under_a_new_label_is_one_rename(tmp_path: Path, old: Content) -> None:
    found = against(tmp_path, old, replaced(Team=None, Teams=TREE["Team"]))
    assert renamed(found) == [("Team", "Teams")]
    assert counts(found) == {"tags": (0, 0, 5, 1), "questions": (0, 0, 5), "answers": (0, 0, 5, 0)}


def test_answers_are_compared_under_the_new_label(tmp_path: Path, old: Content) -> None:
    def other(question: str, sample: int) -> Texts:
        return ("Other", "Other") if question == "Who plays?" else texts(question, sample)

    found = against(tmp_path, old, replaced(Team=None, Teams=TREE["Team"]), answer=other)
    (changed,) = found.answers.changed
    assert changed.item.question == "Who plays?"
    assert changed.old_id != changed.item.id
    assert (found.answers.added, found.answers.removed) == ([], [])


def test_a_subtree_that_moved_is_one_rename(tmp_path: Path, old: Content) -> None:
    chess: Shape = {"Openings": ["Which first?"], "Endings": ["Who wins?"]}
    moved: Shape = {"Team": {"Football": ["What is it?", "Who plays?"]},
             "Chess": {**chess, "Handball": ["How fast?"]}}  # fmt: skip
    assert renamed(against(tmp_path, old, moved)) == [("Team/Handball", "Chess/Handball")]


def test_a_changed_subtree_is_no_rename(tmp_path: Path, old: Content) -> None:
    team = {"Football": ["What is it?", "Who plays?"], "Handball": ["How slow?"]}
    found = against(tmp_path, old, replaced(Team=None, Teams=team))
    assert renamed(found) == [("Team/Football", "Teams/Football")], "the part that is unchanged has moved"
    assert [item.question for item in found.questions.removed] == ["How fast?"]
    assert [item.question for item in found.questions.added] == ["How slow?"]


def test_a_rename_under_the_same_parent_is_preferred(tmp_path: Path) -> None:
    same = ["Why?", "What for?"]
    old = write_version(tmp_path / "old", {"A": {"X": same}, "B": {"Y": same}})
    found = against(tmp_path, old, {"B": {"X2": same}, "A": {"Y2": same}})
    assert renamed(found) == [("A/X", "A/Y2"), ("B/Y", "B/X2")]


def test_of_subtrees_that_moved_the_one_with_the_same_label_is_preferred(tmp_path: Path) -> None:
    same = ["Why?", "What for?"]
    old = write_version(tmp_path / "old", {"A": {"X": same, "Y": same, "Z": ["Z?"]}, "B": {"W": ["W?"]}})
    found = against(tmp_path, old, {"A": {"Z": ["Z?"]}, "B": {"W": ["W?"], "Y": same, "X": same}})
    assert sorted(renamed(found)) == [("A/X", "B/X"), ("A/Y", "B/Y")]


def test_tags_with_nothing_below_them_are_no_renames(tmp_path: Path) -> None:
    old = write_version(tmp_path / "old", {"A": {"X": [], "Y": []}})
    found = against(tmp_path, old, {"A": {"X": [], "Z": []}})
    assert (renamed(found), counts(found)["tags"]) == ([], (1, 1, 2, 0))


def test_the_order_of_questions_and_tags_is_no_difference_below_a_rename(tmp_path: Path, old: Content) -> None:
    turned: Shape = {"Handball": ["How fast?"], "Football": ["Who plays?", "What is it?"]}
    assert renamed(against(tmp_path, old, replaced(Team=None, Teams=turned))) == [("Team", "Teams")]


def test_under_another_topic_the_same_labels_are_the_same_tags(tmp_path: Path, old: Content) -> None:
    found = against(tmp_path, old, TREE, topic="Sport")
    assert counts(found) == {"tags": (0, 0, 6, 0), "questions": (0, 0, 5), "answers": (0, 0, 5, 0)}


def test_more_samples_are_added_answers(tmp_path: Path, old: Content) -> None:
    found = against(tmp_path, old, TREE, samples=3)
    assert counts(found)["answers"] == (10, 0, 5, 0)
    assert {item.sample for item in found.answers.added} == {1, 2}


def test_a_version_in_the_cache_and_the_folder_it_came_from_are_the_same(tmp_path: Path) -> None:
    many: Shape = {
        f"Tag {n}": {f"Leaf {m}": [f"Question {n} {m} {q}?" for q in range(9)] for m in range(9)} for n in range(9)
    }
    folder = write_version(tmp_path / "folder", many)
    objects, names = Objects(tmp_path / "objects"), ("tags.jsonl", "questions.jsonl", "answers.jsonl")
    kept = KeptContent(objects, {name: take_snapshot(objects, tmp_path / "folder" / name) for name in names})
    found = compare(folder, kept)
    assert (found.questions.same, found.answers.same) == (729, 729)
    for file in names[1:]:
        assert set(folder.chunks(file)) == set(kept.chunks(file))
        for chunk in kept.chunks(file):
            objects.place(chunk).unlink()
    assert compare(folder, kept).answers.same == 729, "what both have is not read"


def test_what_cannot_be_read_is_said(tmp_path: Path, old: Content) -> None:
    new = write_version(tmp_path / "new", replaced(Golf={"Clubs": ["Which club?"]}))
    (tmp_path / "new" / "questions.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(StorageError, match=r"questions\.jsonl"):
        compare(old, new)
    objects = Objects(tmp_path / "objects")
    kept = KeptContent(objects, {"tags.jsonl": take_snapshot(objects, tmp_path / "old" / "tags.jsonl")})
    for object_ in list(objects):
        objects.place(object_).unlink()
    with pytest.raises(CorruptEntryError):
        compare(old, kept)


def test_a_folder_that_is_replaced_meanwhile_is_said(tmp_path: Path, old: Content) -> None:
    new = write_version(tmp_path / "new", replaced(Golf={"Clubs": ["Which club?"]}))
    new.chunks("answers.jsonl")
    (tmp_path / "new" / "answers.jsonl").write_bytes(b"\n" * 10_000)
    with pytest.raises(StorageError, match="replaced while it was read"):
        compare(old, new)
