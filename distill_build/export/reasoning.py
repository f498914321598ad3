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


IN_TEXT: Sequence[Where] = ("think", "drop")
ANYWHERE: Sequence[Where] = (*IN_TEXT, "field")


class ModelFamily(msgspec.Struct, frozen=True):
    """Models whose names match `pattern`; whether their chat template keeps a thought in a field, and in the text.

    `cuts`: with the thought in which places an answer that says `</think>` is cut there; `cuts_before`: in which others
    one of a turn before the last is.
    """

    name: str
    pattern: str
    field: bool
    think: bool = True
    cuts: Sequence[Where] = ()
    cuts_before: Sequence[Where] = ()


class CutAnswers(msgspec.Struct, frozen=True):
    """Which answers that say `</think>` are cut there: those of the last turn, and those before. `known` is whether the
    template is; `in_field` that none is cut where the thought is in a field."""

    last: bool
    before: bool
    known: bool = True
    in_field: bool = False


FAMILIES = (
    ModelFamily("R1-Distill", r"r1-distill|deepseek.*distill", field=False, think=False, cuts=ANYWHERE),
    ModelFamily("DeepSeek", r"deepseek", field=False, think=False, cuts=ANYWHERE),
    ModelFamily("Idefics3", r"idefics-?3", field=False, think=False, cuts=ANYWHERE),
    ModelFamily("Qwen3-2507-Instruct", r"qwen-?3.*instruct.*2507|qwen-?3.*2507.*instruct", field=False),
    ModelFamily("Qwen3.8", r"qwen-?3\.8", field=True),
    ModelFamily("Qwen3", r"qwen-?3(?!\d|b)(?!.*(?:instruct|coder))", field=True, cuts=IN_TEXT),
    ModelFamily("Qwen2.5", r"qwen-?(?:1\.5|2)(?!\d|b)", field=False),
    ModelFamily("GLM-4-MoE", r"glm-?4\.[5-9]|glm-?4-moe|glm-?[5-9]", field=True, cuts=IN_TEXT),
    ModelFamily("Nemotron-3", r"nemotron-?3(?!\d|b)", field=True, cuts_before=("think", "field")),
    ModelFamily("gpt-oss", r"gpt-?oss", field=True),
    ModelFamily("LFM2.5", r"lfm-?2\.5", field=True, cuts_before=ANYWHERE),
    ModelFamily("Gemma 1 to 3", r"gemma-?(?:[123](?!\d)|\d+b)|codegemma", field=False),
    ModelFamily("Gemma", r"gemma-?[4-9]", field=True),
    ModelFamily("Llama 3", r"llama-?3(?!\d|b)", field=False),
    ModelFamily("Phi", r"\bphi-?[1-4]", field=False),
    ModelFamily("Cohere", r"command-?[ra]|\baya\b|c4ai", field=False),
)
"""The first that matches counts: R1-Distill-Qwen has the template of DeepSeek. A number is that of a generation,
not of parameters (Qwen-7B, llama-30b). Of other Instruct and Coder models of Qwen3 the template was not looked at.
That of gpt-oss reads a field `thinking`, which transformers fills. Tried with the templates that trl 1.16 has."""
FIELD_READ_IN: Mapping[str, Sequence[str]] = {
    "llamafactory": (),
    "axolotl": ("messages",),
    "trl": ("prompt_completion",),
}
"""Of which formats each trainer hands a field of reasoning to the template."""
RENDERED = ("messages", "prompt_completion", "preference", "sharegpt", "alpaca", "parquet")
"""Formats of which rows go through the template of whoever trains on them."""
WITHOUT_TEMPLATE = ("llamafactory",)
"""Trainers that render rows by texts of their own."""
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
    deaf = _deaf(trainers, formats)
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


def cut_answers(where: Where, trainers: Sequence[str], model: str, formats: Sequence[str]) -> CutAnswers:
    """Which answers that say `</think>` trainers show the student cut, by the chat template of its family. Where none
    is named, it is one that hands the template all that formats have for it."""
    rendering = [name for name in trainers if name not in WITHOUT_TEMPLATE]
    is_rendered = bool(rendering) if trainers else bool(set(RENDERED) & set(formats))
    family = family_of(model)
    if family is None or not is_rendered:
        return CutAnswers(is_rendered, is_rendered, known=False)
    deaf = _deaf(rendering, formats)
    places = {"drop" if where == "field" and name in deaf else where for name in rendering} or {where}
    return CutAnswers(
        last=bool(places & set(family.cuts)),
        before=bool(places & {*family.cuts, *family.cuts_before}),
        in_field=family.field and "field" not in family.cuts_before and not _deaf(trainers, formats),
    )


def _deaf(trainers: Sequence[str], formats: Sequence[str]) -> list[str]:
    """The trainers that hand no field of reasoning on, of the formats that there are."""
    return [name for name in trainers if not set(FIELD_READ_IN[name]) & set(formats)]
