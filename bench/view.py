"""The page with hands of 100,000 answers: until it is there and lists rows, and until the next one is open, or a
verdict on one is saved."""

import shutil
import statistics
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from harness import COMMAND, ENVIRONMENT, built, repeats, tell
from report import FLAGS, LISTED

if TYPE_CHECKING:
    from playwright.sync_api import Page

LEAVES = 10_000
HERE = "#panel .row-card.here"
IS_OTHER = f"key => document.querySelector('{HERE}').dataset.id !== key"
IS_REJECTED = f"() => document.querySelector('{HERE} .badges').textContent.includes('rejected')"


def listed(tab: "Page", address: str) -> float:
    """Seconds until the rows are listed."""
    started = time.perf_counter()
    tab.goto(f"{address}#rows")
    tab.wait_for_selector(LISTED)
    return time.perf_counter() - started


def pressed(tab: "Page", key: str, holds: str, argument: str | None = None) -> float:
    """Seconds from a key to what it is to do."""
    started = time.perf_counter()
    tab.keyboard.press(key)
    tab.wait_for_function(holds, arg=argument, polling=5)
    return time.perf_counter() - started


def looked_at(address: str, turns: int) -> tuple[float, float, float]:
    """Seconds until the rows are listed, until the next one is open, and until a verdict on one is saved."""
    from playwright.sync_api import sync_playwright

    opened, saved = [], []
    with sync_playwright() as library:
        browser = library.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = browser.new_page()
        until_listed = listed(tab, address)
        tab.keyboard.press("Enter")
        tab.wait_for_selector(HERE)
        for _ in range(turns):
            saved.append(pressed(tab, "r", IS_REJECTED))
            opened.append(pressed(tab, "j", IS_OTHER, tab.get_attribute(HERE, "data-id")))
        browser.close()
    return until_listed, statistics.median(opened), statistics.median(saved)


def peak_mb(process: int) -> float:
    """Of a process that is running."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    if find_spec("playwright") is None or shutil.which("chromium") is None:
        return
    folder, turns = built(LEAVES), repeats(9)
    words = [*COMMAND, "view", "--no-browser", "-q"]
    started = time.perf_counter()
    with subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            until_there = time.perf_counter() - started
            until_listed, opened, saved = looked_at(address, turns)
            peak = peak_mb(server.pid)
        finally:
            server.terminate()
    shutil.rmtree(folder / "curate")
    figure = "`view` of 100,000 answers: its address; until rows are listed, the next one is open, a verdict is saved"
    measured = f"{until_there:.1f} s, {peak:.0f} MB; {until_listed:.1f} s, {opened:.2f} s, {saved:.2f} s"
    good = peak < 500 and until_listed < 3 and max(opened, saved) < 0.1
    tell(figure, "< 500 MB; < 3 s, < 0.1 s, < 0.1 s", measured, good=good)


if __name__ == "__main__":
    main()
