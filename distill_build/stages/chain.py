"""A growing list of items: each request is given the items so far and brings some more. Pure.

What a request asks for never depends on how many items are wanted in the end, so raising the number goes on where
the list stopped, and lowering it takes a shorter beginning of the same list.
"""

from collections.abc import Sequence

import msgspec

from distill_build.records import JsonObject, Source
from distill_build.replies.parse import normalise

FRUITLESS_REQUESTS = 3
"""So many requests of one build in a row without a new item, and the parent is given up until the next build."""


def item_key(item: str) -> str:
    """What items are told apart by in a list."""
    return normalise(item)


def same(one: str, other: str) -> bool:
    """Whether two items are the same to a list."""
    return item_key(one) == item_key(other)


class Chain(msgspec.Struct):
    """`items` are distinct under `normalise`; `columns` are what some of them have besides, by index; `sources` are the
    replies that were taken."""

    wanted: int
    items: list[str] = msgspec.field(default_factory=list)
    fruitless: int = 0
    sources: list[Source] = msgspec.field(default_factory=list)
    columns: dict[int, JsonObject] = msgspec.field(default_factory=dict)
    _seen: set[str] = msgspec.field(default_factory=set)

    def exclude(self, item: str) -> None:
        """Makes `item` one that brings nothing new, as a label of the path is below it."""
        self._seen.add(normalise(item))

    def place_of(self, item: str) -> int | None:
        """The index of one of the items that are wanted."""
        key = normalise(item)
        return next((place for place, each in enumerate(self.items[: self.wanted]) if normalise(each) == key), None)

    def take(self, reply: Sequence[str], columns: Sequence[JsonObject] = (), *, source: Source, asked: bool) -> range:
        """Adds what is new, and returns the indexes of the new items that are wanted.

        `columns` are those of each item, if any. `source` names the reply; `asked` says that the reply was asked for in
        this build: a stored one that brought nothing new does not count against the parent, so that each build tries
        again.
        """
        before = len(self.items)
        for place, item in enumerate(reply):
            if (key := normalise(item)) not in self._seen:
                self._seen.add(key)
                if columns:
                    self.columns[len(self.items)] = columns[place]
                self.items.append(item)
        self.sources.append(source)
        if len(self.items) > before:
            self.fruitless = 0
        elif asked:
            self.fruitless += 1
        return range(min(before, self.wanted), min(len(self.items), self.wanted))

    def go_on(self) -> None:
        """Wants one item more, in the place of one that is not wanted."""
        self.wanted += 1

    def end(self) -> None:
        """Takes no more: what told items apart is let go of."""
        self._seen = set()

    @property
    def requests(self) -> int:
        """Replies that were taken."""
        return len(self.sources)

    @property
    def complete(self) -> bool:
        return len(self.items) >= self.wanted

    @property
    def given_up(self) -> bool:
        return self.fruitless >= FRUITLESS_REQUESTS

    @property
    def missing(self) -> int:
        return max(0, self.wanted - len(self.items))
