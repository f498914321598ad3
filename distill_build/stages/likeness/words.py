"""Which texts nearly repeat an earlier one, by Jaccard similarity of their shingles. Exact: no pair is overlooked.

Texts with other numbers repeat none: two sums of one form differ in few shingles, and in all that is asked. So texts of
the same numbers are compared among themselves.

Two sets that are alike enough share one of their rarest shingles (prefix filtering: Chaudhuri et al. 2006, Bayardo et
al. 2007), so a text is compared with those alone that share such a one. Against MinHash, in twice its time, no likeness
is guessed, so nothing depends on seeds or on a library's hash.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from distill_build.replies.labels import cjk
from distill_build.stages.likeness.content import content_tokens
from distill_build.stages.likeness.repeats import ROUNDED, Repeat, exactly

OF_WORDS = (1, 2)
OF_CHARACTERS = (3, 4)
"""Tokens of a shingle: a Chinese word has two characters mostly. Measured: see docs/dedup.md."""
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?")
Numbers: TypeAlias = "array[int]"
"""Of 32 bits each: there are very many, and as objects they would take ten times as much."""


def shingles_of(text: str) -> set[str]:
    """Runs of tokens of a text as `normalise` leaves it; one that is shorter than a run is its own."""
    tokens = content_tokens(text)
    lengths = OF_CHARACTERS if not text.isascii() and cjk().search(text) else OF_WORDS
    return {
        " ".join(tokens[start : start + length])
        for length in lengths
        for start in range(max(1, len(tokens) - length + 1))
    }


def numbers_in(text: str) -> str:
    """The numbers that a text, as `normalise` leaves it, has in digits, each as often as it stands; in order of their
    digits, not of the text."""
    return " ".join(sorted(each.replace(",", "") for each in NUMBER.findall(text)))


def repeats_by_words(texts: Sequence[str], near: float) -> dict[int, Repeat]:
    """The places of texts that nearly repeat one before them which does not; of several the most alike, then the first.

    `texts` are as `normalise` leaves them; `near` is the least likeness, over 0.
    """
    repeats: dict[int, Repeat] = {}
    for places in _of_same_numbers(texts):
        group = _Group([texts[place] for place in places], near)
        for own, place in enumerate(places):
            if (repeat := group.repeated_by(own)) is not None:
                repeats[place] = Repeat(places[repeat.of], repeat.likeness)
            else:
                group.stay(own)
    return repeats


def repeats_of(others: Sequence[str], texts: Sequence[str], near: float) -> dict[int, Repeat]:
    """The places of those `texts` that nearly repeat one of the `others`, whose places `Repeat.of` gives; among
    themselves they may."""
    both, repeats = [*others, *texts], dict[int, Repeat]()
    for places in _of_same_numbers(both):
        group, first = _Group([both[place] for place in places], near), bisect_left(places, len(others))
        for own in range(first):
            group.stay(own)
        for own in range(first, len(places)):
            if (repeat := group.repeated_by(own)) is not None:
                repeats[places[own] - len(others)] = Repeat(places[repeat.of], repeat.likeness)
    return repeats


def _of_same_numbers(texts: Iterable[str]) -> Collection[Numbers]:
    """The places of texts that have the same numbers, in order; of those alone that some other text has, too."""
    first: dict[str, int] = {}
    groups: dict[int, Numbers] = {}
    for place, text in enumerate(texts):
        before = first.setdefault(numbers_in(text), place)
        if before != place:
            groups.setdefault(before, array("I", [before])).append(place)
    return groups.values()


class _Group:
    """Texts that are compared among themselves, by their places; some of them stay.

    Of each text are held those of its shingles that another one has, too, as numbers, the rarest first.
    """

    def __init__(self, texts: Sequence[str], near: float) -> None:
        self._least = exactly(near)
        self._stays = bytearray(len(texts))
        self._sizes = array("I")
        self._shared, self._starts = self._numbered(texts)
        self._index()

    def stay(self, place: int) -> None:
        """Has a text be one of those that others may repeat."""
        self._stays[place] = True

    def repeated_by(self, place: int) -> Repeat | None:
        """Which of those that stay a text is much like, if there is any."""
        own, size, best, found = frozenset(self._shared_by(place)), self._sizes[place], -1.0, None
        for other in sorted(self._candidates(place)):
            shared = len(own.intersection(self._shared_by(other)))
            either = size + self._sizes[other] - shared
            if shared / either > best:
                best, found = shared / either, (shared, either, other)
        if found is None or found[0] * self._least.denominator < self._least.numerator * found[1]:
            return None
        return Repeat(found[2], round(best, ROUNDED))

    def _numbered(self, texts: Iterable[str]) -> tuple[Numbers, Numbers]:
        """The shared shingles of each text, text after text, and where those of each start; notes how many it has."""
        numbers: dict[str, int] = {}
        every = array("I")
        for text in texts:
            shingles = shingles_of(text)
            every.extend([numbers.setdefault(each, len(numbers)) for each in shingles])
            self._sizes.append(len(shingles))
        counts = array("I", bytes(4 * len(numbers)))
        del numbers
        for number in every:
            counts[number] += 1
        ranks = array("I", bytes(4 * len(counts)))
        several = (number for number, count in enumerate(counts) if count > 1)
        for rank, number in enumerate(sorted(several, key=counts.__getitem__), start=1):
            ranks[number] = rank
        shared, starts, end = array("I"), array("I", [0]), 0
        for size in self._sizes:
            own = every[end : (end := end + size)]
            shared.extend(sorted([rank for number in own if (rank := ranks[number])]))
            starts.append(len(shared))
        return shared, starts

    def _index(self) -> None:
        """Notes for each shingle the texts that begin with it, the smallest first: those that can be much alike share
        such a one."""
        begun = array("I", bytes(4 * (max(self._shared, default=0) + 2)))
        for place in range(len(self._sizes)):
            for each in self._beginning(place):
                begun[each + 1] += 1
        self._begun = array("I", accumulate(begun))
        self._by_shingle, free = array("I", bytes(4 * self._begun[-1])), self._begun[:]
        for place in sorted(range(len(self._sizes)), key=self._sizes.__getitem__):
            for each in self._beginning(place):
                self._by_shingle[free[each]] = place
                free[each] += 1

    def _candidates(self, place: int) -> Iterable[int]:
        """Those that stay and can be alike enough, and others. What is shared from the n-th shingle on is no more than
        the rest, which is too little for one with many others."""
        size, found, size_of = self._sizes[place], set[int](), self._sizes.__getitem__
        alone = size - len(self._shared_by(place))
        fewest, of_both = self._fewest(size), self._least.numerator + self._least.denominator
        for passed, each in enumerate(self._beginning(place), start=alone):
            most = (size - passed) * of_both // self._least.numerator - size
            start, end = self._begun[each], self._begun[each + 1]
            start = bisect_left(self._by_shingle, fewest, start, end, key=size_of)
            found.update(self._by_shingle[start : bisect_right(self._by_shingle, most, start, end, key=size_of)])
        return [each for each in found if self._stays[each]]

    def _shared_by(self, place: int) -> Numbers:
        return self._shared[self._starts[place] : self._starts[place + 1]]

    def _beginning(self, place: int) -> Numbers:
        """Two that are alike enough share one of these at least: the first of its shingles, those of its own aside."""
        start, end, size = self._starts[place], self._starts[place + 1], self._sizes[place]
        return self._shared[start : max(start, end - self._fewest(size) + 1)]

    def _fewest(self, size: int) -> int:
        """How many shingles one of `size` has to share."""
        return -(-self._least.numerator * size // self._least.denominator)
