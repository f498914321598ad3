"""The end of a build: from a walked tree to files in their places.

The dataset's files change in `replace_together` alone, when everything else is written and synced.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distill_build.artefact_rows import QuestionText, read_rows
from distill_build.engine.artefacts import (
    ArtefactWriter,
    FileState,
    file_sha256,
    file_state,
    replace_together,
    set_aside,
    sync,
)
from distill_build.engine.ledger import Ledger
from distill_build.engine.signals import undisturbed
from distill_build.errors import StorageError
from distill_build.export import write_exports
from distill_build.options import Options
from distill_build.stages.asking import Asking
from distill_build.stages.assembly import LeafRows, encode_rows, failure_rows, write_leaves, write_tags
from distill_build.stages.dataset import (
    ARTEFACTS,
    EXPORTS,
    FAILURES,
    Dataset,
    State,
    encode_leaves,
    version_of,
)
from distill_build.stages.report import Report, expected_items
from distill_build.stages.session import Session
from distill_build.stages.tally import STAGES
from distill_build.stages.tree import LeafOutcome, Node, walk

NEW = "new"
"""Folder of files that are not yet in their place, within the run's own."""


@dataclass(slots=True)
class Finish:
    """From a walked tree to files in their places."""

    session: Session
    options: Options
    ledger: Ledger
    asking: Asking
    rows: LeafRows
    generation: str

    def report(self, root: Node, seconds: float) -> Report:
        """Writes everything and says what was done."""
        dataset, halt = self.session.dataset, self.asking.halt
        writers, outcomes = self._write(root)
        failures = self._write_failures(root, writers)
        duplicates = self._count_duplicates(writers)
        exports = self._write_exports(writers)
        self._write_calls(root)
        new = {name: writer.path for name, writer in writers.items()}
        new |= {f"{EXPORTS}/{path.name}": path for path in exports}
        edited = self._set_aside(new)
        sha256 = {name: writer.sha256 for name, writer in writers.items()}
        state = self._commit(new, sha256, outcomes, duplicates, complete=not failures)
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
            failures=failures,
            stopped=str(halt.reason) if halt.reason else None,
            files=tuple(dataset.artefact(name) for name in state.outputs),
            duplicates=duplicates,
            edited=edited,
        )
        self.ledger.write("end", version=state.version, failures=failures, seconds=round(seconds, 3), **state.counts)
        return report

    @property
    def _new(self) -> Path:
        return self.ledger.folder / NEW

    def _set_aside(self, new: dict[str, Path]) -> tuple[Path, ...]:
        """Copies what is about to be replaced or removed and is not as the last build wrote it, as far as is known."""
        dataset, state = self.session.dataset, self.session.dataset.state()
        known = state.outputs if state is not None else {}
        foreign = [
            place
            for name, path in new.items()
            if name not in known and (place := dataset.artefact(name)).is_file() and not same_bytes(path, place)
        ]
        edited = [
            place
            for name, facts in known.items()
            if (place := dataset.artefact(name)).is_file() and not facts.holds(place)
        ]
        return tuple(set_aside(path, self.ledger.folder) for path in (*edited, *foreign))

    def _write(self, root: Node) -> tuple[dict[str, ArtefactWriter], list[LeafOutcome]]:
        """The artefacts that this build reaches, by name."""
        settings, until, rows = self.session.settings, self.options.until, self.rows
        writers = {"tags.jsonl": write_tags(root, settings.depth, self._new / "tags.jsonl")}
        if until == "tags":
            return writers, []
        names = ("questions.jsonl", "answers.jsonl")
        old = tuple(self.session.dataset.artefact(name) for name in names)
        new = tuple(self._new / name for name in names)
        questions, answers, outcomes = write_leaves(root, rows, (old[0], old[1]), (new[0], new[1]))
        self._require_untouched(root, names)
        writers["questions.jsonl"] = questions
        if until != "questions":
            writers["answers.jsonl"] = answers
        return writers, outcomes

    def _require_untouched(self, root: Node, names: tuple[str, ...]) -> None:
        """Raises StorageError where rows were copied from a file that was edited while this build ran."""
        dataset, state = self.session.dataset, self.session.dataset.state()
        if state is None or not any(node.leaf.answers.kept for node in walk(root) if node.leaf is not None):
            return
        for name in names:
            if name not in state.outputs or not state.outputs[name].holds(dataset.artefact(name)):
                raise StorageError(
                    f"{dataset.artefact(name)} was changed while a build ran; build again, nothing is lost"
                )

    def _write_failures(self, root: Node, writers: dict[str, ArtefactWriter]) -> int:
        rows = list(failure_rows(root))
        if rows:
            with ArtefactWriter(self._new / FAILURES) as writer:
                writer.write(encode_rows(rows))
            writers[FAILURES] = writer
        return len(rows)

    def _write_calls(self, root: Node) -> None:
        calls = {node.id: node.calls for node in (root, *walk(root)) if node.calls}
        with ArtefactWriter(self._new / "calls.json") as writer:
            writer.write(json.dumps(calls, ensure_ascii=False, separators=(",", ":")).encode())

    def _write_exports(self, writers: dict[str, ArtefactWriter]) -> list[Path]:
        if self.options.until != "dataset":
            return []
        settings, answers = self.session.settings, writers["answers.jsonl"].path
        formats, options = settings.formats, settings.format
        exports = write_exports(answers, self._new / EXPORTS, formats, options, settings.system_prompt)
        for path in exports:
            sync(path)
        return exports

    def _count_duplicates(self, writers: dict[str, ArtefactWriter]) -> int:
        questions = writers.get("questions.jsonl")
        return 0 if questions is None else count_duplicates(questions.path)

    def _commit(
        self,
        new: dict[str, Path],
        sha256: dict[str, str],
        outcomes: list[LeafOutcome],
        duplicates: int,
        *,
        complete: bool,
    ) -> State:
        """Moves all files into place together, the state that describes them among them."""
        dataset = self.session.dataset
        outputs = {name: file_state(path, sha256.get(name)) for name, path in new.items()}
        state = self._state(outputs, version_of(sha256), duplicates, complete=complete)
        moves = {path: dataset.artefact(name) for name, path in new.items()}
        moves |= self._write_state(state, outcomes)
        with undisturbed():
            replace_together(dataset.runs, moves, _leftovers(dataset, outputs))
        return state

    def _state(self, outputs: dict[str, FileState], version: str, duplicates: int, *, complete: bool) -> State:
        session, until = self.session, self.options.until
        tally = self.asking.tally.stages
        reached = {"tags": 1, "questions": 2}.get(until, 3)
        return State(
            build=session.build_digest(until, self.generation),
            complete=complete,
            version=version,
            until=until,
            generation=self.generation,
            cache_dir=str(session.cache_dir.absolute()),
            counts={stage: tally[stage].made if place < reached else 0 for place, stage in enumerate(STAGES)},
            requests={stage: tally[stage].cached + tally[stage].answered for stage in STAGES},
            duplicates=duplicates,
            outputs=outputs,
            recipe=session.identity,
        )

    def _write_state(self, state: State, outcomes: list[LeafOutcome]) -> dict[Path, Path]:
        complete = [outcome for outcome in outcomes if outcome.memo is not None]
        leaves = complete if "answers.jsonl" in state.outputs else []
        runs = self.session.dataset.runs
        contents = {"state.json": state.encode(), "leaves.json": encode_leaves(leaves)}
        for name, content in contents.items():
            with ArtefactWriter(self._new / name) as writer:
                writer.write(content)
        return {self._new / name: runs / name for name in (*contents, "calls.json")}


def _leftovers(dataset: Dataset, outputs: Iterable[str]) -> list[Path]:
    """Files that the last build wrote and this one does not: of our exports only those that it is known to have."""
    state = dataset.state()
    ours = {*ARTEFACTS, FAILURES, *(state.outputs if state is not None else ())}
    return [path for name in sorted(ours - set(outputs)) if (path := dataset.artefact(name)).exists()]


def same_bytes(first: Path, second: Path) -> bool:
    """Whether two files hold the same."""
    return first.stat().st_size == second.stat().st_size and file_sha256(first) == file_sha256(second)


def count_duplicates(questions: Path) -> int:
    """Questions of questions.jsonl whose text stands under an earlier parent already, by `normalise`."""
    from distill_build.stages.parse import normalise

    seen: set[int] = set()
    duplicates = 0
    for row in read_rows(questions, QuestionText):
        key = hash(normalise(row.question))  # 64 bits instead of the text: memory for 100,000 is 10 MB
        duplicates += key in seen
        seen.add(key)
    return duplicates
