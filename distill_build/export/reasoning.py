"""Where the thought goes so that it reaches the model that is to be trained: by the trainers, the files that they
read, and what the chat template of the model's family does with it. Pure.

A template that renders `reasoning_content` keeps a thought in a field; one that takes a reply apart at `</think>` and
throws the first part away loses one that stands in the text. Of a family that is not known nothing is said.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Where = Literal["think", "field", "drop"]


class ModelFamily(msgspec.Struct, frozen=True):
    """Models whose names match `pattern`; whether their chat template keeps a thought in a field, and in the text."""

    name: str
    pattern: str
    field: bool
    think: bool = True


FAMILIES = (
    ModelFamily("R1-Distill", r"r1-distill|deepseek.*distill", field=False, think=False),
    ModelFamily("DeepSeek", r"deepseek", field=False, think=False),
    ModelFamily("Idefics3", r"idefics-?3", field=False, think=False),
    ModelFamily("Qwen3-2507-Instruct", r"qwen-?3.*instruct.*2507|qwen-?3.*2507.*instruct", field=False),
    ModelFamily("Qwen3", r"qwen-?3(?!\d|b)(?!.*(?:instruct|coder))", field=True),
    ModelFamily("Qwen2.5", r"qwen-?(?:1\.5|2)(?!\d|b)", field=False),
    ModelFamily("GLM-4-MoE", r"glm-?4\.[5-9]|glm-?4-moe|glm-?[5-9]", field=True),
    ModelFamily("Nemotron-3", r"nemotron-?3(?!\d|b)", field=True),
    ModelFamily("gpt-oss", r"gpt-?oss", field=True),
    ModelFamily("LFM2.5", r"lfm-?2\.5", field=True),
    ModelFamily("Gemma 1 to 3", r"gemma-?(?:[123](?!\d)|\d+b)|codegemma", field=False),
    ModelFamily("Gemma", r"gemma-?[4-9]", field=True),
    ModelFamily("Llama 3", r"llama-?3(?!\d|b)", field=False),
    ModelFamily("Phi", r"\bphi-?[1-4]", field=False),
    ModelFamily("Cohere", r"command-?[ra]|\baya\b|c4ai", field=False),
)
"""The first that matches counts: R1-Distill-Qwen has the template of DeepSeek. A number is that of a generation,
not of parameters (Qwen-7B, llama-30b). Of other Instruct and Coder models of Qwen3 the template was not looked at."""
FIELD_READ_IN: Mapping[str, Sequence[str]] = {
    "llamafactory": (),
    "axolotl": ("messages",),
    "trl": ("prompt_completion",),
}
"""Of which formats each trainer hands a field of reasoning to the template."""
READS_FIELD = ("trl",)
"""Trainers that hand the whole message to the template."""


def family_of(model: str) -> ModelFamily | None:
    """The family of a model, by its name on the Hub or by its folder's; None for one that is not known."""
    name = re.sub(r"[\s_]", "-", model.casefold())
    return next((family for family in FAMILIES if re.search(family.pattern, name)), None)


def chosen_place(trainers: Sequence[str], model: str) -> Where:
    """Where `auto` puts the thought: into a field where the model's template is known to keep it there and all trainers
    to hand it on, since then no text is changed; else into the text, which all read."""
    family = family_of(model)
    reaches = bool(trainers) and set(trainers) <= set(READS_FIELD)
    return "field" if reaches and family is not None and family.field else "think"


def lost_thought(where: Where, trainers: Sequence[str], model: str, formats: Sequence[str]) -> str | None:
    """What is to be said of a place from which the thought reaches no training; None where it does, or may."""
    family = family_of(model)
    deaf = [name for name in trainers if not set(FIELD_READ_IN[name]) & set(formats)]
    if where == "field" and deaf:
        return (
            f"the thought is lost with format.reasoning=field and trainers={deaf[0]}, which reads no field of it in "
            f"formats=[{','.join(formats)}]: say format.reasoning=think, or auto"
        )
    if family is None or where == "drop" or (family.field if where == "field" else family.think):
        return None
    if family.think:
        return (
            f"the thought is lost with format.reasoning=field: the chat template of {family.name} ({model}) drops "
            "reasoning_content: say format.reasoning=think, or auto"
        )
    return (
        f"the thought is lost: the chat template of {family.name} ({model}) keeps none, cuts a reply at </think> and "
        "drops reasoning_content: train with a template that keeps what the assistant says"
    )
