"""The files of a dataset, read by the code of each trainer: how many rows it takes, and what of one it trains.

    python tests/trainers/by_hand.py trl|llamafactory|axolotl outputs/sports/dataset STUDENT

Run by hand, with the Python of an environment that has the trainer: their requirements exclude each other.
LLaMA-Factory's template is the environment's TEMPLATE (chatml). Exit code 1: a file lost rows or texts, or trains
what it should not.

It knows nothing of distill_build: what it goes by are the files. The model is not loaded, its tokenizer is: runs that
train are in docs/training.md.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_LOSS = -100
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """What a trainer made of a file: its rows of `input_ids` and `labels` (-100: no loss)."""

    file: str
    rows: Sequence[Row]
    tokenizer: Any

    def texts(self, row: Row) -> tuple[str, str]:
        """What a row shows, and what of it is trained."""
        trained = [token for token in row["labels"] if token != NO_LOSS]
        return self.tokenizer.decode(row["input_ids"]), self.tokenizer.decode(trained)


# What each trainer makes of a folder.


def by_llamafactory(folder: Path, student: str) -> Iterator[Loaded]:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    entries = json.loads((folder / "dataset_info.json").read_text())
    for name, entry in entries.items():
        words = {"stage": "sft", "do_train": True, "finetuning_type": "full", "use_cpu": True, "report_to": "none"}
        paths = {"model_name_or_path": student, "dataset_dir": str(folder), "output_dir": tempfile.mkdtemp()}
        named = {"dataset": name, "template": os.environ.get("TEMPLATE", "chatml"), "overwrite_cache": True}
        model, data, training, *_ = get_train_args({**words, **paths, **named})
        module = load_tokenizer(model)
        template = get_template_and_fix_tokenizer(module["tokenizer"], data)
        found = get_dataset(template, model, data, training, stage="sft", **module)
        yield Loaded(entry["file_name"], found["train_dataset"], module["tokenizer"])


def by_axolotl(folder: Path, student: str) -> Iterator[Loaded]:
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    os.chdir(folder)
    from axolotl.cli.config import load_cfg
    from axolotl.loaders import load_tokenizer
    from axolotl.utils.data import prepare_datasets

    config = load_cfg("axolotl.yaml", base_model=student, dataset_prepared_path=tempfile.mkdtemp())
    tokenizer = load_tokenizer(config)
    train, held_out, *_ = prepare_datasets(config, tokenizer)
    yield Loaded(config.datasets[0].path, train, tokenizer)
    if held_out is not None:
        yield Loaded(config.test_datasets[0].path, held_out, tokenizer)


def by_trl(folder: Path, student: str) -> Iterator[Loaded]:
    """Not the script in the folder, which trains: the preparation that it starts with, for each file that TRL takes."""
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student)
    for form, columns in {
        "prompt_completion.jsonl": ["prompt", "completion"],
        "messages.jsonl": ["messages"],
        "parquet": ["messages"],
    }.items():
        for path in sorted(folder.glob(f"*.{form}")):
            builder = "parquet" if form == "parquet" else "json"
            rows = load_dataset(builder, data_files=str(path), split="train").select_columns(columns)
            config = SFTConfig(output_dir=tempfile.mkdtemp(), max_length=2048, use_cpu=True, report_to="none")
            trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
            batches = (trainer.data_collator([row]) for row in trainer.train_dataset)
            made = [{key: batch[key][0].tolist() for key in ("input_ids", "labels")} for batch in batches]
            yield Loaded(path.name, made, tokenizer)


TRAINERS: Mapping[str, Callable[[Path, str], Iterator[Loaded]]] = {
    "llamafactory": by_llamafactory,
    "axolotl": by_axolotl,
    "trl": by_trl,
}


# What the files say.


@dataclass(frozen=True)
class Said:
    """The texts of a row of a file."""

    system: str
    question: str
    thought: str
    answer: str


def said_in(path: Path) -> list[Said]:
    """The rows of a file of any format that a trainer reads."""
    if path.suffix == ".parquet":
        from datasets import load_dataset

        return [said(row) for row in load_dataset("parquet", data_files=str(path), split="train")]
    return [said(json.loads(line)) for line in path.read_text().splitlines()]


def said(row: Row) -> Said:
    if "instruction" in row:
        return parted(row["system"], row["instruction"], row["output"], row.get("reasoning"))
    if "conversations" in row:
        question, answer = (turn["value"] for turn in row["conversations"])
        return parted(row.get("system", ""), question, answer, row.get("reasoning"))
    turns = row["messages"] if "messages" in row else [*row["prompt"], *row["completion"]]
    *before, question, answer = turns
    system = before[0]["content"] if before else ""
    return parted(system, question["content"], answer["content"], answer.get("reasoning_content"))


def parted(system: str, question: str, text: str, thought: str | None) -> Said:
    """The thought, where it lies in the text, apart from the answer."""
    before, mark, after = text.partition("</think>")
    if mark:
        return Said(system, question, before.removeprefix("<think>").strip(), after.strip())
    return Said(system, question, thought or "", text)


# What is wrong with what was made of them.


def findings(loaded: Loaded, rows: Sequence[Said]) -> Iterator[str]:
    """In words, each once: what is lost, and what of the prompt is trained."""
    if len(loaded.rows) != len(rows):
        yield f"{len(loaded.rows)} of {len(rows)} rows"
    made = [loaded.texts(row) for row in loaded.rows]
    yield from sorted({finding for own in rows for finding in findings_of(own, made)})


def findings_of(own: Said, made: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A row is found by its texts: Axolotl shuffles."""
    shown, trained = max(made, key=lambda texts: (own.question in texts[0], own.answer in texts[0]))
    for name in ("system", "question", "thought", "answer"):
        text = getattr(own, name)
        wanted = name in ("thought", "answer")
        if text not in shown:
            yield f"{name} lost"
        elif text and (text in trained) != wanted:
            yield f"{name} {'not ' if wanted else ''}trained"


def main(trainer: str, place: str, student: str) -> int:
    folder, lost = Path(place).resolve(), False
    for loaded in TRAINERS[trainer](folder, student):
        wrong = list(findings(loaded, said_in(folder / loaded.file)))
        lost = lost or bool(wrong)
        print(f"{trainer} {loaded.file}: {len(loaded.rows)} rows; {', '.join(wrong) or 'all is as it should be'}")
        for name, text in zip(("shown", "trained"), loaded.texts(loaded.rows[0]), strict=True):
            print(f"  {name} {text!r}")
    return int(lost)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
