"""The format of Stanford Alpaca, with LLaMA-Factory's `system`: {"instruction", "input", "output", "system"}.

Reference: https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md
"""

from distill_build.artefact_rows import AnswerRow
from distill_build.export.layout import Layout, additions, reasoning_field, reply
from distill_build.records import JsonObject


def record(row: AnswerRow, layout: Layout) -> JsonObject:
    """One line. `input` is always empty: a question needs no second text."""
    return {
        "instruction": row.question,
        "input": "",
        "output": reply(row, layout),
        "system": layout.system_prompt or "",
        **reasoning_field(row, layout),
        **additions(row, layout),
    }
