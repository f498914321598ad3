"""A cache of 100,000 answers carried: as a bundle, and by a remote in a folder. Targets: 10 s and 300 MB each.

Beside them, in the same run, a bare loop: gzip of all rows and objects, and from that file into a table.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import BENCH, COMMAND, Command, built, costs, fresh, repeats, tell_cost

LEAVES = 10_000
CALLS = 1 + 200 + LEAVES + 10 * LEAVES
BARE = [sys.executable, str(BENCH / "bare_cache.py")]


def main() -> None:
    cache, folder, times = built(LEAVES) / ".distill-cache", fresh("carrying"), repeats(1)
    there, here = f"file://{folder}/remote", f"--cache-dir={cache}"

    def verb(*words: str, makes: Sequence[str] = ()) -> Command:
        return Command([*COMMAND, "cache", *words, "--json"], lambda: remove(folder, makes))

    packing = {
        "pack": Command([*BARE, "pack", str(cache), "bare.gz"]),
        "`cache export FILE`": verb("export", "a.bundle", here, makes=["a.bundle"]),
        "`cache push file://…`, an empty remote": verb("push", there, here, makes=["remote"]),
        "`cache push`, nothing to send": verb("push", there, here),
    }
    unpacking = {
        "unpack": Command([*BARE, "unpack", "bare.gz", "bare.db"]),
        "`cache import FILE`, an empty cache": verb("import", "a.bundle", "--cache-dir=imported", makes=["imported"]),
        "`cache pull file://…`, an empty cache": verb("pull", there, "--cache-dir=pulled", makes=["pulled"]),
        "`cache pull`, nothing to fetch": verb("pull", there, "--cache-dir=pulled"),
    }
    taken = costs(times, folder, packing | unpacking)
    for figure in list(unpacking)[1:3]:
        brought = json.loads(taken[figure].stdout)["new"]["calls"]
        assert brought == CALLS, f"{figure}: {brought} calls of {CALLS}"
    for commands in (packing, unpacking):
        bare, *figures = commands
        for figure in figures:
            tell_cost(figure, taken[figure], f"a bare {bare}", taken[bare])


def remove(folder: Path, names: Sequence[str]) -> None:
    for path in (folder / name for name in names):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
