"""Fifty jobs with nothing to do, against one build with nothing to do: whole processes. Target: below 3 times.

And what a sweep saves: requests of `breadth=5,10,20` to those of `breadth=20` alone.
"""

import json

from harness import COMMAND, fresh, interleaved, repeats, run, server, tell

SIZE = ("topic=bench", "depth=1", "per_request.tags=20", "per_request.questions=5", "limits.concurrency=256")
FIFTY = ("breadth=1,2,3,4,5,6,7,8,9,10", "questions_per_tag=1,2,3,4,5")
ONE = ("breadth=10", "questions_per_tag=5")
NESTED = ("depth=2", "questions_per_tag=2")


def main() -> None:
    folder = fresh("sweep")
    with server() as address:
        model = ("model=openai_compatible", f"model.base_url={address}/v1", "model.name=bench")
        fifty, one = [*COMMAND, "-m", *SIZE, *FIFTY, *model], [*COMMAND, *SIZE, *ONE, *model]
        for words in (fifty, one):
            run(words, folder)
        many, single = interleaved(repeats(9), lambda: run(fifty, folder).seconds, lambda: run(one, folder).seconds)
        nested = [*SIZE, *NESTED, *model, "--json"]
        sweep = json.loads(run([*COMMAND, "-m", *nested, "breadth=5,10,20"], fresh("sweep-nested")).stdout)
        alone = json.loads(run([*COMMAND, *nested, "breadth=20"], fresh("sweep-alone")).stdout)
    tell(
        "50 jobs with nothing to do, to one build with nothing to do",
        "< 3",
        f"{many / single:.2f} ({many:.2f} s to {single:.2f} s)",
        good=many < 3 * single,
    )
    tell(
        "requests of breadth=5,10,20 in one sweep, to those of breadth=20",
        "the same",
        f"{sweep['calls']:,} to {alone['calls']:,} (one by one {sweep['sum']['calls']:,})",
        good=sweep["calls"] == alone["calls"],
    )


if __name__ == "__main__":
    main()
