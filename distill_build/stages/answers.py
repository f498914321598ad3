"""Answers: the request for one answer with its reasoning, and what is kept of the reply."""

from typing import Any

from distill_build.calls.call import Call
from distill_build.records import Answer, JsonObject, Path, Question, Usage
from distill_build.replies.parse import Rejection, parse_answer
from distill_build.settings import Settings
from distill_build.stages.recipe import Recipe


def request(recipe: Recipe, settings: Settings, path: Path, question: str, sample: int) -> Call:
    """Asks for answer number `sample` to `question`."""
    messages = recipe.prompts.render(
        "answers",
        topic=path[0],
        path=list(path),
        question=question,
        system_prompt=settings.system_prompt,
        examples=recipe.model.examples,
    )
    return recipe.call(path, messages, sample, read)


def read(raw: Any) -> Rejection | JsonObject:
    """What is kept of a reply: reasoning, answer, finish reason and usage."""
    parsed = parse_answer(raw)
    if isinstance(parsed, Rejection):
        return parsed
    return {
        "reasoning": parsed.reasoning,
        "answer": parsed.answer,
        "finish_reason": parsed.finish_reason,
        "usage": parsed.usage.row(),
    }


def decode(question: Question, sample: int, call: str, model: str, kept: JsonObject) -> Answer:
    """The answer from what was kept of its reply; `call` is the key, `model` the name that was asked."""
    return Answer(
        question=question,
        sample=sample,
        reasoning=kept["reasoning"],
        answer=kept["answer"],
        model=model,
        finish_reason=kept["finish_reason"],
        usage=Usage(**kept["usage"]),
        call=call,
    )
