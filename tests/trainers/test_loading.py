"""Every file that a build writes for trainers, read by the library that trainers read with."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset

from distill_build.export import file_name
from tests.e2e.judged import judgement
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, digest, error
from tests.teacher import completion_tokens, listing, write_student

PAIRS, LABELS = "preference", "labels"
LINES = ("messages", "prompt_completion", "alpaca", "sharegpt", PAIRS, LABELS)
BUILDERS = dict.fromkeys(LINES, "json") | {"csv": "csv"} | dict.fromkeys(("parquet", "soft", "kd"), "parquet")
SIDES = ("train", "test")
SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=3", "split.test=0.4")
STAGES = "stages=[tags,questions,dedup,answers,split]"
CLASSIFIED = ("recipe=classify", "stages=[tags,questions,dedup,split,answers,votes]", "answer.labels=[yes,no]")
MIXED = (
    *("stages=[tags,questions,dedup,answers,scores,split]", "split.by=question", "answers_per_question=3"),
    *("format.reasoning=field", "teacher.logprobs=5", "kd.tokenizer=student"),
    f"formats=[{','.join(form for form in BUILDERS if form != LABELS)}]",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library keeps of files that it has read goes away with the test."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def at_times(_: int, body: Body) -> Fault | None:
    """A teacher that thinks before half of its answers, and a judge that has no score for a third of them."""
    chance = digest(body)[0]
    match classify(body):
        case "answers":
            return content(f"It is {chance}.", **({"reasoning_content": f"About {chance}"} if chance % 2 else {}))
        case "scores":
            return judgement(chance % 5 + 1) if chance % 3 else error(400, "no judgement")
    return None


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A dataset in every format but labels, of whose rows some have a thought and a score, in fields of their own."""
    with ScriptedServer(plan=at_times, tokens=listing()) as server:
        workspace = Workspace(tmp_path_factory.mktemp("mixed"), server)
        write_student(workspace.root / "student")
        done = workspace.run(*SMALL, *MIXED)
    assert done.status == 1, done.stderr
    assert {row["stage"] for row in workspace.rows("failures")} == {"scores"}
    assert {row["reasoning"] is None for row in workspace.rows("answers")} == {True, False}
    return workspace


def labelling(_: int, body: Body) -> Fault | None:
    """A label by chance for each sample."""
    return content(("yes", "no")[digest(body)[0] % 2]) if classify(body) == "answers" else None


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A dataset of labels and their shares."""
    with ScriptedServer(plan=labelling) as server:
        workspace = Workspace(tmp_path_factory.mktemp("labelled"), server)
        done = workspace.run(*SMALL, *CLASSIFIED)
    assert done.status == 0, done.stderr
    return workspace


@pytest.fixture
def built(form: str, request: pytest.FixtureRequest) -> Workspace:
    """The dataset that has the format of a test."""
    workspace: Workspace = request.getfixturevalue("labelled" if form == LABELS else "mixed")
    return workspace


def load(builder: str, path: Path) -> Dataset:
    return load_dataset(builder, data_files=str(path), split="train")


def file_of(built: Workspace, form: str, side: str) -> Path:
    return built.folder() / "dataset" / file_name(form, side)


def text_of(row: Any, form: str) -> str:
    """The text of a row that is learnt, wherever its format has it."""
    match form:
        case "messages" | "parquet":
            text: str = row["messages"][-1]["content"]
        case "alpaca":
            text = row["output"]
        case "prompt_completion":
            text = row["completion"][-1]["content"]
        case "sharegpt":
            text = row["conversations"][-1]["value"]
        case "preference":
            text = f"{row['chosen'][-1]['content']} > {row['rejected'][-1]['content']}"
        case "labels":
            text = f"{row['text']} {row['label']} {row['shares']}"
        case "soft":
            text = repr(row["token_ids"])
        case "kd":
            text = repr([token for token in row["labels"] if token >= 0])
        case _:
            text = row["answer"]
    return text


def texts_of(built: Workspace, form: str) -> list[str]:
    """What its rows are to say, by the artefacts."""
    answers = built.rows("answers")
    tokens = [completion_tokens({"content": row["answer"], "reasoning_content": row["reasoning"]}) for row in answers]
    match form:
        case "preference":
            return [f"{best} > {worst}" for best, worst in pairs(built)]
        case "labels":
            asked = {row["id"]: row["question"] for row in built.rows("questions")}
            return [f"{asked[row['parent']]} {row['label']} {row['shares']}" for row in built.rows("votes")]
        case "soft":
            return list(map(repr, tokens))
        case "kd":
            return [repr(own[:-1]) for own in tokens]  # DistillKit learns the end from the distribution before it
    return [row["answer"] for row in answers]


def pairs(built: Workspace) -> list[tuple[str, str]]:
    """The best and the worst rated answer of each question that has such."""
    scores = {row["parent"]: row["score"] for row in built.rows("scores")}
    rated = [row for row in built.rows("answers") if row["id"] in scores]
    found = []
    for _, own in groupby(rated, key=lambda row: row["question_id"]):
        ranked = sorted(own, key=lambda row: scores[row["id"]])
        worst, best = ranked[0], max(ranked, key=lambda row: scores[row["id"]])
        if scores[best["id"]] > scores[worst["id"]]:
            found.append((best["answer"], worst["answer"]))
    return found


@pytest.mark.parametrize("form", BUILDERS)
def test_each_file_loads_alone_with_its_rows_and_texts(built: Workspace, form: str) -> None:
    rows = [row for side in SIDES for row in load(BUILDERS[form], file_of(built, form, side))]
    assert sorted(text_of(row, form) for row in rows) == sorted(texts_of(built, form))
    assert rows


@pytest.mark.parametrize("form", [form for form in BUILDERS if form != "csv"])
def test_columns_have_one_type_from_the_first_row_on(built: Workspace, form: str, tmp_path: Path) -> None:
    """Each row alone, as if it were the first, has the types of all."""
    train, test = (load(BUILDERS[form], file_of(built, form, side)).features for side in SIDES)
    assert train == test
    assert "null" not in repr(train)
    if form in LINES:
        lines = file_of(built, form, "train").read_text().splitlines()
        for number, line in enumerate(lines):
            (alone := tmp_path / f"{number}.jsonl").write_text(line + "\n")
            assert load("json", alone).features == train, line


def test_texts_of_csv_are_texts(mixed: Workspace) -> None:
    for side in SIDES:
        file = str(file_of(mixed, "csv", side))
        loaded = load_dataset("csv", data_files=file, split="train", keep_default_na=False)
        kinds = [loaded.features[name].dtype for name in ("question", "reasoning", "answer", "path")]
        assert set(kinds) <= {"string", "large_string"}


@pytest.mark.parametrize("form", LINES)
def test_a_format_of_lines_loads_by_the_card_with_its_splits(built: Workspace, form: str) -> None:
    loaded = load_dataset(str(built.folder() / "dataset"), form)
    assert {side: len(rows) for side, rows in loaded.items()} == {
        side: len(file_of(built, form, side).read_text().splitlines()) for side in SIDES
    }


@pytest.mark.parametrize("turns", ["dialogue", "each"])
@pytest.mark.parametrize("form", ["messages", "prompt_completion", "sharegpt", "alpaca"])
def test_a_dialogue_loads_with_all_of_its_turns(workspace: Workspace, form: str, turns: str) -> None:
    line = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=2", "recipe=dialogue", f"format.turns={turns}")
    done = workspace.run(*line, f"formats=[{form}]")
    assert done.status == 0, done.stderr
    rows = load("json", workspace.folder() / f"dataset/train.{form}.jsonl")
    messages = {
        "messages": lambda row: len(row["messages"]),
        "prompt_completion": lambda row: len(row["prompt"]) + 1,
        "sharegpt": lambda row: len(row["conversations"]),
        "alpaca": lambda row: sum(map(len, row["history"])) + 2,
    }
    assert list(map(messages[form], rows)) == ([4, 4] if turns == "dialogue" else [2, 4, 2, 4])


def test_a_published_folder_loads_unchanged(workspace: Workspace) -> None:
    assert workspace.run(*SMALL, STAGES, "formats=[messages,parquet]").status == 0
    assert workspace.raw("publish", "published", "sports").status == 0
    loaded = load_dataset(str(workspace.root / "published"), "messages")
    assert sum(map(len, loaded.values())) == 6
