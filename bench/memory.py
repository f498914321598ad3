"""Peak memory of builds of 10,000 and of 100,000 answers: fresh ones, and from the cache. Target: 100 MB more."""

import shutil

from harness import WORK, build_words, fresh, run, server, tell

SMALL, LARGE = 1_000, 10_000


def main() -> None:
    with server() as address:
        peaks = {leaves: both(address, leaves) for leaves in (SMALL, LARGE)}
    for place, kind in enumerate(("a fresh build", "a build from the cache")):
        small, large = peaks[SMALL][place], peaks[LARGE][place]
        measured = f"{large - small:.0f} MB ({small:.0f} to {large:.0f} MB)"
        tell(f"growth of {kind} from 10,000 to 100,000 answers", "< 100 MB", measured, good=large - small < 100)


def both(address: str, leaves: int) -> tuple[float, float]:
    """Peak MB of a fresh build of so many leaves of 10 answers, and of one with its responses but not its outputs.

    The folder stays, for the other measurements.
    """
    folder, words = fresh(f"built-{leaves}"), build_words(address, leaves, 10)
    first = run(words, folder).peak_mb
    shutil.rmtree(WORK / folder.name / "outputs")
    return first, run(words, folder).peak_mb


if __name__ == "__main__":
    main()
