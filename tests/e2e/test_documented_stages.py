"""Every example of docs/stages.md works as it is printed: its files and its settings are taken from the page."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

PAGE = (Path(__file__).parents[2] / "docs/stages.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"(?:^ {4}.*\n|(?<=\n)\n(?= {4}))+", re.MULTILINE)
NAMED = re.compile(r"(?:# |\{# )((?:conf|prompts)/\S+)")
COMMAND = re.compile(r"`distill-build ([^`]+=[^`]+)`")
TYPED_AXES = re.compile(r"`(axes[=.][^`]+)`")
SMALL = ("depth=1", "breadth=1", "questions_per_tag=2")


def examples() -> list[str]:
    """What is printed as it is to be typed, from the top of the page."""
    return [text for found in EXAMPLE.findall(PAGE) for text in re.split(r"\n\n(?=# |\{# )", dedent(found).strip("\n"))]


def settings() -> list[str]:
    """Those that are no files of their own."""
    return [text for text in examples() if not NAMED.match(text)]


def as_words(text: str) -> list[str]:
    """Settings as they are typed, or those of a file's text in the project's own."""
    if re.match(r"\w+=", text):
        return text.splitlines()
    Path("conf/distill.yaml").write_text(f"defaults: [base, _self_]\n{text}\n")
    return []


def written() -> dict[str, Path]:
    """The project with all files of the page, by name."""
    files = {match[1]: text for text in examples() if (match := NAMED.match(text))}
    for name, text in {"conf/distill.yaml": "defaults: [base, _self_]\n", **files}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text + "\n", encoding="utf-8")
    return {name: Path(name) for name in files}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> Workspace:
    monkeypatch.chdir(tmp_path)
    written()
    return Workspace(tmp_path, server)


def test_the_page_has_examples_of_each_kind() -> None:
    files = [match[1].split("/")[1] for text in examples() if (match := NAMED.match(text))]
    assert {"stage", "en", "recipe"} <= set(files)
    assert len(settings()) > 1
    assert COMMAND.search(PAGE)


@pytest.mark.parametrize("command", COMMAND.findall(PAGE))
def test_a_command_of_the_page_builds(project: Workspace, command: str) -> None:
    done = project.run(*command.split(), *SMALL)
    assert done.status == 0, done.stderr
    assert {row["level"] for row in project.rows("levels")} <= {1, 2, 3, 4, 5}
    assert len(project.rows("hard")) == len(project.rows("levels")) == 2


def test_a_row_says_that_all_below_it_were_dropped(project: Workspace) -> None:
    stages = "stages=[tags,questions,dedup,answers,levels,hard]"
    done = project.run("topic=sports", *SMALL, stages, "stage.hard.where=row.level > 5")
    assert done.status == 0, done.stderr
    answer, level = project.rows("answers")[0], project.rows("levels")[0]
    why = "dropped, since all levels below it were dropped by hard"
    said = {answer["id"]: why, answer["question_id"]: why, answer["tag"]: why, level["id"]: "dropped by hard"}
    for key, told in said.items():
        for command in ("show", "log"):
            assert project.raw(command, key, "--json").document["left_out"] == [told]
    assert project.run("topic=sports", *SMALL, stages, "stage.hard.where=true").status == 0
    assert not any(project.raw("show", key, "--json").document["left_out"] for key in said)


@pytest.mark.parametrize("text", settings())
def test_settings_of_the_page_build(project: Workspace, text: str) -> None:
    done = project.run("topic=sports", *SMALL, *as_words(text))
    assert done.status in (0, 1), done.stderr  # 1: the server's questions are of no axis


@pytest.mark.parametrize("word", TYPED_AXES.findall(PAGE))
def test_axes_are_typed_as_the_page_says(project: Workspace, word: str) -> None:
    done = project.run("plan", "topic=sports", *SMALL, word.replace("'", ""))
    assert done.status == 0, done.stderr


def test_the_recipe_of_the_page_builds(project: Workspace) -> None:
    (recipe,) = Path("conf/recipe").iterdir()
    done = project.run("topic=sports", *SMALL, f"recipe={recipe.stem}")
    assert done.status == 0, done.stderr
