"""The end of a build: from a walked tree to files in their places.

The dataset's files change in `replace_together` alone, when everything else is written and synced.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.builds.assembly import UnitRows, encode_rows, failure_rows, write_artefacts
from distill_build.builds.execution import Execution
from distill_build.builds.kept_responses import keep_responses
from distill_build.builds.locked import Locked
from distill_build.builds.plan.plan import Plan
from distill_build.builds.present import PresentVersion
from distill_build.builds.report import Report
from distill_build.builds.session import Session
from distill_build.builds.versioning import keep_version, lock_of
from distill_build.builds.walk.nodes import Node, units_of
from distill_build.dataset.failures import unmade_in, untold
from distill_build.dataset.layout import (
    CHECKS,
    FAILURES,
    SOURCES,
    STATE,
    UNITS,
    CheckCount,
    Dataset,
    State,
    encode_outcomes,
    version_of,
)
from distill_build.dataset.lockfile import LOCK
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.rows import line_digest, line_digests
from distill_build.dataset.transaction import Transaction, keep_edited
from distill_build.engine.artefacts import ArtefactWriter, FileState, file_state
from distill_build.engine.ledger import Ledger
from distill_build.errors import StoppedError, StorageError
from distill_build.graph import END, Graph
from distill_build.history.exported_rows import NO_EXPORTS, ExportedRows, write_rows
from distill_build.options import Options
from distill_build.records import Failure, JsonObject
from distill_build.stages.checks import check_rows
from distill_build.stages.kinds.declared import declared, missing_rows


class BuiltFiles(msgspec.Struct, frozen=True):
    """The files of a build as they lie beside their places, by name; `failures` counts the rows of failures.jsonl."""

    state: State
    new: dict[str, Path]
    outcomes: list[Outcome]
    failures: int


class Finish(msgspec.Struct):
    """From a walked tree to files in their places; `folder` takes them until then. `plan` is what it was to ask.

    `stopped` is what had cut the asking short when the walk came to its end: an interruption since then came too late.
    """

    session: Session
    options: Options
    ledger: Ledger
    execution: Execution
    plan: Plan
    rows: UnitRows
    folder: Path
    stopped: StoppedError | None = None

    def report(self, root: Node, seconds: float) -> Report:
        """Writes everything, moves it into its place, and says what was done."""
        made, present = self.make(root), self.execution.baseline.present
        if present is not None and present.stands and self.stopped is not None:
            lost = lost_rows(self.session.dataset, present, made.new)
            if lost:  # what came is stored, and the next build has it from there
                return self._report(present, present.files, seconds, kept_rows=lost)
            made = replace(made, state=replace(made.state, grown=True))
        made = self._with_responses(made)
        keep_version(self.session, made.state, made.new, self.execution.tally, seconds)
        dataset, old = self.session.dataset, self._ours() - made.state.outputs.keys()
        edited = keep_edited(dataset, made.new, sorted(old), self.ledger.folder, dataset.outputs())
        removed = self._transaction.commit(made.new | self._write_notes(made.state, made.outcomes), old)
        files = made.state.files(self.session.dataset)
        return self._report(made.state, files, seconds, failures=made.failures, edited=edited, removed=removed)

    def _with_responses(self, made: BuiltFiles) -> BuiltFiles:
        """The files with the packs of responses behind them, where the folder keeps such."""
        if not self.session.settings.keep_responses:
            return made
        kept = keep_responses(self.session, self.execution.baseline.state, made.new[SOURCES], self.folder)
        state = replace(made.state, outputs=made.state.outputs | kept.outputs, kept=kept.calls)
        return replace(made, state=state, new=made.new | kept.new)

    def _report(
        self,
        there: State | PresentVersion,
        files: tuple[Path, ...],
        seconds: float,
        *,
        failures: int = 0,
        edited: tuple[Path, ...] = (),
        removed: tuple[Path, ...] = (),
        kept_rows: int = 0,
    ) -> Report:
        """What was done, where `there` is the version that lies there now, in `files`."""
        facts = {"version": there.version, "failures": failures, "seconds": round(seconds, 3)}
        self.ledger.write("end", target=self.execution.target, **facts, **there.counts)
        return Report(
            name=self.session.settings.name,
            folder=self.session.dataset.folder,
            version=there.version,
            run_id=self.ledger.run_id,
            graph=self.session.stages.graph,
            until=self.options.until,
            up_to_date=False,
            seconds=seconds,
            tally=self.execution.tally,
            expected=declared(self.session.settings).rows(),
            counts=dict(there.counts),
            failures=failures,
            stopped=self.stopped,
            files=files,
            edited=edited,
            removed=removed,
            newly_dropped=() if kept_rows else self.execution.newly_dropped,
            kept_rows=kept_rows,
            checks=there.checks,
            unmatched=(*self.execution.session.settings.unread, *self.execution.unmatched),
        )

    def make(self, root: Node) -> BuiltFiles:
        """Writes all files beside. Raises DifferenceError where they are not those of the lock."""
        writers, outcomes = write_artefacts(root, self._graph, self.rows, self.folder)
        self._require_untouched(root)
        failures = [*failure_rows(root)] or [each.row() for each in self._untold()]
        self._write_failures(failures, writers)  # before the exports, which go by it
        exports = self._write_exports()
        if exports.refused:
            failures += [each.row() for each in exports.refused]
            self._write_failures(failures, writers)
        checked = check_rows(Dataset(self.folder).artefact, self._graph, self.session.identity)
        if checked.lines:
            self._write_rows(CHECKS, checked.encoded, writers)
        new = {name: writer.path for name, writer in writers.items()} | exports.files
        sha256 = {name: writer.sha256 for name, writer in writers.items()}
        outputs = {name: file_state(path, sha256.get(name)) for name, path in new.items()}
        state = self._state(outputs, version_of(sha256), failures, (*checked.counts, *exports.checks))
        if self._locked is not None:
            self._locked.refuse_others(state, new, self.session, self.plan)
            return BuiltFiles(self._beside_lock(self._locked, state), new, outcomes, len(failures))
        new[LOCK] = self._write_lock(state)
        return BuiltFiles(
            replace(state, outputs=outputs | {LOCK: file_state(new[LOCK])}),
            new,
            outcomes,
            len(failures),
        )

    @property
    def _graph(self) -> Graph:
        """The stages that this build reaches."""
        return self.session.stages.graph.up_to(self.options.until)

    @property
    def _locked(self) -> Locked | None:
        return self.execution.baseline.locked

    @property
    def _transaction(self) -> Transaction:
        return Transaction(self.session.dataset, self.folder)

    def _require_untouched(self, root: Node) -> None:
        """Raises StorageError where rows were copied from a file that was edited while this build ran."""
        dataset, state = self.session.dataset, self.execution.baseline.state
        units = units_of(root)
        kept = {
            name
            for unit in units
            for outcome in unit.outcomes
            for name, rows in (*outcome.rows.items(), (SOURCES, outcome.sources))
            if rows.kept and rows.length
        }
        for name in kept:
            file = name if name == SOURCES else self._graph[name].file
            if state is None or not state.outputs[file].holds(dataset.artefact(file)):
                raise StorageError(
                    f"{dataset.artefact(file)} was changed while a build ran; build again, nothing is lost"
                )

    def _untold(self) -> Iterator[Failure]:
        """What is not there though nothing failed."""
        settings, tallies = self.session.settings, self.execution.tally.stages.items()
        spared, made = {name: each.spared for name, each in tallies}, {name: each.made for name, each in tallies}
        for stage, missing in missing_rows(settings, self._graph, spared, made).items():
            yield untold(stage, (settings.topic,), missing)

    def _write_failures(self, rows: list[JsonObject], writers: dict[str, ArtefactWriter]) -> None:
        if rows:
            known = self._locked.failures_as_they_were(rows, self.session) if self._locked is not None else None
            self._write_rows(FAILURES, known or encode_rows(rows), writers)

    def _write_rows(self, name: str, lines: bytes, writers: dict[str, ArtefactWriter]) -> None:
        with ArtefactWriter(self.folder / name) as writer:
            writer.write(lines)
        writers[name] = writer

    def _write_lock(self, state: State) -> Path:
        return self._transaction.write(LOCK, lock_of(state, self.session).encode().encode())

    def _beside_lock(self, locked: Locked, state: State) -> State:
        """The state with the lock that is there and stays.

        Where a build that is held to nothing would write another one, as after an edited comment, there is something
        for it to do, and the state says so by being that of no build.
        """
        same = lock_of(state, self.session) == locked.lock
        outputs = state.outputs | {LOCK: file_state(self.session.dataset.artefact(LOCK))}
        return replace(state, build=state.build if same else "", outputs=outputs)

    def _write_exports(self) -> ExportedRows:
        if self.options.until != END:
            return NO_EXPORTS
        identity, stores = self.session.identity, [self.execution.store]
        place = Dataset(self.folder).artefact
        return write_rows(self._transaction, place, self._graph, identity, identity["export"], lambda _: stores)

    def _state(
        self,
        outputs: Mapping[str, FileState],
        version: str,
        failures: list[JsonObject],
        checks: tuple[CheckCount, ...],
    ) -> State:
        session, until, baseline = self.session, self.options.until, self.execution.baseline
        tally = self.execution.tally.stages
        graph = self._graph
        looked_at_all = self._locked is None and graph.names == session.stages.graph.names
        unfinished = None if looked_at_all else baseline.state  # what its --rebuild brought is not used yet
        if self.stopped is not None and session.rebuild:
            unfinished = session.dataset.state()  # where it is noted what this one was asking for anew
        return State(
            build=session.build_digest(until, baseline.generation),
            complete=not failures,
            version=version,
            until=until,
            generation=baseline.generation,
            losses=baseline.losses,
            cache_dir=session.dataset.note_cache(session.cache_dir),
            counts={name: tally[name].made if name in graph else 0 for name in session.stages.graph.names},
            requests={
                stage.name: tally[stage.name].cached + tally[stage.name].answered for stage in session.stages.asking
            },
            spared={name: tally[name].spared for name in graph.names if tally[name].spared},
            dropped={name: dict(tally[name].why) for name in graph.names if tally[name].dropped},
            unmade=unmade_in(graph, failures),
            stopped=str(self.stopped) if self.stopped is not None and failures else None,
            grown=False,
            kept=None,
            checks=checks,
            unmatched=self.execution.unmatched,
            reviews=self.execution.reviews,
            outputs=dict(outputs),
            recipe=session.identity,
            holds_others=baseline.pinned.differ(self.execution.store),
            failed=tuple(sorted({key for key, _ in self.execution.resolver.failed})),
            rebuilding=unfinished.rebuilding if unfinished is not None else (),
            rebuilding_since=unfinished.rebuilding_since if unfinished is not None else "",
            stages=session.stages.graph.described(),
        )

    def _ours(self) -> set[str]:
        """Files that go where a build has none: all that is named like ours or is of the version that lies there, of
        exports those of the last build alone."""
        before, present = self.execution.baseline.state, self.execution.baseline.present
        own = {*self.session.stages.graph.files, FAILURES, CHECKS}
        return own.union(before.outputs if before else (), present.graph.files if present else ())

    def _write_notes(self, state: State, outcomes: list[Outcome]) -> dict[str, Path]:
        """What later builds go by, beside."""
        contents = {STATE: state.encode(), UNITS: encode_outcomes(outcomes)}
        return {name: self._transaction.write(name, content) for name, content in contents.items()}


def lost_rows(dataset: Dataset, present: PresentVersion, new: Mapping[str, Path]) -> int:
    """Rows of the version that is there which would be gone or replaced if the `new` files took their places."""
    return sum(_lost_lines(dataset.artefact(file), new.get(file)) for file in present.graph.files)


def _lost_lines(old: Path, new: Path | None) -> int:
    if not old.exists():
        return 0
    there = set() if new is None else line_digests(new)
    with old.open("rb") as lines:
        return sum(line_digest(line) not in there for line in lines)
