"""Every format, byte for byte, on a row or two."""

import csv
import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from distill_build.builds.assembly import encode_rows
from distill_build.errors import ConfigurationError, StorageError
from distill_build.export import (
    FORMATS,
    TRAIN,
    Layout,
    TrainingRow,
    check_formats,
    file_name,
    first_if_empty,
    write_exports,
)
from distill_build.records import Usage
from distill_build.stages.default import DEFAULT
from distill_build.stages.training.rows import training_rows
from tests.made_rows import Answer, Question

IDS = '"id":"a_9c52c33dc6c32054","question_id":"q_1","tag":"t_1","path":["体育","Foot, ball"]'
RECIPE = {
    "export": {
        "rows": {"stage": "answers", "question": "row.question", "reasoning": "row.reasoning", "answer": "row.answer"}
    }
}
METADATA = f'"metadata":{{{IDS}}}'
QUESTION = Question("q_1", "t_1", ("体育", "Foot, ball"), 0, 'Who said "goal",\nand why?')


def answer(text: str = "Nobody. 没有人", reasoning: str | None = "Let me see.", sample: int = 0) -> Answer:
    return Answer(QUESTION, sample, reasoning, text, "teacher-1", "stop", Usage(1, 2, 0), "c" * 64)


def rows_of_answers() -> Iterator[TrainingRow]:
    """The training rows of answers.jsonl, all of which make one."""
    return training_rows(Path, DEFAULT, RECIPE, lambda each: pytest.fail(each.detail))


def export(
    name: str,
    *answers: Answer,
    reasoning: str = "think",
    metadata: bool = True,
    system_prompt: str | None = None,
) -> str:
    """The text of one format's file."""
    Path("answers.jsonl").write_bytes(encode_rows(row.row() for row in answers))
    layout = Layout(reasoning, metadata, system_prompt)  # type: ignore[arg-type]  # one of the three
    (path,) = write_exports(rows_of_answers(), Path("out"), [name], layout)
    return path.read_bytes().decode()


ALL = [name for name, form in FORMATS.items() if form.has_all]
"""Formats with a line for each row."""


@pytest.mark.parametrize("name", ALL)
def test_a_file_without_a_row_is_known(name: str) -> None:
    for answers, empty in (([], True), ([answer()], False)):
        Path("answers.jsonl").write_bytes(encode_rows(row.row() for row in answers))
        (path,) = write_exports(
            rows_of_answers(), Path("out"), [name], Layout("think", True, "Be\nbrief.", csv_bom=True)
        )
        assert first_if_empty([Path("tags.jsonl"), path]) == (path if empty else None)


@pytest.mark.parametrize("name", ALL)
def test_rows_of_a_file_are_counted_whatever_they_say(name: str) -> None:
    for texts in ([], ["plain"], ['a,"b"\r\nc\rd\n\n"', "plain", '"', "\n"]):
        Path("answers.jsonl").write_bytes(encode_rows(answer(text, sample=n).row() for n, text in enumerate(texts)))
        layout = Layout("think", True, "Be\nbrief.", csv_bom=True)
        (path,) = write_exports(rows_of_answers(), Path("out"), [name], layout)
        assert FORMATS[name].count(path) == len(texts)


def test_messages_hold_the_reasoning_in_a_think_block_before_the_answer() -> None:
    assert export("messages", answer()) == (
        '{"messages":[{"role":"user","content":"Who said \\"goal\\",\\nand why?"},'
        '{"role":"assistant","content":"<think>\\nLet me see.\\n</think>\\n\\nNobody. 没有人"}],' + METADATA + "}\n"
    )


def test_messages_begin_with_the_system_prompt() -> None:
    line = json.loads(export("messages", answer(), system_prompt="Be brief."))
    assert line["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [message["role"] for message in line["messages"]] == ["system", "user", "assistant"]


def test_messages_with_reasoning_in_a_field_have_reasoning_content() -> None:
    text = export("messages", answer(), answer(reasoning=None, sample=1), reasoning="field", metadata=False)
    assert [json.loads(line)["messages"][1] for line in text.splitlines()] == [
        {"role": "assistant", "content": "Nobody. 没有人", "reasoning_content": "Let me see."},
        {"role": "assistant", "content": "Nobody. 没有人", "reasoning_content": ""},
    ]


def test_alpaca() -> None:
    assert export("alpaca", answer(), system_prompt="Be brief.") == (
        '{"instruction":"Who said \\"goal\\",\\nand why?","input":"",'
        '"output":"<think>\\nLet me see.\\n</think>\\n\\nNobody. 没有人","system":"Be brief.",' + METADATA + "}\n"
    )


def test_alpaca_without_a_system_prompt_has_an_empty_one() -> None:
    assert list(json.loads(export("alpaca", answer(), reasoning="field")).items())[2:5] == [
        ("output", "Nobody. 没有人"),
        ("system", ""),
        ("reasoning", "Let me see."),
    ]


def test_sharegpt() -> None:
    assert export("sharegpt", answer(), reasoning="field", system_prompt="Be brief.") == (
        '{"conversations":[{"from":"human","value":"Who said \\"goal\\",\\nand why?"},'
        '{"from":"gpt","value":"Nobody. 没有人"}],"system":"Be brief.","reasoning":"Let me see.",' + METADATA + "}\n"
    )


def test_sharegpt_without_a_system_prompt_has_no_system() -> None:
    assert list(json.loads(export("sharegpt", answer()))) == ["conversations", "metadata"]


def test_csv_quotes_what_needs_it_and_ends_lines_with_crlf() -> None:
    assert export("csv", answer(), answer(text="=1+1", reasoning=None, sample=1)) == (
        "question,reasoning,answer,id,question_id,tag,path,sample,model\r\n"
        '"Who said ""goal"",\nand why?",Let me see.,Nobody. 没有人,a_9c52c33dc6c32054,q_1,t_1,'
        '"体育 / Foot, ball",0,teacher-1\r\n'
        '"Who said ""goal"",\nand why?",,=1+1,a_ee0917a07c2fe545,q_1,t_1,'
        '"体育 / Foot, ball",1,teacher-1\r\n'
    )


def test_csv_begins_with_a_byte_order_mark_where_it_is_asked_for() -> None:
    (path,) = write_exports(rows_of_answers(), Path("out"), ["csv"], Layout("think", True, None, csv_bom=True))
    marked = path.read_bytes()
    write_exports(rows_of_answers(), Path("out"), ["csv"], Layout("think", True, None))
    assert marked == b"\xef\xbb\xbf" + path.read_bytes()


def test_csv_gives_every_text_back_as_it_was() -> None:
    hard = 'a,"b"\r\nc\rd\n\n e\t；\u2028 f '
    export("csv", answer(hard))
    with Path("out/train.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["answer"] == hard


def test_csv_without_reasoning_and_metadata_has_two_columns_and_the_system_prompt_in_a_third() -> None:
    text = export("csv", answer("Yes"), reasoning="drop", metadata=False, system_prompt="Be brief.")
    assert text.splitlines()[0] == "system,question,answer"
    assert text.endswith('and why?",Yes\r\n')


def test_parquet_has_typed_columns_and_the_path_as_a_list() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_bytes("parquet", answer(reasoning=None))
    table = parquet.read_table("out/train.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        **dict.fromkeys(("question", "reasoning", "answer", "id", "question_id", "tag", "model"), "string"),
        "path": "list<element: string>",
        "sample": "int32",
        "messages": "list<element: struct<role: string, content: string>>",
    }
    assert table.to_pylist() == [
        {
            "messages": [
                {"role": "user", "content": QUESTION.question},
                {"role": "assistant", "content": "Nobody. 没有人"},
            ],
            "question": QUESTION.question,
            "reasoning": None,
            "answer": "Nobody. 没有人",
            "id": "a_9c52c33dc6c32054",
            "question_id": "q_1",
            "tag": "t_1",
            "path": ["体育", "Foot, ball"],
            "sample": 0,
            "model": "teacher-1",
        }
    ]


def test_parquet_has_the_row_as_messages_beside_its_columns() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    row = TrainingRow("x_1", None, None, ("sports",), 0, "Why?", "Hm.", "So.", "m")
    for reasoning, reply in (
        ("think", {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nSo."}),
        ("field", {"role": "assistant", "content": "So.", "reasoning_content": "Hm."}),
        ("drop", {"role": "assistant", "content": "So."}),
    ):
        (path,) = write_exports([row], Path("out"), ["parquet"], Layout(reasoning, False, "Be brief."))  # type: ignore[arg-type]
        (read,) = parquet.read_table(path).to_pylist()
        system, user, assistant = read["messages"]
        assert (system["content"], user["content"], assistant) == ("Be brief.", "Why?", reply)


def test_prompt_completion_parts_what_is_asked_from_what_is_learnt() -> None:
    assert export("prompt_completion", answer(), system_prompt="Be brief.") == (
        '{"prompt":[{"role":"system","content":"Be brief."},'
        '{"role":"user","content":"Who said \\"goal\\",\\nand why?"}],'
        '"completion":[{"role":"assistant","content":"<think>\\nLet me see.\\n</think>\\n\\nNobody. 没有人"}],'
        + METADATA
        + "}\n"
    )
    line = json.loads(export("prompt_completion", answer(), reasoning="field", metadata=False))
    assert line["completion"] == [
        {"role": "assistant", "content": "Nobody. 没有人", "reasoning_content": "Let me see."}
    ]


COLUMNS: dict[str, Literal["text", "number"]] = {"score": "number", "difficulty": "text"}
BARE = TrainingRow(
    "x_1",
    None,
    None,
    ("sports",),
    0,
    "Why?",
    None,
    "So.",
    "m",
    label="a",
    shares={"a": 1, "b": 0},
    more={"score": None, "difficulty": None},
)
FULL = TrainingRow(
    "x_2",
    "q_1",
    "t_1",
    ("sports", "Chess"),
    1,
    "How?",
    "Hm.",
    "So.",
    "m",
    label="b",
    shares={"a": 0.25, "b": 0.75},
    more={"score": 4, "difficulty": "easy"},
)
HALF = TrainingRow(
    "x_3",
    "q_2",
    "t_1",
    ("sports", "Chess"),
    0,
    "How far?",
    "",
    "So.",
    "m",
    label="b",
    shares={"a": 0, "b": 1},
    more={"score": 4.5, "difficulty": "易"},
)


@pytest.mark.parametrize("reasoning", ["think", "field", "drop"])
@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.suffix.endswith("jsonl")])
def test_a_reader_that_looks_at_any_one_row_knows_the_types_of_all(name: str, reasoning: str) -> None:
    """`datasets` takes them from the first block of a file, which may hold rows of one kind alone."""
    read = pytest.importorskip("pyarrow.json").read_json
    layout = Layout(reasoning, True, None, columns=COLUMNS)  # type: ignore[arg-type]  # one of the three
    pair = [
        replace(BARE, id="x_0", answer="Well.", more=BARE.more | {"score": 1}),
        replace(BARE, more=BARE.more | {"score": 5}),
    ]
    for rows in ([BARE, FULL, HALF, *pair], [*pair, FULL, HALF, BARE]):
        (path,) = write_exports(rows, Path("out"), [name], layout)
        whole = read(path).schema
        assert "null" not in str(whole)
        for line in path.read_bytes().splitlines(keepends=True):
            assert read(BytesIO(line)).schema == whole


def export_bytes(name: str, *answers: Answer) -> bytes:
    """The bytes of one format's file, with the default options."""
    Path("answers.jsonl").write_bytes(encode_rows(row.row() for row in answers))
    (path,) = write_exports(rows_of_answers(), Path("out"), [name], Layout("think", True, None))
    return path.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_two_runs_write_the_same_bytes(name: str) -> None:
    rows = [answer(f"Answer {sample}", sample=sample) for sample in range(2500)]
    assert export_bytes(name, *rows) == export_bytes(name, *rows)


@pytest.mark.parametrize("name", ALL)
def test_every_row_is_written_once_and_in_order_across_batches(name: str) -> None:
    written = export_bytes(name, *[answer(f"Answer {sample}.", sample=sample) for sample in range(2500)])
    if name == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table("out/train.parquet")["sample"].to_pylist() == list(range(2500))
        assert parquet.ParquetFile("out/train.parquet").num_row_groups == 3
    else:
        places = [written.index(f"Answer {sample}.".encode()) for sample in range(2500)]
        assert places == sorted(places)
        assert written.count(b"Answer ") == 2500


@pytest.mark.parametrize("name", FORMATS)
def test_a_dataset_without_answers_gives_a_file_without_rows(name: str) -> None:
    written = export_bytes(name)
    assert (name in ("csv", "parquet", "soft", "kd")) == bool(written)


def test_one_pass_writes_all_formats_under_their_names() -> None:
    Path("answers.jsonl").write_bytes(encode_rows([answer().row()]))
    files = write_exports(rows_of_answers(), Path("out"), list(FORMATS), Layout("think", True, None))
    names = [file_name(name, TRAIN) for name in FORMATS]
    assert [path.name for path in files] == names
    assert {"train.messages.jsonl", "train.prompt_completion.jsonl", "train.csv", "train.parquet"} <= set(names)
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(names)


def test_each_side_has_a_file_of_every_format_and_rows_tell_what_others_say_of_them() -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    layout = Layout("drop", metadata=True, system_prompt=None, columns={"score": "number", "difficulty": "text"})
    more = {"score": 4.5, "difficulty": "易"}
    rows = [
        TrainingRow(f"x_{side}", None, None, ("sports",), 0, "Why?", None, "So.", "m", side=side, more=more)
        for side in ("train", "test")
    ]
    files = write_exports(rows, Path("out"), ["messages", "csv", "parquet"], layout, ("train", "validation", "test"))
    assert [path.name for path in files][:3] == [
        "train.messages.jsonl",
        "validation.messages.jsonl",
        "test.messages.jsonl",
    ]
    assert (
        '"id":"x_test","question_id":"","tag":"","path":["sports"],"score":4.5,"difficulty":"易"'
        in files[2].read_text()
    )
    assert files[1].read_text() == ""
    assert files[5].read_text().splitlines()[1].endswith("x_test,,,sports,0,m,4.5,易")
    table = parquet.read_table(files[8])
    assert table.schema.field("score").type == pyarrow.float64()
    assert table.num_rows == 1
    assert parquet.read_table(files[7]).num_rows == 0


def test_a_row_of_no_question_and_no_tag_is_written_too() -> None:
    row = TrainingRow("x_1", None, None, ("sports",), 0, "Why?", None, "So.", "m")
    files = write_exports([row], Path("out"), ["messages", "csv"], Layout("think", True, None))
    assert '"question_id":"","tag":""' in files[0].read_text()
    assert files[1].read_text().splitlines()[1] == "Why?,,So.,x_1,,,sports,0,m"


def test_a_damaged_line_is_told_with_its_number() -> None:
    Path("answers.jsonl").write_bytes(encode_rows([answer().row()]) + b'{"id": 3}\n')
    with pytest.raises(StorageError, match=r"answers\.jsonl, line 2, cannot be read"):
        write_exports(rows_of_answers(), Path("out"), ["messages"], Layout("think", True, None))


def test_a_format_that_is_not_known_is_told_with_those_that_are() -> None:
    with pytest.raises(
        ConfigurationError, match="formats=jsonl is not known: take some of messages, prompt_completion"
    ):
        check_formats(["messages", "jsonl"])


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "path", [])
    check_formats(["messages", "csv"])
    with pytest.raises(ConfigurationError, match=r"pip install 'distill-build\[parquet\]'"):
        check_formats(["messages", "parquet"])
