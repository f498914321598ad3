"""Stages of a user's own in places and forms that ours do not have."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, content, schema_of

SMALL = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=2")
LEAVES = 3
GOOD = "kind: transform\nafter: questions\nwhere: row.index == 0\n"
RATE = """kind: map
after: answers
role: [one, two]
samples: 2
prompt: rate
schema: {type: object, properties: {score: {type: integer}}, required: [score]}
"""
RATE_PROMPT = '{% call message("user") %}Rate this: {{ row.answer }}{% endcall %}\n'


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    for folder in ("conf/stage", "prompts/en"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    return InProcess(tmp_path, server)


def test_leaves_that_are_taken_over_are_judged_as_before(project: InProcess, server: ScriptedServer) -> None:
    """Dedup looks at them again with what a transform before it has said of their rows."""
    (project.root / "conf/stage/good.yaml").write_text(GOOD)
    words = (*SMALL, "stages=[tags,questions,good,dedup,answers]")
    assert project.run(*words).status == 0
    verdicts = project.rows("dedup")
    assert len(verdicts) == LEAVES
    server.reset()
    assert project.run(*words, "teacher.temperature=0.5").status == 0
    assert project.rows("dedup") == verdicts
    assert server.kinds == {"answers": LEAVES}


def score(_: int, body: Body) -> Fault | None:
    return content('{"score": 3}') if "score" in json.dumps(schema_of(body)) else None


def test_two_judges_who_would_be_sent_the_same_are_refused(project: InProcess, server: ScriptedServer) -> None:
    (project.root / "conf/stage/rate.yaml").write_text(RATE)
    (project.root / "prompts/en/rate.jinja").write_text(RATE_PROMPT)
    server.reset()
    for more in ((), ("two.prices.prompt=1", "two.limits.concurrency=2", "two.stream=true")):
        refused = project.run(*SMALL, "stages=[tags,questions,dedup,answers,rate]", *more)
        assert refused.status == 2, refused.stderr
        assert "stage.rate.role: one and two would be sent the same requests" in refused.stderr
        assert "two.temperature" in refused.stderr
        assert "stage.rate.samples=2" in refused.stderr
    assert server.kinds == {}


def test_the_rows_of_several_judges_are_what_verify_expects(project: InProcess, server: ScriptedServer) -> None:
    server.plan = score
    (project.root / "conf/stage/rate.yaml").write_text(RATE)
    (project.root / "prompts/en/rate.jinja").write_text(RATE_PROMPT)
    done = project.run(*SMALL, "breadth=1", "stages=[tags,questions,dedup,answers,rate]", "two.name=another")
    assert done.status == 0, done.stderr
    rated = [(row["role"], row["sample"]) for row in project.rows("rate")[:4]]
    assert rated == [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    verified = project.raw("verify")
    assert verified.status == 0, verified.stdout


SCORES = """kind: map
after: AFTER
role: judge
prompt: scores
SAMPLES
schema: {type: object, properties: {score: {type: integer}}, required: [score]}
"""


def write(project: InProcess, name: str, stage: str, prompt: str = "") -> None:
    (project.root / f"conf/stage/{name}.yaml").write_text(stage)
    if prompt:
        text = f'{{% call message("user") %}}{prompt}{{% endcall %}}\n'
        (project.root / f"prompts/en/{name}.jinja").write_text(text)


def all_but_the_first() -> Callable[[int, Body], Fault | None]:
    """Scores, but none for whatever is asked first."""
    failed: list[str] = []

    def plan(_: int, body: Body) -> Fault | None:
        if "score" not in json.dumps(schema_of(body)):
            return None
        asked = json.dumps([body["messages"], body.get("seed")])
        if not failed:
            failed.append(asked)
        return content("none" if asked in failed else '{"score": 5}')

    return plan


@pytest.mark.parametrize("dedup", ["dedup,answers,scores,good", "answers,scores,good,dedup2"])
def test_what_depends_on_a_verdict_that_is_missing_is_not_exported(
    project: InProcess, server: ScriptedServer, dedup: str
) -> None:
    server.plan = all_but_the_first()
    write(project, "scores", SCORES.replace("AFTER", "answers").replace("SAMPLES\n", ""), "Rate {{ row.answer }}")
    write(project, "good", "kind: transform\nafter: scores\nwhere: row.score >= 4\n")
    write(project, "dedup2", "kind: transform\nafter: answers\nwhere: row.sample == 0\n")
    words = (*SMALL, f"stages=[tags,questions,{dedup}]", "judge.limits.reasks=0")
    assert project.run(*words).status == 1
    assert (len(project.rows("answers")), len(project.rows("good"))) == (6, 5)
    exported = (project.folder() / "dataset/train.messages.jsonl").read_text().splitlines()
    assert len(exported) == 5, "one is not decided"
    assert project.run("export", *words).status == 0
    assert (project.folder() / "dataset/train.messages.jsonl").read_text().splitlines() == exported


def test_a_barrier_does_not_forget_what_is_missing(project: InProcess, server: ScriptedServer) -> None:
    server.plan = all_but_the_first()
    write(project, "hard", SCORES.replace("AFTER", "questions").replace("SAMPLES", "samples: 2"), "{{ row.question }}")
    write(project, "mean", "kind: group\nafter: hard\nby: questions\ncolumns: {n: rows.hard | length}\n")
    write(project, "sure", "kind: transform\nafter: mean\nwhere: row.n == 2\n")
    (project.root / "prompts/en/hard.jinja").rename(project.root / "prompts/en/scores.jinja")
    words = (*SMALL, "breadth=1", "stages=[tags,questions,hard,dedup,mean,sure,answers]", "judge.limits.reasks=0")
    assert project.run(*words).status == 1
    assert [row["n"] for row in project.rows("mean")] == [2], "the other waits for what is missing"
    assert [row["kept"] for row in project.rows("sure")] == [True]
    assert len(project.rows("answers")) == 1


def test_a_plan_sees_what_comes_behind_a_group(project: InProcess) -> None:
    write(project, "best", "kind: group\nafter: answers\nby: questions\ncolumns: {n: rows.answers | length}\n")
    write(project, "polish", "kind: map\nafter: best\nrole: judge\nprompt: polish\n", "Polish {{ row.n }}")
    words = (*SMALL, "stages=[tags,questions,dedup,answers,best,polish]")
    assert project.run(*words, "--until", "questions").status == 0
    plan = project.run("plan", *words, "--json").document
    assert (plan["calls"], plan["exact"]) == (12, False)


def test_a_union_holds_what_lies_behind_each_sample(project: InProcess) -> None:
    write(project, "scores", SCORES.replace("AFTER", "answers").replace("SAMPLES\n", ""), "Rate {{ row.answer }}")
    words = (*SMALL, "stages=[tags,questions,dedup,answers,scores]", "answers_per_question=2")
    assert project.run(*words, "--until", "questions").status == 0
    union = project.run("plan", "-m", *words, "judge.temperature=0,0.5", "--json").document
    assert union["calls"] == 12 + 2 * 12


def test_rows_of_any_stage_are_exported_with_their_place(project: InProcess) -> None:
    export = "export: {question: row.first, answer: row.first}\n"
    columns = "columns: {first: 'rows.answers[0].answer'}\n"
    write(project, "best", "kind: group\nafter: answers\nby: questions\n" + columns + export)
    words = (*SMALL, "stages=[tags,questions,answers,best]")
    assert project.run(*words).status == 0
    lines = (project.folder() / "dataset/train.messages.jsonl").read_text().splitlines()
    places = [(each["question_id"], each["tag"]) for line in lines if (each := json.loads(line)["metadata"])]
    assert places == [(row["id"], row["tag"]) for row in project.rows("questions")]
    write(project, "best", "kind: group\nafter: answers\nby: questions\n" + columns + export.replace("row.f", "row.g"))
    refused = project.run("plan", *words)
    assert refused.status == 2
    assert "best has no column girst; it has id, parent, path, first" in refused.stderr


def test_stages_in_another_order_see_other_rows(project: InProcess, server: ScriptedServer) -> None:
    """Behind the questions a transform of tags keeps none of them from being asked."""
    write(project, "good", "kind: transform\nafter: tags\nwhere: row.number == '1'\n")
    assert project.run(*SMALL, "stages=[tags,good,questions]").status == 0
    assert len(project.rows("questions")) == 2
    server.reset()
    assert project.run(*SMALL, "stages=[tags,questions,good]").status == 0
    assert (len(project.rows("questions")), server.kinds) == (6, {"questions": LEAVES - 1})


@pytest.mark.parametrize("edited", [False, True])
def test_a_transform_drops_rows_where_another_stage_had_its_file(project: InProcess, edited: bool) -> None:
    write(project, "good", "kind: map\nafter: questions\nrole: judge\n", "{{ row.question }}")
    words = (*SMALL, "stages=[tags,questions,good]")
    assert project.run(*words).status == 0
    (project.root / "prompts/en/good.jinja").unlink()
    if edited:
        write(project, "good", "kind: transform\nafter: questions\nwhere: row.index == 1\n")
        assert project.run(*words).status == 0
        (project.folder() / "good.jsonl").write_text("mine\n")
    write(project, "good", GOOD)
    done = project.run(*words)
    assert done.status == 0, done.stderr
    assert [row["kept"] for row in project.rows("good")] == [True, False] * LEAVES


LABELLED = "export: {question: row.answer, answer: row.answer}\n"


@pytest.mark.parametrize("beside", ["", "tags", "questions"])
def test_a_group_by_tags_has_a_row_for_each_leaf(project: InProcess, beside: str) -> None:
    """A row of an inner tag would say that no question is below it. So it is with results for all tags beside it."""
    write(project, "sizes", "kind: group\nafter: questions\nby: tags\ncolumns: {n: rows.questions | length}\n")
    write(project, "hint", f"kind: map\nafter: {beside or 'sizes'}\nrole: judge\n{LABELLED}", "A hint for {{ row.id }}")
    stages = "tags,questions,hint,sizes" if beside else "tags,questions,sizes,hint"
    words = ("topic=sports", "depth=2", "breadth=[1,2]", "questions_per_tag=2", f"stages=[{stages}]")
    plan = project.run("plan", *words, "--json").document
    done = project.run(*words, "--json")
    assert (done.status, done.document["missing"]["sizes"], done.document["calls"]) == (0, 0, plan["calls"])
    leaves = {row["id"] for row in project.rows("tags") if row["leaf"]}
    assert {row["parent"]: row["n"] for row in project.rows("sizes")} == dict.fromkeys(leaves, 2)
    assert project.run("export", *words).status == 0


HINT = """kind: map
after: questions
role: judge
export: {question: rows.questions.question, answer: rows.seals | length}
"""


def test_an_export_may_name_rows_that_lie_below_others(project: InProcess) -> None:
    write(project, "seals", "kind: map\nafter: answers\nrole: judge\n", "Check {{ row.answer }}")
    write(project, "hint", HINT, "A hint for {{ row.question }}")
    assert project.run(*SMALL, "stages=[tags,questions,answers,seals,hint]").status == 0
    lines = (project.folder() / "dataset/train.messages.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages"][1]["content"] for line in lines] == ["1"] * 6


def test_the_lines_of_a_transform_are_those_of_the_rows_that_it_judged(project: InProcess) -> None:
    write(project, "good", GOOD)
    write(project, "fine", "kind: transform\nafter: questions\nwhere: 'true'\n")
    write(project, "sizes", "kind: group\nafter: questions\nby: tags\ncolumns: {n: rows.fine | length}\n")
    assert project.run(*SMALL, "stages=[tags,questions,good,fine,sizes]").status == 0
    assert (len(project.rows("fine")), [row["n"] for row in project.rows("sizes")]) == (LEAVES, [1] * LEAVES)


def sealed(text: str) -> Fault | None:
    """No seal for a second answer."""
    return content("none" if "Seal 1" in text else '{"score": 5}') if "Seal" in text else None


def test_what_is_missing_below_a_dropped_row_decides_nothing(project: InProcess, server: ScriptedServer) -> None:
    server.plan = lambda _, body: sealed(json.dumps(body["messages"]))
    write(project, "seals", SCORES.replace("AFTER", "answers").replace("SAMPLES\n", ""), "-")
    (project.root / "prompts/en/seals.jinja").unlink()
    (project.root / "prompts/en/scores.jinja").write_text(
        '{% call message("user") %}Seal {{ row.sample }}{% endcall %}\n'
    )
    write(project, "first", "kind: transform\nafter: answers\nwhere: row.sample == 0\n")
    write(project, "sizes", "kind: group\nafter: seals\nby: questions\ncolumns: {n: rows.seals | length}\n")
    words = (*SMALL, "answers_per_question=2", "stages=[tags,questions,answers,seals,first,sizes]")
    assert project.run(*words, "judge.limits.reasks=0").status == 1
    assert [row["n"] for row in project.rows("sizes")] == [1] * 6
