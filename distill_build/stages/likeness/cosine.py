"""Which vectors nearly repeat an earlier one, by their cosine. Exact: of whole numbers, and no pair is overlooked.

Sums and products of whole numbers are the same in any order and on every machine, and so is each verdict. Floating
point only finds the pairs that are worth a look, with a margin. A vector is compared with those that stay alone.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from operator import attrgetter
from typing import Any

import msgspec

from distill_build.stages.likeness.repeats import ROUNDED, Repeat, exactly

BLOCK = 1_024
"""Vectors that are compared at once with those that stay, and how many of these at a time: what a core's cache holds of
their products."""
LEADING = 64
"""Turned so that the first dimensions tell most, vectors are compared in so many of them. What the rest can add is at
most the product of its lengths (Cauchy and Schwarz)."""
PAIRS = 4_096
"""Pairs that are looked at more closely at a time: so memory does not grow with how many are alike."""
SLACK = 1e-3
"""What floating point of 32 bits may be off by, many times over…"""
FINE_SLACK = 1e-9
"""…and of 64 bits."""
MOST_THREADS = 8
"""Each has pieces of its own. Those of BLAS would share each piece and wait for each other, and where a core is busy
otherwise, all of them for that one."""


class Vectors(msgspec.Struct, frozen=True):
    """Some vectors of whole numbers by their `places`; `squares` are those of their lengths, exact, and `leading` what
    is compared first: some dimensions of the turned vectors of length 1, and the length of the rest."""

    places: Any
    whole: Any
    squares: Any
    lengths: Any
    leading: Any

    def __getitem__(self, chosen: Any) -> "Vectors":
        return Vectors(*(each[chosen] for each in self._arrays))

    def __add__(self, others: "Vectors") -> "Vectors":
        import numpy

        return Vectors(*map(numpy.concatenate, zip(self._arrays, others._arrays, strict=True)))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return self.places, self.whole, self.squares, self.lengths, self.leading


class Neighbour(msgspec.Struct, frozen=True):
    """One that a vector may repeat: the product of the two, the square of its length, and its place."""

    product: int
    square: int
    place: int


def repeats_by_cosine(blocks: Iterable[Any], near: float, threads: int | None = None) -> dict[int, Repeat]:
    """The places of vectors that nearly repeat one before them which does not; of several the most alike, then the
    first.

    `blocks` are arrays of whole numbers, a vector each row and `BLOCK` at most, one behind another; `near` is the least
    cosine, over 0. `threads` are as many as there are cores, and `MOST_THREADS` at most, unless they are given: they
    change nothing of what is found.
    """
    import numpy  # noqa: F401 - the limit is of libraries that are loaded
    from threadpoolctl import threadpool_limits

    repeats: dict[int, Repeat] = {}
    axes, first, count = None, 0, threads or min(_cores(), MOST_THREADS)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(count) as pool:
        stay = _Stay(near, pool, count)
        for block in blocks:
            axes = _axes(block) if axes is None else axes  # how vectors are turned changes what is looked at, not found
            repeats |= stay.repeats_among(_prepared(block, first, axes))
            first += len(block)
    return repeats


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _axes(sample: Any) -> Any:
    """The directions, a column each, in which vectors like those of a sample differ most."""
    import numpy

    _, _, axes = numpy.linalg.svd(_units(sample), full_matrices=False)
    return axes[:LEADING].T


def _units(whole: Any) -> Any:
    import numpy

    lengths = numpy.sqrt((whole.astype(numpy.float64) ** 2).sum(axis=1))
    return whole / numpy.maximum(lengths, 1)[:, None]


def _prepared(whole: Any, first: int, axes: Any) -> Vectors:
    import numpy

    squares = _products(whole, whole)
    turned = _units(whole) @ axes
    rest = numpy.sqrt(numpy.maximum(1 - (turned**2).sum(axis=1), 0))
    return Vectors(
        numpy.arange(first, first + len(whole)),
        whole,
        squares,
        numpy.sqrt(numpy.maximum(squares, 1)),
        numpy.column_stack([turned, rest]).astype(numpy.float32),
    )


def _products(some: Any, others: Any) -> Any:
    """Of each vector with that in the same row of the others, exact."""
    import numpy

    return numpy.einsum("ij,ij->i", some, others, dtype=numpy.int64)


class _Stay:
    """The vectors that stay, in pieces, each compared by a thread at a time."""

    def __init__(self, near: float, threads: ThreadPoolExecutor, count: int) -> None:
        """There are `count` threads."""
        self._least = exactly(near) ** 2
        self._threads = threads
        self._workers = [_Worker(near) for _ in range(count)]
        self._pieces: list[Vectors] = []

    def repeats_among(self, block: Vectors) -> dict[int, Repeat]:
        """The repeats among vectors that come next. Those that are none stay."""
        import numpy

        before = self._near_in_pieces(block)
        within = self._workers[0].may_be_near(block, block)
        stays = numpy.zeros(len(block), bool)
        repeats: dict[int, Repeat] = {}
        for row, near in enumerate(before):
            own = block[numpy.flatnonzero(within[row, :row] & stays[:row])]
            near += _neighbours(own.whole.astype(numpy.int64) @ block.whole[row], own)
            repeat = self._repeat(int(block.squares[row]), near)
            if repeat is None:
                stays[row] = True
            else:
                repeats[int(block.places[row])] = repeat
        self._add(block[stays])
        return repeats

    def _near_in_pieces(self, block: Vectors) -> list[list[Neighbour]]:
        """For each row of a block, those that it may repeat of the vectors that stay, in order."""
        found: list[list[Neighbour]] = [[] for _ in range(len(block))]
        shares = [self._pieces[number :: len(self._workers)] for number in range(len(self._workers))]
        for pairs in self._threads.map(lambda worker, share: worker.near_pairs(block, share), self._workers, shares):
            for row, near in pairs:
                found[row].append(near)
        return [sorted(each, key=attrgetter("place")) for each in found]

    def _repeat(self, square: int, others: Iterable[Neighbour]) -> Repeat | None:
        """Of a vector with that square of its length; `others` are in order."""
        best = Neighbour(0, 1, 0)
        for other in others:
            if other.product > 0 and other.product**2 * best.square > best.product**2 * other.square:
                best = other
        squared_cosine = Fraction(best.product**2, square * best.square or 1)
        if squared_cosine < self._least:
            return None
        return Repeat(best.place, round(float(squared_cosine) ** 0.5, ROUNDED))

    def _add(self, block: Vectors) -> None:
        last = self._pieces.pop() if self._pieces and len(self._pieces[-1]) < BLOCK else block[:0]
        vectors = last + block
        self._pieces += [vectors[start : start + BLOCK] for start in range(0, len(vectors), BLOCK)]


class _Worker:
    """What one thread works on. Memory for as many products as this is slow to come by, so it is had once."""

    def __init__(self, near: float) -> None:
        import numpy

        self._near = near
        self._cosines = numpy.empty((BLOCK, BLOCK), numpy.float32)
        self._enough = numpy.empty((BLOCK, BLOCK), bool)

    def may_be_near(self, some: Vectors, others: Vectors) -> Any:
        """Which pairs are not too far from each other for certain: until the next time."""
        import numpy

        shape = slice(len(some)), slice(len(others))
        cosines = numpy.matmul(some.leading, others.leading.T, out=self._cosines[shape])
        return numpy.greater_equal(cosines, self._near - SLACK, out=self._enough[shape])

    def near_pairs(self, block: Vectors, pieces: Iterable[Vectors]) -> list[tuple[int, Neighbour]]:
        """Rows of a block, each with those of some pieces that may be the nearest, and near enough."""
        import numpy

        nearest, found = numpy.full(len(block), self._near), list[tuple[int, Neighbour]]()
        for piece in pieces:
            rows, columns = numpy.divmod(numpy.flatnonzero(self.may_be_near(block, piece)), len(piece))
            for start in range(0, len(rows), PAIRS):
                row, column = rows[start : start + PAIRS], columns[start : start + PAIRS]
                products = _products(block.whole[row], piece.whole[column])
                cosines = products / (block.lengths[row] * piece.lengths[column])
                numpy.maximum.at(nearest, row, cosines)
                good = numpy.flatnonzero(cosines >= nearest[row] - FINE_SLACK)
                found += zip(row[good].tolist(), _neighbours(products[good], piece[column[good]]), strict=True)
        return found


def _neighbours(products: Any, others: Vectors) -> list[Neighbour]:
    return list(map(Neighbour, products.tolist(), others.squares.tolist(), others.places.tolist()))
