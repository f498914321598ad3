"""One more stage of ours is a module, a file of settings and, where a model is asked, a prompt: nothing else knows."""

import json
import shutil
from pathlib import Path

import pytest

from distill_build.config.composition import packed_conf
from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, content

PACKAGE = Path(__file__).parents[2] / "distill_build"
LONG = {
    "distill_build/stages/builtin/long.py": """
from typing import Any
from distill_build.dataset.unit import Place, Verdict
from distill_build.records import JsonObject
from distill_build.settings import Positive, StageSettings
from distill_build.stages.kinds.transform_stage import TransformStage

class LongSettings(StageSettings, frozen=True, kw_only=True):
    least: Positive = 20

class Builtin(TransformStage):
    settings_type = LongSettings
    settings: LongSettings
    reads = frozenset({"answer"})

    def verdict(self, place: Place, row: JsonObject, others: JsonObject) -> Verdict:
        kept = len(row["answer"]) >= self.settings.least
        return Verdict(kept=kept, why=() if kept else ("too short",))
""",
    "conf/stage/long.yaml": "kind: transform\nbuiltin: long\nafter: answers\nleast: 20\n",
}
HINTS = {
    "distill_build/stages/builtin/hints.py": """
from distill_build.prompting.known import NUMBER, TEXT, TEXTS
from distill_build.records import row_id
from distill_build.replies.labels import ListReading
from distill_build.stages.kinds.list_stage import ListStage

class Builtin(ListStage):
    reading = ListReading(
        name="hints", item="hint", other_names=(), text_names=("hint",), shortest=2, shortest_cjk=1
    )

    @classmethod
    def columns(cls, own, above):
        return {"id": TEXT, "tag": TEXT, "path": TEXTS, "index": NUMBER, "hint": TEXT}

    def line(self, place, index, item):
        key = row_id(self.shape.prefix, place.tag, item)
        return {"id": key, "tag": place.tag, "path": list(place.path), "index": index, "hint": item}

    def variables(self, path):
        return {}
""",
    "conf/stage/hints.yaml": (
        "kind: list\nbuiltin: hints\nids: h\nafter: tags\nrole: student\nprompt: hints\nwanted: 2\nper_request: 5\n"
    ),
    "prompts/en/hints.jinja": (
        '{% call message("user") %}Hints for {{ path | join(" > ") }}: {"hints": ["…"]}{% endcall %}'
    ),
}
LINE = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")


def hinting(_: int, body: Body) -> Fault | None:
    """Two hints for whoever asks for some; all else as the server does."""
    wanted = '"hints"' in body["messages"][-1]["content"]
    return content(json.dumps({"hints": ["Think of the rules", "Think of the ball"]})) if wanted else None


class WithOneMore(Workspace):
    """Runs a copy of the program that has one more stage."""

    def add(self, files: dict[str, str]) -> None:
        copy = self.root / "program"
        shutil.copytree(PACKAGE, copy / "distill_build", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(packed_conf(), copy / "conf")
        shutil.copytree(packed_conf().parent / "prompts", copy / "prompts")
        for name, text in files.items():
            (copy / name).write_text(text, encoding="utf-8")

    def raw(self, *words: str, environment: dict[str, str] | None = None) -> Finished:
        """Runs the words as they are."""
        return super().raw(*words, environment={"PYTHONPATH": str(self.root / "program"), **(environment or {})})


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> WithOneMore:
    return WithOneMore(tmp_path, server)


def test_a_transform_may_have_a_setting_of_its_own(project: WithOneMore) -> None:
    project.add(LONG)
    line = (*LINE, "stages=[tags,questions,answers,long]")
    done = project.run(*line)
    assert done.status == 0, done.stderr
    dropped = project.run(*line, "stage.long.least=100000")
    assert (dropped.status, "long dropped 4 rows: too short" in dropped.stderr) == (0, True), dropped.stderr
    assert "stage.long.least: 100000 → 30" in project.run("explain", *line, "stage.long.least=30").stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("stage.long.least=few", "stage.long.least=few: expected a whole number from 1 to 1000000"),
        ("stage.long.laest=3", "unknown setting 'stage.long.laest': did you mean 'stage.long.least'?"),
        ("stage.dedup.least=3", "unknown setting 'stage.dedup.least'"),
    ],
)
def test_a_setting_of_its_own_is_checked_as_others_are(project: WithOneMore, word: str, said: str) -> None:
    project.add(LONG)
    done = project.run(*LINE, "stages=[tags,questions,answers,long]", word)
    assert (done.status, said in done.stderr) == (2, True), done.stderr


def test_a_setting_of_its_own_is_swept(project: WithOneMore) -> None:
    project.add(LONG)
    done = project.run("-m", *LINE, "stages=[tags,questions,answers,long]", "stage.long.least=1,100000")
    assert done.status == 0, done.stderr


def test_a_list_is_built_and_swept(project: WithOneMore, server: ScriptedServer) -> None:
    server.plan = hinting
    project.add(HINTS)
    done = project.run("-m", *LINE, "stages=[tags,hints]", "seed=1,2")
    assert done.status == 0, done.stderr


def test_rows_that_a_stage_of_ours_leaves_out_are_told_though_nothing_failed(
    project: WithOneMore, server: ScriptedServer
) -> None:
    """A fault of ours is no complete dataset."""
    server.plan = hinting
    one_less = "    def wanted_below(self, subtree, level):\n        return super().wanted_below(subtree, level) - 1\n"
    module = "distill_build/stages/builtin/hints.py"
    project.add(HINTS | {module: HINTS[module] + "\n" + one_less})
    done = project.run(*LINE, "stages=[tags,hints]")
    assert (done.status, "sports is complete" in done.stderr) == (1, False), done.stderr
    (told,) = project.rows("failures")
    assert (told["stage"], told["missing"], told["cause"]) == ("hints", 2, "untold")
