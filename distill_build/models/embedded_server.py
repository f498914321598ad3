"""The child process of the embedded model: llama.cpp's own HTTP server, on loopback, on a free port.

    python -m distill_build.models.embedded_server --weights FILE --name NAME

Says `{"address": …}` or `{"error": …}` in one line on its output, then everything that llama.cpp prints goes
to the error output. Lives for as long as its input stays open, so it ends with its parent, even one that was
killed. Started by `distill_build.models.embedded`; the only place that knows xllamacpp.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

SLOTS = 4
SLOT_CONTEXT = 2048  # tokens, prompt and completion together


def main(arguments: Sequence[str]) -> int:
    """Serves until the input ends. Returns 1 where the engine cannot be started."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    parser.add_argument("--name", required=True)
    options = parser.parse_args(arguments)
    tell = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        server = started(options.weights, options.name)
    except Exception as error:  # noqa: BLE001 - whatever the engine says is told to the parent
        _say(tell, error=str(error) or type(error).__name__)
        return 1
    _say(tell, address=server.listening_address)
    threading.Event().wait()
    return 0


def started(weights: str, name: str) -> Any:
    """A running xllamacpp.Server; returns when the weights are loaded and the port is open."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {name}  # else replies carry the path of the file as the model's name
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_CONTEXT
    params.cont_batching = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = idle_cores()
    params.cache_ram_mib = 0  # prompts hardly repeat; the default may take 8 GiB
    params.ui = False
    params.endpoint_slots = False  # shows other requests' prompts
    return xllamacpp.Server(params)


def idle_cores() -> int:
    """How many threads to use: the cores that nobody else keeps busy, at least one.

    llama.cpp's threads wait for each other in a loop, so with more threads than free cores it gets many times
    slower: with both of two cores taken, two threads made 3 tokens a second and one made 12.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    busy = os.getloadavg()[0] * cores / (os.cpu_count() or cores)
    return max(1, cores - round(busy))


def _say(tell: int, **message: str) -> None:
    """One line for the parent."""
    os.write(tell, json.dumps(message).encode() + b"\n")
    os.close(tell)


def end_with_parent() -> None:
    """Ends the process at the end of its input, without asking the engine's threads."""
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
