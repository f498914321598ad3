"""The project's root, and the working directory of its user.

A command works in the root: there, whoever reads a file of the project finds it by its relative path. What the user
typed counts from their working directory, so each path that was typed goes through `from_cwd`, and one that is printed
to be used again through `from_root`. Both are facts of the process. For a user whose working directory is the root all
paths stay as they are.

Every command begins with this, so nothing that takes time is imported.
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple

CONFIGURATION = "conf/distill.yaml"
LOCKS = "outputs/*/distill.lock"


class Project(NamedTuple):
    """`root` is known by its file `sign`, None where no folder is known to be one: it is the working directory then.

    `cwd` is that of the user: a command works in the root.
    """

    root: Path
    cwd: Path
    sign: Path | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the user's working directory lies below the root."""
        return self.root != self.cwd


_entered: Project | None = None
"""Where the user's working directory lies below the root; None where it is the root."""


def find_project(cwd: Path, home: Path | None) -> Project:
    """The project that `cwd`, an absolute path without links, lies in: the next folder upwards that has a sign.

    The search ends at a `.git`, and below `home` and a folder that belongs to somebody else: whoever may write there
    could say what is built here.
    """
    owner = cwd.stat().st_uid
    for folder in (cwd, *cwd.parents):
        if folder != cwd and (folder == home or not is_of(owner, folder)):
            break
        if (sign := sign_in(folder)) is not None:
            return Project(folder, cwd, sign)
        if folder == home or os.path.lexists(folder / ".git"):
            break
    return Project(cwd, cwd)


def project_around(cwd: Path) -> Project:
    """As `find_project`, for the user's own home."""
    home = os.environ.get("HOME")
    return find_project(cwd, Path(home).resolve() if home else None)


def is_of(owner: int, folder: Path) -> bool:
    """Whether a folder is that user's alone. One such as /tmp belongs to everybody, whoever has made it."""
    try:
        about = folder.stat()
    except OSError:  # one may not look at it
        return False
    return about.st_uid == owner and not (about.st_mode & stat.S_ISVTX and about.st_mode & stat.S_IWOTH)


def sign_in(folder: Path) -> Path | None:
    """The file by which a folder is known to be a project's root: its configuration, else the lock of a dataset."""
    if os.path.isfile(folder / CONFIGURATION):  # noqa: PTH113 - False where one may not look
        return Path(CONFIGURATION)
    return next((lock.relative_to(folder) for lock in folder.glob(LOCKS)), None)


def enter(project: Project) -> None:
    """Works in the project's root from now on."""
    global _entered
    if project.is_elsewhere:
        os.chdir(project.root)
    _entered = project if project.is_elsewhere else None


def entered() -> Project:
    """The project of this process."""
    return _entered or Project(Path.cwd(), Path.cwd())


def from_cwd(path: str) -> str:
    """A path as the user typed it → as this process reaches it; in the root, as it is."""
    project = entered()
    return os.path.normpath(project.cwd / path) if project.is_elsewhere and path else path


def as_typed_in_root(path: str) -> str:
    """A path as the user typed it → as they would have in the root; one that leads out of the project is absolute."""
    place, project = from_cwd(path), entered()
    inside = project.is_elsewhere and Path(place).is_relative_to(project.root)
    return str(Path(place).relative_to(project.root)) if inside else place


def from_root(path: str) -> str:
    """A path from the root → as it is reached from there and from the user's working directory."""
    project = entered()
    return str(project.root / path) if project.is_elsewhere else path


def seen(file: Path) -> str:
    """A file as seen from the user's working directory: one below is named from there."""
    return str(file).removeprefix(f"{entered().cwd}{os.sep}")
