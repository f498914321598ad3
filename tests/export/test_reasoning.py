"""Where the thought goes, by trainers and family, and what is said where it would be lost."""

import pytest

from distill_build.export.reasoning import CutAnswers, Where, chosen_place, cut_answers, family_of, lost_thought

FORMATS = ("messages", "prompt_completion")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Qwen/Qwen3-0.6B", "Qwen3"),
        ("Qwen/Qwen3-4B-Instruct-2507", "Qwen3-2507-Instruct"),
        ("Qwen/Qwen2.5-1.5B-Instruct", "Qwen2.5"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "R1-Distill"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "R1-Distill"),
        ("deepseek-ai/DeepSeek-V3", "DeepSeek"),
        ("meta-llama/Llama-3.2-1B-Instruct", "Llama 3"),
        ("google/gemma-3-1b-it", "Gemma 1 to 3"),
        ("google/gemma-2b", "Gemma 1 to 3"),
        ("google/gemma-4-E2B-it", "Gemma"),
        ("microsoft/phi-4", "Phi"),
        ("microsoft/Phi-3.5-mini-instruct", "Phi"),
        ("CohereForAI/c4ai-command-r7b-12-2024", "Cohere"),
        ("openai/gpt-oss-20b", "gpt-oss"),
        ("Qwen/Qwen3.8-8B", "Qwen3.8"),
        ("LiquidAI/LFM2.5-1.2B", "LFM2.5"),
        ("zai-org/GLM-4.5-Air", "GLM-4-MoE"),
        ("models/my qwen3 student", "Qwen3"),
        ("Qwen/Qwen3.5-4B", "Qwen3"),
        ("Qwen/Qwen3-4B-Thinking-2507", "Qwen3"),
        ("meta-llama/Meta-Llama-3-8B", "Llama 3"),
    ],
)
def test_a_family_is_known_by_the_name_of_a_model(model: str, family: str) -> None:
    found = family_of(model)
    assert found is not None
    assert found.name == family


@pytest.mark.parametrize(
    "model",
    [
        *("", "HuggingFaceTB/SmolLM2-135M-Instruct", "gpt-4o", "dolphin-3", "qwen-plus"),
        *("Qwen/Qwen-7B", "Qwen/Qwen-72B-Chat", "huggyllama/llama-30b", "openlm-research/open_llama_3b"),
        *("Qwen/Qwen3-Next-80B-A3B-Instruct", "Qwen/Qwen3-Coder-30B-A3B-Instruct", "Qwen/Qwen3-VL-4B-Instruct"),
        "nvidia/nemotron-340b",
    ],
)
def test_of_another_model_nothing_is_said(model: str) -> None:
    assert family_of(model) is None
    assert chosen_place(["trl"], model) == "think"
    assert lost_thought("field", ["trl"], model, FORMATS) is None


@pytest.mark.parametrize(
    ("trainers", "model", "place"),
    [
        (["trl"], "Qwen/Qwen3-0.6B", "field"),
        (["trl", "llamafactory"], "Qwen/Qwen3-0.6B", "think"),
        (["axolotl"], "Qwen/Qwen3-0.6B", "think"),
        ([], "Qwen/Qwen3-0.6B", "think"),
        (["trl"], "meta-llama/Llama-3.2-1B", "think"),
        (["trl"], "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "think"),
    ],
)
def test_auto_takes_the_field_only_where_everybody_reads_it(trainers: list[str], model: str, place: str) -> None:
    assert chosen_place(trainers, model) == place


@pytest.mark.parametrize(
    ("where", "trainers", "model", "told"),
    [
        ("field", ["trl"], "Qwen/Qwen3-0.6B", None),
        ("think", ["llamafactory"], "Qwen/Qwen3-0.6B", None),
        ("drop", ["llamafactory"], "deepseek-ai/DeepSeek-V3", None),
        ("field", ["trl", "llamafactory"], "", "trainers=llamafactory, which reads no field of it in formats="),
        ("field", ["trl"], "Qwen/Qwen2.5-0.5B", "the chat template of Qwen2.5 (Qwen/Qwen2.5-0.5B) drops"),
        (
            "think",
            ["trl"],
            "deepseek-ai/DeepSeek-V3",
            "the chat template of DeepSeek (deepseek-ai/DeepSeek-V3) keeps none",
        ),
    ],
)
def test_a_place_that_loses_the_thought_is_told(where: str, trainers: list[str], model: str, told: str | None) -> None:
    found = lost_thought(where, trainers, model, FORMATS)  # type: ignore[arg-type]  # one of the three
    assert (found is None) if told is None else (found is not None and told in found)


@pytest.mark.parametrize("model", ["", "Qwen/Qwen3-0.6B"])
def test_a_format_whose_field_a_trainer_does_not_read_is_told(model: str) -> None:
    found = lost_thought("field", ["axolotl"], model, ["sharegpt"])
    assert found is not None
    assert "trainers=axolotl, which reads no field of it in formats=[sharegpt]" in found
    assert lost_thought("field", ["axolotl"], model, ["sharegpt", "messages"]) is None
    assert lost_thought("think", ["axolotl"], model, ["sharegpt"]) is None


CUT, KEPT = (True, True), (False, False)


@pytest.mark.parametrize(
    ("where", "trainers", "model", "cut", "in_field"),
    [
        ("think", ["trl"], "Qwen/Qwen3-0.6B", CUT, True),
        ("drop", ["trl", "axolotl"], "zai-org/GLM-4.5-Air", CUT, True),
        ("field", ["trl", "axolotl"], "Qwen/Qwen3-0.6B", KEPT, True),
        ("think", ["trl", "llamafactory"], "Qwen/Qwen3-0.6B", CUT, False),  # which reads no field
        ("think", ["trl"], "Qwen/Qwen3.8-8B", KEPT, True),
        *((where, ["trl"], "deepseek-ai/DeepSeek-V3", CUT, False) for where in ("think", "field", "drop")),
        ("think", ["llamafactory"], "deepseek-ai/DeepSeek-V3", KEPT, False),  # which has no chat template
        ("think", ["trl"], "meta-llama/Llama-3.2-1B", KEPT, False),
        ("think", ["axolotl"], "google/gemma-3-1b-it", KEPT, False),
        ("think", ["trl"], "nvidia/Nemotron-3-Nano", (False, True), False),
        ("drop", ["trl"], "nvidia/Nemotron-3-Nano", KEPT, False),
        ("field", ["trl"], "LiquidAI/LFM2.5-1.2B", (False, True), False),
        ("think", [], "Qwen/Qwen3-0.6B", CUT, True),
        ("field", [], "Qwen/Qwen3-0.6B", KEPT, True),
        ("field", [], "deepseek-ai/DeepSeek-V3", CUT, False),
    ],
)
def test_an_answer_that_says_the_end_of_a_thought_is_cut_by_family_and_place(
    where: Where, trainers: list[str], model: str, cut: tuple[bool, bool], in_field: bool
) -> None:
    found = cut_answers(where, trainers, model, FORMATS)
    assert (found.last, found.before) == cut
    assert found.known == (trainers != ["llamafactory"])
    assert found.in_field == (in_field and found.known)


def test_a_field_that_axolotl_does_not_read_is_as_none() -> None:
    found = cut_answers("field", ["axolotl"], "Qwen/Qwen3-0.6B", ["sharegpt"])
    assert found == CutAnswers(last=True, before=True)


def test_of_a_template_that_is_not_known_all_may_be_cut() -> None:
    for trainers in (["trl"], []):
        assert cut_answers("think", trainers, "", FORMATS) == CutAnswers(last=True, before=True, known=False)


def test_what_goes_through_no_template_is_cut_by_none() -> None:
    found = cut_answers("think", [], "Qwen/Qwen3-0.6B", ["csv", "labels", "kd", "soft"])
    assert (found.last, found.before) == KEPT
