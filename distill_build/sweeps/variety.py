"""How varied the texts of a dataset's list are: how many are distinct, and how many nearly say another one again."""

from collections import Counter
from pathlib import Path

import msgspec

from distill_build.dataset.rows import list_text, read_objects
from distill_build.graph import Graph, Shape
from distill_build.replies.labels import normalise
from distill_build.stages.likeness.repeats import least_likeness
from distill_build.stages.likeness.words import repeats_by_words


class Variety(msgspec.Struct, frozen=True):
    """Shares of all texts, 0 to 1: those that stand only once or for the first time, and near duplicates."""

    texts: int
    unique: float
    near_duplicates: float


def compared_list(graph: Graph) -> Shape | None:
    """The stage whose texts are compared: the last list that hangs on the tree. None where there is no such."""
    return next((shape for shape in reversed(graph.shapes) if shape.kind == "list" and shape.after is not None), None)


def variety_of(path: Path) -> Variety | None:
    """The variety of a list's file; None where there is no row.

    A text that is not word for word another one, but much like one before it, is a near duplicate: both are as `dedup`
    takes them, which is not in force in every sweep.
    """
    texts = Counter(normalise(list_text(row)) for row in read_objects(path))
    if not texts:
        return None
    total, repeats = texts.total(), repeats_by_words(list(texts), least_likeness("auto", "words"))
    return Variety(total, len(texts) / total, len(repeats) / total)
