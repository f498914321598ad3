"""Near duplicates among 100,000 questions, by words beside a bare loop over MinHash, and by meaning beside one over
floats. Target: 20 s, 500 MB."""

import importlib.util
import random
import sys
from functools import partial

from harness import WORK, Cost, fresh, interleaved, repeats, run, tell
from texts import text

COUNT = 100_000
BLOCK = 1_024
"""Vectors that the bare loop compares at once with all before them."""
FORMS = (
    "What is the role of {} in {}?",
    "How does {} affect {}?",
    "What are the main benefits of {} for {}?",
    "Why do people use {} when they want {}?",
    "How can a beginner improve {} with {}?",
    "What is the difference between {} and {}?",
    "Explain how {} works in {}.",
    "Describe the history of {} and {}.",
)


def questions() -> list[str]:
    """Questions of one to three words about one to three others; some are much alike."""
    chance = random.Random(1)
    lengths = [(chance.randint(1, 3), chance.randint(1, 3)) for _ in range(COUNT)]
    words = [(text(f"a{n}", first), text(f"b{n}", second)) for n, (first, second) in enumerate(lengths)]
    return [chance.choice(FORMS).format(*each) for each in words]


def ours(asked: list[str]) -> None:
    """All that a build does for it: what each goes by, and what is said of all."""
    from distill_build.replies.labels import normalise
    from distill_build.stages.likeness.words import repeats_by_words

    texts = list(dict.fromkeys(map(normalise, asked)))
    print(len(texts), len(repeats_by_words(texts, 0.7)))


def meant(asked: list[str]) -> None:
    """The same by meaning."""
    from distill_build.replies.labels import normalise
    from distill_build.stages.likeness.meaning import repeats_by_meaning

    texts = list(dict.fromkeys(map(normalise, asked)))
    print(len(texts), len(repeats_by_meaning(texts, 0.8)))


def bare(asked: list[str]) -> None:
    """The same shingles, by MinHash: which are repeats is guessed."""
    from rensa import RMinHashDeduplicator

    from distill_build.replies.labels import normalise
    from distill_build.stages.likeness.words import shingles_of

    texts = list(dict.fromkeys(map(normalise, asked)))
    sieve = RMinHashDeduplicator(threshold=0.7, num_perm=128, use_lsh=True, seed=1)
    stay = sieve.add_pairs((str(number), list(shingles_of(each))) for number, each in enumerate(texts))
    print(len(texts), len(texts) - sum(stay))


def bare_meant(asked: list[str]) -> None:
    """The same vectors as floats, each with all before it: no verdict at the threshold is certain."""
    import numpy

    from distill_build.replies.labels import normalise
    from distill_build.stages.likeness.meaning import embedded

    vectors = numpy.concatenate(list(embedded(list(dict.fromkeys(map(normalise, asked)))))).astype(numpy.float32)
    vectors /= numpy.maximum(numpy.linalg.norm(vectors, axis=1), 1)[:, None]
    stay = numpy.ones(len(vectors), bool)
    for start in range(0, len(vectors), BLOCK):
        near = vectors[start : start + BLOCK] @ vectors[: start + BLOCK].T >= 0.8
        for row in range(len(near)):
            stay[start + row] = not (near[row, : start + row] & stay[: start + row]).any()
    print(len(vectors), len(vectors) - stay.sum())


PARTS = {"ours": ours, "bare": bare, "meant": meant, "bare_meant": bare_meant}


def main() -> None:
    folder = fresh("dedup")
    (folder / "questions.txt").write_text("\n".join(questions()))
    costs: dict[str, list[Cost]] = {part: [] for part in PARTS}

    def once(which: str) -> float:
        costs[which].append(run([sys.executable, __file__, which], folder))
        return costs[which][-1].seconds

    seconds, other = interleaved(repeats(3), partial(once, "ours"), partial(once, "bare"))
    peak = max(cost.peak_mb for cost in costs["ours"])
    _, found = costs["ours"][-1].stdout.split()
    _, guessed = costs["bare"][-1].stdout.split()
    measured = f"{seconds:.1f} s, {peak:.0f} MB, {found} repeats ({other:.1f} s, {guessed} by MinHash)"
    tell("dedup of 100,000 questions by words", "< 20 s, < 500 MB", measured, good=seconds < 20 and peak < 500)
    if importlib.util.find_spec("wordllama") is None:
        return
    seconds, other = interleaved(repeats(3), partial(once, "meant"), partial(once, "bare_meant"))
    peak = max(cost.peak_mb for cost in costs["meant"])
    _, found = costs["meant"][-1].stdout.split()
    _, plain = costs["bare_meant"][-1].stdout.split()
    floats = f"{other:.1f} s, {costs['bare_meant'][-1].peak_mb:.0f} MB, {plain} by floats alone"
    cpu_s = min(cost.cpu_s for cost in costs["meant"])
    measured = f"{seconds:.1f} s, {cpu_s:.1f} s of CPU, {peak:.0f} MB, {found} repeats ({floats})"
    tell("the same by meaning", "< 20 s, < 500 MB", measured, good=seconds < 20 and peak < 500)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]]((WORK / "dedup/questions.txt").read_text().splitlines())
    else:
        main()
