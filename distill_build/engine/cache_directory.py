"""The folder of a cache: whose it is, on which file system it lies, and two words on what became of its entries.

The generation is a random word that changes whenever a response displaces an accepted one (--rebuild): what was derived
from entries under one generation and remembered elsewhere is trusted only under the same one. Another changes whenever
a response leaves the cache (gc, fsck). That makes nothing wrong that is remembered, but what a folder keeps is looked
through for what the cache lacks wherever either of them is another one.
"""

import os
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from distill_build.engine.artefacts import replace_file, replacing
from distill_build.engine.manifest import SCHEME
from distill_build.errors import CorruptEntryError, StorageError

MARKER = "distill-cache.json"
IGNORE = ".gitignore"
OWN_FILES = (MARKER, "weights.json", IGNORE)
"""What may lie in a cache before its marker does: another process's marker, and the memo of weights' digests."""
NETWORK_FILE_SYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "fuse.sshfs",
        "lustre",
        "glusterfs",
        "fuse.glusterfs",
        "ceph",
        "9p",
        "afs",
    ]
)


class _Marker(msgspec.Struct, frozen=True, omit_defaults=True):
    scheme: int
    generation: str = ""
    losses: str = ""


class CacheDirectory:
    """`path` holds a marker file beside diskcache's own files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marker = path / MARKER

    def is_there(self) -> bool:
        """Whether the folder is a cache of ours, be it without its marker. Raises StorageError as `scheme_of_calls`."""
        return self._marker.exists() or self._is_unmarked()

    def prepare(self) -> None:
        """Makes the folder, or checks that it is a cache of ours.

        Raises StorageError for a folder of something else, another scheme, a network file system (which
        corrupts SQLite), where it cannot be made, and where a fsck was interrupted (see `check`).
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_network_file_system()
            if self._marker.exists():
                self._read()
            else:
                self._claim()
            self._refuse_interrupted()
        except OSError as error:
            raise StorageError(f"the cache {self.path} cannot be made: {error.strerror}; set cache.dir") from error

    def check(self) -> None:
        """Checks that the folder is a cache of ours whose database stays where it is, and changes nothing.

        Raises StorageError where it is none, and where a fsck was interrupted: a new database is ready to be moved over
        the one that is there, so what is written to that could be lost.
        """
        self.check_ownership()
        self._refuse_interrupted()

    def check_ownership(self) -> None:
        """As `check`, but lets in who brings an interrupted fsck to its end.

        Raises CorruptEntryError as `check_marker`.
        """
        if not self.is_there():
            raise StorageError(f"there is no cache at {self.path}: name its folder with --cache-dir DIR")
        self.check_marker()

    def check_marker(self) -> None:
        """As `check_ownership`, of a cache that `is_there`. Raises CorruptEntryError for a marker damaged or gone."""
        try:
            self._read()
        except FileNotFoundError as error:
            raise CorruptEntryError(
                f"{self.path} is a cache of distill-build that has lost its {MARKER}: {self._fsck} makes that anew"
            ) from error

    def generation(self) -> str:
        """The word that stands now; empty where there is no marker. Raises StorageError as `check_ownership`."""
        return self.words()[0]

    def losses(self) -> str:
        """The word that stands for what has left the cache; empty where nothing has. Raises as `generation`."""
        return self.words()[1]

    def words(self) -> tuple[str, str]:
        """Both, as they stood at one time. Raises as `generation`."""
        try:
            marker = self._read()
        except FileNotFoundError:
            return "", ""
        return marker.generation, marker.losses

    def renew_generation(self) -> str:
        """To be called before an accepted response is displaced; returns the word that stands from now on.

        It makes a marker that was lost anew: what was remembered under the generation that it named is not trusted.
        """
        generation = _word()
        self._write(_Marker(SCHEME, generation, self._losses_if_known()))
        return generation

    @contextmanager
    def losing_responses(self) -> Iterator[None]:
        """What responses leave the cache in, whoever takes them out: the word for that is renewed before and after.

        Before, for whoever finds the cache after a crash; after, for who read it meanwhile.
        """
        self._renew_losses()
        try:
            yield
        finally:
            self._renew_losses()

    def _renew_losses(self) -> None:
        self._write(_Marker(SCHEME, self.generation() or _word(), _word()))

    def _losses_if_known(self) -> str:
        try:
            return self.losses()
        except CorruptEntryError:  # the new generation has all folders look
            return ""

    def scheme_of_calls(self) -> int | None:
        """The scheme of this program, where calls have it; None where no call can be read.

        Raises StorageError where they have another one, and where they cannot be read for a reason but damage.
        """
        from distill_build.engine.unmarked import scheme_of_calls  # most caches have their marker

        with self._reading():
            scheme = scheme_of_calls(self.path)
        if scheme not in (None, SCHEME):
            raise self._other_scheme(scheme)
        return scheme

    def _claim(self) -> None:
        others = [item for item in self.path.iterdir() if not any(name in item.name for name in OWN_FILES)]
        if others and self.is_there():  # another process may have claimed it meanwhile
            self.check_marker()
            return
        if others:
            raise StorageError(
                f"{self.path} is not a cache of distill-build, and not empty: set cache.dir to a folder of its own"
            )
        ignore = self.path / IGNORE  # git would put an old database back with another branch
        if not ignore.exists():
            ignore.write_text("*\n")
        self._write(_Marker(SCHEME, _word()))

    def _read(self) -> _Marker:
        """The marker of a cache that this program knows. Raises CorruptEntryError where it is damaged."""
        try:
            marker = msgspec.json.decode(self._marker.read_bytes(), type=_Marker)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"{self._marker} cannot be read: {error.strerror}. Mend it, or set cache.dir") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error
        if marker.scheme != SCHEME:
            raise self._other_scheme(marker.scheme)
        if not marker.generation:  # last: what else stands there is the scheme's matter
            raise self._damaged("it names no generation")
        return marker

    def _damaged(self, reason: str) -> CorruptEntryError:
        return CorruptEntryError(f"{self._marker} is damaged ({reason}): {self._fsck} makes it anew")

    def _is_unmarked(self) -> bool:
        from distill_build.engine.unmarked import holds_records  # as above

        if self.scheme_of_calls() is not None:
            return True
        with self._reading():
            return holds_records(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"the cache {self.path} cannot be read: {error.strerror}. Mend that, or set cache.dir"
            ) from error

    def _other_scheme(self, scheme: int | None) -> StorageError:
        return StorageError(
            f"the cache {self.path} has scheme {scheme}, and this program knows scheme {SCHEME}: "
            "use the version of distill-build that wrote it, or set cache.dir"
        )

    @property
    def _fsck(self) -> str:
        return f"`distill-build cache fsck --cache-dir {shlex.quote(str(self.path))}`"

    def _refuse_interrupted(self) -> None:
        if replacing(self.path):
            raise StorageError(f"a fsck of the cache {self.path} was interrupted: run {self._fsck}")

    def _write(self, marker: _Marker) -> None:
        replace_file(self._marker, msgspec.json.encode(marker) + b"\n")

    def _refuse_network_file_system(self) -> None:
        kind = _file_system(self.path)
        if kind in NETWORK_FILE_SYSTEMS:
            raise StorageError(
                f"the cache {self.path} lies on a network file system ({kind}), where SQLite loses data: "
                "set cache.dir to a local folder"
            )


def _word() -> str:
    return secrets.token_hex(8)


MOUNTS = Path("/proc/self/mounts")
MOUNT_POINT, FILE_SYSTEM = 1, 2
"""Which fields of a line they are."""


def _file_system(path: Path) -> str | None:
    """The type of the file system that holds `path`, where the system has /proc/self/mounts to tell it."""
    return file_system_in(MOUNTS.read_bytes(), path) if MOUNTS.exists() else None


def file_system_in(mounts: bytes, path: Path) -> str | None:
    """The type of the file system that holds `path`, by the lines of /proc/self/mounts; a later one covers others.

    Names are bytes there, in no encoding, and end in blanks and line feeds alone: a text has other ends of lines too.
    See proc_pid_mounts(5) and fstab(5).
    """
    target = os.fsencode(os.path.realpath(path))
    best, kind = -1, None
    for line in mounts.split(b"\n"):
        fields = line.split(b" ")
        if len(fields) <= FILE_SYSTEM:
            continue
        place = _unescaped(fields[MOUNT_POINT])
        if (target == place or target.startswith(place.rstrip(b"/") + b"/")) and len(place) >= best:
            best, kind = len(place), os.fsdecode(fields[FILE_SYSTEM])
    return kind


def _unescaped(name: bytes) -> bytes:
    """A name as it is: the kernel writes blanks, line feeds and backslashes in octal, as `\\040`."""
    first, *rest = name.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8) & 0xFF]) + part[3:] for part in rest)
