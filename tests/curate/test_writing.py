"""What is written into the files that people own: whole lines, in the right file, and none is lost between two."""

import errno
import fcntl
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.curate.reviews_file import read_reviews
from distill_build.curate.tree_changes import Exclude, Rename
from distill_build.curate.tree_file import read_tree
from distill_build.curate.writing import (
    amend_tree,
    append_item_lines,
    append_items,
    append_reviews,
    put_back,
    take_back,
)
from distill_build.errors import ConfigurationError, StorageError
from distill_build.review import Review
from tests.e2e.mounts import read_only

REVIEW = Review(
    "a_1", "edit", {"reasoning": None, "answer": "Ein Wort. 答"}, "d", 4, ("x",), "why", "2026-11-29T12:00:00Z", "me"
)


def test_a_review_is_read_back_as_it_was_said() -> None:
    file = append_reviews("sports", "sports", [REVIEW, Review("a_2", "reject")])
    assert file == Path("curate/sports/reviews.jsonl")
    said = [REVIEW, Review("a_2", "reject")]
    assert read_reviews(file, "sports") == {
        review.id: replace(review, place=f"{file}, line {number}") for number, review in enumerate(said, start=1)
    }
    assert "topic" not in file.read_text(encoding="utf-8")


def test_lines_go_behind_a_last_one_without_an_end() -> None:
    Path("reviews.jsonl").write_text('{"id": "a_0", "verdict": "accept"}', encoding="utf-8")
    file = append_reviews("sports", "sports", [REVIEW])
    assert file == Path("reviews.jsonl")
    assert read_reviews(file, "sports").keys() == {"a_0", "a_1"}


def test_lines_in_a_file_of_several_datasets_name_the_topic() -> None:
    Path("questions.jsonl").touch()
    file = append_items("sports", "questions", "sports", [{"question": "Why?", "path": ["sports"]}])
    assert json.loads(file.read_text(encoding="utf-8")) == {"question": "Why?", "path": ["sports"], "topic": "sports"}


def test_a_tree_of_another_topic_is_left_alone() -> None:
    Path("tree.yaml").write_text("topic: chess\nexclude: [Openings]\n", encoding="utf-8")
    file = amend_tree("sports", "sports", [Exclude(("Golf",))]).place
    assert file == Path("curate/sports/tree.yaml")
    assert Path("tree.yaml").read_text(encoding="utf-8") == "topic: chess\nexclude: [Openings]\n"


def test_a_tree_keeps_what_its_editor_put_into_it() -> None:
    file = Path("tree.yaml")
    file.write_bytes(b"\xef\xbb\xbfexclude: [Misc]\t# c\r\nbreadth: 3\r\n")
    amend_tree("sports", "sports", [Exclude(("Golf",)), Rename(("Go",), "Weiqi")])
    assert file.read_bytes() == (b"\xef\xbb\xbfexclude: [Misc, Golf]\t# c\r\nbreadth: 3\r\nrename:\r\n  Go: Weiqi\r\n")


@pytest.mark.parametrize(
    ("before", "told"),
    [("exclude: [a\n", "this is no YAML"), ("rename: {Golf: Chess}\n", "two children would be called Chess")],
)
def test_what_would_make_no_tree_leaves_the_file_as_it_was(before: str, told: str) -> None:
    Path("tree.yaml").write_text(before, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"tree.yaml, line .*: {told}"):
        amend_tree("sports", "sports", [Rename(("Tennis",), "Chess")])
    assert Path("tree.yaml").read_text(encoding="utf-8") == before


def test_a_mistake_leaves_no_empty_file_behind() -> None:
    with pytest.raises(ConfigurationError):
        amend_tree("sports", "sports", [Rename(("Golf",), "x" * 200)])
    assert not Path("curate/sports/tree.yaml").exists()


def test_a_tree_of_another_topic_in_the_datasets_own_folder_is_told() -> None:
    file = Path("curate/sports/tree.yaml")
    file.parent.mkdir(parents=True)
    file.write_text("# ours\ntopic: chess\n", encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"^curate/sports/tree\.yaml, line 2: the file speaks of another topic"
    ):
        amend_tree("sports", "sports", [Exclude(("Golf",))])
    assert file.read_text(encoding="utf-8") == "# ours\ntopic: chess\n"


def test_a_link_stays_and_what_it_leads_to_is_changed() -> None:
    for name, text in (("tree.yaml", "# shared\n"), ("questions.jsonl", "")):
        Path("shared").mkdir(exist_ok=True)
        Path("shared", name).write_text(text, encoding="utf-8")
        Path(name).symlink_to(f"shared/{name}")
    amended = amend_tree("sports", "sports", [Exclude(("Golf",))])
    assert Path("shared/tree.yaml").read_text(encoding="utf-8") == "# shared\nexclude:\n  - Golf\n"
    assert put_back(amended)
    place, lines = append_item_lines("sports", "questions", "sports", [{"question": "Why?"}])
    assert take_back(place, lines[0])
    assert [Path("shared", name).read_text(encoding="utf-8") for name in ("tree.yaml", "questions.jsonl")] == [
        "# shared\n", "",
    ]  # fmt: skip
    assert all(Path(name).is_symlink() for name in ("tree.yaml", "questions.jsonl"))


def test_an_empty_file_that_a_person_has_stays() -> None:
    for name in ("tree.yaml", "questions.jsonl"):
        Path(name).touch()
    assert not take_back(Path("questions.jsonl"), b"{}\n")
    assert put_back(amend_tree("sports", "sports", [Exclude(("Golf",))]))
    with pytest.raises(ConfigurationError):
        amend_tree("sports", "sports", [Rename(("Golf",), "x" * 200)])
    assert [Path(name).read_bytes() for name in ("tree.yaml", "questions.jsonl")] == [b"", b""]


def test_what_a_killed_program_left_beside_a_file_goes_with_the_next_change() -> None:
    file = append_reviews("sports", "sports", [REVIEW])
    place, lines = append_item_lines("sports", "questions", "sports", [{"question": "Why?"}, {"question": "Who?"}])
    Path(file.parent, ".questions.jsonl.new").write_text("half", encoding="utf-8")
    assert take_back(place, lines[0])
    assert sorted(path.name for path in file.parent.iterdir()) == ["questions.jsonl", "reviews.jsonl"]


def test_what_cannot_be_written_is_told() -> None:
    Path("curate").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match=r"curate/sports/reviews\.jsonl cannot be written"):
        append_reviews("sports", "sports", [REVIEW])


def test_a_file_system_without_locks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    file = append_reviews("other", "sports", [REVIEW])
    monkeypatch.setattr(
        fcntl, "flock", refuse
    )  # as of some network file systems: none that can be mounted here has none
    assert list(read_reviews(file, "sports")) == ["a_1"]
    with pytest.raises(StorageError, match=r"curate/sports/reviews\.jsonl cannot be written: No locks available"):
        append_reviews("sports", "sports", [REVIEW])


def test_a_folder_that_cannot_be_written_is_told_and_its_files_stay() -> None:
    place = Path("curate/sports")
    place.mkdir(parents=True)
    for name, text in (("tree.yaml", "exclude: [a]\n"), ("reviews.jsonl", '{"id": "a_0"}\n')):
        (place / name).write_text(text, encoding="utf-8")
    with read_only(place):
        with pytest.raises(StorageError, match=r"curate/sports/tree\.yaml cannot be written: Read-only file system"):
            amend_tree("sports", "sports", [Exclude(("Golf",))])
        with pytest.raises(StorageError, match=r"curate/sports/reviews\.jsonl cannot be written: Read-only"):
            append_reviews("sports", "sports", [REVIEW])
    assert (place / "tree.yaml").read_text(encoding="utf-8") == "exclude: [a]\n"


def _writes(number: int) -> None:
    for each in range(20):
        append_reviews("sports", "sports", [Review(f"a_{number}_{each}", "reject", note="x" * 5000)])
        amend_tree("sports", "sports", [Exclude((f"Tag {number} {each}",))])


def test_no_line_is_lost_between_several_writers() -> None:
    Path("tree.yaml").write_text("# ours\n", encoding="utf-8")
    with ProcessPoolExecutor(4, get_context("fork")) as pool:
        writers = [pool.submit(_writes, number) for number in range(4)]
        file = Path("curate/sports/reviews.jsonl")
        while not all(writer.done() for writer in writers):
            assert not file.exists() or read_reviews(file, "sports") is not None, "no line is ever half"
        assert [writer.result() for writer in writers] == [None] * 4
    assert len(read_reviews(Path("curate/sports/reviews.jsonl"), "sports")) == 80
    tree = read_tree(Path("tree.yaml"), "sports")
    assert tree is not None
    assert len(tree.exclude) == 80
    assert Path("tree.yaml").read_text(encoding="utf-8").startswith("# ours\n")
    assert sorted(os.listdir()) == ["curate", "tree.yaml"]  # noqa: PTH208 - with what may be left beside
