"""100,000 against 100,000 answers, compared. Targets: 5 s and 500 MB, whole process. No model: versions are written.

Three pairs: one answer of a hundred is another one; all are; and every tag on level 1 has another label, so that no
file shares a chunk and every id has to be translated.
"""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
from harness import COMMAND, WORK, fresh, interleaved, repeats, run, tell
from texts import text

from distill_build.builds.assembly import encode_rows, sources_row
from distill_build.dataset.layout import FAILURES, SOURCES, version_of
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.manifest import canonical
from distill_build.records import Usage
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive, Spent, Version
from distill_build.versions.snapshot import take_snapshot
from tests.made_rows import Answer, Question, Tag, dedup_row, question_id, tag_id

TOP, LEAVES, QUESTIONS = 50, 200, 10
REASONING, ANSWER = 110, 110
"""Words of each text: about 1.3 kB of text in a row."""
LABELS = ("Branch", "Bough")


def tags(label: str) -> Iterator[tuple[Tag, list[Tag]]]:
    """Each parent with its leaves."""
    for top in range(TOP):
        path = ("bench", f"{label} {top}")
        parent = Tag(tag_id("bench", path[1]), path, f"{top + 1}", path[1], None, 1, False)
        names = [f"Leaf {top} {place}" for place in range(LEAVES)]
        yield (
            parent,
            [
                Tag(tag_id(parent.id, name), (*path, name), f"{top + 1}.{place + 1}", name, parent.id, 2, True)
                for place, name in enumerate(names)
            ],
        )


def answer(question: Question, flavour: str) -> Answer:
    """`flavour` is what makes its texts and its call others."""
    seed = f"{question.question}{flavour}"
    return Answer(
        question, 0, text(f"r{seed}", REASONING), text(f"a{seed}", ANSWER), "bench", "stop", Usage(100, 300, 150),
        random.Random(seed).randbytes(32).hex(),
    )  # fmt: skip


def write(folder: Path, label: str, every: int, flavour: str) -> None:
    """A version's files; one answer of `every` has the flavour."""
    (folder / "runs").mkdir(parents=True)
    files = {name: (folder / name).open("wb") for name in (*DEFAULT.files, SOURCES)}
    number = 0
    files[SOURCES].write(encode_rows([sources_row("bench", {"tags": [("t" * 64, label)]})]))
    for parent, leaves in tags(label):
        files["tags.jsonl"].write(encode_rows([parent.row(), *(leaf.row() for leaf in leaves)]))
        files[SOURCES].write(encode_rows([sources_row(parent.id, {"tags": [(parent.label.rjust(64), "d" * 16)]})]))
        for leaf in leaves:
            asked = [f"How does {text(f'{leaf.label}{place}', 8)} work?" for place in range(QUESTIONS)]
            questions = [Question(question_id(leaf.id, it), leaf.id, leaf.path, at, it) for at, it in enumerate(asked)]
            answers = [answer(it, flavour * ((number + at) % every == 0)) for at, it in enumerate(questions)]
            number += QUESTIONS
            files["questions.jsonl"].write(encode_rows([it.row() for it in questions]))
            files["dedup.jsonl"].write(encode_rows([dedup_row(it) for it in questions]))
            files["answers.jsonl"].write(encode_rows([it.row() for it in answers]))
            calls = {
                "questions": [(leaf.label.rjust(64), "d" * 16)],
                "answers": [(it.call, it.call[:16]) for it in answers],
            }
            files[SOURCES].write(encode_rows([sources_row(leaf.id, calls)]))
    for file in files.values():
        file.close()


def keep(archive: Archive, folder: Path, at: str, temperature: float) -> str:
    """The files in `folder` as a version of the dataset `bench`; returns its digest."""
    names = [name for name in (*DEFAULT.files, FAILURES, SOURCES) if (folder / name).exists()]
    snapshots = {name: take_snapshot(archive.objects, folder / name) for name in names}
    teacher = {"teacher": {"sampling": {"temperature": temperature}}}
    recipe = {"tags": {}, "answers": {"models": teacher}, "tree": {"breadth": [TOP, LEAVES]}}
    version = Version(
        version=version_of({name: snapshots[name].sha256 for name in DEFAULT.files}),
        name="bench",
        topic="bench",
        at=at,
        until="dataset",
        counts={name.removesuffix(".jsonl"): snapshots[name].lines for name in DEFAULT.files},
        missing={},
        spent=Spent(0, 0, 0, None, 0.0),
        recipe=archive.objects.put(canonical(recipe)),
        files=snapshots,
        stages=DEFAULT.described(),
    )
    archive.records.add(msgspec.json.encode(version))
    return version.version


def made() -> tuple[Path, dict[str, str]]:
    """A folder with a cache that holds the versions, and their digests. Made once, kept in bench/work/."""
    folder = WORK / "diff"
    told = folder / "versions.json"
    if not told.exists():
        cache = fresh(folder.name) / ".distill-cache"
        CacheDirectory(cache).prepare()
        versions = {}
        shapes = {"base": (LABELS[0], 1, ""), "few": (LABELS[0], 100, "x"), "all": (LABELS[0], 1, "x"),
                  "renamed": (LABELS[1], 1, "")}  # fmt: skip
        for number, (name, shape) in enumerate(shapes.items()):
            write(folder / name, *shape)
            at = f"2026-01-0{number + 1}T00:00:00.000+00:00"
            versions[name] = keep(Archive(cache), folder / name, at, number / 10)
            shutil.rmtree(folder / name)
        told.write_text(json.dumps(versions))
    known: dict[str, str] = json.loads(told.read_text())
    return folder, known


PAIRS = {"few": "one of a hundred differs", "all": "all differ", "renamed": "every tag on level 1 has another label"}
EXPECTED = {"few": ("changed", 1_000), "all": ("changed", 100_000), "renamed": ("same", 100_000)}


def main() -> None:
    folder, versions = made()
    times = repeats(3)
    for name, words in PAIRS.items():
        command = [*COMMAND, "diff", versions["base"], versions[name], "--cache-dir", ".distill-cache", "--json"]
        costs = []

        def once(command: list[str] = command, costs: list[float] = costs) -> float:
            cost = run(command, folder)
            costs.append(cost.peak_mb)
            return cost.seconds

        (seconds,) = interleaved(times, once)
        kind, expected = EXPECTED[name]
        found = json.loads((folder / "stdout.txt").read_text())["answers"][kind]
        assert found == expected, f"{name}: {found} answers {kind}, not {expected}"
        good = seconds < 5 and max(costs) < 500
        measured = f"{seconds:.2f} s, {max(costs):.0f} MB"
        tell(f"diff of 100,000 with 100,000 answers: {words}", "< 5 s, < 500 MB", measured, good=good)


if __name__ == "__main__":
    main()
