"""Answers: the teacher's reply to each question, with its chain of thought."""

from collections.abc import Mapping
from typing import ClassVar

from distill_build.dataset.unit import Place
from distill_build.records import JsonObject
from distill_build.stages.kinds.map_stage import MapStage


class Builtin(MapStage):
    variables_of = MapStage.variables_of | {"question"}
    above_column = "question_id"
    takes_given = True
    place_columns = ("question_id", "tag")
    takes_over = ("question",)
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {"answers_per_question": "samples", "system_prompt": "system_prompt"}

    def variables(self, row: JsonObject) -> JsonObject:
        return {"question": row["question"]}

    def head(self, place: Place, above: JsonObject) -> JsonObject:
        return {"question_id": above["id"], "tag": place.of_tag, "path": list(place.path)}
