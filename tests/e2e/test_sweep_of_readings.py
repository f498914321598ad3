"""Jobs of a sweep ask for the same and read it otherwise, or ask at other addresses: each comes to what it comes to by
itself, and nothing is asked twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_sweep import artefacts, rows, sweep_folder
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, Plan, ScriptedServer, classify, content, digest, error, refusal

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "limits.reasks=1")
ON_THE_WAY_SECONDS = 0.05
"""So that jobs want a call while it is on its way."""
MARKS = '[["<plan>","</plan>"]],[["<draft>","</draft>"]]'


def marked(_: int, body: Body) -> Fault | None:
    """A thought in marks of its own, and none in the field for it."""
    return content("<plan>First this.</plan>\n\nSo it is.") if classify(body) == "answers" else None


def thinks_later() -> Callable[[int, Body], Fault | None]:
    """No thought in what is asked first, and one in what is asked then."""
    first: dict[str, int] = {}

    def reply(_: int, body: Body) -> Fault | None:
        if classify(body) != "answers":
            return None
        again = first.setdefault(body["messages"][-1]["content"], body["seed"]) != body["seed"]
        return content("So it is.", **({"reasoning_content": "First this."} if again else {}))

    return reply


def workspace_in(folder: Path, server: ScriptedServer) -> Workspace:
    folder.mkdir()
    return Workspace(folder, server)


@pytest.mark.parametrize("plan", [(), marked], ids=["usual", "marked"])
@pytest.mark.parametrize(
    "swept",
    [
        "teacher.reasoning=native,drop",
        "teacher.reasoning=drop,native",
        "teacher.reasoning=required,native",
        f"teacher.reasoning_marks={MARKS}",
    ],
)
def test_a_job_reads_replies_as_it_does_by_itself(tmp_path: Path, swept: str, plan: Plan) -> None:
    with ScriptedServer(plan=plan, latency=ON_THE_WAY_SECONDS) as server:
        together = workspace_in(tmp_path / "together", server)
        together.run("-m", *SMALL, swept)
        asked = [digest(request.body) for request in server.requests]
        assert len(set(asked)) == len(asked), "what one job was answered, the other one has"
        folder = sweep_folder(together)
        for number, job in enumerate(rows(folder)):
            alone = workspace_in(tmp_path / f"alone-{number}", server)
            status = alone.run(*SMALL, *(f"{name}={value}" for name, value in job["choices"].items())).status
            assert artefacts(alone.folder()) == artefacts(folder / job["job"])
            assert status == int(bool(job["failures"]))


@pytest.mark.parametrize("swept", ["required,native", "native,required"])
def test_a_job_whose_stored_reply_will_do_keeps_it(tmp_path: Path, swept: str) -> None:
    with ScriptedServer(plan=thinks_later(), latency=ON_THE_WAY_SECONDS) as server:
        workspace = Workspace(tmp_path, server)
        assert workspace.run(*SMALL).status == 0
        assert workspace.run("-m", *SMALL, f"teacher.reasoning={swept}").status == 0
        folder = sweep_folder(workspace)
        assert artefacts(folder / "teacher.reasoning=native") == artefacts(workspace.folder())
        assert artefacts(folder / "teacher.reasoning=required") != artefacts(workspace.folder())


@pytest.mark.parametrize(
    ("fault", "each"), [(error(400, "unknown field"), 1), (refusal(), 2)], ids=["no reply", "a refusal and its re-ask"]
)
def test_what_no_reading_helps_is_asked_once_for_all_jobs(tmp_path: Path, fault: Fault, each: int) -> None:
    def failing(_: int, body: Body) -> Fault | None:
        return fault if classify(body) == "answers" else None

    with ScriptedServer(plan=failing, latency=ON_THE_WAY_SECONDS) as server:
        done = Workspace(tmp_path, server).run("-m", *SMALL, "teacher.reasoning=native,drop,required", "--json")
        assert [job["failures"] for job in done.document["jobs"]] == [4, 4, 4]
        assert server.kinds["answers"] == 4 * each


def test_an_address_that_refuses_ends_no_job_with_another_one(workspace: Workspace, server: ScriptedServer) -> None:
    def denied(_: int, body: Body) -> Fault | None:
        return error(401, "wrong key") if classify(body) == "answers" else None

    with ScriptedServer(plan=denied, latency=ON_THE_WAY_SECONDS) as bad:
        done = workspace.run("-m", *SMALL, f"teacher.base_url={bad.base_url},{server.base_url}", "--json")
    ended = {job["choices"]["teacher.base_url"]: job["error"] for job in done.document["jobs"]}
    assert ended[server.base_url] is None
    assert "wrong key" in ended[bad.base_url]
