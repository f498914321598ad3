"""How long commands take that compose no configuration. Target: 0.2 s each."""

import json
import sys

from harness import COMMAND, build_words, fresh, interleaved, repeats, run, server, tell

from distill_build.cli.grammar import COMMANDS as KNOWN

WORDS = (["--help"], ["--version"], ["tree"], ["show", "ID"], ["log", "ID"], ["cache", "stats"])
COMMANDS = [words for words in WORDS if words[0] in KNOWN or words[0].startswith("-")]


def main() -> None:
    folder = fresh("startup")
    with server() as address:
        run(build_words(address, 50, 2), folder)
    with (folder / "outputs/bench/answers.jsonl").open() as answers:
        first = json.loads(answers.readline())["id"]
    words = [[first if word == "ID" else word for word in command] for command in COMMANDS]
    all_words = [[sys.executable, "-c", "pass"], *([*COMMAND, *command] for command in words)]
    python, *seconds = interleaved(repeats(9), *[lambda words=words: run(words, folder).seconds for words in all_words])
    for command, measured in zip(COMMANDS, seconds, strict=True):
        tell(
            f"`{' '.join(command)}`",
            "< 0.2 s",
            f"{measured:.3f} s (python itself {python:.3f} s)",
            good=measured < 0.2,
        )


if __name__ == "__main__":
    main()
