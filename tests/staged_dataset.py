"""A small built dataset with stages of a user's own, written with the functions that a build writes with.

    tags ─ questions ─ dedup (drops one) ─ answers ─ translate (two samples)
         └ summary                                 └ votes, for each question

The tags and questions are those of `small_dataset`; every question that is kept has two answers.
"""

from pathlib import Path

from distill_build.builds.assembly import encode_rows
from distill_build.dataset.layout import Dataset
from distill_build.engine.entry import response_digest
from distill_build.graph import Graph
from distill_build.records import JsonObject, row_id
from tests.small_dataset import questions, tags, write_state

GRAPH = Graph.parse(
    {
        "tags": "t: list",
        "questions": "q: list of tags",
        "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
        "translate": "translate: map of answers",
        "votes": "votes: group of answers by questions",
        "summary": "summary: map of tags",
    }
)
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "reasoning_tokens": 0}
RECIPE = {"dedup": {"near": None}, "votes": {"columns": {"label": "row.answer"}}, "export": {}}


def asked(call: str) -> JsonObject:
    """The last columns of every row of a map; `call` is a key's first letter."""
    return {"model": "teacher-1", "finish_reason": "stop", "usage": USAGE, "call": call * 64}


def dropped() -> str:
    """The id of the question that is dropped: the last but one."""
    return questions()[-2].id


def rows() -> dict[str, list[JsonObject]]:
    """The rows of each stage."""
    asking = [question.row() for question in questions()]
    kept = [row for row in asking if row["id"] != dropped()]
    answers = [
        {
            "id": row_id("a", row["id"], sample), "question_id": row["id"], "tag": row["tag"], "path": row["path"],
            "sample": sample, "question": row["question"], "reasoning": "Hm." if sample else None,
            "answer": f"Answer {sample} to {row['question']}", **asked("c"),
        }
        for row in kept
        for sample in (0, 1)
    ]  # fmt: skip
    translated = [
        {
            "id": row_id("translate", row["id"], 0), "parent": row["id"], "path": row["path"], "sample": 0,
            "translation": f"译 {row['answer']}", "notes": "none", **asked("d"),
        }
        for row in answers
    ]  # fmt: skip
    return {
        "tags": [tag.row() for tag in tags()],
        "questions": asking,
        "dedup": [
            {"id": row["id"], "kept": True, "why": [], "same_as": None}
            if row["id"] != dropped()
            else {"id": row["id"], "kept": False, "why": ["the same as an earlier one"], "same_as": asking[0]["id"]}
            for row in asking
        ],
        "answers": answers,
        "translate": translated,
        "votes": [
            {"id": row_id("votes", row["id"]), "parent": row["id"], "path": row["path"], "verdict": "yes"}
            for row in kept
        ],
        "summary": [
            {
                "id": row_id("summary", tag.id, 0), "parent": tag.id, "path": list(tag.path), "sample": 0,
                "summary": f"About {tag.label}", **asked("e"),
            }
            for tag in tags()
        ],
    }  # fmt: skip


def write_staged(folder: Path) -> Dataset:
    """Writes the files with a state that tells their stages, and the sources of all rows."""
    folder.mkdir(parents=True)
    made = rows()
    for name, lines in made.items():
        (folder / f"{name}.jsonl").write_bytes(encode_rows(lines))
    dataset = Dataset(folder)
    state = write_state(dataset, RECIPE, graph=GRAPH, counts={name: len(lines) for name, lines in made.items()})
    assert state.graph.names == GRAPH.names
    places = {"sports": {}} | {tag.id: {} for tag in tags()}
    for name in ("answers", "translate", "summary"):
        for row in made[name]:
            tag = next(each.id for each in tags() if list(each.path) == row["path"])
            places[tag].setdefault(name, []).append((row["call"], response_digest({"of": row["id"]})))
    (folder / "runs/sources.jsonl").write_bytes(
        encode_rows([{"id": key, "calls": calls} for key, calls in places.items()])
    )
    return dataset
