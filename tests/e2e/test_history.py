"""`history`: every version that was built, the newest first, with what changed and what it cost."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from distill_build.prompting.files import packed_folder
from distill_build.versions.archive import Archive
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer, status

SMALL = ("topic=sports", "depth=2", "breadth=[2,1]", "questions_per_tag=1")
PRICED = ("model.prices.prompt=1", "model.prices.completion=2")


@pytest.fixture
def workspace(tmp_path: Path, server: ScriptedServer) -> InProcess:
    return InProcess(tmp_path, server)


def steps(workspace: Workspace, *words: str) -> list[tuple[list[str], str | None]]:
    """What history says of the settings that changed, oldest first."""
    document = workspace.raw("history", "--json", *words).document
    return [([change["name"] for change in row["changes"]], row["reason"]) for row in reversed(document["versions"])]


def build(workspace: Workspace, *variants: Sequence[str]) -> None:
    for words in variants:
        assert workspace.run(*SMALL, *words, "-q").status == 0


def test_each_version_says_what_changed_what_it_holds_and_what_it_cost(
    workspace: Workspace, server: ScriptedServer
) -> None:
    build(workspace, PRICED, [*PRICED, "teacher.temperature=0.9"], ["breadth=[3,1]", "teacher.temperature=0.9"])
    sent = server.count
    newest, middle, first = workspace.raw("history", "--json").document["versions"]
    assert [newest["changes"], middle["changes"], first["changes"]] == [
        [{"name": "breadth", "old": [2, 1], "new": [3, 1]}],
        [{"name": "teacher.temperature", "old": None, "new": 0.9}],
        [],
    ]
    assert newest["counts"] == {"tags": 6, "questions": 3, "dedup": 3, "answers": 3}
    assert first["spent"]["calls"] + middle["spent"]["calls"] + newest["spent"]["calls"] == sent == server.count
    tokens = first["spent"]["prompt_tokens"] + 2 * first["spent"]["completion_tokens"]
    assert first["spent"]["usd"] == pytest.approx(tokens / 1e6)
    assert (newest["current"], middle["current"], newest["spent"]["usd"]) == (True, False, None)
    shown = workspace.raw("history").stdout
    assert "breadth: [2,1] → [3,1]" in shown
    assert "teacher.temperature: null → 0.9" in shown
    assert [line for line in shown.splitlines() if line.startswith("* " + newest["version"][:12])]
    assert newest["version"] in workspace.raw("history", "-v").stdout
    real = Workspace(workspace.root).raw("history", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert real.stdout == shown
    assert not any(heavy in real.stderr for heavy in ("hydra", "omegaconf", "diskcache", "aiohttp", "jinja2"))


def test_where_no_setting_differs_the_reason_is_said(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda _, body: status(400) if server.classify(body) == "answers" else None
    workspace.run(*SMALL, "limits.retries=0")
    server.plan = ()
    assert workspace.run(*SMALL, "-q").status == 0
    assert workspace.run(*SMALL, "--rebuild", "sports/*", "-q").status == 0
    first, second, third = workspace.raw("history", "--json").document["versions"][::-1]
    assert (first["missing"], first["complete"]) == ({"answers": 2}, False)
    assert (second["changes"], second["reason"]) == ([], "2 more answers, which were missing before")
    assert (third["changes"], third["reason"]) == ([], "responses asked again")
    assert "! 2 answers missing" in workspace.raw("history").stdout


def test_an_edited_prompt_a_language_and_a_stage_left_out_are_told_once(workspace: Workspace) -> None:
    workspace.run(*SMALL)
    prompts = workspace.root / "prompts" / "en"
    prompts.mkdir(parents=True)
    packed = (packed_folder() / "en/answers.jinja").read_text(encoding="utf-8")
    (prompts / "answers.jinja").write_text("{# a comment #}" + packed.replace("question }}", "question }} Be brief."))
    build(workspace, [], ["--until", "tags"], ["language=zh"])
    shown = workspace.raw("history").stdout
    assert "prompt en/answers.jinja edited" in shown
    assert steps(workspace)[2:] == [(["--until"], None), (["--until", "language"], None)]


def test_an_edited_folder_holds_none_of_the_versions_until_one_is_checked_out(workspace: Workspace) -> None:
    build(workspace, [])
    rows = workspace.folder() / "answers.jsonl"
    rows.write_bytes(rows.read_bytes() + b"\n")
    document = workspace.raw("history", "--json").document
    assert (document["held"] == document["locked"], document["versions"][0]["current"]) == (False, False)
    shown = workspace.raw("history").stdout
    assert "outputs/sports was edited, and holds none of these: `distill-build verify outputs/sports`" in shown
    workspace.raw("checkout", "outputs/sports")
    document = workspace.raw("history", "--json").document
    assert (document["held"], document["versions"][0]["current"]) == (document["locked"], True)


def test_a_version_that_came_from_elsewhere_is_listed_and_one_that_is_not_here_is_said(workspace: Workspace) -> None:
    build(workspace, [], ["breadth=[1,1]"])
    shutil.move(workspace.folder(), workspace.root / "moved")
    assert len(workspace.raw("history", "sports", "--json").document["versions"]) == 2
    workspace.folder().mkdir(parents=True)
    shutil.copy(workspace.root / "moved/distill.lock", workspace.folder())
    document = workspace.raw("history", "--json").document
    assert (document["held"], document["locked"]) == (None, document["versions"][0]["version"])
    assert [row["current"] for row in document["versions"]] == [False, False]
    assert workspace.raw("history", "elsewhere", "--json").document["exit_code"] == 2


def digests(workspace: Workspace, *words: str) -> list[str]:
    """The versions that history lists, oldest first."""
    return [row["version"] for row in workspace.raw("history", "--json", *words).document["versions"][::-1]]


def test_proving_a_version_that_was_checked_out_is_no_new_one_and_one_can_go_forward_again(
    workspace: Workspace,
) -> None:
    build(workspace, [], ["questions_per_tag=2"], ["questions_per_tag=3"])
    made = digests(workspace)
    assert workspace.raw("checkout", "latest~1").status == 0
    assert workspace.run(*SMALL, "questions_per_tag=2", "--frozen").status == 0
    assert (digests(workspace), workspace.raw("history", "--json").document["held"]) == (made, made[1])
    build(workspace, ["questions_per_tag=3"])
    assert digests(workspace) == made
    workspace.raw("checkout", "latest~2")
    build(workspace, ["questions_per_tag=1", "seed=7"])
    assert digests(workspace)[:3] == made
    (changed,) = [line for line in workspace.raw("history").stdout.splitlines() if "seed: 0 → 7" in line]
    assert f"from {made[0][:12]}" in changed, "the version below it is not the one that it replaced"


def test_a_clone_that_shares_the_cache_sees_all_versions_and_a_checkout_hides_none(workspace: Workspace) -> None:
    build(workspace, [], ["questions_per_tag=2"], ["questions_per_tag=3"])
    made = digests(workspace)
    clone = InProcess(workspace.root / "clone", workspace.server)
    clone.folder().mkdir(parents=True)
    shutil.copy(workspace.folder() / "distill.lock", clone.folder())
    shared = ("--cache-dir", str(workspace.root / ".distill-cache"))
    assert digests(clone, *shared) == made
    assert clone.raw("checkout", "latest~1", *shared).status == 0
    assert (digests(clone), digests(workspace)) == (made, made)
    assert clone.raw("checkout", "latest").status == 0
    assert clone.raw("history", "--json").document["held"] == made[2]


def test_what_changed_is_known_of_a_version_whose_predecessor_is_removed(workspace: Workspace) -> None:
    build(workspace, [], ["questions_per_tag=2"])
    first, second = digests(workspace)
    before = workspace.raw("history", "--json").document["versions"][0]
    assert workspace.raw("cache", "gc", "--keep-last", "1").status == 0
    assert digests(workspace) == [second]
    assert workspace.raw("history", "--json").document["versions"] == [before]
    assert f"questions_per_tag: 1 → 2 (from {first[:12]})" in workspace.raw("history").stdout
    assert workspace.raw("cache", "fsck").status == 0


def test_versions_of_another_machine_that_share_the_name_alone_are_told_apart(
    workspace: Workspace, tmp_path: Path, server: ScriptedServer
) -> None:
    build(workspace, [])
    (mine,) = digests(workspace)
    (tmp_path / "other/.git").mkdir(parents=True)  # a project of its own
    other = InProcess(tmp_path / "other", server)
    build(other, ["depth=1", "breadth=3"])
    (theirs,) = digests(other)
    bundle = str(tmp_path / "bundle")
    assert other.raw("cache", "export", bundle).status == 0
    assert workspace.raw("cache", "import", bundle).status == 0
    assert digests(workspace) == [mine]
    assert workspace.raw("history", "--json").document["others"] == [theirs]
    assert f"of another dataset called sports, come by import or pull: {theirs[:12]}" in workspace.raw("history").stdout
    assert workspace.raw("checkout", theirs, "-o", "outputs/theirs").status == 0


def test_a_folder_that_was_renamed_has_its_history_and_goes_on_with_it(workspace: Workspace) -> None:
    build(workspace, [], ["questions_per_tag=2"])
    made = digests(workspace)
    shutil.move(workspace.folder(), workspace.folder("games"))
    assert digests(workspace, "games") == made
    assert workspace.raw("checkout", "latest~1", "games").status == 0
    build(workspace, ["name=games", "questions_per_tag=3"])
    assert digests(workspace, "games")[:2] == made
    assert steps(workspace, "games")[2] == (["questions_per_tag"], None)


def test_what_another_project_did_to_the_same_version_is_no_cause_of_a_change(
    workspace: Workspace, tmp_path: Path, server: ScriptedServer
) -> None:
    """The other's prompt differs by a comment, which changes no request."""
    build(workspace, [])
    (tmp_path / "other/.git").mkdir(parents=True)  # a project of its own
    (tmp_path / "other/prompts/en").mkdir(parents=True)
    packed = (packed_folder() / "en/answers.jinja").read_text(encoding="utf-8")
    (tmp_path / "other/prompts/en/answers.jinja").write_text("{# a comment #}" + packed)
    other = InProcess(tmp_path / "other", server)
    build(other, [f"cache.dir={workspace.root}/.distill-cache"])
    build(workspace, ["questions_per_tag=2"])
    assert steps(workspace) == [([], "the first version"), (["questions_per_tag"], None)]


def test_a_version_of_an_older_release_claims_nothing_of_what_it_replaced(workspace: Workspace) -> None:
    build(workspace, [])
    archive = Archive(workspace.root / ".distill-cache")
    (record,) = archive.all()
    root = archive.registry.root(workspace.folder())
    assert root is not None
    row = json.loads(archive.records.data(root.versions[0]))
    del row["origin"], row["predecessor"]
    old = archive.records.add(json.dumps(row).encode())
    archive.registry.register(workspace.folder(), "sports", [old])
    archive.records.file(root.versions[0]).unlink()
    assert steps(workspace) == [([], "what it replaced was not recorded by the release that made it")]
    build(workspace, ["questions_per_tag=2"])
    assert steps(workspace)[1] == (["questions_per_tag"], None)
    assert digests(workspace)[0] == record.version


def neighbour(workspace: Workspace, name: str) -> InProcess:
    """Another project that shares the cache of `workspace`."""
    assert workspace.server is not None
    (workspace.root / name / ".git").mkdir(parents=True)  # a project of its own
    return InProcess(workspace.root / name, workspace.server)


def test_a_digest_names_ones_own_record_of_a_version_that_another_project_built_too(workspace: Workspace) -> None:
    shared = [f"cache.dir={workspace.root}/.distill-cache"]
    build(workspace, [], ["questions_per_tag=2"])
    build(neighbour(workspace, "other"), shared)
    before = workspace.raw("history", "--json").document["versions"]
    assert workspace.raw("checkout", before[1]["version"]).status == 0
    after = workspace.raw("history", "--json").document["versions"]
    assert [row | {"current": None} for row in after] == [row | {"current": None} for row in before]
    assert [row["current"] for row in after] == [False, True]


def test_a_project_that_was_moved_has_its_own_history_and_not_that_of_its_clone(workspace: Workspace) -> None:
    shared = [f"cache.dir={workspace.root}/.distill-cache"]
    build(workspace, [], ["questions_per_tag=2"])
    made = digests(workspace)
    clone = neighbour(workspace, "clone")
    clone.folder().mkdir(parents=True)
    shutil.copy(workspace.folder() / "distill.lock", clone.folder())
    build(clone, [*shared, "questions_per_tag=3"])
    (workspace.root / "moved").mkdir()
    shutil.move(workspace.root / "outputs", workspace.root / "moved/outputs")
    moved = InProcess(workspace.root / "moved", workspace.server)
    assert digests(moved, "--cache-dir", str(workspace.root / ".distill-cache")) == made
    assert len(digests(clone)) == 3
