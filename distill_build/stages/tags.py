"""Tags: the request for more tags below a parent. What a reply means is in `parse`, what becomes of it in `chain`."""

from typing import Any

from distill_build.records import Path
from distill_build.replies.parse import Rejection, parse_items, response_format
from distill_build.settings import Settings
from distill_build.stages.list_readings import TAGS
from distill_build.stages.recipe import Call, Recipe


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
    return recipe.call(path, messages, sample, read, schema)


def read(raw: Any) -> Rejection | tuple[str, ...]:
    """The tags of a reply."""
    parsed = parse_items(raw, TAGS)
    return parsed if isinstance(parsed, Rejection) else parsed.items
