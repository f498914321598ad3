"""A project with stages of its own, one of each kind that a user may have, and the server that answers for it.

    answers ─ scores ─ (good: a threshold) ─┬ translate, exported: sees what good keeps
                                            └ best, for each question

The server's lists depend on the place alone. A question says its level, which is the score of each answer to it: with
three questions a leaf the scores are 2, 3 and 4.
"""

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e.test_only_what_is_affected import items_at, place_of
from tests.server import Body, Fault, classify, content

OWN = ("translate", "scores", "good", "best")
STAGES = "stages=[tags,questions,dedup,answers,scores,good,translate,best]"
LINE = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=3", STAGES)
PRICES = ("model.prices.prompt=1", "model.prices.completion=2")
COUNTS = {"tags": 1, "questions": 2, "answers": 6, "scores": 6, "translate": 4}
"""Requests of a build from nothing."""
LEVELS = (2, 3, 4, 5, 1)
WHERE = "rows.scores.score >= 3 and rows.answers.reasoning"
SCHEMAS: dict[str, dict[str, Any]] = {
    "translate": {"translation": {"type": "string"}},
    "scores": {"score": {"type": "integer", "minimum": 1, "maximum": 5}, "reason": {"type": "string"}},
}
FILES: dict[str, dict[str, Any]] = {
    "translate": {
        "kind": "map", "after": "answers", "role": "translator", "prompt": "translate",
        "export": {
            "question": "rows.questions.question", "reasoning": "rows.answers.reasoning", "answer": "row.translation",
        },
    },
    "scores": {"kind": "map", "after": "answers", "role": "judge", "prompt": "scores"},
    "good": {"kind": "transform", "after": "scores", "where": WHERE},
    "best": {
        "kind": "group", "after": "scores", "by": "questions",
        "columns": {"score": "rows.scores | map(attribute='score') | max", "judged": "rows.scores | length"},
    },
}  # fmt: skip
PROMPTS = {
    "translate": "Translate into French: {{ row.answer }}",
    "scores": 'Rate this answer to "{{ rows.questions.question }}": {{ row.answer }}',
}


def write_stage(root: Path, name: str, **changed: Any) -> None:
    """The file of a stage, with some settings changed; None leaves one out."""
    stage = {**FILES.get(name, {}), **changed}
    if name in SCHEMAS and "schema" not in changed:
        stage["schema"] = {"type": "object", "properties": SCHEMAS[name], "required": list(SCHEMAS[name])}
    file = root / f"conf/stage/{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({key: value for key, value in stage.items() if value is not None}))


def write_prompt(root: Path, name: str, text: str) -> None:
    """A prompt of one message."""
    file = root / f"prompts/en/{name}.jinja"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'{{% call message("user") %}}\n{text}\n{{% endcall %}}\n')


def write_project(root: Path) -> None:
    """All of the project's files."""
    for name in OWN:
        write_stage(root, name)
    for name, text in PROMPTS.items():
        write_prompt(root, name, text)
    (root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")


def reply(_: int, body: Body) -> Fault | None:
    """Lists by place alone, scores by the level that the question says; all else as the server does."""
    kind = classify(body)
    if kind == "scores":
        level = re.search(r"at level (\d)", body["messages"][-1]["content"])
        assert level is not None
        return content(json.dumps({"score": int(level[1]), "reason": "It is as good as its question."}))
    if kind not in ("tags", "questions"):
        return None
    items = items_at(kind, place_of(body))
    if kind == "questions":
        items = [f"{item.removesuffix('?')} at level {level}?" for item, level in zip(items, LEVELS, strict=True)]
    return content(json.dumps({kind: items}))
