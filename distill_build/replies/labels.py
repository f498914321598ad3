"""What makes an item of a list: how it is cleaned, and the key under which two are the same.

Knows nothing of how they were sent.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec

from distill_build.replies.numbering import without_counting, without_marker


class ListReading(msgspec.Struct, frozen=True):
    """How a list is read. `name` is its own in the JSON object, `item` what one of it is called to the model.

    `other_names` are those that models give to the list, `text_names` those of the text in an item that is an object.
    Lengths are in characters; `longest` None is no limit. `one_line` items are names, others texts with line breaks.
    `axes` are names and values of what each item is asked to say of itself, beside its text.
    """

    name: str
    item: str
    other_names: tuple[str, ...] = ()
    text_names: tuple[str, ...] = ()
    shortest: int = 1
    shortest_cjk: int = 1
    longest: int | None = None
    one_line: bool = False
    axes: tuple[tuple[str, tuple[str, ...]], ...] = ()


CJK = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
BOLD = re.compile(r"\*\*(?P<text>[^*]+)\*\*[\s:：.。]*")
ITALIC = re.compile(r"\*(?P<text>[^*\s][^*]*)\*")
EXPLAINED = re.compile(r"\*\*(?P<text>[^*]+?)(?:[:：]\*\*|\*\*\s*(?:[:：]|[-–—]\s)).+")
QUOTED = re.compile(r"\"([^\"]+)\"|'([^']+)'|“([^“”]+)”|`([^`]+)`")


@cache  # a class of so many characters takes milliseconds to compile, and every start reads this file
def cjk() -> re.Pattern[str]:
    """A character of `CJK`."""
    return re.compile(CJK)


@cache
def beside_cjk() -> re.Pattern[str]:
    """The space beside such a character."""
    return re.compile(rf"(?<={CJK})\s+|\s+(?={CJK})")


def clean(found: Sequence[Any], reading: ListReading) -> tuple[list[str], list[str]]:
    """The usable items of `found`, and a few words on each kind of unusable one, for the model to read."""
    texts = without_counting([item for item in found if isinstance(item, str)])
    dropped = [f"a {reading.item} has to be a text"] * (len(texts) < len(found))
    kept = []
    for text in texts:
        item = one_line(text) if reading.one_line else as_it_came(text)
        fault = _unusable(item, reading)
        if fault is None:
            kept.append(item)
        elif fault not in dropped:
            dropped.append(fault)
    return kept, dropped


def one_line(text: str) -> str:
    """One line without list marker, bold type, quotes around it or an explanation behind it."""
    flat = without_marker(" ".join(text.split()))
    explained = EXPLAINED.fullmatch(flat)
    return bare(explained["text"] if explained else flat)


def as_it_came(text: str) -> str:
    """`text` as it came, with line breaks (it may hold code), but for marker, bold type and quotes."""
    return bare(without_marker(text.strip()))


def bare(text: str) -> str:
    """`text` without the bold type, italics or quotes that enclose the whole of it."""
    for enclosed in (BOLD, ITALIC, QUOTED):
        match = enclosed.fullmatch(text)
        if match is not None:
            text = next(group for group in match.groups() if group is not None).strip()
    return without_marker(text)


def _unusable(item: str, reading: ListReading) -> str | None:
    """Why an item cannot be used, or None."""
    shortest = reading.shortest_cjk if not item.isascii() and cjk().search(item) else reading.shortest
    if not any(map(str.isalnum, item)):
        return f"a {reading.item} needs words"
    if len(item) < shortest:
        return f"a {reading.item} needs at least {shortest} characters"
    if reading.longest is not None and len(item) > reading.longest:
        return f"a {reading.item} is a short name of at most {reading.longest} characters"
    if any(map(is_surrogate, item)):
        return f"a {reading.item} may not hold half a surrogate pair"
    return None


def is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


# Marks that are part of a name or a number: C++, C#, 50%, R@K, 3.10 and 1,000, -5, .NET.
SIGNS = frozenset("+#%@")
BEGINNING_READ, BEGINNING_LETTERS = 200, 60
"""Characters that are looked at, and letters of them that are compared: the last ones read may be half of something."""
# What stands before is looked at last: a pattern that begins with its mark is found several times as fast.
BETWEEN_DIGITS = re.compile(r"[.,:/\-](?<=\d.)(?=\d)")
BEFORE_WORD = re.compile(r"[.\-](?<!\S.)(?=\d)|\.(?<!\S.)(?=[^\W\d_])")
APOSTROPHES = re.compile(r"['’ʼ](?<=\w.)(?=\w)")


class _Blanks(dict[int, str | int]):
    """A table for `str.translate`: punctuation to a space, each character looked up once."""

    def __missing__(self, code: int) -> str | int:
        self[code] = " " if is_punctuation(chr(code)) else code
        return self[code]


BLANKS = _Blanks()


@lru_cache(maxsize=4096)  # an item is compared right after it was read, and not again before the end of a build
def normalise(text: str) -> str:
    """The key under which `text` is a duplicate: case, width, markers, punctuation and spaces do not count.

    `C`, `C++` and `C#` stay apart, and so do `3.10` and `31.0`. Never empty for a text that is not.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = APOSTROPHES.sub("", without_marker(folded))
    words = folded.translate(BLANKS)
    for mark in (BETWEEN_DIGITS, BEFORE_WORD):
        for kept in mark.finditer(folded):
            words = f"{words[: kept.start()]}{kept[0]}{words[kept.end() :]}"
    key = " ".join(words.split())
    if not key.isascii():
        key = beside_cjk().sub("", key)
    return key or folded.strip() or text


def same_label(one: str, other: str) -> bool:
    """Whether two labels name one tag."""
    return normalise(one) == normalise(other)


def letters(text: str) -> str:
    """Letters and digits of `text` alone, up to case and width, behind its list marker: all that its `normalise` has,
    for a small part of the time that this takes."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(filter(str.isalnum, APOSTROPHES.sub("", without_marker(folded))))


def beginning(text: str) -> str:
    """The first letters and digits of `text`: the same where `normalise` is, and nearly always another where it is not,
    so that few long texts have to be compared in full."""
    first = letters(text[:BEGINNING_READ])
    if len(first) <= BEGINNING_LETTERS and len(text) > BEGINNING_READ:
        first = letters(text)
    return first[:BEGINNING_LETTERS]


def is_punctuation(character: str) -> bool:
    return character not in SIGNS and unicodedata.category(character)[0] == "P"
