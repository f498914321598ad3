"""Format `kd`: rows of tokens for one model, each position with what the teacher held likely next."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content
from tests.teacher import (
    CLOSE,
    TEMPLATE,
    VOCABULARY,
    completion_tokens,
    distribution,
    listing,
    prompt_tokens,
    write_student,
)

pytest.importorskip("pyarrow")
pytest.importorskip("tokenizers")
K = 40
WORDS = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", f"teacher.logprobs={K}")
KD = (*WORDS, "formats=[messages,kd]", "kd.tokenizer=student")
FILE = "dataset/train.kd.parquet"
SYSTEM = "Be brief."


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.tokens = listing()
    project = InProcess(tmp_path / "here", server)
    write_student(project.root / "student")
    return project


def kd_rows(project: InProcess) -> list[dict[str, Any]]:
    from pyarrow.parquet import read_table

    rows: list[dict[str, Any]] = read_table(project.folder() / FILE).to_pylist()
    return rows


def message_of(row: dict[str, Any]) -> dict[str, Any]:
    return {"content": row["answer"], "reasoning_content": row["reasoning"]}


def divergence(row: dict[str, Any], place: int, ids: str, values: str, shift: int = 0) -> float:
    """KL of what a file says at a position from what the teacher itself says there, in nats; what is not among the
    likeliest is taken together."""
    own = distribution(row["input_ids"][: place + 1 + shift])
    told = list(zip(row[ids][place], row[values][place], strict=True))
    rest = max(1e-9, 1 - sum(math.exp(value) for _, value in told))
    own_rest = max(1e-9, 1 - sum(math.exp(own[token]) for token, _ in told))
    return sum(math.exp(value) * (value - own[token]) for token, value in told) + rest * math.log(rest / own_rest)


def answer_places(row: dict[str, Any]) -> range:
    """The positions that predict a token of the reply: from the last of the prompt to the last but one."""
    first = next(place for place, label in enumerate(row["labels"]) if label >= 0)
    length = sum(row["attention_mask"])
    return range(first - 1, length - 1)


@pytest.mark.parametrize(("trainer", "last"), [("axolotl", CLOSE), ("distillkit", -100)])
@pytest.mark.parametrize("words", [(), (f"system_prompt={SYSTEM}",)])
def test_a_row_is_the_prompt_and_the_reply_in_tokens_with_the_loss_on_the_reply(
    project: InProcess, words: tuple[str, ...], trainer: str, last: int
) -> None:
    assert project.run(*KD, *words, f"kd.trainer={trainer}").status == 0
    rows = kd_rows(project)
    assert len(rows) == 4
    system = [{"role": "system", "content": SYSTEM}] if words else []
    for row, answer in zip(rows, project.rows("answers"), strict=True):
        prompt = prompt_tokens([*system, {"role": "user", "content": answer["question"]}])
        own = completion_tokens(message_of(answer))
        assert row["input_ids"] == prompt + own
        assert row["labels"] == [-100] * len(prompt) + [*own[:-1], last]
        assert row["attention_mask"] == [1] * len(row["input_ids"])
        assert own[-1] == CLOSE


@pytest.mark.parametrize(
    ("trainer", "ids", "values"),
    [("distillkit", "token_ids", "top_values"), ("axolotl", "target_token_ids", "target_logprobs")],
)
def test_the_teacher_against_itself_diverges_by_nothing_and_by_much_one_place_off(
    project: InProcess, trainer: str, ids: str, values: str
) -> None:
    assert project.run(*KD, f"kd.trainer={trainer}").status == 0
    for row in kd_rows(project):
        assert len(row[ids]) == len(row[values]) == len(row["input_ids"])
        places = answer_places(row)
        right = [divergence(row, place, ids, values) for place in places]
        late = [divergence(row, place, ids, values, shift=1) for place in places if place + 1 < len(row["input_ids"])]
        early = [divergence(row, place, ids, values, shift=-1) for place in places]
        most = 0.001 if trainer == "distillkit" else 0.2  # what adds up to 1 among 40 says nothing of the rest
        assert max(right) < most
        assert min(sum(late) / len(late), sum(early) / len(early)) > 2


def test_the_likeliest_add_up_to_one_for_axolotl_and_its_mask_says_where_they_hold(project: InProcess) -> None:
    assert project.run(*KD, "kd.trainer=axolotl").status == 0
    for row in kd_rows(project):
        held = [place for place, mask in enumerate(row["target_mask"]) if mask == [1] * K]
        assert held == list(answer_places(row))
        assert sum(map(sum, row["target_mask"])) == K * len(held)
        for values in row["target_logprobs"]:
            assert sum(map(math.exp, values)) == pytest.approx(1, abs=1e-4)


def test_every_position_has_a_distribution(project: InProcess) -> None:
    assert project.run(*KD, "kd.length=600").status == 0
    for row in kd_rows(project):
        assert {len(row[name]) for name in ("input_ids", "labels", "attention_mask", "token_ids", "top_values")} == {
            600
        }
        for ids, values in zip(row["token_ids"], row["top_values"], strict=True):
            assert len(set(ids)) == K
            assert max(ids) < VOCABULARY
            assert 0.5 < sum(map(math.exp, values)) <= 1.001
        length = sum(row["attention_mask"])
        assert row["attention_mask"] == [1] * length + [0] * (600 - length)
        assert set(row["labels"][length:]) == {-100}


def test_rows_that_are_longer_than_all_are_to_be_are_left_out_and_told(project: InProcess) -> None:
    assert project.run(*KD).status == 0
    lengths = sorted(len(row["input_ids"]) for row in kd_rows(project))
    built = project.run(*KD, f"kd.length={lengths[-1] - 1}")
    assert built.status == 0
    assert "not in the format kd: they are longer than kd.length" in built.stderr
    assert len(kd_rows(project)) == sum(length < lengths[-1] for length in lengths)


@pytest.mark.parametrize("words", [("format.reasoning=drop",), ("teacher.reasoning=drop",)])
@pytest.mark.parametrize("block", [False, True])
def test_a_thought_that_is_dropped_is_not_learnt(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], block: bool
) -> None:
    def plan(number: int, body: Body) -> Fault | None:
        if classify(body) != "answers" or number % 2:
            return content(f"Plain {number}.") if classify(body) == "answers" else None
        return content("<think>\nHm.\n</think>\n\nYes.") if block else content("Yes.", reasoning_content="Hm.")

    server.plan = plan
    built = project.run(*KD, *words)
    assert built.status == 0
    thoughtless = [row for row in project.rows("answers") if row["answer"] != "Yes."]
    assert 0 < len(thoughtless) < 4
    assert f"{4 - len(thoughtless)} of 4 rows" in built.stderr
    assert "their tokens hold a thought" in " ".join(built.stderr.split())
    own = [completion_tokens(message_of(row)) for row in thoughtless]
    assert [row["input_ids"][-len(each) :] for row, each in zip(kd_rows(project), own, strict=True)] == own


def test_another_template_is_told_by_the_length_of_the_prompt(project: InProcess) -> None:
    write_student(project.root / "student", TEMPLATE.replace("assistant", "model"))
    built = project.run(*KD)
    assert built.status == 0
    assert "4 of 4 rows are not in the format kd: by kd.tokenizer and its chat template" in built.stderr
    assert kd_rows(project) == []


def test_a_tokenizer_with_other_tokens_is_told(project: InProcess) -> None:
    file = write_student(project.root / "student") / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["vocab"] |= {"a": told["model"]["vocab"]["e"], "e": told["model"]["vocab"]["a"]}
    file.write_text(json.dumps(told))
    built = project.run(*KD)
    assert built.status == 0
    assert "the teacher's tokens are not those of kd.tokenizer" in built.stderr
    assert kd_rows(project) == []


def test_it_is_a_format_as_the_others_are(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*KD).status == 0
    files = project.bytes()
    server.reset()
    assert project.raw("verify").status == 0
    assert project.run(*KD, "--frozen").status == 0
    assert project.run(*WORDS).status == 0
    assert project.raw("export", "sports", "formats=[kd]", "kd.tokenizer=student").status == 0
    assert project.bytes() == files
    assert project.run(*KD).status == 0
    (project.folder() / FILE).unlink()
    assert project.raw("checkout", "latest").status == 0
    assert project.bytes() == files
    assert project.raw("export", "sports", "formats=[csv]").status == 0, "the student is the folder's own"
    assert (project.folder() / FILE).read_bytes() == files[FILE]
    write_student(project.root / "student", TEMPLATE + " ")
    assert "kd.tokenizer (its digest)" in project.run("explain", *KD).stdout
    assert server.count == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kd.tokenizer=null",), "set kd.tokenizer"),
        (("kd.tokenizer=nowhere",), "kd.tokenizer=nowhere cannot be read"),
        (("kd.tokenizer=student/tokenizer.json", "kd.trainer=trl"), "kd.trainer"),
        (("teacher.logprobs=null",), "teacher.logprobs=K"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], said: str
) -> None:
    refused = project.run(*KD, *words)
    assert (refused.status, server.count) == (2, 0)
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("template", ["{% if %}", "{{ raise_exception('no system') }}", "{% for x in messages %}"])
def test_a_template_that_makes_no_text_is_a_sentence(project: InProcess, server: ScriptedServer, template: str) -> None:
    write_student(project.root / "student", template)
    refused = project.run(*KD)
    assert (refused.status, server.count) == (2, 0)
    assert "chat template" in refused.stderr


def test_a_folder_without_a_template_is_told(project: InProcess, server: ScriptedServer) -> None:
    (project.root / "student/tokenizer_config.json").unlink()
    refused = project.run(*KD)
    assert (refused.status, server.count) == (2, 0)
    assert "there is no chat template beside it" in refused.stderr
    (project.root / "student/chat_template.jinja").write_text(TEMPLATE)
    assert project.run(*KD).status == 0
    assert len(kd_rows(project)) == 4
