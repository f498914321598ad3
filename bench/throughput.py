"""Answers a second at concurrency 256 and 0.2 s latency, against a bare httpx-on-aiohttp loop with the same bodies.

By the server's clock, from the first request to the last reply; and by the whole processes. The questions are there
before. Targets: 90 % of the bare loop, 85 % as whole process, at most twice its CPU, below 150 MB.
"""

import shutil
import sys

from harness import BENCH, Cost, build_words, fresh, get, interleaved, repeats, run, server, stats, tell

LEAVES, QUESTIONS, CONCURRENCY, LATENCY = 500, 10, 256, 0.2


def main() -> None:
    folder = fresh("throughput")
    with server(LATENCY) as address:
        words = build_words(address, LEAVES, QUESTIONS, f"limits.concurrency={CONCURRENCY}")
        run([*words, "--until=questions"], folder)
        (folder / "outputs").rename(folder / "before")
        (folder / ".distill-cache").rename(folder / "before-cache")
        costs: list[Cost] = []

        def ours() -> float:
            for kept, name in (("before", "outputs"), ("before-cache", ".distill-cache")):
                shutil.rmtree(folder / name, ignore_errors=True)
                shutil.copytree(folder / kept, folder / name)
            costs.append(run(words, folder))
            if not (folder / "bodies").exists():
                (folder / "bodies").write_bytes(get(f"{address}/bodies"))
            return rate()

        bare_costs: list[Cost] = []

        def bare() -> float:
            script = [sys.executable, str(BENCH / "bare_requests.py"), address]
            bare_costs.append(run([*script, str(folder / "bodies"), str(CONCURRENCY)], folder))
            return rate()

        def rate() -> float:
            seen = stats(address)
            assert seen["requests"] == LEAVES * QUESTIONS, seen
            return seen["requests"] / seen["seconds"]

        our_rate, bare_rate = interleaved(repeats(3), ours, bare)
    share, peak = our_rate / bare_rate, max(cost.peak_mb for cost in costs)
    whole = min(cost.seconds for cost in bare_costs) / min(cost.seconds for cost in costs)
    cpu, bare_cpu = (min(cost.cpu_s for cost in each) for each in (costs, bare_costs))
    rates = f"{our_rate:.0f} of {bare_rate:.0f} a second"
    tell("answers a second, to the bare loop's", "≥ 90 %", f"{share:.0%} ({rates})", good=share >= 0.9)
    tell("the same, whole process", "≥ 85 %", f"{whole:.0%}", good=whole >= 0.85)
    times, seconds = cpu / bare_cpu, f"{cpu:.1f} s to {bare_cpu:.1f} s"
    tell("its CPU", "≤ 2 × bare", f"{times:.2f} ({seconds})", good=times <= 2)
    tell("its peak memory", "< 150 MB", f"{peak:.0f} MB", good=peak < 150)


if __name__ == "__main__":
    main()
