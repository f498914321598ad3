"""A dataset of 100,000 answers proved and brought back: `verify`, `checkout`, `--locked`. No model, no request.

`verify` and `checkout` stand beside reading and hashing the files, by a bare loop; `--locked` beside the same build
without it: with nothing to do, and where the folder holds the lock alone. Targets: 10 s and 300 MB; 1.2 times.
"""

import shutil
import sys
from pathlib import Path

from harness import BENCH, COMMAND, Command, Cost, build_words, copied, costs, repeats, run, tell, tell_cost

LEAVES = 10_000
LOCK, KEPT_LOCK = "distill.lock", "kept.lock"
PLAIN = build_words("http://127.0.0.1:9", LEAVES, 10)  # nobody listens there: nothing may be asked
FILES = ["tags.jsonl", "questions.jsonl", "answers.jsonl", "dataset/train.messages.jsonl", "runs/sources.jsonl"]


def main() -> None:
    times = repeats(1)
    folder = copied(LEAVES, "locked")
    dataset = folder / "outputs/bench"
    shutil.copy(dataset / LOCK, folder / KEPT_LOCK)
    files = [str(dataset / name) for name in FILES]
    whole = costs(
        times,
        folder,
        {
            "hash": Command([sys.executable, str(BENCH / "bare_cache.py"), "hash", *files]),
            "`checkout`": Command([*COMMAND, "checkout", "latest"]),
            "plain": Command(PLAIN, lambda: shutil.rmtree(dataset)),
            "locked": Command([*PLAIN, "--locked"], lambda: lock_alone(folder, dataset)),
            "`verify`": Command([*COMMAND, "verify"]),
        },
    )
    for figure in ("`checkout`", "`verify`"):
        tell_cost(figure, whole[figure], "hashing the files", whole["hash"])
    tell_ratio("`--locked` from the lock and the cache, to the build without it", whole["locked"], whole["plain"])
    run(PLAIN, folder)
    idle = costs(5 * times, folder, {"plain": Command(PLAIN), "locked": Command([*PLAIN, "--locked"])})
    tell_ratio("`--locked` with nothing to do, to the build without it", idle["locked"], idle["plain"])
    assert (dataset / LOCK).read_bytes() == (folder / KEPT_LOCK).read_bytes()


def lock_alone(folder: Path, dataset: Path) -> None:
    """Leaves what a fresh clone has."""
    shutil.rmtree(dataset)
    dataset.mkdir()
    shutil.copy(folder / KEPT_LOCK, dataset / LOCK)


def tell_ratio(figure: str, locked: Cost, plain: Cost) -> None:
    measured = f"{locked.seconds / plain.seconds:.2f} ({locked.seconds:.1f} s to {plain.seconds:.1f} s)"
    measured += f", {locked.peak_mb:.0f} MB to {plain.peak_mb:.0f} MB"
    tell(figure, "≤ 1.2", measured, good=locked.seconds <= 1.2 * plain.seconds)


if __name__ == "__main__":
    main()
