"""Whatever people edit in a dataset's files, `edit` and a build give the dataset that they made of it, and what was not
touched is not asked for again."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.own_project import write_stage
from tests.e2e.test_only_what_is_affected import InProcess, kind_of, place_of
from tests.e2e.test_tree_by_hand import SMALL as SIZE
from tests.e2e.test_tree_by_hand import by_place
from tests.server import ScriptedServer

Row = dict[str, Any]
SMALL = (*SIZE, "stages=[tags,questions,dedup,answers,per_tag]", "dedup.near=null")
ELSEWHERE = "Elsewhere"
"""A tag that is there for questions of one's own alone."""
EXAMPLES = int(os.environ.get("EDITS", "12"))
NUMBERS = st.integers(0, 99)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["text of an answer", "no answer", "text of a question", "no question", "own question"])
        | st.sampled_from(["label", "no tag", "own question with an answer", "own question elsewhere"]),
        NUMBERS,
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A dataset as a model made it."""
    with ScriptedServer() as server:
        server.plan = by_place
        project = InProcess(tmp_path_factory.mktemp("built"), server)
        columns = {"answers": "rows.answers | length"}
        write_stage(project.root, "per_tag", kind="group", after="answers", by="tags", columns=columns)
        (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
        assert project.run(*SMALL).status == 0
        yield project


class Hand:
    """A person at the rows of a dataset: edits them, and knows what is to come of it."""

    def __init__(self, project: InProcess) -> None:
        self.tags, self.questions, self.answers = map(project.rows, ("tags", "questions", "answers"))
        self.asked: set[str] = set()
        self.edited: set[str] = set()
        self.own: dict[str, str] = {}
        """The questions that are added, and the tag of each."""

    def make(self, what: str, number: int) -> None:
        match what:
            case "text of an answer" if row := self._row(self.answers, number):
                row["answer"] = f"By hand: {number}."
            case "no answer" if row := self._row(self.answers, number):
                self.answers.remove(row)
            case "text of a question" if row := self._row(self.questions, number):
                self.edited.add(row["id"])
                row["question"] = f"What of {number}, change {len(self.edited)}?"
                self.asked.add(row["question"])
            case "no question" if row := self._row(self.questions, number):
                self.questions.remove(row)
            case "own question" | "own question with an answer" if row := self._row(self.questions, number):
                text = f"My own, number {len(self.own) + 1}?"
                self.own[text] = row["tag"]
                self.questions.append({"question": text, "path": row["path"]})
                if what.endswith("answer"):
                    self.answers.append({"question": text, "answer": "Mine."})
                else:
                    self.asked.add(text)
            case "own question elsewhere":
                text = f"Of something else, number {len(self.own) + 1}?"
                self.own[text] = ELSEWHERE
                self.questions.append({"question": text, "path": [ELSEWHERE]})
                self.asked.add(text)
            case "label" if row := self._row(self.tags, number):
                row["label"] = f"Called {number} {row['number']}"
            case "no tag" if row := self._row(self.tags, number):
                self.tags.remove(row)

    def write(self, project: InProcess) -> None:
        for name, rows in (("tags", self.tags), ("questions", self.questions), ("answers", self.answers)):
            if rows:
                text = "".join(json.dumps(row) + "\n" for row in rows)
                (project.folder() / f"{name}.jsonl").write_text(text)

    @staticmethod
    def _row(rows: list[Row], number: int) -> Row | None:
        there = [row for row in rows if "id" in row]
        return there[number % len(there)] if len(there) > 1 else None

    def labels(self) -> list[list[str]]:
        """The paths of the tags that are to be there, without the topic."""
        known = {row["id"]: row for row in self.tags}
        paths: dict[str, list[str]] = {}
        for key, row in known.items():
            if row["parent"] is None or row["parent"] in paths:
                paths[key] = [*paths.get(row["parent"], []), row["label"]]
        self.stand = {*paths, ELSEWHERE}
        return list(paths.values())

    def texts(self) -> set[str]:
        """The questions that are to be there and not rejected."""
        return {row["question"] for row in self.questions if self._tag(row) in self.stand}

    def answered(self) -> set[str]:
        """The edited questions whose answers are edited, too: these stand for what would be asked for."""
        given = {row["question_id"] for row in self.answers if "id" in row and row["answer"].startswith("By hand")}
        return {row["question"] for row in self.questions if row.get("id") in given}

    def left_out(self) -> set[str]:
        """Those of one's own below a tag that is gone, which the build tells."""
        return {text for text, tag in self.own.items() if tag not in self.stand}

    def _tag(self, question: Row) -> str:
        tag: str = question["tag"] if "id" in question else self.own[question["question"]]
        return tag

    def replies(self) -> set[str]:
        """The answers that are to be exported, as far as no model is asked for them now."""
        standing = {row["id"] for row in self.questions if "id" in row and row["tag"] in self.stand}
        kept = {
            row["answer"]
            for row in self.answers
            if row.get("question_id") in standing
            and (row["question_id"] not in self.edited or row["answer"].startswith("By hand"))
        }
        return kept | {row["answer"] for row in self.answers if "id" not in row and row["question"] in self.texts()}


@settings(max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
@given(edits=EDITS)
def test_a_dataset_is_what_people_made_of_it(
    built: InProcess, tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, int]]
) -> None:
    project = InProcess(Path(shutil.copytree(built.root, tmp_path_factory.mktemp("edited") / "p")), built.server)
    hand = Hand(project)
    for what, number in edits:
        hand.make(what, number)
    hand.write(project)
    done = project.raw("edit", "--json")
    assert done.status == 0, done.stderr
    assert all("what it hangs on is gone" in sentence for sentence in done.document["left"])

    assert project.server is not None
    planned = project.run("plan", "--json", *SMALL).document
    project.server.reset()
    project.server.plan = by_place
    finished = project.run("--json", *SMALL)
    asked = [(kind_of(request.body), place_of(request.body)) for request in project.server.requests]
    labels, texts = hand.labels(), hand.texts()
    assert finished.status == 0, finished.stderr
    assert bool(finished.document["unmatched"]) == bool(hand.left_out())
    assert all("of your own" in sentence for sentence in finished.document["unmatched"])
    assert {place for _, place in asked} == (hand.asked - hand.answered()) & texts
    assert len(asked) == planned["calls"]

    held = [row["path"][1:] for row in project.rows("tags")]
    assert [path for path in held if path in labels] == labels
    assert {row["question"] for row in project.rows("questions") if row.get("review") != "reject"} == texts
    leaves = [row["id"] for row in project.rows("tags") if row["leaf"]]
    assert [row["parent"] for row in project.rows("per_tag")] == leaves
    exported = [row for row in project.rows("answers") if row.get("review") != "reject"]
    assert hand.replies() <= {row["answer"] for row in exported}
    assert {row["question"] for row in exported} <= texts
    assert project.raw("verify", "sports").status == 0
    assert project.run("--locked", *SMALL).status == 0
    assert project.raw("edit", "--json").document["files"] == {}
