"""One leaf of 10,000 answers asked anew: what it costs beside the model's time. Target: 3 s."""

import json

from harness import build_words, built, interleaved, repeats, run, server, tell

LEAVES = 1_000


def main() -> None:
    folder = built(LEAVES)
    tags = [json.loads(line) for line in (folder / "outputs/bench/tags.jsonl").open()]
    leaves = iter(["/".join(tag["path"]) for tag in tags if tag["leaf"]])
    with server() as address:
        words = build_words(address, LEAVES, 10)
        (seconds,) = interleaved(repeats(5), lambda: run([*words, f"--rebuild={next(leaves)}"], folder).seconds)
    tell("one leaf of 10,000 answers changed", "< 3 s", f"{seconds:.2f} s", good=seconds < 3)


if __name__ == "__main__":
    main()
