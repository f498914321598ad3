"""A project whose cache is hurt and checked."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Literal

from distill_build.commands.cache import run
from distill_build.options import Options
from tests.e2e.caches import CACHE
from tests.e2e.workspace import Finished, Workspace

TREE = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=2")
PRICES = ("model.prices.prompt=100", "model.prices.completion=200")
CALLS = 1 + 2 + 4 + 8


def fsck(project: Workspace, *flags: str) -> Finished:
    finished = project.raw("cache", "fsck", "--cache-dir", CACHE, *flags)
    assert "Traceback" not in finished.stderr
    assert "this is a bug" not in finished.stderr
    return finished


def fsck_here(project: Workspace, *flags: Literal["--json"]) -> tuple[int, str]:
    """Exit code and output of a fsck in this process, where none of its own is needed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        status = run(Options(arguments=("fsck",), cache_dir=str(project.root / CACHE), json=bool(flags)))
    return status, printed.getvalue()


def assert_sound(project: Workspace, *, lacking: int = 0) -> None:
    """Nothing is damaged, and the version that lacks most of the responses it was read from lacks so many."""
    status, printed = fsck_here(project, "--json")
    document = json.loads(printed)
    assert (status, document["sound"]) == (0, True), printed
    assert max((each["missing"] for each in document["lacking"]), default=0) == lacking


def quarantined(project: Workspace, pattern: str) -> list[Path]:
    return sorted((project.root / CACHE / "quarantine").glob(f"*/{pattern}"))


def asked_again(project: Workspace) -> int:
    """How many requests a build from the cache alone has to send; it comes to the same bytes."""
    assert project.server is not None
    before, sent = project.bytes(), project.server.count
    assert project.run(*TREE, *PRICES, "name=again").status == 0
    artefacts = ("tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl")
    assert {name: project.bytes("again")[name] for name in artefacts} == {name: before[name] for name in artefacts}
    return project.server.count - sent
