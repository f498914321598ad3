"""What `cache fsck` finds, as data, and where it puts what is damaged: <cache>/quarantine/<time>/, with a report.

Every byte is kept, and what was put there is on disk before it is taken from its place.
"""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from distill_build.cache.inventory import QUARANTINE
from distill_build.engine.artefacts import ArtefactWriter, sync
from distill_build.records import JsonObject

DamageKind = Literal["marker", "database", "call", "object", "version", "dataset"]
KINDS: tuple[DamageKind, ...] = ("marker", "database", "call", "object", "version", "dataset")


class Damage(msgspec.Struct, frozen=True):
    """Something that is not what was written. `name` is a call's key, a digest or a file; `stage` that of a call.

    `gone` says that there is nothing left of it.
    """

    kind: DamageKind
    name: str
    reason: str
    stage: str = ""
    gone: bool = False


class Impact(msgspec.Struct, frozen=True):
    """An item that something damaged belongs to: of the newest version of a dataset that names it.

    `item` is the id of a tag or answer, or the name of a file; `stage` is that of a call; `versions` counts all that
    hold it.
    """

    damage: str
    stage: str
    dataset: str
    version: str
    path: tuple[str, ...]
    item: str
    versions: int


class Lacking(msgspec.Struct, frozen=True):
    """A version whose responses are not all here: `missing` of `of`. Its files may be whole all the same."""

    dataset: str
    version: str
    missing: int
    of: int


class Findings(msgspec.Struct):
    """`checked` counts what was looked at, by kind. `saved` and `expected` calls are those of a damaged database.

    `lists_lost` says that lists of files' pieces were lost, so more objects may be gone than were found to be.
    `lacking` versions have responses that are not here, the newest first. `restored` objects are back, made anew from
    the datasets' own files; the marker is too where it was made anew. `other_scheme` calls were written by another
    version of this program, and left alone. `usd` is about what asking again would cost, None where no price is known.
    """

    checked: dict[DamageKind, int] = msgspec.field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    damage: list[Damage] = msgspec.field(default_factory=list)
    hits: list[Impact] = msgspec.field(default_factory=list)
    lacking: list[Lacking] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    saved: int | None = None
    expected: int | None = None
    lists_lost: bool = False
    restored: set[str] = msgspec.field(default_factory=set)
    other_scheme: int = 0
    usd: float | None = None

    def of(self, kind: DamageKind) -> list[Damage]:
        """The damage of one kind."""
        return [damage for damage in self.damage if damage.kind == kind]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.damage


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
