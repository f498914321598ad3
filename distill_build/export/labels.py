"""The format for classifiers: {"text": the question, "label": what it is, "shares": {label: how much speaks for it}}.

`shares` are soft labels where no endpoint gives probabilities. Rows without a label have no line.
"""

from distill_build.export.layout import Layout, TrainingRow, additions
from distill_build.records import JsonObject


def labels(row: TrainingRow, layout: Layout) -> JsonObject | None:
    """The line of a row."""
    if row.label is None:
        return None
    shares = {label: float(share) for label, share in (row.shares or {}).items()}
    return {"text": row.question, "label": row.label, "shares": shares, **additions(row, layout)}
