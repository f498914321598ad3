"""A project folder in which the real command is run: write, run, read."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.e2e import forked
from tests.server import ScriptedServer

COMMAND = (sys.executable, "-m", "distill_build")
TIMEOUT_SECONDS = 120
LOCK = "distill.lock"
WITHOUT_DEDUP = "stages=[tags,questions,answers]"
"""For leaves that are to keep a question which others have too."""


class Running(subprocess.Popen[str]):
    """A command at work. Where a test fails meanwhile it is killed, so that the test ends too."""

    def __exit__(self, kind: Any, *error: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *error)


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.stdout)


def variables(more: dict[str, str] | None) -> dict[str, str]:
    """The environment of a command: no key but those among `more`."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")} | (more or {})


@dataclass
class Workspace:
    """`root` is the working directory; `server` answers for every role unless the words say otherwise."""

    root: Path
    server: ScriptedServer | None = None

    def settings(self) -> list[str]:
        """The words that name the server's model."""
        if self.server is None:
            return []
        address = f"model.base_url={self.server.base_url}"
        return ["model=openai_compatible", address, "model.name=scripted"]

    def run(self, *words: str, environment: dict[str, str] | None = None) -> Finished:
        """Runs a command that composes a configuration, with the server's model."""
        return self.raw(*words, *self.settings(), environment=environment)

    def raw(self, *words: str, environment: dict[str, str] | None = None) -> Finished:
        """Runs the words as they are, in a process that need not start an interpreter if no variable is for that."""
        if any(name.startswith("PYTHON") for name in environment or ()):
            with self.start(*words, environment=environment) as process:
                stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
            return Finished(process.returncode, stdout, stderr)
        return Finished(*forked.run(words, self.root, variables(environment), TIMEOUT_SECONDS))

    def start(self, *words: str, environment: dict[str, str] | None = None) -> Running:
        """Starts the command and leaves it running."""
        return Running(
            [*COMMAND, *words],
            cwd=self.root,
            env=variables(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def at_work(self, *words: str, fatal: str = "") -> AbstractContextManager[tuple[BaseProcess, Path]]:
        """A build that is under way, as forked.at_work says."""
        return forked.at_work([*words, *self.settings()], self.root, variables(None), fatal)

    def folder(self, name: str = "sports") -> Path:
        """The dataset's folder."""
        return self.root / "outputs" / name

    def rows(self, artefact: str, name: str = "sports") -> list[dict[str, Any]]:
        """The rows of `tags`, `questions`, `answers` or `failures`; none where there is no file."""
        path = self.folder(name) / f"{artefact}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def data(self, name: str = "sports") -> dict[str, bytes]:
        """As `bytes`, without the lock: it names settings and texts of prompts that may reach no byte of the rest."""
        return {place: content for place, content in self.bytes(name).items() if place != LOCK}

    def bytes(self, name: str = "sports") -> dict[str, bytes]:
        """All of a dataset's files by relative path, except what lies under runs/."""
        folder = self.folder(name)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        relative = {path.relative_to(folder): path for path in files}
        return {str(place): path.read_bytes() for place, path in relative.items() if place.parts[0] != "runs"}

    def lock(self, name: str = "sports") -> str:
        """The text of a dataset's lock."""
        return (self.folder(name) / LOCK).read_text()


@contextmanager
def start(workspace: Workspace, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A build at work; a test that fails leaves none behind."""
    with workspace.start(*words, *workspace.settings()) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt_and_release(process: "subprocess.Popen[str]", server: ScriptedServer) -> None:
    """Interrupts a build whose requests `server` holds, and waits for its end once they are answered."""
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "interrupted: waiting for" not in process.stderr.readline():
        assert process.poll() is None, "it ended without a word"
    server.release()
    process.communicate(timeout=TIMEOUT_SECONDS)
