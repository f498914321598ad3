"""What is said of chat templates, by the templates themselves, as TRL brings them: where a thought is kept, and where
an answer that says `</think>` is cut."""

from pathlib import Path

import pytest
import trl
from transformers.utils.chat_template_utils import render_jinja_template

from distill_build.export import Layout, TrainingRow, Turn
from distill_build.export.layout import asked, replied
from distill_build.export.reasoning import ANYWHERE, FAMILIES, ModelFamily, Where

TEMPLATES = Path(trl.__file__).with_name("chat_templates")
OF = {
    "R1-Distill": ("deepseek_r1_distill",),
    "DeepSeek": ("deepseekv3",),
    "Idefics3": ("idefics3",),
    "Qwen3-2507-Instruct": ("qwen3_instruct_2507",),
    "Qwen3.8": ("qwen3_8",),
    "Qwen3": ("qwen3", "qwen3_5_think", "qwen3_6"),
    "Qwen2.5": ("qwen2_5",),
    "GLM-4-MoE": ("glm4moe",),
    "Nemotron-3": ("nemotron_3_nano", "nemotron_3_super"),
    "gpt-oss": ("gptoss",),
    "LFM2.5": ("lfm2_2_5", "lfm2_2_5_v2"),
    "Gemma 1 to 3": ("gemma", "gemma3"),
    "Gemma": ("gemma4_v5",),
    "Llama 3": ("llama3", "llama3_1", "llama3_2"),
    "Phi": ("phi3", "phi3_5"),
    "Cohere": ("cohere", "cohere2"),
}
"""The newest of each family, where there are several."""
BEFORE = Turn("a_1", "And then?", "A thought of the first.", "First </think> answer.")
LAST = TrainingRow("a_2", None, None, (), 0, "Why?", "A thought of the last.", "Last </think> answer.", "teacher")
DIALOGUE = TrainingRow("a_2", None, None, (), 0, "Why?", None, "It ends.", "teacher", history=(BEFORE,))


def rendered(template: str, row: TrainingRow, where: Where) -> str:
    """A row as the template of a model shows it to the model."""
    layout = Layout(reasoning=where, metadata=False, system_prompt=None)
    messages = [*asked(row, layout), replied(row, layout)]
    source = (TEMPLATES / f"{template}.jinja").read_text()
    (text,), _ = render_jinja_template([messages], chat_template=source, bos_token="", eos_token="")
    return str(text)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_keeps_and_cuts_what_is_said_of_it(family: ModelFamily) -> None:
    for template in OF[family.name]:
        kept, cut, cut_before = set[Where](), set[Where](), set[Where]()
        for where in ANYWHERE:
            last, before = rendered(template, LAST, where), rendered(template, DIALOGUE, where)
            kept |= {where} if "of the last." in last else set()
            cut |= {where} if LAST.answer not in last else set()
            cut_before |= {where} if BEFORE.answer not in before else set()
        expected = {where for where, is_kept in (("field", family.field), ("think", family.think)) if is_kept}
        assert (kept, cut) == (expected, set(family.cuts)), template
        assert cut_before == {*family.cuts, *family.cuts_before}, template
