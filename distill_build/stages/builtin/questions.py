"""Questions: a list below each leaf of the tree, which the student asks."""

from collections.abc import Mapping, Sequence

from distill_build.dataset.unit import Place
from distill_build.prompting.known import NUMBER, TEXT, TEXTS, Known
from distill_build.records import JsonObject, Path, row_id
from distill_build.replies.labels import ListReading
from distill_build.settings import StageSettings
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

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        return {"id": TEXT, "tag": TEXT, "path": TEXTS, "index": NUMBER, "question": TEXT}

    def line(self, place: Place, index: int, item: str) -> JsonObject:
        key = row_id(self.shape.prefix, place.tag, item)
        return {"id": key, "tag": place.tag, "path": list(place.path), "index": index, "question": item}

    def elsewhere(self, earlier: Sequence[Sequence[str]]) -> list[str]:
        """Of the leaf alone: a changed label further up would ask for the questions of whole branches again."""
        return super().elsewhere(earlier[-1:])

    def variables(self, path: Path) -> JsonObject:
        return {"tag": path[-1]}
