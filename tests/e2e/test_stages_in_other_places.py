"""Stages of a user's own in places and forms that ours do not have."""

import json
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
