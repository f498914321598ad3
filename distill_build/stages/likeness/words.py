"""Which texts nearly repeat an earlier one, by Jaccard similarity of their shingles. Exact: no pair is overlooked.

Texts with other numbers repeat none: two sums of one form differ in few shingles, and in all that is asked. So texts of
the same numbers are compared among themselves.

Two sets that are alike enough share one of their rarest shingles (prefix filtering: Chaudhuri et al. 2006, Bayardo et
al. 2007), so a text is compared with those alone that share such a one. Against MinHash, in twice its time, no likeness
is guessed, so nothing depends on seeds or on a library's hash.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain

from distill_build.replies.labels import cjk
from distill_build.stages.likeness.content import content_tokens
from distill_build.stages.likeness.repeats import ROUNDED, Repeat, exactly

OF_WORDS = (1, 2)
OF_CHARACTERS = (3, 4)
"""Tokens of a shingle: a Chinese word has two characters mostly. Measured: see docs/dedup.md."""
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?")
Shingles = tuple[int, ...]
"""Of one text, as numbers: the rarest first."""


def shingles_of(text: str) -> set[str]:
    """Runs of tokens of a text as `normalise` leaves it; one that is shorter than a run is its own."""
    tokens = content_tokens(text)
    lengths = OF_CHARACTERS if not text.isascii() and cjk().search(text) else OF_WORDS
    return {
        " ".join(tokens[start : start + length])
        for length in lengths
        for start in range(max(1, len(tokens) - length + 1))
    }


def numbers_in(text: str) -> tuple[str, ...]:
    """The numbers that a text, as `normalise` leaves it, has in digits, each as often as it stands; in order of their
    digits, not of the text."""
    return tuple(sorted(each.replace(",", "") for each in NUMBER.findall(text)))


def repeats_by_words(texts: Sequence[str], near: float) -> dict[int, Repeat]:
    """The places of texts that nearly repeat one before them which does not; of several the most alike, then the first.

    `texts` are as `normalise` leaves them; `near` is the least likeness, over 0.
    """
    sets, rarest = _numbered(texts)
    stays = _stays(near)
    repeats: dict[int, Repeat] = {}
    for place, shingles in enumerate(sets):
        stay = stays[numbers_in(texts[place])]
        if (repeat := stay.repeated_by(shingles, sets)) is not None:
            repeats[place] = repeat
        else:
            stay.add(place, shingles, rarest)
    return repeats


def repeats_of(others: Sequence[str], texts: Sequence[str], near: float) -> dict[int, Repeat]:
    """The places of those `texts` that nearly repeat one of the `others`, whose places `Repeat.of` gives; among
    themselves they may."""
    sets, rarest = _numbered([*others, *texts])
    stays = _stays(near)
    for place, text in enumerate(others):
        stays[numbers_in(text)].add(place, sets[place], rarest)
    own = zip(texts, sets[len(others) :], strict=True)
    found = [stays[numbers_in(text)].repeated_by(shingles, sets) for text, shingles in own]
    return {place: repeat for place, repeat in enumerate(found) if repeat is not None}


def _stays(near: float) -> "defaultdict[tuple[str, ...], _Stay]":
    """Texts that stay, by their numbers."""
    least = exactly(near)
    return defaultdict(lambda: _Stay(least))


class _Stay:
    """Texts that stay, by the rarest of their shingles and by how many they have."""

    def __init__(self, least: Fraction) -> None:
        self._least = least
        self._places: defaultdict[int, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))

    def add(self, place: int, shingles: Shingles, rarest: int) -> None:
        """Takes a text in; shingles below `rarest` stand in one text alone, and find no other."""
        for each in self._beginning(shingles):
            if each >= rarest:
                self._places[each][len(shingles)].append(place)

    def repeated_by(self, shingles: Shingles, sets: Sequence[Shingles]) -> Repeat | None:
        """The text that one with these shingles is much like, if there is any. `sets` are those of all texts."""
        best = _most_alike(shingles, self._candidates(shingles), sets)
        if best is None or best[0] * self._least.denominator < self._least.numerator * best[1]:
            return None
        return Repeat(best[2], round(best[0] / best[1], ROUNDED))

    def _candidates(self, shingles: Shingles) -> set[int]:
        """All that can be alike enough, and others. What is shared from the n-th shingle on is no more than the rest,
        which is too little for one with many others."""
        size, found = len(shingles), set[int]()
        fewest = self._fewest(size)
        for passed, each in enumerate(self._beginning(shingles)):
            if (by_size := self._places.get(each)) is None:
                continue
            of_both = self._least.numerator + self._least.denominator
            most = (size - passed) * of_both // self._least.numerator - size
            for other, places in by_size.items():
                if fewest <= other <= most:
                    found.update(places)
        return found

    def _beginning(self, shingles: Shingles) -> Shingles:
        """Two that are alike enough share one of these at least."""
        return shingles[: len(shingles) - self._fewest(len(shingles)) + 1]

    def _fewest(self, size: int) -> int:
        """How many shingles one of `size` has to share."""
        return -(-self._least.numerator * size // self._least.denominator)


def _numbered(texts: Iterable[str]) -> tuple[list[Shingles], int]:
    """Each text's shingles by number, the rarest first; and the lowest number of one that stands in several texts."""
    numbers: dict[str, int] = {}
    sets = [[numbers.setdefault(each, len(numbers)) for each in shingles_of(text)] for text in texts]
    counts = Counter(chain.from_iterable(sets))
    order = sorted(range(len(numbers)), key=counts.__getitem__)
    ranks = [0] * len(order)
    for rank, number in enumerate(order):
        ranks[number] = rank
    once = sum(1 for count in counts.values() if count == 1)
    return [tuple(sorted(ranks[number] for number in each)) for each in sets], once


def _most_alike(shingles: Shingles, candidates: Iterable[int], sets: Sequence[Shingles]) -> tuple[int, int, int] | None:
    """(shingles shared, shingles of either, place) of the most alike among candidates; None where there are none."""
    own, best, found = frozenset(shingles), -1.0, None
    for place in sorted(candidates):
        shared = len(own.intersection(sets[place]))
        either = len(own) + len(sets[place]) - shared
        if shared / either > best:
            best, found = shared / either, (shared, either, place)
    return found
