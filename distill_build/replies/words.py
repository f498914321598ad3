"""How many words a text has, and in which script it is written.

A word is what stands between spaces and has a letter or digit. Where words are not set apart, in Chinese and Japanese,
each character is one: "用 Python 写" has three. Korean is written with spaces.
"""

import re
from functools import cache
from itertools import islice
from typing import Literal

SINGLE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han, for a class of characters."""
NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$|\\\[.*?\\\]|\\\(.*?\\\)", re.DOTALL)
"""Code and formulas of Markdown, which are in no language."""
LETTERS = {
    "en": r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]",
    "zh": r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]",
}


@cache  # a class of thousands of characters takes milliseconds to compile, and every start reads this file
def word_or_character() -> re.Pattern[str]:
    """A word with the punctuation at it, or a character that is one."""
    return re.compile(rf"[{SINGLE}]|[^\s{SINGLE}]+")


@cache
def letter(language: Literal["en", "zh"]) -> re.Pattern[str]:
    """A letter of the script of `language`."""
    return re.compile(LETTERS[language])


def split_words(text: str) -> list[str]:
    """The words of `text`, with the punctuation at them."""
    tokens = text.split() if text.isascii() else word_or_character().findall(text)
    return [token for token in tokens if token[0].isalnum() or any(map(str.isalnum, token))]


def word_count(text: str) -> int:
    """How many words `text` has."""
    return len(split_words(text))


def has_words(text: str, least: int) -> bool:
    """Whether `text` has so many words: no more of it is looked at than has them."""
    words = (token for token in word_or_character().finditer(text) if any(map(str.isalnum, token[0])))
    return next(islice(words, least - 1, None), None) is not None


def is_mostly_in(language: Literal["en", "zh"], text: str) -> bool:
    """Whether at least half of the words with letters are in the script of `language`; code and formulas aside.

    So is a text without such words, as "42" is.
    """
    prose = NOT_PROSE.sub(" ", text)
    if prose.isascii():
        return language == "en" or not any(map(str.isalpha, prose))
    words = [word for word in split_words(prose) if word[0].isalpha() or any(map(str.isalpha, word))]
    in_script = letter(language).search
    return 2 * sum(1 for word in words if in_script(word)) >= len(words)
