"""What transforms of quality take for 100,000 answers of 150 words: each in a process that reads the rows, judges them
and writes its verdicts, beside a bare loop that reads the same rows and writes as many lines.

dedup.py has the one of them that is compared with a library.
"""

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from harness import Command, costs, fresh, repeats, tell
from texts import text

ROWS, LEAVES = 100_000, 1_000
STAGES: dict[str, dict[str, Any]] = {
    "dedup": {},
    "filter": {"min_words": 20, "max_words": 500, "reasoning": "required", "language": "en", "repeated": "drop"},
    "select": {"count": 10_000, "order": "s1"},
    "split": {"test": 0.1, "validation": 0.05},
}
LONGEST_S = {"dedup": 30, "filter": 30, "select": 15, "split": 30}


def rows() -> Iterator[dict[str, Any]]:
    """Of 20 answers one is that of another row, so that there is something to drop."""
    for number in range(ROWS):
        said = number // 20 if number % 20 == 19 else number
        yield {
            "id": f"a_{number:016x}",
            "tag": f"t_{number % LEAVES:016x}",
            "question": f"What is {text(f'q{said}', 12)}?",
            "reasoning": text(f"r{said}", 100),
            "answer": text(f"a{said}", 50),
        }


def ours(name: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    from distill_build.dataset.unit import Place
    from distill_build.graph import Shape
    from distill_build.models.base import Limits
    from distill_build.settings import Settings
    from distill_build.stages.classes import class_of, settings_type_of
    from distill_build.stages.kinds.transform_stage import TransformStage

    own = settings_type_of(name)(kind="transform", builtin=name, after="answers", **STAGES[name])
    build = Settings(topic="bench", name="bench", stages=[name], stage={name: own}, models={}, limits=Limits())
    kind = class_of("transform", name)
    assert issubclass(kind, TransformStage)
    stage = kind(Shape(name, "transform", "answers", name), own, build, {})
    measured = []
    for line in lines:
        row = msgspec.json.decode(line)
        measured.append((row["id"], stage.measure(Place(("bench",), row["tag"]), row, {})))
    said = zip(measured, stage.verdicts(measured), strict=True)
    return (msgspec.json.encode(verdict.line(key)) for (key, _), verdict in said)


def bare(lines: Iterable[bytes]) -> Iterator[bytes]:
    rows = (msgspec.json.decode(line) for line in lines)
    return (msgspec.json.encode({"id": row["id"], "kept": True, "why": []}) for row in rows)


def judge(name: str) -> None:
    """The work of one process."""
    with Path("rows.jsonl").open("rb") as file, Path(f"{name}.jsonl").open("wb") as out:
        said = bare(file) if name == "bare" else ours(name, file)
        out.writelines(line + b"\n" for line in said)


def main() -> None:
    folder = fresh("quality")
    with (folder / "rows.jsonl").open("wb") as out:
        out.writelines(msgspec.json.encode(row) + b"\n" for row in rows())
    commands = {name: Command([sys.executable, __file__, name]) for name in ("bare", *STAGES)}
    taken = costs(repeats(1), folder, commands)
    for name in STAGES:
        cost, limit = taken[name], LONGEST_S[name]
        measured = f"{cost.seconds:.1f} s, {cost.peak_mb:.0f} MB; {cost.seconds / taken['bare'].seconds:.1f} times"
        good = cost.seconds < limit and cost.peak_mb < 500
        tell(f"{name} of 100,000 answers", f"< {limit} s, < 500 MB", measured, good=good)


if __name__ == "__main__":
    parts = {name: partial(judge, name) for name in ("bare", *STAGES)}
    parts.get(next(iter(sys.argv[1:]), ""), main)()
