"""The end of a build: from a walked tree to files in their places.

The dataset's files change in `replace_together` alone, when everything else is written and synced.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from distill_build.artefact_rows import QuestionText, read_rows
from distill_build.engine.artefacts import (
    ArtefactWriter,
    FileState,
    file_state,
)
from distill_build.engine.ledger import Ledger
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.stages.asking import Asking
from distill_build.stages.assembly import LeafFiles, LeafRows, encode_rows, failure_rows, write_leaves, write_tags
from distill_build.stages.dataset import (
    ARTEFACTS,
    FAILURES,
    LEAF_FILES,
    LEAVES,
    STATE,
    Dataset,
    State,
    encode_leaves,
    version_of,
)
from distill_build.stages.default import DEFAULT
from distill_build.stages.locked import Locked
from distill_build.stages.replacement import Replacement, keep_edited
from distill_build.stages.report import Report, expected_items
from distill_build.stages.session import Session
from distill_build.stages.tally import STAGES
from distill_build.stages.training_rows import training_rows
from distill_build.stages.tree import LeafOutcome, Node, walk
from distill_build.stages.versioning import keep_version, lock_of
from distill_build.versions.lockfile import LOCK


@dataclass(frozen=True, slots=True)
class Made:
    """The files of a build as they lie beside their places, by name; `failures` counts the rows of failures.jsonl."""

    state: State
    new: dict[str, Path]
    outcomes: list[LeafOutcome]
    failures: int


@dataclass(slots=True)
class Finish:
    """From a walked tree to files in their places."""

    session: Session
    options: Options
    ledger: Ledger
    asking: Asking
    rows: LeafRows

    def report(self, root: Node, seconds: float) -> Report:
        """Writes everything, moves it into its place, and says what was done."""
        dataset, halt = self.session.dataset, self.asking.halt
        made = self.make(root)
        keep_version(self.session, made.state, made.new, self.asking.tally, seconds)
        old = _ours(dataset) - made.state.outputs.keys()
        edited = keep_edited(dataset, made.new, sorted(old), self.ledger.folder)
        self._replacement.commit(made.new | self._write_notes(made.state, made.outcomes), old)
        state = made.state
        report = Report(
            name=self.session.settings.name,
            folder=dataset.folder,
            version=state.version,
            run_id=self.ledger.run_id,
            until=self.options.until,
            up_to_date=False,
            seconds=seconds,
            tally=self.asking.tally,
            expected=expected_items(self.session.settings),
            counts=state.counts,
            failures=made.failures,
            stopped=str(halt.reason) if halt.reason else None,
            files=state.files(dataset),
            duplicates=state.duplicates,
            edited=edited,
        )
        facts = {"version": state.version, "failures": made.failures, "seconds": round(seconds, 3)}
        self.ledger.write("end", target=self.asking.target, **facts, **state.counts)
        return report

    def make(self, root: Node) -> Made:
        """Writes all files beside. Raises DifferenceError where they are not those of the lock."""
        writers, outcomes = self._write(root)
        failures = self._write_failures(root, writers)
        duplicates = self._count_duplicates(writers)
        exports = self._write_exports(writers)
        new = {name: writer.path for name, writer in writers.items()} | exports
        sha256 = {name: writer.sha256 for name, writer in writers.items()}
        outputs = {name: file_state(path, sha256.get(name)) for name, path in new.items()}
        state = self._state(outputs, version_of(sha256), duplicates, complete=not failures)
        if self._locked is not None:
            self._locked.refuse_others(state, new, self.session)
            return Made(self._beside_lock(self._locked, state), new, outcomes, failures)
        new[LOCK] = self._write_lock(state)
        return Made(replace(state, outputs=outputs | {LOCK: file_state(new[LOCK])}), new, outcomes, failures)

    @property
    def _locked(self) -> Locked | None:
        return self.asking.basis.locked

    @property
    def _new(self) -> Path:
        return self.rows.folder

    @property
    def _replacement(self) -> Replacement:
        return Replacement(self.session.dataset, self._new)

    def _write(self, root: Node) -> tuple[dict[str, ArtefactWriter], list[LeafOutcome]]:
        """The artefacts that this build reaches, by name."""
        settings, until, rows = self.session.settings, self.options.until, self.rows
        writers = {"tags.jsonl": write_tags(root, settings.depth, self._new / "tags.jsonl")}
        old = LeafFiles(*(self.session.dataset.artefact(name) for name in LEAF_FILES))
        new = LeafFiles(*(self._new / name for name in LEAF_FILES))
        written, outcomes = write_leaves(root, rows, old, new)
        self._require_untouched(root)
        leaf_writers = dict(zip(LEAF_FILES, written, strict=True))
        beyond = {"tags": LEAF_FILES[:2], "questions": LEAF_FILES[1:2]}.get(until, ())
        return writers | {name: writer for name, writer in leaf_writers.items() if name not in beyond}, outcomes

    def _require_untouched(self, root: Node) -> None:
        """Raises StorageError where rows were copied from a file that was edited while this build ran."""
        dataset, state = self.session.dataset, self.session.dataset.state()
        if state is None or not any(node.leaf.answers.kept for node in walk(root) if node.leaf is not None):
            return
        for name in LEAF_FILES:
            if name not in state.outputs or not state.outputs[name].holds(dataset.artefact(name)):
                raise StorageError(
                    f"{dataset.artefact(name)} was changed while a build ran; build again, nothing is lost"
                )

    def _write_failures(self, root: Node, writers: dict[str, ArtefactWriter]) -> int:
        rows = list(failure_rows(root))
        if rows:
            with ArtefactWriter(self._new / FAILURES) as writer:
                known = self._locked.failures_as_they_were(rows, self.session) if self._locked is not None else None
                writer.write(known or encode_rows(rows))
            writers[FAILURES] = writer
        return len(rows)

    def _write_lock(self, state: State) -> Path:
        return self._replacement.write(LOCK, lock_of(state, self.session.settings).encode().encode())

    def _beside_lock(self, locked: Locked, state: State) -> State:
        """The state with the lock that is there and stays.

        Where a build that is held to nothing would write another one, as after an edited comment, there is something
        for it to do, and the state says so by being that of no build.
        """
        same = lock_of(state, self.session.settings) == locked.lock
        outputs = state.outputs | {LOCK: file_state(self.session.dataset.artefact(LOCK))}
        return replace(state, build=state.build if same else "", outputs=outputs)

    def _write_exports(self, writers: dict[str, ArtefactWriter]) -> dict[str, Path]:
        if self.options.until != "dataset":
            return {}
        settings = self.session.settings
        rows = training_rows(lambda name: writers[name].path, DEFAULT, self.session.identity)
        return self._replacement.write_exports(rows, settings.formats, settings.format, settings.system_prompt)

    def _count_duplicates(self, writers: dict[str, ArtefactWriter]) -> int:
        questions = writers.get("questions.jsonl")
        return 0 if questions is None else count_duplicates(questions.path)

    def _state(self, outputs: dict[str, FileState], version: str, duplicates: int, *, complete: bool) -> State:
        session, until, basis = self.session, self.options.until, self.asking.basis
        tally = self.asking.tally.stages
        reached = {"tags": 1, "questions": 2}.get(until, 3)
        looked_at_all = self._locked is None and until in ("answers", "dataset")
        unfinished = None if looked_at_all else session.dataset.state()  # what its --rebuild brought is not used yet
        return State(
            build=session.build_digest(until, basis.generation),
            complete=complete,
            version=version,
            until=until,
            generation=basis.generation,
            cache_dir=session.dataset.note_cache(session.cache_dir),
            counts={stage: tally[stage].made if place < reached else 0 for place, stage in enumerate(STAGES)},
            requests={stage: tally[stage].cached + tally[stage].answered for stage in STAGES},
            duplicates=duplicates,
            outputs=outputs,
            recipe=session.identity,
            stages=DEFAULT.described(),
            holds_others=basis.held.differ(self.asking.store),
            failed=tuple(sorted(self.asking.caller.failed)),
            rebuilding=unfinished.rebuilding if unfinished is not None else (),
            rebuilding_since=unfinished.rebuilding_since if unfinished is not None else "",
        )

    def _write_notes(self, state: State, outcomes: list[LeafOutcome]) -> dict[str, Path]:
        """What later builds go by, beside."""
        complete = [outcome for outcome in outcomes if outcome.memo is not None]
        leaves = complete if "answers.jsonl" in state.outputs else []
        contents = {STATE: state.encode(), LEAVES: encode_leaves(leaves)}
        return {name: self._replacement.write(name, content) for name, content in contents.items()}


def _ours(dataset: Dataset) -> set[str]:
    """Files that go where a build has none: all that is named like ours, of exports those of the last build alone."""
    state = dataset.state()
    return {*ARTEFACTS, FAILURES, *(state.outputs if state is not None else ())}


def count_duplicates(questions: Path) -> int:
    """Questions of questions.jsonl whose text stands under an earlier parent already, by `normalise`."""
    from distill_build.replies.parse import normalise

    seen: set[int] = set()
    duplicates = 0
    for row in read_rows(questions, QuestionText):
        key = hash(normalise(row.question))  # 64 bits instead of the text: memory for 100,000 is 10 MB
        duplicates += key in seen
        seen.add(key)
    return duplicates
