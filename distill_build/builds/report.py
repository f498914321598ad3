"""What a build says of itself: while it runs to a `Watcher`, and at its end in a `Report`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from distill_build.builds.plan.plan import Plan
from distill_build.builds.walk.tally import StageTally, Tally
from distill_build.dataset.layout import CheckCount
from distill_build.dataset.lockfile import LOCK
from distill_build.errors import StoppedError
from distill_build.export import first_if_empty
from distill_build.graph import END, Graph
from distill_build.history.setting_wording import listed
from distill_build.models.traffic import Traffic
from distill_build.records import JsonObject, rows_of, short
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import missing_items

CAUSES_SHOWN = 3
TAGS_SHOWN = 10


class Replacement(msgspec.Struct, frozen=True):
    """What is taken from the version that lies in the folder.

    `fewer` counts by stage the rows of `version` that are wanted no more, `others` those beside them that a
    plan does not come to as they stand: what is asked for again may be the same then, or not come at all.

    `leaving` are the tags that go with all that is below them, in words.
    `causes` are the settings and prompts that differ, in words: first what was typed. `way_back` says what brings the
    version back.
    """

    version: str
    fewer: Mapping[str, int]
    others: Mapping[str, int]
    leaving: tuple[str, ...]
    causes: tuple[str, ...]
    way_back: str

    def sentence(self, verb: str) -> str:
        """What is said of it: `verb` says who does it, and when."""
        fewer = [f"{rows_of(number, stage)} fewer" for stage, number in self.fewer.items()]
        others = [rows_of(number, stage) for stage, number in self.others.items()]
        gone = [f"gone with all below: {listed(self.leaving, TAGS_SHOWN)}"] if self.leaving else []
        what = [*gone, *fewer, *([f"{', '.join(others)} made anew, changed or gone"] if others else [])]
        why = f"; {listed(self.causes, CAUSES_SHOWN)}" if self.causes else ""
        return f"{verb} version {short(self.version)}: {'; '.join(what)}{why}; {self.way_back}"


class Report(msgspec.Struct, frozen=True):
    """What a build did.

    `expected` are the rows of a full tree, `counts` those of each artefact, `failures` the lines of failures.jsonl,
    `stopped` what ended the asking early, `edited` the copies of files that were not as last written
    here, `removed` the files that it was not to make, `newly_dropped` the transforms with their lines for rows that
    they kept before. `kept_rows` are those of a complete version which a build that was stopped would have dropped or
    replaced: so the old files stay, and `counts` and `version` are theirs. `replaced` is what was taken from the one
    before. `checks` are the rows that show what they should not, `unmatched` sentences on what
    people say of parts of the dataset that are not there. `run_id` is None and `up_to_date` true where there was
    nothing to do.
    """

    name: str
    folder: Path
    graph: Graph
    version: str
    run_id: str | None
    until: str
    up_to_date: bool
    seconds: float
    tally: Tally
    expected: dict[str, int]
    counts: dict[str, int]
    failures: int
    stopped: StoppedError | None
    files: tuple[Path, ...]
    edited: tuple[Path, ...]
    removed: tuple[Path, ...] = ()
    newly_dropped: tuple[tuple[str, JsonObject], ...] = ()
    kept_rows: int = 0
    replaced: Replacement | None = None
    checks: tuple[CheckCount, ...] = ()
    unmatched: tuple[str, ...] = ()

    @property
    def stages(self) -> dict[str, StageTally]:
        """The stages that this build was to reach, with what it did for them, in graph order."""
        return {stage: self.tally.stages[stage] for stage in self.graph.reached(self.until)}

    @property
    def transforms(self) -> dict[str, StageTally]:
        """Those among them that judge rows."""
        return {stage: tally for stage, tally in self.stages.items() if self.graph[stage].kind == "transform"}

    def count(self, stage: str) -> int:
        """Rows of `stage` that this build came to: what it made, where the files stay those of another version."""
        return self.tally.stages[stage].made if self.kept_rows else self.counts.get(stage, 0)

    def wanted(self, stage: str) -> int:
        """Rows of `stage` that there are to be: what hangs on nothing, since that was dropped, is not wanted."""
        return self.expected[stage] - self.tally.stages[stage].spared

    def missing(self, stage: str) -> int:
        """Rows of `stage` that are to be there and are not."""
        wanted = {stage: self.wanted(stage) for stage in self.stages}
        counts = {stage: self.count(stage) for stage in self.stages}
        return missing_items(self.graph.up_to(self.until), wanted, counts).get(stage, 0)

    @property
    def edited_by_hand(self) -> tuple[Path, ...]:
        """The copies of files that people edit; a lock is mostly another one for coming out of git."""
        return tuple(copy for copy in self.edited if copy.name != LOCK)

    @property
    def other_lock(self) -> Path | None:
        """The copy of a lock that was not written here."""
        return next((copy for copy in self.edited if copy.name == LOCK), None)

    @property
    def empty_export(self) -> Path | None:
        """An export without a row though nothing is missing: all were dropped, or no stage has an `export`."""
        return first_if_empty(self.files) if self.until == END and self.complete else None

    @property
    def complete(self) -> bool:
        return self.stopped is None and not self.failures and not any(self.missing(stage) for stage in self.stages)


class Watcher(Protocol):
    """Someone who is told how a build goes."""

    def note(self, text: str) -> None:
        """A sentence for the person."""

    def confirm(self, told: Sequence[str], question: str) -> bool:
        """Whether the person, who was `told` why, lets a build go on; true where there is nobody to ask."""

    def plan(self, plan: Plan, settings: Settings) -> None:
        """What is about to be asked, before the first request."""

    def progress(
        self, tally: Tally, expected: dict[str, int], traffic: Callable[[], Traffic]
    ) -> AbstractContextManager[None]:
        """Shows `tally` as it grows, and the `traffic` of the moment, for as long as the context lasts."""
