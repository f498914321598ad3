"""What a sweep's table says where the responses behind its jobs are not at hand."""

from pathlib import Path

from distill_build.sweeps.results import UNKNOWN, complete


def test_without_a_cache_on_this_machine_costs_are_unknown(tmp_path: Path) -> None:
    assert complete({}, ["a" * 64], tmp_path / "none") == {"a" * 64: UNKNOWN}
