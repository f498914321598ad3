"""What a benchmark has in common with a question, in English and Chinese, and how its file is read."""

from pathlib import Path

import pytest

from distill_build.errors import ConfigurationError
from distill_build.stages.measures.benchmarks import Benchmarks, read_benchmark, runs_of, set_apart

NATALIA = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gsm.jsonl").write_text(f'{{"question": "{NATALIA}", "answer": "72"}}\n')
    (tmp_path / "zh.txt").write_text("鸡兔同笼，共有头三十五个，脚九十四只，问鸡兔各几何？\n")
    return tmp_path


@pytest.mark.usefixtures("bench")
def test_a_run_of_eight_words_is_a_hit_up_to_case_and_punctuation() -> None:
    found = Benchmarks([read_benchmark("gsm.jsonl")], 8)
    hits, runs = found.hits("Suppose NATALIA sold clips to 48 of her friends - how many?")
    assert [run for run, _ in hits] == ["natalia sold clips to 48 of her friends"]
    assert runs == 4
    assert found.hits("Natalia sold clips to 48 of her brothers, friends and neighbours")[0] == []


@pytest.mark.usefixtures("bench")
def test_characters_count_where_words_are_not_set_apart() -> None:
    found = Benchmarks([read_benchmark("zh.txt")], 8)
    hits, _ = found.hits("今有鸡兔同笼,共有头三十五个,脚一百只。")
    assert hits[0] == ("鸡 兔 同 笼 共 有 头 三", "zh.txt")
    assert found.hits("鸡兔同笼问题怎么解？")[0] == []


def test_a_shorter_question_is_one_run_by_itself(bench: Path) -> None:
    (bench / "short.txt").write_text("What is 2+2?\n")
    found = Benchmarks([read_benchmark("short.txt")], 8)
    assert found.hits("what is 2+2")[0]
    assert not found.hits("What is 2+2 in binary?")[0]
    assert runs_of("…", 8) == []
    assert found.hits("…") == ([], 0)
    assert set_apart("GDP增长3.5%") == ["gdp", "增", "长", "3", "5"]


def test_a_column_can_be_named(bench: Path) -> None:
    (bench / "odd.jsonl").write_text('{"title": "Which team won?", "question": "No."}\n')
    assert read_benchmark("odd.jsonl#title").questions == ("Which team won?",)
    with pytest.raises(ConfigurationError, match=r"row 1 has no text under name; it has title, question"):
        read_benchmark("odd.jsonl#name")


def test_parquet_is_read_as_json_is(bench: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"problem": ["Why is the sky blue?", "And why not?"]}), bench / "b.parquet")
    assert read_benchmark("b.parquet").questions == (
        "Why is the sky blue?",
        "And why not?",
    )
    (bench / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match="cannot be read as Parquet"):
        read_benchmark("broken.parquet")


def test_what_breaks_lines_elsewhere_may_stand_within_a_question(bench: Path) -> None:
    text = '\ufeff{"question": "One\u2028two?"}\r\n{"question": "Three\x85four?"}\n'
    (bench / "breaks.jsonl").write_bytes(text.encode())
    assert read_benchmark("breaks.jsonl").questions == (
        "One\u2028two?",
        "Three\x85four?",
    )


def test_a_parquet_file_with_a_torn_page_is_told(bench: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"problem": [f"Why is {n} odd?" for n in range(500)]}), bench / "torn.parquet")
    content = bytearray((bench / "torn.parquet").read_bytes())
    content[8:200] = b"\xff" * 192
    (bench / "torn.parquet").write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read as Parquet"):
        read_benchmark("torn.parquet")


def test_a_file_of_another_kind_is_told_and_a_mark_in_a_name_is_none(bench: Path) -> None:
    (bench / "rows.csv").write_text("question\nWhy?\n")
    with pytest.raises(ConfigurationError, match=r"rows\.csv: a benchmark is a file \.parquet, \.jsonl"):
        read_benchmark("rows.csv")
    (bench / "C#.txt").write_text("What is a delegate?\n???\n")
    assert read_benchmark("C#.txt").questions == ("What is a delegate?",)


def test_a_file_that_is_replaced_later_is_judged_by_and_known_as_what_was_read(bench: Path) -> None:
    before = read_benchmark("gsm.jsonl")
    (bench / "gsm.jsonl").write_text('{"question": "Who was the first to sell clips to all of her friends?"}\n')
    assert Benchmarks([before], 8).hits(NATALIA)[0]
    assert read_benchmark("gsm.jsonl").sha256 != before.sha256
