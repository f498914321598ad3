"""A cache of 100,000 answers looked at, checked and cleaned. Targets: 10 s and 300 MB each, whole process.

Beside them, in the same run: reading and hashing every row and object, by a bare loop.
"""

import json
import shutil
import sys
from pathlib import Path

from harness import BENCH, COMMAND, Command, build_words, copied, costs, repeats, run, tell_cost

LEAVES = 10_000
CACHE, WHOLE = ".distill-cache", "whole"
KEEP_LAST = ("gc", "--keep-last=1")


def main() -> None:
    folder, times = copied(LEAVES, "cache"), repeats(1)
    halve(folder)
    shutil.copytree(folder / CACHE, folder / WHOLE)
    commands = {
        "bare": Command([sys.executable, str(BENCH / "bare_cache.py"), "read", CACHE]),
        "`cache stats`": verb("stats"),
        "`cache fsck`": verb("fsck"),
        "`cache gc`, nothing to remove": verb("gc"),
        "`cache gc --keep-last 1 --dry-run`, half of the answers to go": verb(*KEEP_LAST, "--dry-run"),
        "`cache gc --keep-last 1`": Command(verb(*KEEP_LAST).words, lambda: restore(folder)),
    }
    taken = costs(times, folder, commands)
    bare = taken.pop("bare")
    removed = json.loads(taken["`cache gc --keep-last 1`"].stdout)["calls"]["calls"]
    assert removed == 5 * LEAVES + LEAVES // 2 + 100, f"{removed} calls were removed"
    for figure, cost in taken.items():
        tell_cost(figure, cost, "reading it all", bare)


def verb(*words: str) -> Command:
    return Command([*COMMAND, "cache", *words, f"--cache-dir={CACHE}", "--json"])


def halve(folder: Path) -> None:
    """Makes a version of half the tags, from the cache, so that the older one alone needs the other half."""
    run([*build_words("http://127.0.0.1:9", LEAVES, 10), "breadth=[25,200]", "--offline"], folder)


def restore(folder: Path) -> None:
    shutil.rmtree(folder / CACHE)
    shutil.copytree(folder / WHOLE, folder / CACHE)


if __name__ == "__main__":
    main()
