"""Tags: a topic's tree, grown level by level; each request carries the whole path."""

from distill_build.records import JsonObject, Path
from distill_build.replies.lists import ListReading
from distill_build.stages.base import ListStage


def reading() -> ListReading:
    """How a list of tags is read."""
    from distill_build.stages.list_readings import TAGS

    return TAGS


class Builtin(ListStage):
    tokens_per_item = 8.0
    reading = staticmethod(reading)

    def variables(self, path: Path) -> JsonObject:
        return {"parent": path[-1], "level": len(path)}
