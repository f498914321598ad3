"""Tags: the request for more tags below a parent. What a reply means is in `parse`, what becomes of it in `chain`."""

from distill_build.calls.call import Call
from distill_build.records import Path
from distill_build.replies.parse import parse_items, response_format
from distill_build.settings import Settings
from distill_build.stages.recipe import Recipe


def request(recipe: Recipe, settings: Settings, path: Path, existing: list[str], sample: int) -> Call:
    """Asks for `per_request.tags` more tags below `path`, given the ones so far."""
    count, model = settings.per_request.tags, recipe.model
    messages = recipe.prompts.render(
        "tags",
        topic=path[0],
        path=list(path),
        parent=path[-1],
        level=len(path),
        existing=existing,
        count=count,
        structured=model.structured,
        examples=model.examples,
    )
    schema = response_format("tags", count, model.structured)
    return recipe.call(path, messages, sample, lambda raw: parse_items(raw, "tags"), schema)
