"""Plain lines: for logs, pipes and terminals that can do no more."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distill_build.console.grid import Grid
from distill_build.console.outcome import Sentence
from distill_build.console.pace import Pace, ProgressView
from distill_build.console.stream import Stream
from distill_build.console.wrapping import wrapped
from distill_build.records import number_of

LOOKS_A_SECOND = 4
STEP_OF_SHARE = 0.1
SHORTEST_PAUSE, PAUSE = 1.0, 10.0
LONG_BUILD, LONG_PAUSE = 600.0, 60.0


class Rhythm:
    """When the next progress line is due: after ten seconds or ten percent, in a long build each minute."""

    def __init__(self) -> None:
        self._last_time = 0.0
        self._last_share: float | None = None

    def due(self, elapsed: float, share: float) -> bool:
        """Whether a line is due at `elapsed` seconds with `share` of the items settled."""
        if self._last_share is None:  # what the cache answers at once is no progress to report
            self._last_share = share
        waited = elapsed - self._last_time
        pause = LONG_PAUSE if elapsed > LONG_BUILD else PAUSE
        stepped = share - self._last_share >= STEP_OF_SHARE and waited >= SHORTEST_PAUSE
        if waited < pause and not stepped:
            return False
        self._last_time, self._last_share = elapsed, share
        return True


class PlainScreen:
    """Writes lines to a stream and never moves the cursor."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._said = ""

    @property
    def width(self) -> int:
        return self._stream.width

    def line(self, line: Sentence) -> None:
        for text in wrapped(line.text, self._stream.line_width):
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def table(self, grid: Grid) -> None:
        for text in grid.within(self.width).lines():
            self.line(Sentence(text))

    @contextmanager
    def progress(self, pace: Pace) -> Iterator[None]:
        """A line from time to time, and one at the end where anything was asked."""
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(pace, done.wait), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            view = pace.look()
            if view.asked:
                self._say_progress(view)

    def _watch(self, pace: Pace, wait: Callable[[float], bool]) -> None:
        rhythm = Rhythm()
        while not wait(1 / LOOKS_A_SECOND):
            view = pace.look()
            if rhythm.due(view.elapsed, view.share):
                self._say_progress(view)

    def _say_progress(self, view: ProgressView) -> None:
        text = progress_line(view)
        if text != self._said:
            self.line(Sentence(text))
        self._said = text


class JobScreen(PlainScreen):
    """As `PlainScreen`, where each line begins with the name of a job."""

    def __init__(self, stream: Stream, job: str) -> None:
        super().__init__(stream)
        self._job = job

    def line(self, line: Sentence) -> None:
        super().line(Sentence(f"{self._job}: {line.text}", line.tone))


def progress_line(view: ProgressView) -> str:
    """ "tags 11/11, questions 40/60, answers 112/480; 32 in flight, 3.4 requests/s, …"."""
    bars = ", ".join(
        f"{bar.stage} {bar.made}/{bar.declared}" + (f" ({bar.dropped:,} dropped)" if bar.dropped else "")
        for bar in view.stages
    )
    failed = [f"{number_of(view.missing, 'items')} failed"] if view.missing else []
    return f"{bars}; {', '.join([*failed, *view.facts()])}"
