"""What a reply says of its own values: which is final or a draft, and whether the last one is taken back.

Where a reply gives several, nothing is made of words but of a few fixed ones: who guesses takes the wrong one, and who
does not asks again.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from distill_build.replies.labels import normalise

_Value = TypeVar("_Value")
SENTENCE_START = re.compile(r"(?<=[.!?。！？\n])\s*")
NEGATION = re.compile(
    r"\b(?:not?|never|none|neither|nor|wrong|incorrect|false|rul\w+ out|exclud\w+|except|rather than|instead of)\b"
    r"|n['’]t\b|不|非|没|未|错|除",
    re.IGNORECASE,
)
FENCE = re.compile(r"```\w*\s*$")
_LED = (
    r"(?:^|[.!?;。！？；\n]|[,，](?=\s*(?:so\b|thus\b|therefore\b|因此|所以)))\W*"
    r"(?:(?:so|thus|therefore|here(?: is|['’]s)|this is)\W+)*(?:(?:the|my|a)\s+)?(?:因此|所以)?(?:这是|以下是)?(?:{})"
    r"(?:\s*(?:and|final|corrected|revised|json|object|answer|label|version|output|result|答案|标签|结果|版本|对象))*"
    r"\s*(?:is|是|为|如下)?[\s*_]*[:：]\W*$"
)
LONGEST_LEAD = 300
"""Characters before a value in which such words stand."""
FINAL = re.compile(_LED.format(r"final|corrected|revised|最终的?|(?:修正|更正|修改)后的?"), re.IGNORECASE)
"""Words that end in a colon and lead to what counts in the place of all before it."""
DRAFT = re.compile(_LED.format(r"(?:first |initial |rough )?draft|(?:first|initial) attempt|草稿|初稿"), re.IGNORECASE)
"""Such that lead to what the next one counts in the place of."""
EXAMPLE = re.compile(r"\bexample of the (?:\w+ )?(?:format|form|schema|structure)[\s*_]*:\W*$", re.IGNORECASE)
"""Such that lead to what is no value at all."""
INTERJECTIONS = r"\W*(?:(?:oh|but|hm+|well|sorry|ah|no|不)\W+)*"
TAKEN_BACK = re.compile(
    rf"{INTERJECTIONS}(?:wait(?=[,.:;!…–—]|\s*$)|(?<=no )wait\b|hold on\b|scratch that\b|strike that\b|"
    r"correction\b|actually\b|on (?:second thoughts?|reflection)\b|"
    r"let me (?:correct|reconsider|re-?think|re-?evaluate)\b|i (?:was|am) (?:wrong|mistaken)\b|"
    r"i (?:made|make) a mistake\b|my mistake\b|i (?:take|took) (?:that|it) back\b|等等|更正|纠正|我错了)",
    re.IGNORECASE,
)
"""How a sentence begins that takes back what stands before it, whatever that is."""
DENIED = re.compile(
    rf"{INTERJECTIONS}(?:no\s*(?:[^\w\s]|$)|不[对，]|(?:(?:that|which)\W+)?(?:is|was|s)(?: not|n['’]t)\b|"
    r"(?:(?:that|this|which|it)\W+)?(?:is|was|s) (?:not (?:correct|right|true)|wrong|incorrect|false|a mistake)\b)",
    re.IGNORECASE,
)
"""How one begins that does so but where a label is a denial itself ("False. No, the earth is round")."""
ANSWERED_NO = re.compile(rf"{DENIED.pattern}|\W*(?:不|没|否)", re.IGNORECASE)
"""How one begins that answers a question with no."""
QUESTION = re.compile(r"[?？][^\w\s]*\s*$")
DOUBTED = re.compile(r"\W*(?:(?:no|not|hm+|sorry|rather|instead)\b|不|其实|抱歉)", re.IGNORECASE)
"""How one may begin that does so: the labels that it names tell."""


class Given(NamedTuple, Generic[_Value]):
    """What a text gives between two places of it."""

    value: _Value
    start: int
    end: int


def those_that_count(text: str, given: Sequence[Given[_Value]]) -> Sequence[Given[_Value]]:
    """Those of `given` that count: from the last on that stands behind words for what is final, and without a first
    one that is called a draft, where another comes behind it."""
    first = ended = 0
    for place, each in enumerate(given):
        lead = text[ended : each.start]
        if leads(FINAL, lead):
            first = place
        elif place == first and place + 1 < len(given) and leads(DRAFT, lead):
            first = place + 1
        ended = each.end
    return given[first:]


def leads(words: re.Pattern[str], lead: str) -> bool:
    """Whether `lead`, the text before a value, ends in a sentence of such words that denies nothing."""
    said = FENCE.sub("", lead[-LONGEST_LEAD:]).rstrip()
    return words.search(said) is not None and NEGATION.search(SENTENCE_START.split(said)[-1]) is None


def takes_back(after: str, given: str = "", others: Iterable[str] = ()) -> bool:
    """Whether a sentence of `after`, the text behind what was `given`, begins with words that take it back; with those
    that may only say why it stands, where it names `given` after a "not", or one of the `others` that there are."""
    return any(_takes_back(sentence, given, others) for sentence in SENTENCE_START.split(after))


def denies(before: str, given: str) -> bool:
    """Whether `before`, the text before what is `given`, says that it is not that: in its last sentence, or in answer
    to a question that names it."""
    own = normalise(given)
    said = [sentence for sentence in SENTENCE_START.split(before) if any(map(str.isalnum, sentence))]
    if said and _names(said[-1], f"not {own}"):
        return True
    if NEGATION.search(given) is not None:  # a no may say it
        return False
    return any(
        QUESTION.search(asked) and _names(asked, own) and ANSWERED_NO.match(answer) for asked, answer in pairwise(said)
    )


def _names(sentence: str, key: str) -> bool:
    """Whether words with that key, of `normalise`, stand in a sentence."""
    whole = rf"(?<![a-z0-9]){re.escape(key)}(?![a-z0-9])"
    return re.search(whole, normalise(sentence)) is not None


def _takes_back(sentence: str, given: str, others: Iterable[str]) -> bool:
    if (match := TAKEN_BACK.match(sentence)) is not None:
        return normalise(match[0]) != normalise(given)  # a label may be "wait"
    denied = DENIED.match(sentence) is not None
    if denied and NEGATION.search(given) is None:
        return True
    if not denied and DOUBTED.match(sentence) is None:
        return False
    said, own = normalise(sentence), normalise(given)
    if own and f"not {own}" in said:
        return True
    return any(key not in own and key in said.replace(f"not {key}", "") for key in map(normalise, others))
