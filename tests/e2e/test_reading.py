"""Commands that read a built dataset: they find it by themselves, and send and change nothing."""

import json

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
ALL = "formats=[messages,alpaca,sharegpt,csv,parquet]"


def test_export_and_a_build_with_the_same_formats_agree(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    sent = server.count
    folder = workspace.root / "outputs/sports/dataset"
    exported = workspace.run("export", *SMALL, ALL)
    assert (exported.status, exported.stderr, server.count) == (0, "", sent)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(files) == 5
    assert "up to date" in workspace.run(*SMALL, ALL).stderr
    workspace.run(*SMALL)
    assert [path.name for path in folder.iterdir()] == ["train.messages.jsonl"]
    workspace.run(*SMALL, ALL)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert server.count == sent


def test_tree_show_and_cache_stats_find_what_was_built(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    sent = server.count
    assert workspace.raw("tree").stdout.splitlines()[0] == "sports  2 tags, 4 questions, 4 answers"
    for name in ("tags", "questions", "answers"):
        row = workspace.rows(name)[0]
        shown = workspace.raw("show", row["id"], "--json")
        assert json.loads(shown.stdout)[name.removesuffix("s")] == row
    stats = workspace.raw("cache", "stats", "--json")
    assert stats.document["entries"] == sum(group["calls"] for group in stats.document["groups"]) == sent
    assert server.count == sent


def test_reading_commands_do_not_load_hydra(workspace: Workspace) -> None:
    workspace.run(*SMALL)
    for words in (("tree",), ("show", "1"), ("cache", "stats")):
        finished = workspace.raw(*words, environment={"PYTHONPROFILEIMPORTTIME": "1"})
        told = finished.stderr
        assert finished.status == 0
        assert "distill_build.commands" in told
        assert not any(heavy in told for heavy in ("hydra", "omegaconf", "pyarrow", "aiohttp", "rich"))
