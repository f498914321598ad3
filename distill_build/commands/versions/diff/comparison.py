"""Two versions, compared as far as there is anything to compare: their rows, or what their locks say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import msgspec

from distill_build.commands.versions.diff.sides import Compared
from distill_build.engine.entry import Entry
from distill_build.engine.reading import ReadOnlyStore, holds_database
from distill_build.errors import StorageError
from distill_build.graph import Shape
from distill_build.history.attribution import Attribution, Side
from distill_build.history.causes import Cause, causes_between, recipe_of, until_cause
from distill_build.history.grouping import Group, groups_of
from distill_build.versions.difference import Difference, StageDifference, compare, stages_of
from distill_build.versions.difference_rows import Told, VersionRows, content_columns
from distill_build.versions.evidence import evidence_of


class Counts(msgspec.Struct, frozen=True):
    """Of one stage. A tag that `changed` was renamed or moved; any other row has other content."""

    added: int
    removed: int
    changed: int
    same: int


class Both(msgspec.Struct, frozen=True):
    """The rows of two versions, and what differs between them."""

    old: VersionRows
    new: VersionRows
    difference: Difference

    def side(self, group: Group) -> VersionRows:
        """The version that a group's rows are of."""
        return self.old if group.change == "removed" else self.new

    def columns(self, stage: str) -> list[str]:
        """The columns of a stage whose content can change: those of its first row, and those that did."""
        found = {name: None for side in (self.new, self.old) for name in _first_columns(side, stage)}
        changed = {name: None for each in self.difference.stages[stage].changed for name in each.columns}
        return list(found | changed)


class Comparison(msgspec.Struct, frozen=True):
    """`both` is None where rows cannot be compared; then there are no `groups`.

    `counts` are by stage, None where they would need the rows. `causes` are all settings and prompts that differ.
    """

    old: Compared
    new: Compared
    causes: list[Cause]
    counts: dict[str, Counts | None]
    both: Both | None = None
    groups: tuple[Group, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether they are two versions."""
        return self.old.version != self.new.version

    @property
    def settings_known(self) -> bool:
        """Whether `causes` are all that differs."""
        return self.old.facts is not None and self.new.facts is not None

    @property
    def notes(self) -> list[str]:
        """What a user should know of the two sides."""
        return [side.note for side in (self.old, self.new) if side.note]

    def shape(self, stage: str) -> Shape:
        """A stage as the new version has it, else the old one."""
        return (self.new if stage in self.new.graph else self.old).graph[stage]

    def told(self, shown: Callable[[Group], int]) -> list[dict[str, Told]]:
        """What people know the first rows of each group by, as many as are `shown`."""
        if self.both is None:
            return []
        wanted = [[item.id for item in islice(group.items, shown(group))] for group in self.groups]
        found: dict[tuple[bool, str], dict[str, Told]] = {}
        for removed, stage in dict.fromkeys((group.change == "removed", group.stage) for group in self.groups):
            alike = [
                (group, ids)
                for group, ids in zip(self.groups, wanted, strict=True)
                if (group.change == "removed", group.stage) == (removed, stage)
            ]
            keys = {key for _, ids in alike for key in ids}
            found[removed, stage] = self.both.side(alike[0][0]).told(stage, keys)
        return [found[group.change == "removed", group.stage] for group in self.groups]


def comparison_of(old: Compared, new: Compared, cache: Path | None) -> Comparison:
    """Compares two versions; calls are looked up in `cache`. Raises StorageError for what cannot be read."""
    causes = [*until_cause(old.until, new.until), *_causes(old, new)]
    if old.content is None or new.content is None:
        stages = stages_of(old.graph, new.graph)
        return Comparison(old, new, causes, {stage: _by_digest(old, new, stage) for stage in stages})
    rows = VersionRows(old.content, old.graph), VersionRows(new.content, new.graph)
    difference = compare(*rows)
    before, after = evidence_of(*rows)
    sides = Side(difference.old, old.graph, old.until, before), Side(difference.new, new.graph, new.until, after)
    known = old.facts is not None and new.facts is not None
    with _calls(cache) as entry:
        groups = groups_of(difference, Attribution(difference, causes, *sides, known=known), entry)
    return Comparison(old, new, causes, _counts(difference), Both(*rows, difference), tuple(groups))


def _causes(old: Compared, new: Compared) -> list[Cause]:
    if old.recipe is not None and new.recipe is not None:
        return causes_between(old.recipe, new.recipe)
    if old.facts is None or new.facts is None:
        return []
    return causes_between(recipe_of(old.facts), recipe_of(new.facts))


def _counts(difference: Difference) -> dict[str, Counts | None]:
    return {stage: _counted(found, difference, stage) for stage, found in difference.stages.items()}


def _counted(found: StageDifference, difference: Difference, stage: str) -> Counts:
    renamed = len(difference.renamed) if stage == difference.tree else 0
    return Counts(len(found.added), len(found.removed), renamed + len(found.changed), found.same)


def _by_digest(old: Compared, new: Compared, stage: str) -> Counts | None:
    """The same file has the same rows, and a stage that only one side has is added or removed whole."""
    file, before, after = f"{stage}.jsonl", old.counts.get(stage, 0), new.counts.get(stage, 0)
    if old.sha256.get(file) == new.sha256.get(file):
        return Counts(0, 0, 0, after)
    return None if before and after else Counts(after, before, 0, 0)


def _first_columns(side: VersionRows, stage: str) -> tuple[str, ...]:
    """The columns of content in the first row of a stage; none where it cannot be read, as rows that are the same need
    not be.
    """
    if stage not in side.graph:
        return ()
    shape = side.graph[stage]
    with suppress(StorageError):
        return content_columns(shape.kind, next(side.rows(shape), ()))
    return ()


@contextmanager
def _calls(cache: Path | None) -> Iterator[Callable[[str], Entry | None]]:
    """Looks calls up in a cache, which may have no responses at all: versions can be brought without them. Of one that
    is not to be had a group names all settings that may be behind it."""
    if cache is None or not holds_database(cache):
        yield lambda _: None
        return
    store = ReadOnlyStore(cache)
    try:
        yield store.sound
    finally:
        store.close()
