"""Any graph of stages under any changes and failures: what is sent is just what must be sent, what is missing is told,
and the same bytes come again.

The program is held against a model of a graph (`graphs/model.py`) that knows nothing of keys, phases or files.
GRAPHS=1000 in the environment tries so many histories in place of those few that always are.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from distill_build.commands.curate import export
from distill_build.commands.make import build, plan
from distill_build.commands.versions import verify
from distill_build.options import Options
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import declared as declared_by
from tests.e2e.graphs.declared import TOP, Declared, Stage, histories, in_order
from tests.e2e.graphs.model import Build, Call, Place
from tests.e2e.graphs.model import Endpoint as KnownEndpoint
from tests.e2e.graphs.replies import QUESTIONS, SEEDS, TAGS, Endpoint, unsteady
from tests.e2e.workspace import Finished, Workspace
from tests.server import ScriptedServer

EXPORT = "dataset/train.messages.jsonl"


def arrived(server: ScriptedServer) -> list[tuple[str, float | None, int]]:
    """The requests, as the model tells them."""
    bodies = [request.body for request in server.requests]
    return [(body["messages"][0]["content"], body.get("temperature"), body["seed"]) for body in bodies]


def calls_of(sent: list[tuple[str, float | None, int]]) -> set[Call]:
    """What requests are for."""
    return {(text, temperature, SEEDS[seed]) for text, temperature, seed in sent}


def counted(calls: set[Call]) -> dict[str, int]:
    """How many there are of each stage."""
    stages = [text.partition("|")[0] for text, _, _ in calls]
    return {stage: stages.count(stage) for stage in stages}


@dataclass
class Project(Workspace):
    """A project whose commands get their settings as they are, not composed: that takes longer than most of them."""

    settings_now: Settings | None = None

    def declare(self, declared: Declared) -> None:
        """What the commands from now on go by."""
        assert self.server is not None
        declared.write_prompts(self.root)
        self.settings_now = declared.settings(self.server.base_url)

    def command(self, verb: ModuleType, **flags: Any) -> Finished:
        """Runs a command that works with settings."""
        return self._finished(lambda: verb.run(self.settings_now, Options(**flags)))

    def verify(self) -> Finished:
        return self._finished(lambda: verify.run(Options(arguments=("top",))))

    def _finished(self, run: Callable[[], int]) -> Finished:
        out, err = StringIO(), StringIO()
        with chdir(self.root), redirect_stdout(out), redirect_stderr(err):
            status = run()
        return Finished(status, out.getvalue(), err.getvalue())


class Files:
    """What lies in a dataset's folder, in the words of the model."""

    def __init__(self, project: Project, declared: Declared) -> None:
        self.rows: dict[str, list[tuple[Place, Any]]] = {}
        self._places: dict[str, Place] = {}
        self._project = project
        self.rows[TAGS] = [self._told(TAGS, row) for row in project.rows(TAGS, "top")]
        for stage in declared.order:
            name = stage.name
            self.rows[name] = [self._told(name, row) for row in project.rows(name, "top")]

    def _told(self, stage: str, row: dict[str, Any]) -> tuple[Place, Any]:
        if "kept" in row:
            return self._places[row["id"]], row["kept"]
        place: Place = tuple(row["path"])
        if stage == QUESTIONS:
            place = (*self._places[row["tag"]], row["question"])
        elif stage != TAGS:
            numbers = [str(row[column]) for column in ("role", "sample") if column in row]
            place = (*self._places[row["parent"]], ":".join([stage, *numbers]))
        self._places[row["id"]] = place
        return place, str(row.get("value", place[-1]))

    @property
    def failures(self) -> list[tuple[str, Place, int]]:
        """Stage, place and number of what is missing."""
        return [
            (row["stage"], self._places[row["parent"]] if "parent" in row else tuple(row["path"]), row["missing"])
            for row in self._project.rows("failures", "top")
        ]

    @property
    def exports(self) -> list[tuple[str, int, int | None]]:
        """Question, answer and reasoning of each row."""
        path = self._project.folder("top") / EXPORT
        lines = [json.loads(line)["messages"] for line in path.read_text().splitlines()] if path.exists() else []
        reasoning = [assistant.get("reasoning_content") for _, assistant in lines]
        return [
            (user["content"], int(assistant["content"]), int(thought) if thought else None)
            for (user, assistant), thought in zip(lines, reasoning, strict=True)
        ]


@dataclass
class World:
    """A project under changes, its endpoint, and what the model knows of that."""

    project: Project
    endpoint: Endpoint
    known: KnownEndpoint

    def build(self, declared: Declared, illness: str) -> int:
        """Plans and builds, and holds all that comes of it against the model. Returns the exit code of the build."""
        server = self.project.server
        assert server is not None
        self.endpoint.illness = illness
        model = Build(declared, self.known, illness)
        self.project.declare(declared)
        planned = self.project.command(plan, json=True, until=declared.until)
        assert planned.status == 0, planned.stderr
        server.reset()
        done = self.project.command(build, json=True, until=declared.until)
        sent = arrived(server)
        assert done.status == (1 if model.failures else 0), (done.stderr, model.failures)
        assert Counter(sent) - Counter(model.sent) == Counter(), "what is sent and need not be"
        assert Counter(model.sent) - Counter(sent) == Counter(), "what must be sent and is not"
        assert done.document["failures"] == len(model.failures)
        if not model.failures:
            self.check_counts(declared)
        self.check_plan(planned.document, calls_of(sent))
        self.check_files(declared, model)
        return done.status

    def check_counts(self, declared: Declared) -> None:
        """Where nothing failed there are just so many rows as are told to be wanted."""
        assert self.project.settings_now is not None
        state = json.loads((self.project.folder("top") / "runs/state.json").read_text())
        wanted = declared_by(self.project.settings_now).rows()
        for name in (TAGS, *(stage.name for stage in declared.reached)):
            assert state["counts"][name] == wanted[name] - state["spared"].get(name, 0), name

    def check_plan(self, document: dict[str, Any], calls: set[Call]) -> None:
        """A plan that says it is exact is; and it is where all is known."""
        if document["exact"]:
            asked = {stage: each["ask"] for stage, each in document["stages"].items() if each["ask"]}
            assert (document["calls"], asked) == (len(calls), counted(calls)), "an exact plan"
        if not calls:
            assert (document["calls"], document["exact"]) == (0, True), "a plan of a build that asks nothing"

    def check_files(self, declared: Declared, model: Build) -> None:
        """Rows, verdicts, failures and exports are just those of the model; and they are as the lock says."""
        files = Files(self.project, declared)
        expected = {name: [(row.place, row.shown) for row in rows] for name, rows in model.rows.items()}
        for stage in declared.reached:
            if stage.judges:
                judged = [row for row in model.rows[stage.after] if stage.name in row.verdicts]
                expected[stage.name] = [(row.place, row.verdicts[stage.name]) for row in judged]
        for name, found in files.rows.items():
            assert found == expected.get(name, []), name
        assert sorted(files.failures) == sorted(model.failures), "failures"
        assert files.exports == model.exports(), "exports"
        verified = self.project.verify()
        assert verified.status == 0, verified.stdout
        if declared.exported is not None:
            self.check_export()

    def check_export(self) -> None:
        """`export` by itself writes the same bytes."""
        before = self.project.bytes("top")
        shutil.rmtree(self.project.folder("top") / "dataset")
        exported = self.project.command(export)
        assert exported.status == 0, exported.stderr
        assert self.project.bytes("top") == before


@pytest.fixture(scope="module")
def endpoints() -> Iterator[tuple[Endpoint, ScriptedServer, ScriptedServer]]:
    """One that may be ill, with its server, and the server of one that is well and slow now and then."""
    ill = Endpoint()
    with ExitStack() as stack:
        yield (
            ill,
            stack.enter_context(ScriptedServer(plan=ill)),
            stack.enter_context(ScriptedServer(plan=Endpoint(), latency=unsteady)),
        )


HISTORIES = os.environ.get("GRAPHS")
ANSWERED = Stage("s_a", "map", QUESTIONS, roles=("r_s_a",))
OF_TAGS = (
    Stage("s_b", "map", TAGS, roles=("r_s_b",), named=QUESTIONS),
    Stage("s_c", "group", "s_a", TAGS, exports=True),
)
WAITING = in_order((Stage(QUESTIONS, "list", TAGS), Stage("dedup", "barrier", QUESTIONS), ANSWERED, *OF_TAGS))
"""What hangs on tags, and sees their questions once more behind a barrier."""
OWN = (("Of my own", "How long is it?"), (TOP[0], "Whose is it?"))


@settings(
    max_examples=int(HISTORIES or 15), deadline=None, database=None, derandomize=HISTORIES is None,
    suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate, Phase.shrink],
)  # fmt: skip
@example(history=[(Declared(questions=3, order=WAITING, own=OWN), "")])
@example(history=[(Declared(questions=3, order=(WAITING[0], *WAITING[2:]), own=OWN), "")])
@example(history=[(Declared(questions=2, order=WAITING, lengths=((TOP[0], 1),)), ""), (Declared(order=WAITING), "")])
@example(
    history=[
        (Declared(questions=2, order=WAITING, lengths=((TOP[0], 4),), own=OWN), ill) for ill in ("cold", "flu", "")
    ]
)
@given(history=histories())
def test_a_build_sends_and_makes_just_what_it_must(
    history: list[tuple[Declared, str]],
    endpoints: tuple[Endpoint, ScriptedServer, ScriptedServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    endpoint, server, slow = endpoints
    world = World(Project(tmp_path_factory.mktemp("graph"), server), endpoint, KnownEndpoint())
    *before, (last, illness) = history
    for declared, earlier in before:
        world.build(declared, earlier)
    status = world.build(last, illness)
    fresh = Project(tmp_path_factory.mktemp("fresh"), slow)
    fresh.declare(last)
    assert fresh.command(build, quiet=True, until=last.until).status == status, "where too many questions repeat others"
    assert fresh.bytes("top") == world.project.bytes("top"), "the bytes of a build from nothing"
