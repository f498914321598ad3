"""What a plan holds in memory follows a bound, not the texts of a dataset."""

import re
import shutil
import subprocess
import sys

from tests.e2e.workspace import TIMEOUT_SECONDS, Workspace, variables
from tests.server import Body, Fault, ScriptedServer, classify, content

ANSWERS, ANSWER_MB = 100, 0.4
SHAPE = ("topic=sports", "depth=1", "breadth=25", "questions_per_tag=4")
TELLS_ITS_PEAK = """
import sys
from distill_build.cli.dispatch import main
status = main()
print(open("/proc/self/status").read(), file=sys.stderr)
sys.exit(status)
"""


def long_answers(_: int, body: Body) -> Fault | None:
    return content("word " * round(ANSWER_MB * 200_000)) if classify(body) == "answers" else None


def peak_mb(workspace: Workspace, *words: str) -> float:
    """The largest resident set of a command in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", TELLS_ITS_PEAK, *words, *workspace.settings()],
        cwd=workspace.root,
        env=variables(None),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = re.search(r"VmHWM:\s+(\d+) kB", ended.stderr)
    assert found is not None
    return int(found[1]) / 1024


def test_a_plan_does_not_hold_the_rows_that_a_transform_over_all_units_is_to_look_at(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = long_answers
    assert workspace.run(*SHAPE).status == 0
    shutil.rmtree(workspace.root / "outputs")
    without = peak_mb(workspace, "plan", *SHAPE)
    selecting = peak_mb(workspace, "plan", *SHAPE, "stages=[tags,questions,dedup,answers,select]", "select.count=10")
    assert selecting - without < ANSWERS * ANSWER_MB / 4
