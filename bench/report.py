"""The page of a dataset of 100,000 answers: what it takes to write, and how soon a browser shows it."""

import random
import shutil
import statistics
import sys
import time
from pathlib import Path

import msgspec
from harness import COMMAND, fresh, repeats, run, tell
from texts import text

LEAVES, EACH = 1_000, 100
CHOICES = 3_000
"""Different texts of answers; a block of the page holds fewer."""
READY = "html[data-ready]"
LISTED = "#list .rows button"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def write_dataset(folder: Path) -> None:
    """Files as a build writes them, of 100 branches with 10 leaves each."""
    from distill_build.records import row_id

    chance = random.Random(1)
    thoughts = [text(f"r{n}", chance.randint(60, 240)) for n in range(CHOICES)]
    replies = [text(f"a{n}", chance.randint(30, 120)) for n in range(CHOICES)]
    folder.mkdir(parents=True)
    files = {name: (folder / f"{name}.jsonl").open("wb") for name in ("tags", "questions", "dedup", "answers")}
    usage = {"prompt_tokens": 120, "completion_tokens": 300, "reasoning_tokens": 200}

    def write(name: str, row: object) -> None:
        files[name].write(msgspec.json.encode(row) + b"\n")

    for leaf in range(LEAVES):
        above = ["topic", f"branch {leaf // 10}"]
        parent = row_id("t", "topic", above[1])
        if leaf % 10 == 0:
            place = {"number": str(leaf // 10 + 1), "label": above[1], "parent": None, "level": 1, "leaf": False}
            write("tags", {"id": parent, "path": above, **place, "flags": []})
        path, tag = [*above, f"leaf {leaf}"], row_id("t", parent, f"leaf {leaf}")
        number = f"{leaf // 10 + 1}.{leaf % 10 + 1}"
        write(
            "tags",
            {"id": tag, "path": path, "number": number, "label": path[-1], "parent": parent, "level": 2, "leaf": True}
            | {"flags": []},
        )
        for index in range(EACH):
            asked = f"{text(f'q{leaf}-{index}', 12)}?"
            question = row_id("q", tag, asked)
            write(
                "questions", {"id": question, "tag": tag, "path": path, "index": index, "question": asked, "flags": []}
            )
            write("dedup", {"id": question, "kept": True, "why": [], "same_as": None, "likeness": None})
            write(
                "answers",
                {"id": row_id("a", question, 0), "question_id": question, "tag": tag, "path": path, "sample": 0}
                | {"question": asked, "reasoning": chance.choice(thoughts), "answer": chance.choice(replies)}
                | {"model": "teacher", "finish_reason": "stop", "usage": usage}
                | {"call": f"{leaf * EACH + index:064x}", "flags": []},
            )
    for file in files.values():
        file.close()


def opened(page: Path, turns: int) -> tuple[float, float] | None:
    """Seconds until the page is there, and until its rows are listed; None where there is no browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    seconds: tuple[list[float], list[float]] = [], []
    with sync_playwright() as library:
        browser = library.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(turns):
            tab = browser.new_page()
            started = time.perf_counter()
            tab.goto(f"{page.as_uri()}#rows")
            tab.wait_for_selector(READY)
            seconds[0].append(time.perf_counter() - started)
            tab.wait_for_selector(LISTED)
            seconds[1].append(time.perf_counter() - started)
            tab.close()
        browser.close()
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    folder = fresh("report")
    dataset = folder / "outputs" / "topic"
    write_dataset(dataset)
    cost = run([*COMMAND, "report", "topic", "-q"], folder)
    page = dataset / "report.html"
    size = page.stat().st_size / 1e6
    measured = f"{cost.seconds:.1f} s, {cost.peak_mb:.0f} MB; {size:.1f} MB"
    tell("the page of 100,000 answers, whole process; its size", "< 500 MB; < 30 MB", measured, good=size < 30)
    if (found := opened(page, repeats(3))) is not None:
        measured = f"{found[0]:.1f} s, {found[1]:.1f} s until its rows are listed"
        tell("until a browser shows it, from disk", "< 3 s", measured, good=found[0] < 3)
    print(cost.stdout, file=sys.stderr)


if __name__ == "__main__":
    main()
