"""What decides what a build leaves on disk, beside the responses: the parts that need no prompts and no weights."""

from distill_build.engine.manifest import digest
from distill_build.records import JsonObject
from distill_build.settings import FormatSettings, Settings

ROWS_VERSION = 5
"""Version of the form of the rows: raise it when a stage changes what a line holds."""


def build_digest(recipe: JsonObject, until: str, generation: str) -> str:
    """All that goes into a build; the cache's `generation` stands for the responses."""
    return digest([ROWS_VERSION, recipe, until, generation])


def tree_identity(settings: Settings) -> JsonObject:
    """The settings that say which tags are wanted."""
    return {
        "topic": settings.topic,
        "breadth": [settings.breadth_at(level) for level in range(1, settings.depth + 1)],
    }


def export_identity(settings: Settings) -> JsonObject:
    """The settings that reach exports."""
    return {
        "formats": list(settings.formats),
        "reasoning": settings.format.reasoning,
        "metadata": settings.format.metadata,
        **({"csv_bom": True} if settings.format.csv_bom else {}),  # locks from before there was one say nothing
        "system_prompt": settings.system_prompt,
        "rows": export_rows(settings),
    }


def export_layout(identity: JsonObject) -> FormatSettings:
    """How `export_identity` says that rows are laid out."""
    return FormatSettings(
        reasoning=identity["reasoning"], metadata=identity["metadata"], csv_bom=identity.get("csv_bom", False)
    )


def export_rows(settings: Settings) -> JsonObject:
    """Which stage feeds the exports, and how its rows become training rows: the last one in force that says so."""
    for name in reversed(settings.stages):
        if (export := settings.stage[name].export) is not None:
            return {"stage": name, **export}
    return {}
