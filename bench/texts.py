"""Made-up prose that compresses about as well as the real one: words of falling frequency, 3 to 1 by gzip."""

import random
from itertools import accumulate

SYLLABLES = [consonant + vowel for consonant in "bdfklmprst" for vowel in "aeiou"]
CHOICE = random.Random(1)
WORDS = ["".join(CHOICE.choices(SYLLABLES, k=CHOICE.randint(1, 4))) for _ in range(5_000)]
FREQUENCIES = list(accumulate(1 / (rank + 3) for rank in range(len(WORDS))))
"""As in a language: the n-th word is about 1/n as frequent as the first (Zipf's law)."""


def text(seed: str, count: int) -> str:
    """So many words, the same for the same seed."""
    return " ".join(random.Random(seed).choices(WORDS, cum_weights=FREQUENCIES, k=count))
