"""Small versions of a dataset, written as files from a tree of labels: no model, no cache."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from distill_build.builds.assembly import encode_rows
from distill_build.graph import Graph
from distill_build.records import JsonObject, Usage, row_id
from distill_build.stages.default import DEFAULT
from distill_build.versions.content import FolderContent
from distill_build.versions.difference_rows import VersionRows
from tests.made_rows import Answer, Question, Tag, dedup_row, question_id, tag_id

Shape = Mapping[str, "Shape | list[str]"]
"""Label → what is below the tag, or the questions of a leaf."""
Texts = tuple[str | None, str]


def texts(question: str, sample: int) -> Texts:
    """Reasoning and answer by the question alone, so that the same question has the same ones anywhere."""
    return f"Think of {question}", f"Answer {sample} to {question}"


def write_version(
    folder: Path,
    shape: Shape,
    answer: Callable[[str, int], Texts] = texts,
    *,
    topic: str = "sports",
    samples: int = 1,
    call: str = "c",
) -> FolderContent:
    """The files of a version with the tags and questions of `shape`, and `samples` answers to each question."""
    folder.mkdir(parents=True)
    tags = list(_tags(shape, (topic,), None))
    questions = [
        Question(question_id(tag.id, text), tag.id, tag.path, index, text)
        for tag, texts_of in tags
        for index, text in enumerate(texts_of)
    ]
    answers = [
        Answer(question, sample, *answer(question.question, sample), "teacher-1", "stop", Usage(1, 2, 0), call * 64)
        for question in questions
        for sample in range(samples)
    ]
    (folder / "tags.jsonl").write_bytes(encode_rows([tag.row() for tag, _ in tags]))
    (folder / "questions.jsonl").write_bytes(encode_rows([question.row() for question in questions]))
    (folder / "dedup.jsonl").write_bytes(encode_rows([dedup_row(question) for question in questions]))
    (folder / "answers.jsonl").write_bytes(encode_rows([each.row() for each in answers]))
    return FolderContent(folder)


def _tags(shape: Shape, above: tuple[str, ...], parent: str | None) -> Iterator[tuple[Tag, list[str]]]:
    for number, (label, below) in enumerate(shape.items(), start=1):
        key = tag_id(parent or above[0], label)
        leaf = isinstance(below, list)
        yield (
            Tag(key, (*above, label), str(number), label, parent, len(above), leaf),
            below if isinstance(below, list) else [],
        )
        if not isinstance(below, list):
            yield from _tags(below, (*above, label), key)


MORE = Graph.parse(
    {
        **DEFAULT.described(),
        "translate": "translate: map of answers",
        "scores": "scores: map of translate",
        "good": "good: transform of scores",
        "votes": "votes: group of answers by questions",
    }
)


def more(folder: Path, shape: Shape, graph: Graph = MORE, **values: Callable[[str], JsonObject]) -> VersionRows:
    """A version with a translation of each answer, its score, a verdict on that, and a vote for each question.

    `values` give the content of a stage's rows by the question far above.
    """
    write_version(folder, shape)
    content = {
        "translate": lambda question: {"translation": f"T {question}"},
        "scores": lambda _: {"score": 4, "by": {"style": 4}},
        "good": lambda _: {"kept": True, "why": []},
        "votes": lambda _: {"label": "same", "shares": {"same": 1.0}},
    } | values
    rows: dict[str, list[JsonObject]] = {name: read(folder, name) for name in ("questions", "answers")}
    known = {row["id"]: row["question"] for row in rows["answers"]}
    for stage in (name for name in graph.names if name not in DEFAULT):
        made = rows[stage] = []
        for above in rows[graph[stage].parent or ""]:
            question = known.get(above["id"]) or above["question"]
            own = content[stage](question)
            key = row_id(stage, above["id"], *([0] if graph[stage].kind == "map" else []))
            place = {"parent": above["id"], "path": above.get("path", [])}
            match graph[stage].kind:
                case "map":
                    made.append({"id": key, **place, "sample": 0, **own, "model": "m", "call": "c" * 64})
                case "transform":
                    made.append({"id": above["id"], **own})
                case _:
                    made.append({"id": key, **place, **own})
            known[key] = question
        (folder / f"{stage}.jsonl").write_bytes(encode_rows(made))
    return VersionRows(FolderContent(folder), graph)


def read(folder: Path, stage: str) -> list[JsonObject]:
    return [json.loads(line) for line in (folder / f"{stage}.jsonl").read_text().splitlines()]
