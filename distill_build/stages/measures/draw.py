"""The draw of s1 (Muennighoff et al. 2025, arXiv:2501.19393, algorithm 1): domains by chance, long traces rather.

Pure, and the same on every machine: chance is the digest of a seed and of how many numbers were taken before, and all
arithmetic is that of whole numbers. The first so many of a draw are the same however many are drawn.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
BITS = 256


class Chance:
    """Whole numbers that look random, all from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._taken = 0

    def below(self, end: int) -> int:
        """One of 0 to `end` - 1, each as likely as any other, to one part in 2^200 for an `end` up to 2^56."""
        return self._number() % end

    def rank(self, last: int) -> int:
        """One of 1 to `last`; each is half as likely as the one before it."""
        while True:
            zeros = BITS - self._number().bit_length()
            if zeros < last:
                return zeros + 1

    def _number(self) -> int:
        digest = hashlib.sha256(f"{self._seed}:{self._taken}".encode()).digest()
        self._taken += 1
        return int.from_bytes(digest, "big")


def draw_domains(domains: Mapping[str, Sequence[T]], seed: int) -> Iterator[T]:
    """All items of `domains` in the order of a draw. Each domain's come with the longest first.

    A domain is drawn, each that has any left as likely as any other; then one of its items that are left, the first of
    them with a probability that is proportional to 2^-1, the next to 2^-2, and so on.
    """
    chance = Chance(seed)
    left = [list(domains[name]) for name in sorted(domains) if domains[name]]
    while left:
        number = chance.below(len(left))
        items = left[number]
        yield items.pop(chance.rank(len(items)) - 1)
        if not items:
            del left[number]
