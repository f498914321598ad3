"""A server that answers, judges, attempts and grades by what a question says, for tests of the stages of quality.

Lists depend on the place alone. The question says the level of its answer, which is its score, and so how often the
student is right; an answer has as many words as its question's level asks for.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.e2e.test_only_what_is_affected import InProcess, items_at, place_of
from tests.server import Body, Fault, classify, content

LEVELS = (2, 3, 4, 5, 1)
JUDGED = "stages=[tags,questions,dedup,answers,scores,filter]"
LINE = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=3")
TRANSLATE = {
    "kind": "map",
    "after": "answers",
    "role": "translator",
    "schema": {"type": "object", "properties": {"translation": {"type": "string"}}, "required": ["translation"]},
}
Plan = Callable[[int, Body], Fault | None]


def level_of(body: Body) -> int:
    """The level that the question of a request says."""
    texts = [found for each in body["messages"] for found in re.findall(r"at level (\d)", each["content"])]
    return int(texts[-1])


def judgement(score: Any, **more: Any) -> Fault:
    """A judge's reply."""
    by = dict.fromkeys(("correct", "complete", "clear", "sound"), 3)
    return content(json.dumps({"reason": "As good as its question.", "by": by, "score": score, **more}))


def reply(_: int, body: Body) -> Fault | None:
    """Scores of 2, 3 and 4 for three questions of a leaf; at level 3 and above the student is right."""
    kind = classify(body)
    if kind == "scores":
        return judgement(level_of(body))
    if kind == "grades":
        return content(json.dumps({"reason": "Compared.", "agrees": level_of(body) >= 3}))
    if kind not in ("tags", "questions"):
        return None
    items = items_at(kind, place_of(body))
    if kind == "questions":
        items = [f"{item.removesuffix('?')} at level {level}?" for item, level in zip(items, LEVELS, strict=True)]
    return content(json.dumps({kind: items}))


def asked(project: InProcess, *words: str, status: int = 0) -> dict[str, int]:
    """Builds, holds what was sent against the plan of it, and says what was sent."""
    assert project.server is not None
    planned = project.run("plan", *LINE, *words, "--json").document
    project.server.reset()
    done = project.run(*LINE, *words)
    assert done.status == status, done.stderr
    sent = dict(project.server.kinds)
    if planned["exact"]:
        assert planned["calls"] == project.server.count, planned["stages"]
    return sent


def kept(project: InProcess, stage: str) -> list[bool]:
    """What a transform says of each row."""
    return [row["kept"] for row in project.rows(stage)]


def own_stage(
    project: InProcess, name: str, settings: dict[str, Any], text: str = "Translate: {{ row.answer }}"
) -> None:
    """Gives a project a stage of its own, and its prompt."""
    for folder in ("conf/stage", "prompts/en"):
        (project.root / folder).mkdir(parents=True)
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    (project.root / f"conf/stage/{name}.yaml").write_text(json.dumps(settings))
    prompt = f'{{% call message("user") %}}{text}{{% endcall %}}'
    (project.root / f"prompts/en/{name}.jinja").write_text(prompt)
