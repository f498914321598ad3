"""Settings made by hand: what the packed conf/ composes to, without Hydra, each role with one model."""

from typing import Any

from distill_build.models.base import Limits, ModelSettings
from distill_build.settings import PerRequest, Settings, StageSettings
from distill_build.stages.builtin.dedup import DedupSettings
from distill_build.stages.builtin.questions import QuestionsSettings
from distill_build.stages.kinds.answering import AnsweringSettings


def made_settings(model: ModelSettings, **changes: Any) -> Settings:
    """Settings of our own stages; `changes` name settings, or a role that has a model of its own."""
    roles = {role: changes.pop(role, model) for role in ("tagger", "student", "teacher")}
    given: dict[str, Any] = {"topic": "sports", "name": "sports", "limits": Limits()} | changes
    plain = Settings(
        stages=[], stage={}, models={}, **{key: given[key] for key in given if key not in ("stages", "stage")}
    )
    stages = own_stages(plain) | given.get("stage", {})
    names = given.get("stages", list(own_stages(plain)))
    return Settings(**given | {"stages": names, "stage": {name: stages[name] for name in names}, "models": roles})


def own_stages(settings: Settings) -> dict[str, StageSettings]:
    """Ours, as conf/stage/ says them and other settings reach them."""
    per_request: PerRequest = settings.per_request
    return {
        "tags": StageSettings(
            kind="list", builtin="tags", ids="t", role="tagger", prompt="tags",
            wanted=settings.breadth, per_request=per_request.tags,
            names={"wanted": "breadth", "per_request": "per_request.tags"},
        ),
        "questions": QuestionsSettings(
            kind="list", builtin="questions", ids="q", after="tags", role="student", prompt="questions",
            wanted=settings.questions_per_tag, per_request=per_request.questions,
            axes=settings.axes,
            names={"wanted": "questions_per_tag", "per_request": "per_request.questions", "axes": "axes"},
        ),
        "dedup": DedupSettings(
            kind="transform", builtin="dedup", after="questions",
            names={"near": "dedup.near", "likeness": "dedup.by", "refill": "dedup.refill"},
        ),
        "answers": AnsweringSettings(
            kind="map", builtin="answers", ids="a", after="questions", role="teacher", prompt="answers",
            samples=settings.answers_per_question, system_prompt=settings.system_prompt,
            export={"question": "row.question", "reasoning": "row.reasoning", "answer": "row.answer"},
            names={
                "samples": "answers_per_question", "system_prompt": "system_prompt", "answer_kind": "answer.kind",
                "labels": "answer.labels", "answer_schema": "answer.schema",
            },
        ),
    }  # fmt: skip
