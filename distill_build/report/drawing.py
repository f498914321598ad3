"""Which rows are on the page: all of them, or as many as a bound of bytes has room for, drawn by seed.

They are kept compressed, in blocks of the order in which they came. When they grow beyond the bound, the half whose lot
is higher goes, and no more of those are taken: so one pass is enough, memory has a bound, and what is drawn depends on
the rows and the seed alone.
"""

import gzip
from collections.abc import Iterable
from hashlib import sha256

import msgspec

BLOCK = 150_000
"""Bytes of whole rows that a block begins to be compressed with."""
BOUND = 20_000_000
"""Bytes that all blocks may take in the page, in base64."""
LOTS = 1 << 64
LEVEL = 6
"""Of compression, where blocks are to be kept."""


class Block(msgspec.Struct, frozen=True):
    """Families of rows: JSON lists, compressed. `facts` is what lists and filters go by, `whole` the rows."""

    facts: bytes
    whole: bytes

    @property
    def size(self) -> int:
        """In the page."""
        return (len(self.facts) + len(self.whole)) * 4 // 3


class Family(msgspec.Struct, frozen=True):
    """One family, encoded, and its lot."""

    lot: int
    facts: bytes
    whole: bytes


def lot_of(seed: int, key: str) -> int:
    """The lot of the family whose first row has the id `key`; the lowest are drawn first."""
    return int.from_bytes(sha256(f"{seed}:{key}".encode()).digest()[:8])


class Drawing:
    """Takes families, and keeps as many as there is room for."""

    def __init__(self, seed: int, bound: int = BOUND, level: int = LEVEL) -> None:
        self.seed = seed
        self._level = level
        self.seen = 0
        self._bound = bound
        self._below = LOTS
        self._blocks: list[tuple[list[int], Block]] = []
        self._open: list[Family] = []
        self._open_bytes = 0
        self._sealed_bytes = 0

    @property
    def kept(self) -> int:
        return sum(len(lots) for lots, _ in self._blocks) + len(self._open)

    def wants(self, key: str) -> bool:
        """Counts a family, and says whether it is drawn."""
        self.seen += 1
        return lot_of(self.seed, key) < self._below

    def add(self, key: str, facts: bytes, whole: bytes) -> None:
        """Takes a family that is wanted."""
        self._open.append(Family(lot_of(self.seed, key), facts, whole))
        self._open_bytes += len(whole)
        if self._open_bytes >= BLOCK:
            self._seal()

    def blocks(self) -> list[Block]:
        """All of them, in the order in which the families came."""
        self._seal()
        return [block for _, block in self._blocks]

    def _seal(self) -> None:
        self._close_block()
        while self._sealed_bytes > self._bound:
            self._halve()

    def _close_block(self) -> None:
        if self._open:
            lots, facts, whole = zip(*((each.lot, each.facts, each.whole) for each in self._open), strict=True)
            block = Block(_compressed(facts, self._level), _compressed(whole, self._level))
            self._blocks.append(([*lots], block))
            self._sealed_bytes += block.size
            self._open, self._open_bytes = [], 0

    def _halve(self) -> None:
        self._below //= 2
        before, self._blocks, self._sealed_bytes = self._blocks, [], 0
        for lots, block in before:
            left = [each for each in _opened(lots, block) if each.lot < self._below]
            self._open += left
            self._open_bytes += sum(len(each.whole) for each in left)
            if self._open_bytes >= BLOCK:
                self._close_block()
        self._close_block()


def _compressed(parts: Iterable[bytes], level: int) -> bytes:
    return gzip.compress(b"[" + b",".join(parts) + b"]", level, mtime=0)  # of no time, so that the page's bytes hold


def _opened(lots: list[int], block: Block) -> list[Family]:
    facts, whole = (
        msgspec.json.decode(gzip.decompress(data), type=list[msgspec.Raw]) for data in (block.facts, block.whole)
    )
    return [Family(lot, bytes(fact), bytes(row)) for lot, fact, row in zip(lots, facts, whole, strict=True)]
