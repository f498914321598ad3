"""Which runs count as unfinished, by the events that they have written."""

import json
from pathlib import Path

from distill_build.cache.gc.roots import unfinished_runs


def ran(runs: Path, name: str, target: str | None = "this", failures: int | None = 0) -> None:
    """A run with one response; `failures` are None for one that was killed, `target` for one of an older program.

    Each comes a minute after the one before.
    """
    at = f"2026-01-01T00:{len(list(runs.iterdir())):02}:00.000+00:00"
    facts = {"at": at} | ({} if target is None else {"target": target})
    events = [{"event": "plan", "calls": 1}, {"event": "call", "call": name}]
    events += [] if failures is None else [{"event": "end", "failures": failures}]
    (runs / name).mkdir()
    (runs / name / "events.jsonl").write_text("".join(json.dumps(facts | event) + "\n" for event in events))


def unfinished(runs: Path) -> set[str]:
    """The responses of those that count."""
    return {call for run in unfinished_runs(runs) for call in run.calls}


def test_a_killed_run_is_unfinished_until_one_with_the_same_target_is_complete(tmp_path: Path) -> None:
    ran(tmp_path, "killed", failures=None)
    ran(tmp_path, "short", failures=2)
    ran(tmp_path, "another", target="that")
    assert unfinished(tmp_path) == {"killed", "short"}
    ran(tmp_path, "complete")
    ran(tmp_path, "later", failures=None)
    assert unfinished(tmp_path) == {"later"}


def test_a_killed_run_that_does_not_say_what_it_was_to_make_stays_unfinished(tmp_path: Path) -> None:
    """Responses are money, and which later run has them all is not known."""
    ran(tmp_path, "killed", target=None, failures=None)
    ran(tmp_path, "ended", target=None)
    ran(tmp_path, "complete")
    assert unfinished(tmp_path) == {"killed"}


def test_where_nothing_was_run_nothing_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "empty").mkdir()
    assert unfinished(tmp_path) == unfinished(tmp_path / "absent") == set()
