"""Words by which a reply takes back what it has given: what stood there was a draft, or is wrong by its own account."""

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Generic, NamedTuple, TypeVar

from distill_build.replies.labels import normalise

_Value = TypeVar("_Value")
SENTENCE_START = re.compile(r"(?<=[.!?。！？\n])\s*")
INTERJECTIONS = r"\W*(?:(?:oh|but|hm+|well|sorry|ah|no|不)\W+)*"
TAKEN_BACK = re.compile(
    rf"{INTERJECTIONS}(?:wait(?=[,.:;!…–—]|\s*$)|(?<=no )wait\b|hold on\b|scratch that\b|strike that\b|"
    r"on (?:second thoughts?|reflection)\b|let me (?:correct|reconsider|re-?think|re-?evaluate)\b|"
    r"i (?:was|am) (?:wrong|mistaken)\b|i (?:made|make) a mistake\b|my mistake\b|i (?:take|took) (?:that|it) back\b|"
    r"等等|更正|纠正|我错了)",
    re.IGNORECASE,
)
"""How a sentence begins that takes back what stands before it, whatever that is."""
DOUBTED = re.compile(r"\W*(?:(?:no|not|hm+|actually|correction|rather|instead|sorry)\b|不|其实|抱歉)", re.IGNORECASE)
"""How one may begin that does so, or says why it stands ("False. No, the earth is round"): its other words tell."""
CORRECTED = re.compile(
    r"\b(?:final|correct|revis|improv|fixed|instead|rather|actually|wait|reflection|second thought|reconsider|better|"
    r"updat|wrong|mistake)|最终|修改|更正|改为|纠正|重新|不对",
    re.IGNORECASE,
)
"""What leads from a draft to what comes of it."""
DRAFT = re.compile(r"\b(?:draft|first|initial|attempt|example|e\.g\.)|草稿|初稿|例如|示例", re.IGNORECASE)
"""What leads to a draft."""
LONGEST_LEAD = 60
"""Characters before a value in which that stands."""


class Given(NamedTuple, Generic[_Value]):
    """What a text gives between two places of it."""

    value: _Value
    start: int
    end: int


def what_stands(text: str, given: Sequence[Given[_Value]], others: Iterable[str] = ()) -> list[_Value]:
    """The values that a text gives, each once: without a draft of the next one, and the last that it takes back."""
    found: list[_Value] = []
    ended = 0
    for each, later in zip_longest(given, given[1:]):
        if later is None:
            gone = takes_back(text[each.end :], each.value if isinstance(each.value, str) else "", others)
        else:
            lead, between = text[max(ended, each.start - LONGEST_LEAD) : each.start], text[each.end : later.start]
            gone = DRAFT.search(lead) is not None or CORRECTED.search(between) is not None
        if not gone and each.value not in found:
            found.append(each.value)
        ended = each.end
    return found


def takes_back(after: str, given: str = "", others: Iterable[str] = ()) -> bool:
    """Whether a sentence of `after`, the text behind what was `given`, begins with words that take it back; with those
    that may only say why it stands, where it names `given` after a "not", or one of the `others` that there are."""
    return any(_takes_back(sentence, given, others) for sentence in SENTENCE_START.split(after))


def _takes_back(sentence: str, given: str, others: Iterable[str]) -> bool:
    if (match := TAKEN_BACK.match(sentence)) is not None:
        return normalise(match[0]) != normalise(given)  # a label may be "wait"
    if DOUBTED.match(sentence) is None:
        return False
    said, own = normalise(sentence), normalise(given)
    if own and f"not {own}" in said:
        return True
    return any(key not in own and key in said.replace(f"not {key}", "") for key in map(normalise, others))
