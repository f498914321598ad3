"""Terminals and locales whose encoding lacks a letter: text shows it as a question mark, JSON escapes it."""

import json

from tests.e2e.workspace import Workspace

TOPIC = "体育 ⚽ 𝔘"
SMALL = (f"topic={TOPIC}", "name=体育", "depth=1", "breadth=1", "questions_per_tag=1")
ASCII = {"PYTHONIOENCODING": "ascii"}


def test_a_build_that_is_paid_for_ends_well_where_its_words_cannot_be_shown(workspace: Workspace) -> None:
    built = workspace.run(*SMALL, "--json", environment=ASCII)
    assert (built.status, built.stderr.count("bug")) == (0, 0), built.stderr
    assert built.stdout.isascii()
    assert "体育" in json.dumps(built.document, ensure_ascii=False)


def test_what_is_read_from_a_dataset_is_shown_as_far_as_it_can_be(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    told = workspace.raw("tree", "--json", environment=ASCII)
    assert told.document["topic"] == TOPIC
    shown = workspace.raw("tree", environment=ASCII | {"PYTHONUTF8": "0"})
    assert (shown.status, shown.stdout.splitlines()[0][:2]) == (0, "??"), shown.stderr
    missing = workspace.raw("tree", "--json", "足球", environment=ASCII)
    assert missing.status == 2
    assert "足球" in missing.document["error"]["message"]


def test_json_is_utf8_wherever_it_can_be(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    assert f'"topic": "{TOPIC}"' in workspace.raw("tree", "--json").stdout
