"""The datasets that use a cache: its roots.

    <cache>/datasets/<digest of a folder>.json    a dataset's folder and its versions, in order

These files speak of this machine, and are never carried elsewhere. `readable` passes over those that cannot be read,
such as another project's in a shared cache; `all` refuses them, for whoever removes what no root reaches.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from distill_build.engine.artefacts import replace_file
from distill_build.errors import StorageError
from distill_build.versions.record import UNREADABLE

FOLDER_DIGITS = 16


class Root(msgspec.Struct, frozen=True):
    """A dataset's folder that uses this cache; `versions` are digests of version records, oldest first."""

    folder: str
    name: str
    versions: list[str]


class Registry:
    """The roots in the folder `directory`. Reading makes nothing; writing raises OSError where it cannot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def file(self, folder: Path) -> Path:
        """The file that registers a dataset's folder."""
        name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:FOLDER_DIGITS]
        return self.directory / f"{name}.json"

    def register(self, folder: Path, name: str, versions: list[str]) -> None:
        """Makes the dataset in `folder` a root with just these versions."""
        root = Root(str(folder.absolute()), name, versions)
        replace_file(self.file(folder), msgspec.json.encode(root))

    def root(self, folder: Path) -> Root | None:
        """What is registered of a dataset's folder. Raises StorageError where that cannot be read."""
        path = self.file(folder)
        return _read(path) if os.path.exists(path) else None  # noqa: PTH110 - Path.exists raises where it may not look

    def versions_in(self, folder: Path) -> list[str]:
        """The records of the versions built in a folder, oldest first."""
        root = self.root(folder)
        return root.versions if root is not None else []

    def all(self) -> list[Root]:
        """Every root. Raises StorageError where one cannot be read."""
        return [_read(path) for path in self._files()]

    def readable(self) -> Iterator[Root]:
        """Every root that can be read."""
        for path in self._files():
            try:
                yield _read(path)
            except StorageError:
                continue

    def forget(self, digests: set[str]) -> None:
        """Takes versions off every list."""
        for root in self.all():
            if not digests.isdisjoint(root.versions):
                self.register(Path(root.folder), root.name, [each for each in root.versions if each not in digests])

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob("*.json"))


def _read(path: Path) -> Root:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Root)
    except UNREADABLE as error:
        raise StorageError(f"{path} cannot be read ({error}): remove it and build its dataset again") from error
