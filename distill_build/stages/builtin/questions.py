"""Questions: a list below each leaf of the tree, which the student asks."""

from distill_build.dataset.unit import Place
from distill_build.records import JsonObject, Path, row_id
from distill_build.replies.labels import ListReading
from distill_build.stages.base import ListStage


class Builtin(ListStage):
    variables_of = ListStage.variables_of | {"tag"}
    reading = ListReading(
        name="questions",
        item="question",
        other_names=("prompts", "instructions"),
        text_names=("question", "q"),
        shortest=10,
        shortest_cjk=4,
    )

    def line(self, place: Place, index: int, item: str) -> JsonObject:
        key = row_id(self.shape.prefix, place.tag, item)
        return {"id": key, "tag": place.tag, "path": list(place.path), "index": index, "question": item}

    def variables(self, path: Path) -> JsonObject:
        return {"tag": path[-1]}
