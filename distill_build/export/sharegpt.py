"""The format of ShareGPT: {"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}.

Reference: https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md
"""

from distill_build.artefact_rows import AnswerRow
from distill_build.export.layout import Layout, additions, reasoning_field, reply
from distill_build.records import JsonObject


def record(row: AnswerRow, layout: Layout) -> JsonObject:
    """One line; `system` is there where there is a system prompt."""
    conversations = [
        {"from": "human", "value": row.question},
        {"from": "gpt", "value": reply(row, layout)},
    ]
    system = {"system": layout.system_prompt} if layout.system_prompt is not None else {}
    return {"conversations": conversations, **system, **reasoning_field(row, layout), **additions(row, layout)}
