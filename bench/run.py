"""Runs every measurement and prints the table of README.md. `make bench`; about twenty minutes on two cores."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "memory",
    "noop",
    "one_leaf",
    "throughput",
    "makespan",
    "startup",
    "diff",
    "dedup",
    "quality",
    "sweep",
    "cache",
    "carrying",
    "locked",
    "report",
    "view",
)  # memory makes the datasets that others use


def main() -> int:
    print("| figure | target | measured | met |\n|---|---|---|---|", flush=True)
    folder = Path(__file__).resolve().parent
    return max(subprocess.call([sys.executable, str(folder / f"{script}.py")]) for script in SCRIPTS)


if __name__ == "__main__":
    sys.exit(main())
