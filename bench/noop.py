"""A build with nothing to do, 100,000 answers built before, against a bare Hydra application. Target: 1.5 times."""

import sys

from harness import BENCH, build_words, built, interleaved, repeats, run, tell

LEAVES = 10_000


def main() -> None:
    folder = built(LEAVES)
    words = build_words("http://127.0.0.1:9", LEAVES, 10)  # nobody listens there: nothing may be asked
    run(words, folder)  # once before, for a dataset that another version of this program has built
    bare_words = [sys.executable, str(BENCH / "bare_hydra.py"), "hydra.run.dir=.", "hydra.output_subdir=null"]
    ours, bare = interleaved(repeats(9), lambda: run(words, folder).seconds, lambda: run(bare_words, folder).seconds)
    tell(
        "nothing to do with 100,000 answers, to a bare Hydra application",
        "≤ 1.3",
        f"{ours / bare:.2f} ({ours:.2f} s to {bare:.2f} s)",
        good=ours <= 1.3 * bare,
    )


if __name__ == "__main__":
    main()
