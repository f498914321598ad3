"""Where `cache fsck` puts what is damaged: <cache>/quarantine/<time>/, with every byte kept, and a report beside.

Knows nothing of what it is given. What was put here is on disk before it is taken from its place.
"""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

from distill_build.cache.places import QUARANTINE
from distill_build.engine.artefacts import ArtefactWriter, sync
from distill_build.records import JsonObject

REPORT = "fsck.json"


class Quarantine:
    """The quarantine of one run of fsck. Its folder is made with the first thing that is put there."""

    def __init__(self, cache: Path, now: datetime) -> None:
        self.folder = cache / QUARANTINE / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}"

    @property
    def used(self) -> bool:
        """Whether anything was put there."""
        return self.folder.exists()

    def keep(self, kind: str, name: str, data: bytes) -> None:
        """Keeps bytes."""
        with ArtefactWriter(self.folder / kind / name) as writer:
            writer.write(data)

    def copy(self, kind: str, path: Path) -> None:
        """Keeps a copy of a file."""
        place = self.folder / kind / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
        sync(place)

    def move(self, kind: str, name: str, path: Path) -> None:
        """Takes a file away; it stays on its file system, so this is done as a whole or not at all."""
        place = self.folder / kind / name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)

    def report(self, document: JsonObject) -> None:
        """Writes down what was found."""
        with ArtefactWriter(self.folder / REPORT) as writer:
            writer.write(json.dumps(document, ensure_ascii=False, indent=2).encode(errors="replace"))
