"""The columns of the tabular formats. Reasoning and answer are columns of their own, unless reasoning is dropped."""

from distill_build.artefact_rows import AnswerRow
from distill_build.export.layout import Layout

METADATA = ("id", "question_id", "tag", "path", "sample", "model")


def column_names(layout: Layout) -> tuple[str, ...]:
    """The columns in their order; all but `system` are fields of a row."""
    system = () if layout.system_prompt is None else ("system",)
    reasoning = () if layout.reasoning == "drop" else ("reasoning",)
    return (*system, "question", *reasoning, "answer", *(METADATA if layout.metadata else ()))


def cell(row: AnswerRow, name: str, layout: Layout) -> object:
    """What stands in column `name`: text, a whole number, a path, or None."""
    return layout.system_prompt if name == "system" else getattr(row, name)
