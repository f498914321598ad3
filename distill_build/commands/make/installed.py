"""Where a machine in CI gets the very program that runs here: what pip, pipx or uv recorded as they installed it."""

import json
import shlex
from importlib.metadata import distribution
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

NAME = "distill-build"
WHEELS = "wheels/distill_build-*.whl"


class Program(msgspec.Struct, frozen=True):
    """How it is installed elsewhere. `words` stand behind `pip install` in a shell.

    `place` is where it came from if only this machine has that; `words` are then of a wheel that lies in the project.
    """

    version: str
    words: str
    place: str | None = None


def this_program() -> Program:
    """The program that runs."""
    found = distribution(NAME)
    return program_of(found.version, found.read_text("direct_url.json"))


def program_of(version: str, recorded: str | None) -> Program:
    """How to install what was `recorded` in direct_url.json; of what came from a registry there is no such file.

    https://packaging.python.org/en/latest/specifications/direct-url-data-structure/
    """
    if recorded is None:
        return Program(version, f"{NAME}=={version}")
    origin = json.loads(recorded)
    address = origin["url"]
    place = url2pathname(urlsplit(address).path)
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        address = place = f"{vcs['vcs']}+{address}@{vcs['commit_id']}"
    if urlsplit(origin["url"]).scheme == "file":
        return Program(version, WHEELS, place)
    return Program(version, shlex.quote(address))
