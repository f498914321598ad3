"""Questions: the request for more questions of a leaf tag."""

from distill_build.calls.call import Call
from distill_build.records import Path
from distill_build.replies.parse import parse_items, response_format
from distill_build.settings import Settings
from distill_build.stages.recipe import Recipe


def request(recipe: Recipe, settings: Settings, path: Path, existing: list[str], sample: int) -> Call:
    """Asks for `per_request.questions` more questions about the leaf at `path`, given the ones so far."""
    count, model = settings.per_request.questions, recipe.model
    messages = recipe.prompts.render(
        "questions",
        topic=path[0],
        path=list(path),
        tag=path[-1],
        existing=existing,
        count=count,
        structured=model.structured,
        examples=model.examples,
    )
    schema = response_format("questions", count, model.structured)
    return recipe.call(path, messages, sample, lambda raw: parse_items(raw, "questions"), schema)
