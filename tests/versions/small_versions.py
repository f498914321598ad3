"""Small versions of a dataset, written as files from a tree of labels: no model, no cache."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from distill_build.builds.assembly import encode_rows
from distill_build.records import Usage
from distill_build.versions.content import FolderContent
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
