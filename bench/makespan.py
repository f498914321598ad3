"""How long a build takes in which latency rules, against the best schedule that a list scheduler finds.

The best schedule is simulated: as many slots, every request takes just the latency, nothing else takes any time, and
the request with the longest chain behind it goes first. The build is a whole process, its start included.
Target: at most 1.1 times that, with `stages=[tags,questions,answers]`; with `dedup` it is told beside it.
"""

import heapq
import math
from dataclasses import dataclass

from harness import COMMAND, fresh, interleaved, repeats, run, server, tell

PER_REQUEST = 5
TARGET = 1.1


@dataclass(frozen=True)
class Shape:
    latency_s: float
    slots: int
    depth: int
    breadth: int
    questions: int

    @property
    def words(self) -> list[str]:
        return [
            "topic=bench", "-q", f"depth={self.depth}", f"breadth={self.breadth}",
            f"questions_per_tag={self.questions}", f"limits.concurrency={self.slots}",
        ]  # fmt: skip


SHAPES = (Shape(2, 256, 2, 10, 10), Shape(2, 64, 3, 5, 5), Shape(0.5, 32, 2, 10, 10))


def best(shape: Shape, *, barrier: bool) -> tuple[int, float]:
    """Requests, and seconds of the best schedule. With `barrier` no answer is asked for before all questions are known.

    A request is (chain behind it and itself, kind, level, items of its list that are there).
    """
    tag_requests, question_requests = math.ceil(shape.breadth / PER_REQUEST), math.ceil(shape.questions / PER_REQUEST)

    def chain(kind: str, level: int, there: int) -> int:
        if kind == "answer":
            return 1
        if kind == "questions":
            return question_requests - there // PER_REQUEST + 1
        deeper = (shape.depth - 1 - level) * tag_requests
        return tag_requests - there // PER_REQUEST + deeper + question_requests + 1

    ready: list[tuple[int, int, str, int, int]] = []
    waiting: list[tuple[str, int, int]] = []
    running: list[tuple[float, int, str, int, int]] = []
    order = requests = unasked = 0
    now = 0.0

    def add(kind: str, level: int, there: int) -> None:
        nonlocal order, unasked
        if kind == "answer" and barrier and unasked:
            waiting.append((kind, level, there))
            return
        order += 1
        unasked += kind != "answer"
        heapq.heappush(ready, (-chain(kind, level, there), order, kind, level, there))

    add("tags", 0, 0)
    while ready or running:
        while ready and len(running) < shape.slots:
            _, number, kind, level, there = heapq.heappop(ready)
            requests += 1
            heapq.heappush(running, (now + shape.latency_s, number, kind, level, there))
        now, _, kind, level, there = heapq.heappop(running)
        if kind == "answer":
            continue
        wanted = shape.breadth if kind == "tags" else shape.questions
        came = min(PER_REQUEST, wanted - there)
        if there + came < wanted:
            add(kind, level, there + came)
        for _ in range(came):
            if kind == "questions":
                add("answer", level, 0)
            else:
                add("tags" if level + 1 < shape.depth else "questions", level + 1, 0)
        unasked -= 1
        if not unasked:
            for each in waiting:
                add(*each)
            waiting.clear()
    return requests, now


def main() -> None:
    times = repeats(3)
    for shape in SHAPES:
        with server(shape.latency_s, shape.latency_s) as address:
            model = ["model=openai_compatible", f"model.base_url={address}/v1", "model.name=bench"]

            def seconds(*more: str, shape: Shape = shape, model: list[str] = model) -> float:
                return run([*COMMAND, *shape.words, *model, *more], fresh("makespan")).seconds

            plain, sifted = interleaved(times, lambda s=seconds: s("stages=[tags,questions,answers]"), seconds)
        requests, least = best(shape, barrier=False)
        least_sifted = best(shape, barrier=True)[1]
        name = f"{requests:,} calls, {shape.latency_s:g} s, {shape.slots} in flight, to the best schedule"
        share = plain / least
        tell(name, f"≤ {TARGET} ×", f"{share:.2f} ({plain:.1f} of {least:.1f} s)", good=share <= TARGET)
        tell("the same with dedup", "told", f"{sifted / least:.2f}, {sifted / least_sifted:.2f} of all questions first "
             f"({sifted:.1f} s)", good=True)  # fmt: skip


if __name__ == "__main__":
    main()
