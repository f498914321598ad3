"""How varied the texts of a dataset's list are: how many are distinct, and how many nearly say another one again."""

from collections import Counter
from pathlib import Path

import msgspec

from distill_build.dataset.rows import list_text, read_objects
from distill_build.graph import Graph, Shape

SHINGLE = 3
"""Characters of a shingle: short enough for a text of ten Chinese characters."""
THRESHOLD = 0.7
"""Two texts are near duplicates from this Jaccard similarity of their shingles on."""
PERMUTATIONS = 128
SEED = 1


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

    A text that is not word for word another one, but close to one before it by MinHash (Broder 1997), is a near
    duplicate. Word for word is by `normalise`, as where a build counts duplicates.
    """
    from rensa import RMinHashDeduplicator

    from distill_build.replies.parse import normalise

    texts = Counter(normalise(list_text(row)) for row in read_objects(path))
    if not texts:
        return None
    total = texts.total()
    sieve = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True, seed=SEED)
    fresh = sieve.add_pairs((str(number), shingles(text)) for number, text in enumerate(texts))
    return Variety(total, len(texts) / total, (len(texts) - sum(fresh)) / total)


def shingles(text: str) -> list[str]:
    """All runs of `SHINGLE` characters; a shorter text is its own."""
    return [text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))]
