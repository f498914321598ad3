"""Answers that are too long for a model, by its own tokenizer."""

import importlib.util
import json

import pytest

from tests.e2e.judged import LINE, asked, kept, reply
from tests.e2e.test_embedded import run_with, without
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content

STAGES = "stages=[tags,questions,dedup,answers,filter]"
needs_library = pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="needs the extra `tokens`")


def tokenizer(*merged: str) -> str:
    """The tokenizer.json of a model to which each character is a token, and each of these words; it cuts texts."""
    characters = [chr(each) for each in range(33, 127)]
    return json.dumps(
        {
            "version": "1.0",
            "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordLevel",
                "vocab": {word: number for number, word in enumerate(["[UNK]", *characters, *merged])},
                "unk_token": "[UNK]",
            },
        }
    )


def short_and_long(number: int, body: Body) -> Fault | None:
    """Six words in the first answer of a leaf, eight in the others; with two of reasoning."""
    if classify(body) != "answers":
        return reply(number, body)
    first = "level 2" in body["messages"][-1]["content"]
    return content("one two three four five six" + ("" if first else " seven eight"), reasoning_content="hm hm")


@pytest.fixture
def measured(project: InProcess, endpoint: ScriptedServer) -> InProcess:
    endpoint.plan = short_and_long
    (project.root / "model").mkdir()
    (project.root / "model/tokenizer.json").write_text(tokenizer())
    return project


@needs_library
def test_question_reasoning_and_answer_count_by_the_file_that_is_named(measured: InProcess) -> None:
    named = (STAGES, "filter.tokenizer=model/tokenizer.json")
    assert asked(measured, *named)["answers"] == 6
    counts = [row["tokens"] for row in measured.rows("filter")]
    assert counts == [counts[0], counts[0] + 2, counts[0] + 2] * 2
    words = len(measured.rows("answers")[0]["question"].removesuffix("?").split()) + 1
    assert counts[0] == words + 2 + 6
    assert asked(measured, *named, f"filter.max_tokens={counts[0]}") == {}
    assert kept(measured, "filter") == [True, False, False] * 2
    assert measured.rows("filter")[1]["why"] == [f"more than {counts[0]} tokens"]
    assert asked(measured, *named, f"filter.max_tokens={counts[1]}") == {}
    assert kept(measured, "filter") == [True] * 6


@needs_library
def test_a_dialogue_counts_whole_behind_its_last_turn_and_elsewhere_it_is_told(
    measured: InProcess, endpoint: ScriptedServer
) -> None:
    def talking(number: int, body: Body) -> Fault | None:
        if classify(body).startswith("follow_ups"):
            return content(json.dumps({"follow_up": f"And {number} then?"}))
        return short_and_long(number, body)

    endpoint.plan = talking
    named = ("dialogue.turns=3", "filter.tokenizer=model/tokenizer.json", "filter.max_tokens=1000")
    behind = "stages=[tags,questions,dedup,answers,turns,filter]"
    done = measured.run(*LINE, behind, "stage.filter.after=turns_3", *named)
    assert (done.status, "training rows are dialogues" in done.stderr) == (0, False), done.stderr
    words = len(measured.rows("answers")[0]["question"].removesuffix("?").split()) + 1
    assert measured.rows("filter")[0]["tokens"] == words + 6 + 2 * 4 + 8 + 2 + 8
    assert asked(measured, behind, "stage.filter.after=turns_3", *named, "filter.max_tokens=20") == {}
    assert not any(kept(measured, "filter"))
    done = measured.run(*LINE, "stages=[tags,questions,dedup,answers,filter,turns]", *named)
    assert "filter behind turns_3 in stages, with stage.filter.after=turns_3, counts all of one" in done.stderr


@needs_library
def test_another_tokenizer_under_the_same_name_judges_anew_and_the_lock_says_so(measured: InProcess) -> None:
    line = (*LINE, STAGES, "filter.tokenizer=model/tokenizer.json", "filter.max_tokens=100")
    assert measured.run(*line).status == 0
    lock = measured.lock()
    file = measured.root / "model/tokenizer.json"
    file.write_text(tokenizer().replace("Whitespace", "WhitespaceSplit"))
    assert measured.run("--locked", *line).status == 4
    assert "filter.tokenizer" in measured.run("explain", *line).stdout
    assert measured.run(*line).status == 0
    assert measured.lock() != lock


@needs_library
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("filter.max_tokens=9",), "filter.max_tokens=9: by which tokenizer?"),
        (("filter.tokenizer=gone.json",), "filter.tokenizer=gone.json cannot be read: No such file"),
        (("filter.tokenizer=model",), "filter.tokenizer=model cannot be read: Is a directory"),
        (("filter.tokenizer=no.json",), "filter.tokenizer=no.json is no tokenizer.json"),
    ],
)
def test_what_is_no_tokenizer_is_told_before_anything_is_asked(
    measured: InProcess, endpoint: ScriptedServer, words: tuple[str, ...], told: str
) -> None:
    (measured.root / "no.json").write_text("{}")
    done = measured.run(*LINE, STAGES, *words)
    assert (done.status, told in done.stderr, endpoint.count) == (2, True, 0), done.stderr


@needs_library
def test_typed_it_counts_from_where_one_stands(measured: InProcess) -> None:
    (measured.root / "conf").mkdir()
    (measured.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    below = InProcess(measured.root / "model", measured.server)
    done = below.run(*LINE, STAGES, "filter.tokenizer=tokenizer.json")
    assert done.status == 0, done.stderr
    assert all("tokens" in row for row in measured.rows("filter"))


def test_without_its_library_it_says_what_to_install(
    measured: InProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = without(tmp_path_factory.mktemp("environment"), "tokenizers")
    line = (*LINE, STAGES, "filter.tokenizer=model/tokenizer.json", *measured.settings())
    done = run_with(python, "build", *line, cwd=measured.root)
    assert (done.status, "pip install 'distill-build[tokens]'" in done.stderr) == (2, True), done.stderr
