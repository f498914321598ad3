"""The chat format of OpenAI: {"messages": [{"role": …, "content": …}, …]}.

Reference: https://huggingface.co/docs/trl/dataset_formats (conversational language modeling).
"""

from distill_build.artefact_rows import AnswerRow
from distill_build.export.layout import Layout, additions, reply
from distill_build.records import JsonObject


def record(row: AnswerRow, layout: Layout) -> JsonObject:
    """One line. With a field of its own, reasoning is `reasoning_content`, the name that chat templates read."""
    assistant = {"role": "assistant", "content": reply(row, layout)}
    if layout.reasoning == "field":
        assistant["reasoning_content"] = row.reasoning or ""
    messages = [{"role": "user", "content": row.question}, assistant]
    if layout.system_prompt is not None:
        messages.insert(0, {"role": "system", "content": layout.system_prompt})
    return {"messages": messages, **additions(row, layout)}
