"""What a question is about: its words without those that all questions have, English and Chinese."""

import re

from distill_build.replies.labels import cjk

_WORDS = """
a an the this that these those is are was were be been being am do does did can should would will shall may might i me
my you your we us our they them their it its he she there of in on at to for from by with and or as so what which how
some any into whats hows
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
"""Not among them is what tells questions apart: who, when, where, why, not, before, after, without, could, first."""
FUNCTION_CHARACTERS = re.compile("(?<!为)什么|哪些|怎么样?|怎样|如何|解释一下|一[个支下]|请|[的是了在中有些吗呢与和及]")
"""The same in Chinese, 为什么 (why) left alone. What is taken out of 目的 or 中国 is so of both texts."""
SHORTEST_PLURAL = 4


def content_words(text: str) -> str:
    """A text, as `normalise` leaves it, without its function words; as it is where it has no others."""
    words = (text if text.isascii() else FUNCTION_CHARACTERS.sub("", text)).split()
    return " ".join([word for word in words if word not in FUNCTION_WORDS]) or text


def content_tokens(text: str) -> list[str]:
    """The words of what a text is about, plurals as their singulars; of Chinese, Japanese and Korean the characters."""
    content = content_words(text)
    spaced = content if content.isascii() else cjk().sub(lambda character: f" {character[0]} ", content)
    return [_singular(word) if word[-1] == "s" else word for word in spaced.split()]


def _singular(word: str) -> str:
    if len(word) < SHORTEST_PLURAL or word.endswith(("ss", "us", "is")):
        return word
    return f"{word[:-3]}y" if word.endswith("ies") and len(word) > SHORTEST_PLURAL else word[:-1]
