"""`show ID`: prints one tag, question or answer with everything recorded of it."""

import json
from collections import Counter
from collections.abc import Iterator

import msgspec

from distill_build.artefact_rows import FailureRow, OfQuestion, OfTag, read_rows
from distill_build.commands.item import find_item
from distill_build.commands.locate import find_dataset
from distill_build.commands.lookup import Found, rows_where
from distill_build.commands.tag_tree import load_tree
from distill_build.console.page import HANG, Line, print_lines
from distill_build.options import Options
from distill_build.records import JsonObject, number_of
from distill_build.stages.dataset import FAILURES, Dataset


def run(options: Options) -> int:
    """Prints the item whose id, or the beginning of it, is the first of the arguments."""
    wanted, *name = options.arguments
    dataset = find_dataset(options, *name)
    with find_item(options, dataset, wanted) as item:
        shown = DOCUMENTS[item.found.kind](item.files, item.found)
    if options.json:
        print(json.dumps({**shown, "from_version": item.from_version}, ensure_ascii=False, indent=2))
    else:
        print_lines([*item.note(options, dataset), *TEXTS[item.found.kind](shown)])
    return 0


def tag_document(dataset: Dataset, found: Found) -> JsonObject:
    """A tag's row, what is below it, and what is missing at its place."""
    key = found.row["id"]
    tree = load_tree(dataset)
    node = tree.nodes[key]
    counts = {"tags": node.tags, "questions": node.questions, "answers": node.answers}
    children = [child.tag for child in node.children if child.tag is not None]
    answers = read_rows(dataset.artefact("answers.jsonl"), OfQuestion) if node.answers else iter(())
    answered = Counter(row.question_id for row in answers if row.tag == key)
    questions = rows_where(dataset, "question", OfTag, "tag", key) if node.questions else iter(())
    return {
        "kind": "tag",
        "tag": found.row,
        "counts": {name: counts[name] for name in tree.reached},
        "missing": node.missing,
        "children": [{"id": tag.id, "number": tag.number, "label": tag.label} for tag in children],
        "questions": [
            {"id": row["id"], "question": row["question"], "answers": answered[row["id"]]} for row in questions
        ],
        "failures": msgspec.to_builtins(node.failures),
    }


def question_document(dataset: Dataset, found: Found) -> JsonObject:
    """A question's row, its answers, and why some are missing."""
    key = found.row["id"]
    failures = read_rows(dataset.artefact(FAILURES), FailureRow)
    return {
        "kind": "question",
        "question": found.row,
        "answers": list(rows_where(dataset, "answer", OfQuestion, "question_id", key)),
        "failures": msgspec.to_builtins([row for row in failures if row.question_id == key]),
    }


def answer_document(dataset: Dataset, found: Found) -> JsonObject:  # noqa: ARG001 - as the other two are called
    """An answer's row, which holds all that is recorded of it in the dataset."""
    return {"kind": "answer", "answer": found.row}


DOCUMENTS = {"tag": tag_document, "question": question_document, "answer": answer_document}


def tag_text(shown: JsonObject) -> Iterator[str | Line]:
    """For people."""
    tag = shown["tag"]
    counts = ", ".join(f"{count} {name}" for name, count in shown["counts"].items())
    yield from _facts(tag=tag["id"], number=tag["number"], path=_path(tag), level=tag["level"], parent=tag["parent"])
    yield from _facts(leaf="yes" if tag["leaf"] else "no", below=counts)
    yield from _failures(shown)
    if shown["children"]:
        yield from ("", "Tags")
    yield from (f"  {child['id']}  {child['number']} {child['label']}" for child in shown["children"])
    if shown["questions"]:
        yield from ("", "Questions, with the number of their answers")
    yield from (f"  {row['id']}  {row['answers']:>3}  {_line(row['question'])}" for row in shown["questions"])


def question_text(shown: JsonObject) -> Iterator[str | Line]:
    """For people."""
    question = shown["question"]
    yield from _facts(question=question["id"], path=_path(question), tag=question["tag"], index=question["index"])
    yield from _failures(shown)
    yield from ("", question["question"])
    for answer in shown["answers"]:
        yield from ("", f"Answer {answer['sample']}  {answer['id']}", *_texts(answer))


def answer_text(shown: JsonObject) -> Iterator[str | Line]:
    """For people."""
    answer = shown["answer"]
    usage = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in answer["usage"].items())
    yield from _facts(answer=answer["id"], path=_path(answer), tag=answer["tag"], question=answer["question_id"])
    yield from _facts(sample=answer["sample"], model=answer["model"], finish=answer["finish_reason"], usage=usage)
    yield from _facts(call=answer["call"])
    yield from ("", "Question", "", answer["question"], *_texts(answer))


TEXTS = {"tag": tag_text, "question": question_text, "answer": answer_text}


def _texts(answer: JsonObject) -> list[str]:
    if answer["reasoning"] is None:
        return ["", answer["answer"]]
    return ["", "<think>", answer["reasoning"], "</think>", "", answer["answer"]]


def _facts(**facts: object) -> Iterator[Line]:
    for name, value in facts.items():
        yield (f"{name:<9} ", "plain"), HANG, ("–" if value is None else str(value), "plain")


def _failures(shown: JsonObject) -> Iterator[Line]:
    for row in shown["failures"]:
        items, tries = number_of(row["missing"], row["stage"]), number_of(row["attempts"], "attempts")
        yield from _facts(missing=f"{items} after {tries}: {row['cause']}, {row['detail']}")


def _path(row: JsonObject) -> str:
    return " / ".join(row["path"])


def _line(text: str) -> str:
    return " ".join(text.split())
