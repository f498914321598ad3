"""The Python interface: what a command does, as values and errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from distill_build import build, load, plan
from distill_build.errors import ConfigurationError, MissingCallError, UsageError
from tests.server import ScriptedServer, status

EXAMPLE = Path(__file__).parents[1] / "docs" / "python.md"
SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1", "per_request.tags=2", "dedup.near=null")


@pytest.fixture
def words(server: ScriptedServer) -> tuple[str, ...]:
    return (*SMALL, "model=openai_compatible", f"model.base_url={server.base_url}", "model.name=scripted")


def test_a_dataset_comes_out(words: tuple[str, ...], server: ScriptedServer, tmp_path: Path) -> None:
    planned = plan(*words)
    assert (server.count, planned.exact) == (0, False)
    said: list[str] = []
    data = build(*words, progress=said.append)
    assert planned.calls == server.count
    assert any("complete" in line for line in said)
    assert data.folder == tmp_path / "outputs" / "sports"
    assert data.counts == {"tags": 2, "questions": 2, "dedup": 2, "answers": 2}
    answers = list(data.rows("answers"))
    assert [row.answer for row in data.training_rows()] == [row["answer"] for row in answers]
    assert (data.complete, data.failures, data.stopped) == (True, [], None)
    assert [each.version for each in data.versions()] == [data.version]
    assert plan(*words).calls == 0


def test_one_that_is_there_is_loaded_by_name_or_folder(words: tuple[str, ...], tmp_path: Path) -> None:
    built = build(*words, progress=str)
    for found in (load("sports"), load(tmp_path / "outputs" / "sports"), load("sports", root=tmp_path)):
        assert found.version == built.version
    with pytest.raises(UsageError, match="no dataset chess"):
        load("chess")
    with pytest.raises(UsageError, match="sports has no scores: it has tags, questions, dedup, answers"):
        built.rows("scores")


def test_the_project_is_found_upwards_as_by_a_build(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/distill.yaml").write_text("defaults: [base, _self_]\n", encoding="utf-8")
    below = tmp_path / "notebooks/week 1"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    built = build(*words, progress=str)
    assert built.folder == tmp_path / "outputs/sports"
    monkeypatch.chdir(tmp_path.parent)
    assert build(*words, root=below, progress=str).folder.samefile(built.folder)
    assert load("sports", root=below).version == built.version
    assert load("../../outputs/sports", root=below).version == built.version
    monkeypatch.chdir(below)
    assert load("sports").version == built.version
    assert plan(*words, progress=str).calls == 0
    assert [each.version for each in load("sports").versions()] == [built.version]
    with pytest.raises(UsageError, match=f"no dataset chess in {tmp_path}: build it"):
        load("chess")


def test_a_mistake_is_raised_with_the_sentence(words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="did you mean"):
        plan(*words, "dept=3", progress=str)
    with pytest.raises(MissingCallError, match="not in the cache"):
        build(*words, offline=True, progress=str)


def test_what_is_missing_is_told_and_no_error(words: tuple[str, ...], server: ScriptedServer) -> None:
    server.plan = lambda number, _: status(400) if number == 4 else None
    data = build(*words, "limits.concurrency=1", progress=str)
    assert not data.complete
    assert [row["missing"] for row in data.failures] == [1]
    stopped = build(*words, "budget.calls=0", "teacher.temperature=0.1", progress=str)
    assert "budget.calls" in (stopped.stopped or "")


def test_the_package_alone_loads_nothing_heavy() -> None:
    names = "import sys, distill_build; print([name for name in sys.modules if name.startswith('distill_build.')])"
    assert subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    """On the embedded model, as it stands there."""
    code = re.search(r"```python\n(.*?)```", EXAMPLE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    done = subprocess.run([sys.executable, "-c", code[1]], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "<dataset sports: 2 tags" in done.stdout


def test_an_error_of_whoever_is_told_ends_the_build(words: tuple[str, ...], server: ScriptedServer) -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    server.latency = 0.2
    with pytest.raises(ValueError, match="plan"):
        build(*words, "limits.concurrency=1", progress=refuse)
    assert server.count < 5, "the build would send as many"
