"""Which words differ between two texts. Pure."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

import msgspec

WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\s+|."
)
"""A word, a character of a script that is written without spaces, white space, or one sign."""
PieceKind = Literal["same", "removed", "added"]


class Piece(msgspec.Struct, frozen=True):
    """A stretch of text that both have, or one alone."""

    kind: PieceKind
    text: str


def changed_words(old: str, new: str) -> list[Piece]:
    """`old` and `new` woven together: without what was added it is the one, without what was removed the other."""
    before, after = WORD.findall(old), WORD.findall(new)
    pieces: list[Piece] = []
    for tag, start, end, new_start, new_end in SequenceMatcher(None, before, after).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(before[start:end])))
            continue
        pieces += _pieces("".join(before[start:end]), "".join(after[new_start:new_end]))
    return list(_joined(pieces))


def _pieces(removed: str, added: str) -> Iterator[Piece]:
    if removed:
        yield Piece("removed", removed)
    if added:
        yield Piece("added", added)


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    """Changes with a mere space between them read better as one."""
    removed = added = ""
    for place, piece in enumerate(pieces):
        if piece.kind == "removed":
            removed += piece.text
        elif piece.kind == "added":
            added += piece.text
        elif piece.text.isspace() and (removed or added) and "\n" not in piece.text and place + 1 < len(pieces):
            removed, added = removed + piece.text, added + piece.text
        else:
            yield from _pieces(removed, added)
            removed = added = ""
            yield piece
    yield from _pieces(removed, added)
