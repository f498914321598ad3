"""What the card of a folder of exports has a loader read."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from distill_build.export import CARD, Layout, TrainingRow, write_companions, write_exports

SIDES = ("train", "validation", "test")


def row(side: str, number: int = 0) -> TrainingRow:
    return TrainingRow(f"a{number}", "q", "t", ("sports",), number, "Why?", None, f"So {number}.", "m", side)


def configs(formats: Sequence[str], *rows: TrainingRow, sides: Sequence[str] = SIDES) -> dict[str, list[str]]:
    """Of each config its files; a loader that knows no name takes the first."""
    layout = Layout("think", True, None)
    write_exports(rows, Path("out"), formats, layout, sides)
    write_companions(Path("out"), formats, layout, sides)
    text = (Path("out") / CARD).read_text(encoding="utf-8")
    if not text.startswith("---\n"):
        return {}
    found = YAML(typ="safe").load(text.split("---\n")[1])["configs"]
    assert [config.get("default", False) for config in found] == [True, *[False] * (len(found) - 1)]
    for config in found:
        for each in config["data_files"]:
            assert each["path"].startswith(f"{each['split']}.")
    return {config["config_name"]: [each["path"] for each in config["data_files"]] for config in found}


def test_each_format_of_json_lines_is_a_config_with_its_sides() -> None:
    found = configs(["csv", "messages", "alpaca", "parquet"], row("train"), row("test", 1), sides=("train", "test"))
    assert found == {name: [f"train.{name}.jsonl", f"test.{name}.jsonl"] for name in ("messages", "alpaca")}


@pytest.mark.parametrize("only", ["csv", "parquet"])
def test_without_json_lines_the_first_format_alone_is_one(only: str) -> None:
    """All configs are read by the reader of the first."""
    other = "parquet" if only == "csv" else "csv"
    assert configs([only, other], row("train"), sides=("train",)) == {only: [f"train.{only}"]}


def test_a_side_without_a_row_is_not_named_since_loaders_refuse_an_empty_file() -> None:
    assert configs(["messages", "preference"], row("train"), row("test", 1)) == {
        "messages": ["train.messages.jsonl", "test.messages.jsonl"]
    }


def test_a_dataset_without_a_row_has_a_card_without_configs() -> None:
    assert configs(["messages"]) == {}
