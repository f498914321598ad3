"""A table as data, as wide as there is room for, and as plain text. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from distill_build.console.wrapping import cells, shortened

GAP = 2
SHORTEST_NAME = 8
"""Cells that are left of a name in the first column, however little room there is."""
NAMES_PART = 4
"""Names that take no more than this part of the width are not cut, as long as another column can go."""


class Grid(msgspec.Struct, frozen=True):
    """A table. The first column stands left, figures stand right, the last row is the total.

    `spare` names columns that go first where the terminal is too narrow. `loud` names the columns whose figures
    are bad news unless they are 0.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spare: tuple[str, ...] = ()
    loud: tuple[str, ...] = ()

    @property
    def widths(self) -> list[int]:
        return [max(map(cells, column)) for column in zip(self.heads, *self.rows, strict=True)]

    @property
    def width(self) -> int:
        """Cells of a line."""
        return sum(self.widths) + GAP * (len(self.heads) - 1)

    def fitted(self, width: int) -> "Grid":
        """This table without as many of its spare columns as do not fit into `width` cells."""
        if not self.spare or self.width <= width:
            return self
        place = self.heads.index(self.spare[0])
        rows = tuple(_without(row, place) for row in self.rows)
        return Grid(_without(self.heads, place), rows, self.spare[1:], self.loud).fitted(width)

    def within(self, width: int) -> "Grid":
        """As `fitted`, but long names in the first column are cut before any other goes, as little as will do."""
        if self.width <= width:
            return self
        short = self._with_names(max(SHORTEST_NAME, width // NAMES_PART)).fitted(width)
        names = replace(short, rows=tuple((old[0], *new[1:]) for old, new in zip(self.rows, short.rows, strict=True)))
        return names._with_names(max(SHORTEST_NAME, short.widths[0] + width - short.width))

    def _with_names(self, room: int) -> "Grid":
        return replace(self, rows=tuple((shortened(row[0], room), *row[1:]) for row in self.rows))

    def lines(self) -> list[str]:
        """Plain text, the total below a rule."""
        body = [_aligned(row, self.widths) for row in (self.heads, *self.rows)]
        return [*body[:-1], "-" * max(map(cells, body)), body[-1]]


def _without(row: Sequence[str], place: int) -> tuple[str, ...]:
    return (*row[:place], *row[place + 1 :])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    room = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
    first, *others = [*zip(row, room, strict=True)]
    return (" " * GAP).join([first[0] + first[1], *(space + cell for cell, space in others)]).rstrip()
