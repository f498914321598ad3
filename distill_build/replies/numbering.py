"""Takes list markers off items: `1. Foo`, `(2) Foo`, `一、Foo`, `- Foo`. Knows nothing of replies.

What may belong to the item stays: `3.10 release`, `2001: A Space Odyssey`, `7 Wonders`, `3D printing`,
`.NET`, `C. elegans`, `三、四线城市`. Some markers (`1.2 Foo`, `3 Foo`, `A. Foo`) can be told from a name only
where the items of one list count up with them.
"""

import re
from collections.abc import Sequence
from functools import cache

CHINESE_DIGITS = "一二三四五六七八九十"
MARKERS = (
    r"[-*+•●○▪‣·–—]\s+|[•●○▪‣]|\#{1,6}\s+|\[[ xX]\]\s+",  # bullets, headings, check boxes
    r"[①-⑳❶-❿]\s*",
    rf"[(（\[【](?:\d{{1,3}}|[a-z]|[{CHINESE_DIGITS}]{{1,3}})[)）\]】]\s*(?=\S)",  # (1), [a], 【一】
    r"(?:\d{1,3}(?:\.\d{1,3})*[.)）、．]|[a-zA-Z][)）])\s+",  # 1., 1.2), b)
    r"\d{1,3}(?:[)）、]|[.．](?=[^\W\d_a-zA-Z]|[A-Z][a-z]))(?=\S)",  # 1、网球, 1.网球, 1.Foo
    rf"第?[{CHINESE_DIGITS}]{{1,3}}[、．.](?![{CHINESE_DIGITS}])\s*",
    rf"(?:\*\*)?(?:Q|Question\s?|问题\s?)[\d{CHINESE_DIGITS}]{{1,3}}\s?[.:：、)](?:\*\*)?\s*",
    r"\*\*\d{1,3}[.)、:：]?\*\*\s*",
)
SOMETHING = re.compile(r"\S")
COUNTED = re.compile(r"\s*(?P<prefix>(?:\d{1,3}\.)*)(?P<last>\d{1,3}|[A-Za-z])(?P<end>[.:：]?)\s+(?=\S)")
NUMBERED = re.compile(r"\s*\d{1,3}[.)、]\s")
DOTTED = re.compile(r"\s*\d{1,2}(?:\.\d{1,2})+\s+(?=[A-Z\u4e00-\u9fff])")


@cache  # each takes more than a millisecond to compile, and every start reads this file
def marker_at_start() -> re.Pattern[str]:
    """A list marker, with what space is around it."""
    return re.compile(rf"\s*(?:{'|'.join(MARKERS)})")


@cache
def marked_line() -> re.Pattern[str]:
    """A line that begins with a list marker; `indent` stands before that."""
    return re.compile(rf"(?P<indent>\s*)(?:{'|'.join(MARKERS)}).*\S")


def without_marker(text: str) -> str:
    """`text` without the list markers at its start that are surely markers, unless nothing would be left."""
    start = 0
    while (marker := marker_at_start().match(text, start)) and SOMETHING.search(text, marker.end()):
        start = marker.end()
    return text[start:].strip()


def without_counting(items: Sequence[str]) -> list[str]:
    """`items` without the numbers or letters that count them up from the first (`1.1 Foo`, `1.2 Bar`).

    One item alone does not count up, and items that are the same without their numbers are named by them.
    Beside `1. Foo`, a `1.2 Foo` is numbered too.
    """
    marks = [COUNTED.match(item) for item in items]
    if not counts_up(marks):
        if not any(map(NUMBERED.match, items)):
            return list(items)
        marks = [DOTTED.match(item) for item in items]
    rest = [item[mark.end() :] if mark else item for item, mark in zip(items, marks, strict=True)]
    return rest if len(set(rest)) == len(rest) else list(items)


def counts_up(marks: Sequence[re.Match[str] | None]) -> bool:
    """Whether the items count 1, 2, 3 or A, B, C.

    Dotted numbers may stand on some items, others on all; a letter has its dot, since `A Farewell` is a name.
    """
    found = [mark for mark in marks if mark is not None]
    if len(found) < 2 or len({(mark["prefix"], mark["end"]) for mark in found}) > 1:
        return False
    if len(found) < len(marks) and not found[0]["prefix"]:
        return False
    values = [value_of(mark) for mark in found]
    return values == list(range(1, 1 + len(found)))


def value_of(mark: re.Match[str]) -> int:
    """The number of a mark, A being 1; 0 for what is none."""
    last = mark["last"]
    if last.isdigit():
        return int(last)
    return ord(last.lower()) - ord("a") + 1 if mark["end"] else 0
