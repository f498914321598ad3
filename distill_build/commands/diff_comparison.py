"""Two versions, compared as far as there is anything to compare: their items, or what their locks say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distill_build.commands.diff_sides import Compared
from distill_build.engine.entry import Entry
from distill_build.engine.reading import ReadOnlyStore, holds_database
from distill_build.errors import CorruptEntryError
from distill_build.stages.attribution import Attribution, Group, Side, groups_of
from distill_build.stages.causes import Cause, causes_between, recipe_of, until_cause
from distill_build.versions.difference import Difference, compare
from distill_build.versions.evidence import evidence_of


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one stage. A tag that `changed` was renamed or moved; an answer has another reasoning or answer text."""

    added: int
    removed: int
    changed: int
    same: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is None where items cannot be compared; then there are no `groups`.

    `counts` are by stage, None where they would need the items. `causes` are all settings and prompts that differ.
    """

    old: Compared
    new: Compared
    causes: list[Cause]
    counts: dict[str, Counts | None]
    difference: Difference | None = None
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


def comparison_of(old: Compared, new: Compared, cache: Path | None) -> Comparison:
    """Compares two versions; calls are looked up in `cache`. Raises StorageError for what cannot be read."""
    causes = [*until_cause(old.until, new.until), *_causes(old, new)]
    if old.content is None or new.content is None:
        return Comparison(old, new, causes, {stage: _by_digest(old, new, stage) for stage in old.counts})
    difference = compare(old.content, new.content)
    before, after = evidence_of(old.content, new.content)
    sides = Side(difference.old, old.until, before), Side(difference.new, new.until, after)
    known = old.facts is not None and new.facts is not None
    with _calls(cache) as entry:
        groups = groups_of(difference, Attribution(difference, causes, *sides, known=known), entry)
    return Comparison(old, new, causes, _counts(difference), difference, tuple(groups))


def _causes(old: Compared, new: Compared) -> list[Cause]:
    if old.recipe is not None and new.recipe is not None:
        return causes_between(old.recipe, new.recipe)
    if old.facts is None or new.facts is None:
        return []
    return causes_between(recipe_of(old.facts), recipe_of(new.facts))


def _counts(difference: Difference) -> dict[str, Counts | None]:
    tags, questions, answers = difference.tags, difference.questions, difference.answers
    return {
        "tags": Counts(len(tags.added), len(tags.removed), len(difference.renamed), tags.same),
        "questions": Counts(len(questions.added), len(questions.removed), 0, questions.same),
        "answers": Counts(len(answers.added), len(answers.removed), len(answers.changed), answers.same),
    }


def _by_digest(old: Compared, new: Compared, stage: str) -> Counts | None:
    """The same file has the same items, and a stage that only one side has is added or removed whole."""
    file, before, after = f"{stage}.jsonl", old.counts.get(stage, 0), new.counts.get(stage, 0)
    if old.sha256.get(file) == new.sha256.get(file):
        return Counts(0, 0, 0, after)
    return None if before and after else Counts(after, before, 0, 0)


@contextmanager
def _calls(cache: Path | None) -> Iterator[Callable[[str], Entry | None]]:
    """Looks calls up in a cache, which may have no responses at all: versions can be brought without them."""
    if cache is None or not holds_database(cache):
        yield lambda _: None
        return
    store = ReadOnlyStore(cache)
    try:
        yield lambda key: _entry(store, key)
    finally:
        store.close()


def _entry(store: ReadOnlyStore, key: str) -> Entry | None:
    """A call, None where it is not to be had: then a group names all settings that may be behind it."""
    try:
        return store.get(key)
    except CorruptEntryError:
        return None
