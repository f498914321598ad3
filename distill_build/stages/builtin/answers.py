"""Answers: the teacher's reply to each question, with its chain of thought: in free text, a label, or JSON."""

from collections.abc import Mapping
from typing import ClassVar

from distill_build.dataset.unit import Place
from distill_build.records import JsonObject
from distill_build.stages.kinds.answering import KIND, LABELS, SCHEMA, AnsweringStage


class Builtin(AnsweringStage):
    variables_of = AnsweringStage.variables_of | {"question"}
    above_column = "question_id"
    takes_given = True
    place_columns = ("question_id", "tag")
    takes_over: ClassVar[Mapping[str, str]] = {"question": "question"}
    reads = frozenset({"question"})
    followers: ClassVar[Mapping[str, str]] = {
        "answers_per_question": "samples",
        "system_prompt": "system_prompt",
        "answer.kind": KIND,
        "answer.labels": LABELS,
        "answer.schema": SCHEMA,
    }

    def variables(self, row: JsonObject, others: JsonObject) -> JsonObject:
        return super().variables(row, others) | {"question": row["question"]}

    def head(self, place: Place, above: JsonObject) -> JsonObject:
        return {"question_id": above["id"], "tag": place.of_tag, "path": list(place.path)}
