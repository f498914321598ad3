"""Several answers to a question and what they come to: labels with shares, ties, what is missing, what changes ask."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from distill_build.calls.call import derived_seed
from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.server import Body, Fault, ScriptedServer, classify, content

LINE = (
    *("topic=reviews", "name=sports", "depth=1", "breadth=1", "questions_per_tag=2"),
    "stages=[tags,questions,dedup,answers,votes]",
)
LABELS = ("answer.kind=label", "answer.labels=[neutral,positive,negative]")
SAMPLES: Mapping[int, int] = {derived_seed(0, sample, 0): sample for sample in range(10)}


def said(answers: Sequence[str], again: str = "I cannot say.") -> Callable[[int, Body], Fault | None]:
    """A plan in which the teacher's samples say this, one after the other; each that is asked again says `again`."""

    def reply(number: int, body: Body) -> Fault | None:
        if classify(body) != "answers":
            return steady(number, body)
        sample = SAMPLES.get(body["seed"])
        return content(again if sample is None else answers[sample], reasoning_content=f"Thought {sample}.")

    return reply


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.plan = said(["positive", "negative", "positive", "positive", "negative"])
    return InProcess(tmp_path, server)


def exported(project: InProcess, file: str = "train.messages.jsonl") -> list[dict[str, object]]:
    lines = (project.folder() / "dataset" / file).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_vote_has_the_label_of_most_with_all_shares_in_the_order_of_the_labels(project: InProcess) -> None:
    done = project.run(*LINE, *LABELS, "answers_per_question=5", "formats=[messages,labels]")
    assert done.status == 0, done.stderr
    row, _ = project.rows("votes")
    assert list(row) == ["id", "parent", "path", "label", "reasoning", "shares", "votes"]
    assert (row["label"], row["votes"], row["reasoning"]) == ("positive", 5, "Thought 0.")
    assert list(row["shares"].items()) == [("neutral", 0), ("positive", 0.6), ("negative", 0.4)]
    assert row["parent"] == project.rows("questions")[0]["id"]
    first, _ = exported(project, "train.labels.jsonl")
    assert (first["label"], first["shares"]) == ("positive", {"neutral": 0.0, "positive": 0.6, "negative": 0.4})
    assert [each["role"] for each in exported(project)[0]["messages"]] == ["user", "assistant"]  # type: ignore[attr-defined]
    assert project.raw("verify", "sports").status == 0


def test_growth_asks_for_new_samples_alone_and_the_vote_follows(project: InProcess, server: ScriptedServer) -> None:
    project.run(*LINE, *LABELS, "answers_per_question=2")
    assert {row["label"] for row in project.rows("votes")} == {"positive"}, "of a tie the first of the labels"
    before = project.rows("votes")[0]["id"]
    server.reset()
    priced = ("model.prices.prompt=1", "model.prices.completion=1")
    planned = project.run("plan", *LINE, *LABELS, "answers_per_question=5", *priced, "--json").document
    assert (planned["calls"], planned["exact"], planned["usd"] > 0) == (6, True, True)
    assert project.run(*LINE, *LABELS, "answers_per_question=5").status == 0
    assert server.kinds == {"answers": 6}
    assert project.rows("votes")[0]["votes"] == 5
    assert project.rows("votes")[0]["id"] == before
    assert project.run(*LINE, *LABELS, "answers_per_question=5", "--frozen").status == 0
    told = project.raw("diff", "--json", "latest~1").document["votes"]
    assert (told["added"], told["removed"], told["changed"]) == (0, 0, 2)
    server.reset()
    assert project.run(*LINE, *LABELS, "answers_per_question=2").status == 0
    assert (server.count, project.rows("votes")[0]["votes"]) == (0, 2)


def test_a_tie_goes_to_the_first_of_the_labels_and_without_labels_to_what_was_said_first(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = said(["negative", "neutral", "negative", "neutral"])
    project.run(*LINE, *LABELS, "answers_per_question=4")
    assert project.rows("votes")[0]["label"] == "neutral"
    assert project.rows("votes")[0]["reasoning"] == "Thought 1."
    server.plan = said(["It is 42.", "41", "It is 42", "41"])
    project.run(*LINE, "answers_per_question=4", "seed=0")
    row = project.rows("votes")[0]
    assert (row["label"], row["shares"]) == ("It is 42.", {"It is 42.": 0.5, "41": 0.5})


def test_json_votes_as_it_is_written(project: InProcess, server: ScriptedServer) -> None:
    server.plan = said(['{"a": ["b"]}', '{"a": "b"}', '{"a":"b"}'])
    project.run(
        *LINE, "answers_per_question=3", "answer.kind=json", "answer.schema={type: object, properties: {a: {}}}"
    )
    assert project.rows("votes")[0]["label"] == '{"a":"b"}'


def test_a_question_of_which_a_sample_is_missing_has_no_vote_until_it_is_there(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = said(["positive", "mixed", "negative"])
    done = project.run(*LINE, *LABELS, "answers_per_question=3")
    assert done.status == 1
    assert len(project.rows("answers")) == 4
    assert (project.rows("votes"), exported(project)) == ([], [])
    assert {row["stage"] for row in project.rows("failures")} == {"answers"}
    server.plan = said([], again="negative")
    server.reset()
    assert project.run(*LINE, *LABELS, "answers_per_question=3").status == 0
    assert server.kinds == {"answers": 2}
    assert [row["label"] for row in project.rows("votes")] == ["negative"] * 2
    assert len(exported(project)) == 2


def test_an_edited_answer_votes_as_it_reads_now_and_a_rejected_one_does_not(
    project: InProcess, server: ScriptedServer
) -> None:
    project.run(*LINE, *LABELS, "answers_per_question=3")
    ids = [row["id"] for row in project.rows("answers")[:3]]
    reviews = project.root / "curate/sports/reviews.jsonl"
    reviews.parent.mkdir(parents=True)
    edits = [{"id": key, "verdict": "edit", "answer": "neutral"} for key in ids[:2]]
    reviews.write_text("".join(json.dumps(line) + "\n" for line in edits))
    server.reset()
    assert project.run(*LINE, *LABELS, "answers_per_question=3").status == 0
    assert (server.count, [row["label"] for row in project.rows("votes")]) == (0, ["neutral", "positive"])
    reviews.write_text("".join(json.dumps({"id": key, "verdict": "reject"}) + "\n" for key in ids[:1]))
    assert project.run(*LINE, *LABELS, "answers_per_question=3").status == 0
    assert [row["votes"] for row in project.rows("votes")] == [2, 3]
    reviews.write_text("".join(json.dumps({"id": key, "verdict": "reject"}) + "\n" for key in ids))
    done = project.run(*LINE, *LABELS, "answers_per_question=3")
    assert done.status == 0, "what a person throws out is not missing"
    assert (len(project.rows("votes")), len(exported(project)), server.count) == (1, 1, 0)
    assert project.raw("verify", "sports").status == 0
    assert project.raw("export", "sports", "formats=[csv]").status == 0


@pytest.mark.parametrize("kind", [(), ("answer.kind=json", "answer.schema={type: object, properties: {a: {}}}")])
def test_shares_of_what_is_no_label_are_refused_as_labels_before_anything_is_sent(
    project: InProcess, server: ScriptedServer, kind: tuple[str, ...]
) -> None:
    """Each row would name other shares, and a column has one type."""
    words = (*LINE, *kind, "answers_per_question=2")
    for command in ((), ("plan",)):
        refused = project.run(*command, *words, "formats=[messages,labels]")
        assert (refused.status, server.count) == (2, 0), refused.stderr
        assert "say answer.kind=label, or leave labels out of formats" in refused.stderr
    server.plan = said(['{"a": 1}', '{"a": 2}'])
    assert project.run(*words).status == 0
    before = project.bytes()
    assert project.raw("export", "sports", "formats=[labels]").status == 2
    assert project.bytes() == before
