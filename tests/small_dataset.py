"""A small built dataset, written with the functions that a build writes with: no model, no cache.

sports ─ Team 团队 (1) ─ Football (1.1), Handball (1.2)
       └ Chess (2)     ─ Openings (2.1)

Every leaf has two questions and each question one answer; but Handball's second question has no answer, and Openings
lacks a question.
"""

from pathlib import Path
from typing import Any

from distill_build.builds.assembly import encode_rows, failure_rows
from distill_build.builds.session import ROWS_VERSION
from distill_build.builds.walk.nodes import Node, topic_node, walk
from distill_build.dataset.layout import Dataset, KeptCalls, State
from distill_build.engine.artefacts import FileState, file_state
from distill_build.engine.manifest import digest
from distill_build.graph import Graph
from distill_build.models.base import Limits, ModelSettings
from distill_build.records import Failure, JsonObject, Usage
from distill_build.settings import Settings
from distill_build.stages.default import DEFAULT
from distill_build.subtree import Subtree
from tests.made_rows import Answer, Question, Tag, dedup_row, question_id
from tests.made_settings import made_settings

LABELS = {"Team 团队": ("Football", "Handball"), "Chess": ("Openings",)}
CALL = "c" * 64


def tree() -> Node:
    """The nodes above, with what failed."""
    root = topic_node("sports", Subtree(2, (2, 2)))
    for index, (label, leaves) in enumerate(LABELS.items()):
        parent = root.child(label, "t", index, index, root.subtree.below())
        for place, leaf in enumerate(leaves):
            parent.child(leaf, "t", place, place, parent.subtree.below())
    root.children[1].children[0].failure = Failure(
        "questions", ("sports", "Chess", "Openings"), 1, "nothing_new", 3, "3 requests in a row brought nothing new"
    )
    return root


def tags() -> list[Tag]:
    return [
        Tag(
            node.id,
            node.path,
            ".".join(str(place + 1) for place in node.place),
            node.path[-1],
            above.id if above.level else None,
            node.level,
            node.level == 2,
        )
        for node, above in walk(tree())
    ]


def questions() -> list[Question]:
    texts = ("What is {}?", "Why does {} matter,\nand to whom?")
    return [
        Question(question_id(tag.id, text.format(tag.label)), tag.id, tag.path, index, text.format(tag.label))
        for tag in tags()
        if tag.leaf
        for index, text in enumerate(texts)
        if (tag.label, index) != ("Openings", 1)
    ]


def answers() -> list[Answer]:
    return [
        Answer(question, 0, "Let me think." if question.index == 0 else None, f"It is “{question.path[-1]}”.",
               "teacher-1", "stop", Usage(10, 20, 5), CALL)
        for question in questions()
        if (question.path[-1], question.index) != ("Handball", 1)
    ]  # fmt: skip


def failures() -> list[JsonObject]:
    unanswered = next(question for question in questions() if question.path[-1] == "Handball" and question.index)
    failure = Failure("answers", unanswered.path, 1, "timeout", 7, "no reply in 600 s", {"question_id": unanswered.id})
    return [failure.row(), *failure_rows(tree())]


def write_dataset(folder: Path, *, until: str = "answers") -> Dataset:
    """Writes the dataset's files up to a stage into `folder`, without a state."""
    folder.mkdir(parents=True)
    rows = {
        "tags": [tag.row() for tag in tags()],
        "questions": [question.row() for question in questions()],
        "dedup": [dedup_row(question) for question in questions()],
        "answers": [answer.row() for answer in answers()],
    }
    for name, items in rows.items():
        (folder / f"{name}.jsonl").write_bytes(encode_rows(items))
        if name == until:
            break
    if until == "answers":
        (folder / "failures.jsonl").write_bytes(encode_rows(failures()))
    return Dataset(folder)


def write_state(
    dataset: Dataset,
    recipe: JsonObject,
    *,
    until: str = "dataset",
    cache_dir: str = "",
    graph: Graph = DEFAULT,
    counts: dict[str, int] | None = None,
) -> State:
    """A state that says: a build with `recipe` left the files as they are now."""
    names = [*sorted(dataset.folder.glob("*.jsonl")), *sorted((dataset.folder / "dataset").glob("*"))]
    outputs: dict[str, FileState] = {str(path.relative_to(dataset.folder)): file_state(path) for path in names}
    state = State(
        build=digest([ROWS_VERSION, recipe, until, "g"]),
        complete=True,
        version="v",
        until=until,
        generation="g",
        losses="",
        cache_dir=cache_dir,
        counts=counts or {"tags": 5, "questions": 5, "dedup": 5, "answers": 4},
        requests={"tags": 3, "questions": 3, "answers": 4},
        spared={},
        dropped={},
        outputs=outputs,
        recipe=recipe,
        holds_others=False,
        failed=(),
        rebuilding=(),
        rebuilding_since="",
        stages=graph.described(),
        unmade={},
        stopped=None,
        grown=False,
        kept=KeptCalls("", 0),
        unmatched=(),
        reviews={},
        checks=(),
    )
    dataset.runs.mkdir(exist_ok=True)
    dataset.write_state(state)
    return state


def settings(**changes: Any) -> Settings:
    """Settings of a dataset called sports, whose models are never asked."""
    model = ModelSettings(engine="openai_compatible", name="teacher-1", base_url="http://127.0.0.1:9/v1")
    basis: dict[str, Any] = {"topic": "sports", "name": "sports", "limits": Limits()}
    return made_settings(model, **{**basis, **changes})
