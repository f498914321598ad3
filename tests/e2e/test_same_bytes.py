"""The files depend on the responses alone (guarantee 5): not on order, concurrency, place, or interruptions."""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer

SHAPE = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2", "answers_per_question=2",
         "per_request.tags=2", "formats=[messages,alpaca,sharegpt,csv]")  # fmt: skip
COUNTS = {"tags": 8, "questions": 9, "answers": 36}
TOTAL = sum(COUNTS.values())
FILES = {
    "tags": {"tags.jsonl"},
    "questions": {"tags.jsonl", "questions.jsonl"},
    "dedup": {"tags.jsonl", "questions.jsonl", "dedup.jsonl"},
    "answers": {"tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl"},
}


@dataclass(frozen=True)
class Reference:
    """A project that was built once and in one go, with the bytes that came out."""

    root: Path
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Reference:
    project = InProcess(tmp_path_factory.mktemp("reference"), endpoint)
    assert project.run(*SHAPE).status == 0
    assert endpoint.kinds == COUNTS
    return Reference(project.root, project.bytes())


@pytest.fixture
def empty(tmp_path: Path, endpoint: ScriptedServer, reference: Reference) -> InProcess:
    """A project without cache or outputs; the server has counted nothing yet."""
    assert reference.files
    endpoint.latency = 0
    endpoint.plan = ()
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


@pytest.fixture
def built(empty: InProcess, reference: Reference) -> InProcess:
    """A copy of the reference project."""
    shutil.copytree(reference.root, empty.root, dirs_exist_ok=True)
    return empty


# Different ways to the same files.


@pytest.mark.parametrize("concurrency", ["1", "3", "200"])
def test_concurrency_does_not_show(empty: InProcess, reference: Reference, concurrency: str) -> None:
    assert empty.run(*SHAPE, f"limits.concurrency={concurrency}").status == 0
    assert empty.bytes() == reference.files


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_of_arrival_does_not_show(
    empty: InProcess, endpoint: ScriptedServer, reference: Reference, seed: int
) -> None:
    chance = random.Random(seed)

    def late(_: int, __: Body) -> Fault | None:
        endpoint.latency = chance.choice([0, 0.001, 0.01, 0.05])
        return None

    endpoint.plan = late
    assert empty.run(*SHAPE).status == 0
    assert (endpoint.count, empty.bytes()) == (TOTAL, reference.files)


@pytest.mark.parametrize("seed", ["1", "77"])
def test_the_hash_seed_of_the_process_does_not_show(
    tmp_path: Path, empty: InProcess, endpoint: ScriptedServer, reference: Reference, seed: str
) -> None:
    workspace = Workspace(tmp_path, endpoint)
    assert workspace.run(*SHAPE, environment={"PYTHONHASHSEED": seed}).status == 0
    assert (endpoint.count, empty.bytes()) == (TOTAL, reference.files)


def test_the_folder_does_not_show(empty: InProcess, endpoint: ScriptedServer, reference: Reference) -> None:
    where = (f"output_dir={empty.root / 'far' / 'away'}", f"cache.dir={empty.root / 'kept'}")
    assert empty.run(*SHAPE, *where).status == 0
    assert endpoint.count == TOTAL
    folder = empty.root / "far" / "away" / "sports"
    assert {name: (folder / name).read_bytes() for name in reference.files} == reference.files


def test_a_stream_does_not_show(empty: InProcess, reference: Reference) -> None:
    assert empty.run(*SHAPE, "model.stream=true").status == 0
    assert empty.bytes() == reference.files


@pytest.mark.parametrize("calls", [7, 20])
def test_a_build_in_pieces_does_not_show(
    empty: InProcess, endpoint: ScriptedServer, reference: Reference, calls: int
) -> None:
    statuses: list[int] = []
    while not statuses or statuses[-1] != 0:
        before = endpoint.count
        statuses.append(empty.run(*SHAPE, f"budget.calls={calls}").status)
        assert endpoint.count - before <= calls
        assert len(statuses) <= TOTAL
    assert statuses == [3] * (TOTAL // calls) + [0]
    assert (endpoint.count, empty.bytes()) == (TOTAL, reference.files), "no request was sent twice"


def test_a_piece_of_a_build_holds_whole_rows_of_the_whole_build(
    empty: InProcess, endpoint: ScriptedServer, reference: Reference
) -> None:
    assert empty.run(*SHAPE, "budget.calls=30").status == 3
    whole = {name: set(data.splitlines()) for name, data in reference.files.items()}
    for name, data in empty.data().items():
        if name != "failures.jsonl" and not name.endswith(".csv"):
            assert set(data.splitlines()) <= whole[name], name
    assert empty.rows("failures")
    assert endpoint.count == 30


# Files that were lost or changed.


@pytest.mark.parametrize(
    "lost",
    ["outputs", "outputs/sports/runs", "outputs/sports/answers.jsonl", "outputs/sports/tags.jsonl",
     "outputs/sports/questions.jsonl", "outputs/sports/dedup.jsonl", "outputs/sports/dataset",
     "outputs/sports/dataset/train.csv", "outputs/sports/runs/units.json", "outputs/sports/runs/state.json",
     "outputs/sports/runs/sources.jsonl"],
)  # fmt: skip
def test_lost_files_come_back_from_the_cache_for_nothing(
    built: InProcess, endpoint: ScriptedServer, reference: Reference, lost: str
) -> None:
    path = built.root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert built.run(*SHAPE).status == 0
    assert (endpoint.count, built.bytes()) == (0, reference.files)


@pytest.mark.parametrize("damage", ["", "{not json", "{}", "[1, 2]"])
@pytest.mark.parametrize("file", ["state.json", "units.json"])
def test_damaged_notes_of_the_last_build_cost_a_walk_and_nothing_else(
    built: InProcess, endpoint: ScriptedServer, reference: Reference, file: str, damage: str
) -> None:
    (built.folder() / "tags.jsonl").unlink()
    (built.folder() / "runs" / file).write_text(damage)
    finished = built.run(*SHAPE)
    assert finished.status == 0, finished.stderr
    assert (endpoint.count, built.bytes()) == (0, reference.files)


@pytest.mark.parametrize(
    "name", ["tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl", "dataset/train.messages.jsonl"]
)
def test_a_file_edited_by_hand_is_kept_aside_and_restored(
    built: InProcess, endpoint: ScriptedServer, reference: Reference, name: str
) -> None:
    edited = reference.files[name] + b'{"mine": "by hand"}\n'
    (built.folder() / name).write_bytes(edited)
    finished = built.run(*SHAPE)
    assert (finished.status, endpoint.count, built.bytes()) == (0, 0, reference.files)
    kept = [path for path in (built.folder() / "runs").rglob("*.jsonl") if path.read_bytes() == edited]
    assert len(kept) == 1
    assert "edited by hand" in finished.stderr
    assert str(kept[0].relative_to(built.root)) in finished.stderr
    assert "up to date" in built.run(*SHAPE).stderr


@pytest.mark.parametrize("words", [(), ("formats=[csv]",)], ids=["nothing to do", "something to do"])
def test_a_file_that_no_build_wrote_is_kept_aside_where_there_should_be_none(
    built: InProcess, endpoint: ScriptedServer, words: tuple[str, ...]
) -> None:
    stray = built.folder() / "failures.jsonl"
    stray.write_text('{"mine": "by hand"}\n')
    finished = built.run(*SHAPE, *words)
    assert (finished.status, endpoint.count, stray.exists()) == (0, 0, False)
    (kept,) = (built.folder() / "runs").rglob("failures.jsonl")
    assert kept.read_text() == '{"mine": "by hand"}\n'
    assert str(kept.relative_to(built.root)) in finished.stderr
    assert "up to date" in built.run(*SHAPE, *words).stderr


def test_an_edit_is_kept_aside_also_where_the_build_has_something_else_to_do(
    built: InProcess, endpoint: ScriptedServer, reference: Reference
) -> None:
    edited = reference.files["answers.jsonl"].replace(b"sports", b"SPORTS")
    (built.folder() / "answers.jsonl").write_bytes(edited)
    assert built.run(*SHAPE, "questions_per_tag=1").status == 0
    assert edited in [path.read_bytes() for path in (built.folder() / "runs").rglob("answers.jsonl")]
    assert built.run(*SHAPE).status == 0
    assert (endpoint.count, built.bytes()) == (0, reference.files)


def test_a_file_that_was_touched_and_not_changed_is_no_edit(
    built: InProcess, endpoint: ScriptedServer, reference: Reference
) -> None:
    for name in reference.files:
        (built.folder() / name).touch()
    finished = built.run(*SHAPE)
    assert "up to date" in finished.stderr
    assert "edited" not in finished.stderr
    assert (endpoint.count, built.bytes()) == (0, reference.files)


# Stages.


@pytest.mark.parametrize("until", FILES)
def test_a_build_that_stops_early_removes_later_files_and_they_come_back_for_nothing(
    built: InProcess, endpoint: ScriptedServer, reference: Reference, until: str
) -> None:
    assert built.run(*SHAPE, "--until", until).status == 0
    assert built.data() == {name: reference.files[name] for name in FILES[until]}
    assert f'until = "{until}"' in built.lock()
    assert built.run(*SHAPE, "--until", "dataset").status == 0
    assert (endpoint.count, built.bytes()) == (0, reference.files)


def test_a_build_stage_by_stage_gives_the_same_files(
    empty: InProcess, endpoint: ScriptedServer, reference: Reference
) -> None:
    sent = 0
    for until in FILES:
        assert empty.run(*SHAPE, "--until", until).status == 0
        sent += COUNTS.get(until, 0)
        assert endpoint.count == sent
        assert set(empty.data()) == FILES[until]
    assert empty.run(*SHAPE).status == 0
    assert (endpoint.count, empty.bytes()) == (TOTAL, reference.files)


def test_a_dataset_that_went_through_changes_and_back_is_the_one_that_it_was(
    built: InProcess, endpoint: ScriptedServer, reference: Reference
) -> None:
    for detour in ("teacher.temperature=1", "questions_per_tag=3", "breadth=2", "depth=1"):
        assert built.run(*SHAPE, detour).status == 0
    endpoint.reset()
    assert built.run(*SHAPE).status == 0
    assert (endpoint.count, built.bytes()) == (0, reference.files)


def test_versions_are_equal_where_the_files_are(built: InProcess) -> None:
    first = built.run(*SHAPE, "--json").document["version"]
    shutil.rmtree(built.root / "outputs")
    again = built.run(*SHAPE, "--json").document
    assert (again["version"], again["calls"]) == (first, 0)
    other = built.run(*SHAPE, "questions_per_tag=1", "--json").document
    assert (other["version"] != first, other["calls"]) == (True, 0)


def test_a_file_of_the_users_own_beside_the_exports_is_left_alone(built: InProcess) -> None:
    own = built.folder() / "dataset" / "train.mine.jsonl"
    own.write_text("mine\n")
    assert built.run(*SHAPE, "questions_per_tag=1").status == 0
    assert own.exists()


def test_an_edit_that_hides_behind_the_old_time_never_gets_into_a_new_file(
    tmp_path: Path, server: ScriptedServer
) -> None:
    """Size and time are trusted for doing nothing, not for copying rows into what a build writes."""
    workspace = Workspace(tmp_path, server)
    small = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
    workspace.run(*small)
    path = workspace.folder() / "answers.jsonl"
    good, times = path.read_bytes(), path.stat()
    path.write_bytes(good.replace(b'"answer":"', b'"answer":"X', 1)[: len(good) - 1] + b"\n")
    assert path.stat().st_size == len(good)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (workspace.folder() / "dataset" / "train.messages.jsonl").unlink()
    finished = workspace.run(*small)
    assert finished.status == 0
    assert path.read_bytes() == good
    assert "edited" in finished.stderr
