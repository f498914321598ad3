"""What is wrong with rows that are all there: flags in the rows, repeats in checks.jsonl, and a line for each kind in
the end."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_project import write_stage
from tests.e2e.test_only_what_is_affected import InProcess, items_at, kind_of, place_of
from tests.server import Body, Fault, ScriptedServer, content, labels

CUT = "The answer to this question is that the"
TAGS = items_at("tags", "sports")[:4]
ASKED = [question for tag in TAGS for question in labels({"place": tag}, "questions", 16)]
CUT_SHORT = ASKED[::3]
"""22 of 64."""
LINE = ("topic=sports", "depth=1", "breadth=4", "questions_per_tag=16")


def every_third_cut(_: int, body: Body) -> Fault | None:
    """Lists by place alone; every third question is answered with the same cut text, and no reasoning."""
    place, kind = place_of(body), kind_of(body)
    if kind == "tags":
        return content(json.dumps({"tags": TAGS}))
    if kind == "questions":
        here = next(tag for tag in TAGS if tag in place)
        return content(json.dumps({"questions": labels({"place": here}, "questions", 16)}))
    return content(CUT) if any(question in place for question in CUT_SHORT) else None


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=every_third_cut) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    endpoint.plan = every_third_cut
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def repeated(project: InProcess) -> list[dict[str, object]]:
    """What checks.jsonl has to hold."""
    ids = [row["id"] for row in project.rows("answers") if row["answer"] == CUT]
    return [{"check": "repeated", "stage": "answers", "rows": 22, "text": CUT, "ids": ids}]


def test_answers_that_are_one_text_are_counted_in_the_end_and_named_in_a_file(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    done = project.run(*LINE, "--json")
    assert done.status == 0, done.stderr
    assert "64 of 64 answers" in done.stderr
    assert "\n42 of 64 answers have reasoning\n22 of 64 answers repeat another (checks.jsonl)\n" in done.stderr
    assert done.document["checks"] == {"answers": {"no_reasoning": 22, "repeated": 22}}
    assert project.rows("checks") == repeated(project)
    assert {tuple(row["flags"]) for row in project.rows("answers") if row["answer"] == CUT} == {("no_reasoning",)}
    assert all(row["flags"] == [] for name in ("tags", "questions") for row in project.rows(name))
    assert project.raw("verify", "sports").status == 0
    asked = endpoint.count
    again = project.run(*LINE, "--json")
    assert (again.status, endpoint.count) == (0, asked)
    assert "up to date" in again.stderr
    assert "22 of 64 answers repeat another" in again.stderr
    assert "22 of 64" not in project.run(*LINE, "-q").stderr
    assert again.document["checks"] == done.document["checks"]


def test_the_file_is_the_same_whatever_came_first_and_whatever_was_taken_over(
    project: InProcess, tmp_path: Path, endpoint: ScriptedServer
) -> None:
    assert project.run(*LINE, "limits.concurrency=1").status == 0
    told = project.bytes()
    other = InProcess(tmp_path / "other", endpoint)
    (other.root / ".git").mkdir(parents=True)
    assert other.run(*LINE, "limits.concurrency=32").status == 0
    assert other.bytes() == told
    endpoint.reset()
    done = project.run(*LINE, "--rebuild", f"answers:sports/{TAGS[1]}")
    assert (done.status, endpoint.count) == (0, 16), done.stderr
    assert "22 of 64 answers repeat another" in done.stderr
    assert project.bytes()["checks.jsonl"] == told["checks.jsonl"], "48 rows were copied from the files before"
    told = project.bytes()
    shutil.rmtree(project.folder() / "runs")
    assert project.run(*LINE).status == 0
    assert project.bytes() == told


def test_a_checkout_brings_the_file_of_its_version(project: InProcess) -> None:
    assert project.run(*LINE).status == 0
    whole = project.bytes()
    assert project.run(*LINE, "questions_per_tag=1", "breadth=1", "-y").status == 0
    assert not (project.folder() / "checks.jsonl").exists(), "one answer repeats no other"
    assert project.raw("checkout", "latest~1").status == 0
    assert project.bytes() == whole
    assert project.raw("verify", "sports").status == 0
    assert project.raw("checkout", "latest").status == 0
    assert not (project.folder() / "checks.jsonl").exists()
    assert project.raw("verify", "sports").status == 0


@pytest.mark.parametrize(("edit", "told"), [("", "it is missing"), ("{}\n", "it does not tell of these rows")])
def test_a_file_that_is_not_of_these_rows_is_told_and_made_again(project: InProcess, edit: str, told: str) -> None:
    assert project.run(*LINE).status == 0
    file = project.folder() / "checks.jsonl"
    whole = project.bytes()
    if edit:
        file.write_text(edit)
    else:
        file.unlink()
    done = project.raw("verify", "sports")
    assert (done.status, "checks.jsonl" in done.stdout, told in done.stdout) == (4, True, True), done.stdout
    done = project.run(*LINE)
    assert (done.status, "checks.jsonl had been edited" in done.stderr) == (0, bool(edit)), done.stderr
    assert project.bytes() == whole


def test_a_stray_file_gives_way(project: InProcess) -> None:
    line = (*LINE, "questions_per_tag=1", "breadth=1")
    assert project.run(*line).status == 0
    (project.folder() / "checks.jsonl").write_text("{}\n")
    assert project.raw("verify", "sports").status == 4
    assert project.run(*line).status == 0
    assert not (project.folder() / "checks.jsonl").exists()


def test_that_nothing_repeats_any_more_removes_nothing_of_the_users(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    """Not by a smaller build, nor by a stage that drops what repeated."""
    assert project.run(*LINE).status == 0
    done = project.run(*LINE, "questions_per_tag=1", "breadth=1", "-y", "--json")
    assert (done.status, done.document["removed"], " removed" in done.stderr) == (0, [], False), done.stderr

    def same_question(number: int, body: Body) -> Fault | None:
        asked = content(json.dumps({"questions": ["How high is the net?"]}))
        return asked if kind_of(body) == "questions" else every_third_cut(number, body)

    endpoint.plan = same_question
    alike = ("topic=alike", "depth=1", "breadth=4", "questions_per_tag=1")
    assert project.run(*alike, "--until", "questions").status == 0
    assert (project.folder("alike") / "checks.jsonl").exists()
    done = project.run(*alike, "dedup.refill=0", "--json")
    assert (done.status, done.document["removed"], " removed" in done.stderr) == (0, [], False), done.stderr
    assert not (project.folder("alike") / "checks.jsonl").exists()
    assert project.raw("verify", "alike").status == 0


def test_a_filter_may_go_by_flags_and_what_it_drops_is_looked_past(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    (project.root / "conf").mkdir()
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    write_stage(project.root, "sound", kind="transform", after="answers", where="not row.flags")
    assert project.run(*LINE).status == 0
    endpoint.reset()
    done = project.run(*LINE, "stages=[tags,questions,dedup,answers,sound]", "-y", "--json")
    assert (done.status, endpoint.count) == (0, 0), done.stderr
    assert "sound dropped 22 of 64 answers" in done.stderr
    assert done.document["checks"] == {}
    assert not (project.folder() / "checks.jsonl").exists()
    assert len(project.bytes()["dataset/train.messages.jsonl"].splitlines()) == 42


def test_the_jobs_of_a_sweep_have_files_of_their_own_and_counts_in_the_table_for_programs(project: InProcess) -> None:
    done = project.run("-m", *LINE[:2], "breadth=1,4", LINE[3])
    assert done.status == 0, done.stderr
    (table,) = (project.folder() / "sweeps").glob("*/sweep.jsonl")
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert [row["checks"] for row in rows] == [
        {"answers": {"no_reasoning": number, "repeated": number}} for number in (6, 22)
    ]
    told = [json.loads((table.parent / f"breadth={breadth}" / "checks.jsonl").read_text()) for breadth in (1, 4)]
    assert [group["rows"] for group in told] == [6, 22]


def test_no_column_of_a_users_own_is_called_flags(project: InProcess) -> None:
    (project.root / "conf").mkdir()
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    properties = {"flags": {"type": "string"}}
    write_stage(
        project.root,
        "rate",
        kind="map",
        after="answers",
        role="judge",
        schema={"type": "object", "properties": properties},
    )
    done = project.run(*LINE, "stages=[tags,questions,dedup,answers,rate]")
    assert (done.status, "rows have a column flags of ours" in done.stderr) == (2, True), done.stderr


def games(_: int, body: Body) -> Fault | None:
    """A tree with labels that stand twice or name no field; answers that say their question back."""
    place, kind = place_of(body), kind_of(body)
    if kind == "tags":
        below = (
            ["Road", "History", "Other races"] if ">" in place or "/" in place else ["Cycling", "Miscellaneous games"]
        )
        return content(json.dumps({"tags": below}))
    if kind == "questions":
        return content(json.dumps({"questions": [f"What is the first rule of {place}?"]}))
    return content(body["messages"][-1]["content"])


def test_labels_are_told_that_stand_twice_or_name_no_field_and_answers_that_say_their_question_back(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    endpoint.plan = games
    done = project.run("topic=sports", "depth=2", "breadth=[2,3]", "questions_per_tag=1", "dedup.near=null", "--json")
    assert done.status == 0, done.stderr
    told = done.stderr.splitlines()
    assert "3 of 8 tags are catch-alls: Other races, Miscellaneous games, Other races" in told
    assert "3 labels stand under several parents: Road (2), History (2), Other races (2) (checks.jsonl)" in told
    assert "0 of 6 answers have reasoning" in told
    assert "6 of 6 answers repeat their question (flag repeats_question)" in told
    assert done.document["checks"]["tags"] == {"catch_all": 3, "same_label": 6}
    counts = json.loads((project.folder() / "runs/state.json").read_text())["checks"]
    same = next(count for count in counts if count["check"] == "same_label")
    assert same["examples"] == [{"label": label, "rows": 2} for label in ("Road", "History", "Other races")]
    groups = project.rows("checks")
    assert [(group["check"], group["text"], group["rows"]) for group in groups] == [
        ("same_label", "Road", 2),
        ("same_label", "History", 2),
        ("same_label", "Other races", 2),
    ]
    tree = project.raw("tree", "sports").stdout
    assert "2 Miscellaneous games" in tree
    assert tree.count("~ catch_all") == 3
    shown = project.raw("show", project.rows("answers")[0]["id"]).stdout
    assert "flags     no_reasoning, repeats_question\n" in shown
    assert "flags" not in project.raw("show", project.rows("questions")[0]["id"]).stdout
