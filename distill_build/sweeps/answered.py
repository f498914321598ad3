"""The calls that the cache answers for jobs of a sweep, each counted once however many of them need it. Pure."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping

from distill_build.settings import Stage


class Answered:
    """Adds up what jobs find in the cache.

    Of a job, or a leaf, that is as the last build left it, only a number of calls is known: their keys would be a
    reading of every line that says what such a job was made from. So jobs of one kind, which ask the same of the same
    models, are taken to need beginnings of one list, as they do where one grows into the other: the longest holds the
    others. The total is certain where every call was looked up, or where one job of each kind needs all that the
    others do. Elsewhere it is too small by what jobs of a kind do not share, and too large by what kinds do.
    """

    def __init__(self) -> None:
        self._keys: dict[Stage, defaultdict[Hashable, set[bytes]]] = {}
        self._longest: dict[Stage, Counter[Hashable]] = {}

    def add(self, stage: Stage, kind: Hashable, keys: set[bytes], others: int) -> None:
        """One more job, which needs the calls with these keys and so many others. Changes no argument."""
        self._keys.setdefault(stage, defaultdict(set))[kind] |= keys
        longest = self._longest.setdefault(stage, Counter())
        longest[kind] = max(longest[kind], len(keys) + others)

    def number(self, stage: Stage) -> int:
        """Distinct calls of `stage`, as far as can be told."""
        keys: Mapping[Hashable, set[bytes]] = self._keys.get(stage, {})
        beyond = sum(max(0, number - len(keys[kind])) for kind, number in self._longest.get(stage, {}).items())
        return len(set[bytes]().union(*keys.values())) + beyond
