"""What makes a folder of exports work in a trainer as it is: a file for each trainer that is named.

    dataset_info.json   LLaMA-Factory: `dataset_dir` is the folder, `dataset` an entry
    axolotl.yaml        Axolotl, run in the folder
    train_trl.py        TRL: a script that takes the model

References: https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md, https://docs.axolotl.ai,
https://huggingface.co/docs/trl/sft_trainer.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.export.formats import file_name
from distill_build.export.layout import TRAIN, Layout
from distill_build.records import JsonObject

Filled = Mapping[str, Sequence[str]]
"""The sides of which each format has rows."""
HELD_OUT = "validation"
SCRIPT = Path(__file__).with_name("train_trl.txt")
ENTRIES: Mapping[str, JsonObject] = {
    "messages": {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
    "alpaca": {
        "columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system"},
    },
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations"}},
}
"""How LLaMA-Factory reads each format that it reads."""
CONVERSATIONS: Mapping[str, Sequence[str]] = {
    "messages": (
        "field_messages: messages",
        "message_property_mappings: {role: role, content: content, reasoning_content: reasoning_content}",
    ),
    "sharegpt": ("field_messages: conversations", "message_property_mappings: {role: from, content: value}"),
}
"""How Axolotl does. It hands on a field that is not named only where it makes out its name in the chat template."""


class Trainer(msgspec.Struct, frozen=True):
    """`reads` are the formats that it takes, one of which has to be there, and `file` is what `text` goes to."""

    reads: Sequence[str]
    file: str
    text: Callable[[Filled, Layout], str]


def trainer_files(filled: Filled, layout: Layout) -> dict[str, str]:
    """The text of each file for the trainers that `layout` names, by its name."""
    trainers = [TRAINERS[name] for name in layout.training.trainers]
    return {
        each.file: each.text({name: filled[name] for name in each.reads if filled.get(name)}, layout)
        for each in trainers
    }


def check_trainers(trainers: Iterable[str], formats: Sequence[str]) -> None:
    """Raises ConfigurationError for a trainer that reads none of `formats`."""
    for name in trainers:
        if not set(TRAINERS[name].reads) & set(formats):
            reads, first = " or ".join(TRAINERS[name].reads), TRAINERS[name].reads[0]
            raise ConfigurationError(
                f"trainers={name} reads {reads}, and formats=[{','.join(formats)}] has no such file: say "
                f"formats=[{','.join([*formats, first])}], or leave {name} out of trainers"
            )


def _dataset_info(filled: Filled, layout: Layout) -> str:
    entries = {
        name if side == TRAIN else f"{name}_{side}": {"file_name": file_name(name, side), **_entry(name, layout)}
        for name, sides in filled.items()
        for side in sides
    }
    return json.dumps(entries, indent=2) + "\n"


def _entry(name: str, layout: Layout) -> JsonObject:
    entry = ENTRIES[name]
    if name == "alpaca" and layout.dialogues:
        return {**entry, "columns": {**entry["columns"], "history": "history"}}
    if name == "sharegpt" and layout.system_prompt is not None:
        return {**entry, "columns": {**entry["columns"], "system": "system"}}
    return entry


def _axolotl(filled: Filled, layout: Layout) -> str:
    """Rows over the length stop it: it would drop them with a line in its log."""
    return "\n".join([*_axolotl_lines(filled, layout), ""])


def _axolotl_lines(filled: Filled, layout: Layout) -> Iterator[str]:
    yield "# In this folder: axolotl train axolotl.yaml --base-model MODEL"
    if student := layout.training.student:
        yield f"base_model: {json.dumps(student)}"
    name = next(iter(filled), None)
    if name is not None:
        for key, side in (("datasets", TRAIN), ("test_datasets", HELD_OUT)):
            if side in filled[name]:
                yield from (f"{key}:", f"  - path: {file_name(name, side)}", "    ds_type: json", "    split: train")
                yield from ("    type: chat_template", *(f"    {line}" for line in CONVERSATIONS[name]))
    yield f"sequence_len: {layout.training.max_length}"
    yield "excess_length_strategy: raise  # drop and truncate go on with less"
    yield from ("micro_batch_size: 1", "gradient_accumulation_steps: 8", "num_epochs: 1", "learning_rate: 0.00002")
    yield from ("optimizer: adamw_torch", "lr_scheduler: cosine", "output_dir: trained")


def _trl_script(filled: Filled, layout: Layout) -> str:  # noqa: ARG001 - it finds the rows by the card
    return SCRIPT.read_text(encoding="utf-8").replace("MAX_LENGTH", str(layout.training.max_length))


TRAINERS: Mapping[str, Trainer] = {
    "trl": Trainer(("prompt_completion",), "train_trl.py", _trl_script),
    "llamafactory": Trainer(tuple(ENTRIES), "dataset_info.json", _dataset_info),
    "axolotl": Trainer(tuple(CONVERSATIONS), "axolotl.yaml", _axolotl),
}
