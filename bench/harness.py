"""What the measurements share: a folder to work in, the server in a process of its own, and a child's cost."""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
WORK = BENCH / "work"
COMMAND = [sys.executable, "-m", "distill_build"]
UNCACHED = "PYTHONDONTWRITEBYTECODE"
"""Where it is set, each run compiles all that changed: no installed program is started so."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != UNCACHED}


@dataclass(frozen=True)
class Cost:
    """Of one child process: seconds from start to end, CPU seconds, and the largest resident set in MB."""

    seconds: float
    cpu_s: float
    peak_mb: float
    stdout: str = ""


def run(words: Sequence[str], folder: Path, statuses: tuple[int, ...] = (0,)) -> Cost:
    """Runs a command to its end. `wait4` gives the figures of this very child."""
    out = folder / "stdout.txt"
    started = time.perf_counter()
    with out.open("wb") as stdout:
        child = subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=stdout, stderr=subprocess.PIPE, text=True)
        errors = child.stderr.read() if child.stderr else ""
        _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in statuses:
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}:\n{errors}")
    return Cost(seconds, cpu_of(usage), usage.ru_maxrss / 1024, out.read_text())


def cpu_of(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


@contextmanager
def server(latency: float = 0.0, list_latency: float = 0.0) -> Iterator[str]:
    """The address of a server that answers after `latency` seconds, and sends lists after `list_latency`."""
    words = [sys.executable, str(BENCH / "server.py"), f"--latency={latency}", f"--list-latency={list_latency}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address) as reply:  # noqa: S310 - our own server's
        body: bytes = reply.read()
    return body


def stats(address: str) -> Any:
    """Requests for answers since the last time, and seconds from the first to the last."""
    return json.loads(get(f"{address}/stats"))


def build_words(address: str, leaves: int, questions: int, *more: str) -> list[str]:
    """A build of `leaves` leaf tags (a multiple of 50) with `questions` each."""
    size = ["depth=2", f"breadth=[50,{leaves // 50}]", f"questions_per_tag={questions}"]
    requests = ["per_request.tags=50", "per_request.questions=10", "limits.concurrency=256"]
    model = ["model=openai_compatible", f"model.base_url={address}/v1", "model.name=bench"]
    return [*COMMAND, "topic=bench", "-q", *size, *requests, *model, *more]


def fresh(name: str) -> Path:
    """A folder with nothing in it, where no project is found further up."""
    shutil.rmtree(WORK / name, ignore_errors=True)
    (WORK / name / ".git").mkdir(parents=True)
    return WORK / name


def built(leaves: int) -> Path:
    """A folder with a dataset of `leaves` leaves of 10 answers, made once and kept in bench/work/."""
    folder = WORK / f"built-{leaves}"
    if not (folder / "outputs/bench/answers.jsonl").exists():
        with server() as address:
            run(build_words(address, leaves, 10), fresh(folder.name))
    return folder


def copied(leaves: int, name: str) -> Path:
    """A copy of what `built` gives, to be changed. Its cache knows no folder: gc would keep the other's versions."""
    source, folder = built(leaves), fresh(name)
    for part in (".distill-cache", "outputs"):
        shutil.copytree(source / part, folder / part)
    shutil.rmtree(folder / ".distill-cache/datasets")
    return folder


@dataclass(frozen=True)
class Command:
    """Words to measure in a folder; `prepare` comes before each run and is not measured."""

    words: Sequence[str]
    prepare: Callable[[], object] = lambda: None


def costs(times: int, folder: Path, commands: Mapping[str, Command]) -> dict[str, Cost]:
    """What each command takes: the median of the seconds, the largest peak, the last output. They take turns."""
    taken: dict[str, list[Cost]] = {name: [] for name in commands}

    def once(name: str, command: Command) -> float:
        command.prepare()
        taken[name].append(run(command.words, folder))
        return taken[name][-1].seconds

    seconds = interleaved(times, *(partial(once, name, command) for name, command in commands.items()))
    peaks = [max(cost.peak_mb for cost in each) for each in taken.values()]
    return {
        name: replace(taken[name][-1], seconds=median, peak_mb=peak)
        for name, median, peak in zip(commands, seconds, peaks, strict=True)
    }


def tell_cost(figure: str, cost: Cost, least: str, bare: Cost) -> None:
    """The line of a command that is to take less than 10 s and 300 MB; `least` says what the bare one does."""
    measured = f"{cost.seconds:.1f} s, {cost.peak_mb:.0f} MB; {cost.seconds / bare.seconds:.1f} times {least}"
    tell(figure, "< 10 s, < 300 MB", measured, good=cost.seconds < 10 and cost.peak_mb < 300)


def interleaved(times: int, *measure: Callable[[], float]) -> list[float]:
    """The median of each measurement; they take turns, so that what else the machine does hits all alike."""
    rounds = [[each() for each in measure] for _ in range(times)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def repeats(default: int) -> int:
    """How often to measure: `-n`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=default, help="repetitions; the median counts")
    count: int = parser.parse_args().n
    return count


def tell(figure: str, target: str, measured: str, *, good: bool) -> None:
    """One line of the table in README.md."""
    print(f"| {figure} | {target} | {measured} | {'yes' if good else 'NO'} |", flush=True)
