"""Questions: a list below each leaf of the tree, which the student asks."""

from distill_build.records import JsonObject, Path, row_id
from distill_build.replies.lists import ListReading
from distill_build.stages.base import ListStage, Place


def reading() -> ListReading:
    """How a list of questions is read."""
    from distill_build.stages.list_readings import QUESTIONS

    return QUESTIONS


class Builtin(ListStage):
    tokens_per_item = 25.0
    above_column = "tag"
    reading = staticmethod(reading)

    def line(self, place: Place, index: int, item: str) -> JsonObject:
        key = row_id(self.shape.prefix, place.tag, item)
        return {"id": key, "tag": place.tag, "path": list(place.path), "index": index, "question": item}

    def variables(self, path: Path) -> JsonObject:
        return {"tag": path[-1]}
