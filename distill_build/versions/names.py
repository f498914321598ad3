"""What a user calls a version → the version.

3f2a…              its digest, whole or at least 4 digits of it, in either case
latest, latest~2   the newest one of the dataset, and the second before that
git:REV            what the dataset's lock says as of that commit
PATH               an output folder or a lock file: what that lock says
"""

import os
import re
import subprocess
from pathlib import Path

import msgspec

from distill_build.dataset.lockfile import LOCK, Lock, is_lock, parse_lock, read_lock
from distill_build.errors import UsageError
from distill_build.records import number_of, short
from distill_build.versions.archive import Archive, Version

LATEST = re.compile(r"latest(?:~([0-9]{1,9}))?")
DIGITS = re.compile(r"[0-9a-f]{1,64}", re.IGNORECASE)
FEWEST_DIGITS = 4
GIT = "git:"
GIT_SECONDS = 60


class Names(msgspec.Struct, frozen=True):
    """The names of versions of the dataset called `name`, in `folder`."""

    archive: Archive
    folder: Path
    name: str

    def version(self, wanted: str) -> Version:
        """The version that `wanted` names, with its content in the archive.

        Raises UsageError for a name that means nothing here, DifferenceError for a lock that cannot be gone by, and
        StorageError where a record that cannot be read may be that of the version.
        """
        if match := LATEST.fullmatch(wanted):
            return self._latest(int(match[1] or 0), wanted)
        lock = lock_named(wanted, self.folder)
        digest = lock.version if lock is not None else digest_named(wanted)
        if digest is None:
            raise names_nothing(wanted)
        return self._kept(digest, wanted)

    def find(self, digest: str) -> Version | None:
        """The version whose digest begins with `digest`: this dataset's own record of it rather than another one's."""
        newest_first = reversed(self.archive.history(self.folder, self.name))
        own = next((each for each in newest_first if each.version.startswith(digest)), None)
        return own or self.archive.find(digest, self.name) or self.archive.find(digest)

    def _latest(self, before: int, wanted: str) -> Version:
        root = self.archive.registry.root(self.folder)
        for digest in root.versions[-1 - before :] if root is not None else ():
            self.archive.records.record(digest)  # one that cannot be read would be counted past
        versions = self.archive.history(self.folder, self.name)
        if before >= len(versions):
            number = number_of(len(versions), "versions")
            oldest = f", the oldest is latest~{len(versions) - 1}" if len(versions) > 1 else ""
            raise UsageError(f"there is no {wanted}: {self.name} has {number} in {self.archive.directory}{oldest}")
        return versions[-1 - before]

    def _kept(self, digest: str, wanted: str) -> Version:
        found = {record.version for record in self.archive.all() if record.version.startswith(digest)}
        if len(found) > 1:
            raise UsageError(
                f"'{wanted}' begins several versions: {', '.join(map(short, sorted(found)))}; write more of it"
            )
        version = self.find(digest)
        if version is None:
            records = self.archive.records
            for damage in filter(None, map(records.damage, records.digests())):
                raise damage  # it may be the very version that is asked for
            raise UsageError(
                f"version {short(digest)} is not in the cache {self.archive.directory}: bring it by cache import or "
                "cache pull; `history` lists those that are there"
            )
        return version


def digest_named(wanted: str) -> str | None:
    """The digest, or the beginning of one, that `wanted` is; None where it is none.

    Raises UsageError for a beginning that is too short to tell versions apart.
    """
    if not DIGITS.fullmatch(wanted):
        return None
    if len(wanted) < FEWEST_DIGITS:
        raise UsageError(f"'{wanted}' is too short for a version: write at least {FEWEST_DIGITS} digits of its digest")
    return wanted.lower()


def names_nothing(wanted: str) -> UsageError:
    """What to raise for a name that means nothing; one with a slash was meant as a path."""
    if os.sep in wanted:
        return UsageError(f"there is no {wanted}: name an output folder or a lock file")
    return UsageError(
        f"'{wanted}' names no version: say a digest or its beginning, latest, latest~1, git:REV, or the path of an "
        "output folder or lock file"
    )


def lock_named(wanted: str, folder: Path) -> Lock | None:
    """The lock that a path or `git:REV` names; None where `wanted` is neither.

    Raises UsageError for a path or commit without a lock, and for a file that is none; DifferenceError for a lock
    that is damaged.
    """
    if wanted.startswith(GIT):
        return parse_lock(_from_git(wanted.removeprefix(GIT), folder / LOCK), wanted)
    if not os.path.exists(wanted):  # noqa: PTH110 - a name that is too long for a path is none
        return None
    path = Path(wanted)
    place = path / LOCK if path.is_dir() else path
    if place.name != LOCK and not is_lock(place):
        raise UsageError(f"{place} is no lock: name an output folder or a lock file")
    lock = read_lock(place)
    if lock is None:
        raise UsageError(f"there is no {place}: name an output folder or a lock file")
    return lock


def _from_git(revision: str, lock: Path) -> str:
    """The text of a lock as of a commit."""
    if not revision or revision.startswith("-"):
        raise UsageError(f"'{GIT}{revision}' names no commit, as git:HEAD does")
    shown = _git(revision, lock, "show", f"{revision}:./{lock.name}")
    if shown.returncode == 0:
        return shown.stdout.decode(errors="replace")  # what is no text is no lock either
    listed = _git(revision, lock, "ls-tree", revision, f"./{lock.name}")
    if listed.returncode == 0 and not listed.stdout:
        raise UsageError(f"git:{revision} has no {lock}: `git log -- {lock}` lists the commits that have it")
    said = shown.stderr.decode(errors="replace").partition("\n")[0].removeprefix("fatal: ").rstrip(".")
    raise UsageError(
        f"git:{revision} cannot be read ({said or 'git failed'}): name a commit of the repository that {lock.parent} "
        "is in, as git:HEAD does"
    )


def _git(revision: str, lock: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    """What git says of a lock in a commit. Raises UsageError where it cannot be run."""
    command = ["git", "-C", str(lock.parent), *words]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}  # a clone without its blobs fetches them
    try:
        return subprocess.run(  # noqa: S603 - no shell
            command, capture_output=True, timeout=GIT_SECONDS, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise UsageError(f"git:{revision} needs git, which is not installed") from error
    except OSError as error:
        raise UsageError(f"git:{revision} needs git, which cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"git:{revision} cannot be read: git took longer than {GIT_SECONDS} s; see whether "
            f"`{' '.join(command)}` ends"
        ) from error
