"""Where a stage of the user's own judges rows before dedup does, leaves that are taken over are judged as before."""

from pathlib import Path

from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer

GOOD = "kind: transform\nafter: questions\nwhere: row.index == 0\n"
WORDS = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=2", "stages=[tags,questions,good,dedup,answers]")
LEAVES = 3


def test_leaves_that_are_taken_over_are_judged_as_before(tmp_path: Path, server: ScriptedServer) -> None:
    (tmp_path / "conf/stage").mkdir(parents=True)
    (tmp_path / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    (tmp_path / "conf/stage/good.yaml").write_text(GOOD)
    project = InProcess(tmp_path, server)
    assert project.run(*WORDS).status == 0
    verdicts = project.rows("dedup")
    assert len(verdicts) == LEAVES
    server.reset()
    assert project.run(*WORDS, "teacher.temperature=0.5").status == 0
    assert project.rows("dedup") == verdicts
    assert server.kinds == {"answers": LEAVES}
