"""A remote: a folder at any address that fsspec knows. The only place that knows fsspec.

Credentials come from the environment, as each file system's own library reads them; they stand in no message. Errors
of those libraries, which have no common base, become one sentence here. Several transfers go on at once, in threads for
which the end of the process does not wait: a network may be silent for minutes, and whoever interrupts a command is not
to wait for it, as executors of the standard library would.
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from distill_build.errors import ConfigurationError, StorageError, UsageError

NEW = ".{name}.{random}.new"
ABANDONED_SECONDS = 3600
"""Whoever writes a file writes to it more often than that. Locks would tell at once, but not every disk has locks."""


@contextmanager
def atomic_file(target: Path) -> Iterator[BinaryIO]:
    """A file that is moved to `target` at the end, or is gone where that is not reached. Raises OSError."""
    new = target.with_name(NEW.format(name=target.name, random=secrets.token_hex(4)))
    try:
        with new.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def remove_abandoned(folder: Path, names: str) -> None:
    """Removes what killed processes left beside the files in `folder` whose names match the pattern `names`."""
    for path in folder.glob(NEW.format(name=names, random="[0-9a-f]" * 8)):
        with suppress(OSError):  # another's, who may have removed it meanwhile: it is in nobody's way
            if path.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                path.unlink()


GRACE_SECONDS = 1.0
"""How long what is under way may go on after an error or interruption. A file that goes to a disk is whole by then."""

T = TypeVar("T")
R = TypeVar("R")


def at_once(items: Iterable[T], work: Callable[[T], R], number: int) -> Iterator[tuple[T, Future[R]]]:
    """Each item with what `work` made of it, as they come; at most `number` are under way at any moment.

    An item is taken from `items` when it can be begun. Raises StorageError where the system has no thread for it.
    """
    done: SimpleQueue[tuple[T, Future[R]]] = SimpleQueue()
    threads: dict[Future[R], threading.Thread] = {}

    def run(item: T, future: Future[R]) -> None:
        try:
            future.set_result(work(item))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        done.put((item, future))

    ahead = iter(items)
    try:
        while True:
            for item in islice(ahead, number - len(threads)):
                future = Future[R]()
                threads[future] = _begun(run, item, future)
            if not threads:
                return
            item, future = done.get()
            del threads[future]
            yield item, future
    finally:
        _let_end(threads.values())


def _begun(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise StorageError(
            f"a transfer cannot be begun: {error}. Let some other programs end, or raise the limits on processes and "
            "memory (ulimit -u, ulimit -v), and try again: what was done is kept"
        ) from error
    return thread


def _let_end(threads: Iterable[threading.Thread]) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Protocols with an extra of our own that installs their library."""
WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss"})
"""Object stores: what is put there appears as a whole or not at all. Elsewhere a file is written beside and moved."""
ON_DISK = frozenset({"file", "local"})
NAME = re.compile(r"([0-9a-f]{64})\.gz")
SECRET_VARIABLES = re.compile(r"(SECRET|TOKEN|PASSWORD|ACCESS_KEY)")
SHORTEST_SECRET = 6
USER_IN_ADDRESS = re.compile(r"//[^/@\s]+@")
LONGEST_REASON = 300


class Remote:
    """The folder at `address`. `shown` is how messages call it: without a password. Thread-safe."""

    def __init__(self, address: str) -> None:
        """Raises UsageError for what is no address, ConfigurationError where its library is not installed."""
        self.shown = without_secrets(address)
        self._address = address
        self._files, self._folder = self._opened(_checked(address))
        protocols = self._files.protocol
        self._protocols = {protocols} if isinstance(protocols, str) else set(protocols)

    def place(self, folder: str, name: str) -> str:
        """How messages call an object."""
        return f"{self.shown.rstrip('/')}/{folder}/{name}.gz"

    def names(self, folder: str) -> dict[str, int]:
        """The digests that objects in `folder` are named by, with their sizes in bytes; none where it is not there."""
        with self._told("be read"):
            self._files.invalidate_cache()
            try:
                rows = self._files.ls(f"{self._folder}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        names = ((NAME.fullmatch(str(row["name"]).rpartition("/")[2]), row) for row in rows)
        return {match[1]: int(row["size"] or 0) for match, row in names if match is not None}

    def read(self, folder: str, name: str) -> bytes:
        """The bytes of an object. Raises StorageError where they cannot be had."""
        with self._told("be read"):
            data: bytes = self._files.cat_file(self._path(folder, name))
        return data

    def write(self, folder: str, name: str, data: bytes) -> None:
        """Makes an object, which nobody sees before it is whole. Raises StorageError where that cannot be done."""
        with self._told("be written"):
            if self._protocols & WHOLE:
                self._files.pipe_file(self._path(folder, name), data)
                return
            self._files.makedirs(f"{self._folder}/{folder}", exist_ok=True)
            if self._protocols & ON_DISK:
                with atomic_file(Path(self._path(folder, name))) as file:
                    file.write(data)
            else:
                self._write_beside(self._path(folder, name), data)

    def remove_abandoned(self, folder: str) -> None:
        """Removes what killed pushes left half written in a folder on a disk. Nobody takes it for an object."""
        if self._protocols & ON_DISK:
            remove_abandoned(Path(self._folder, folder), "*.gz")

    def _write_beside(self, path: str, data: bytes) -> None:
        new = f"{path}.{secrets.token_hex(4)}.new"
        with ExitStack() as cleanup:
            cleanup.callback(self._remove, new)
            with self._files.open(new, "wb") as file:
                file.write(data)
            self._files.mv(new, path)
            cleanup.pop_all()

    def _remove(self, path: str) -> None:
        if self._files.exists(path):
            self._files.rm_file(path)

    def _path(self, folder: str, name: str) -> str:
        return f"{self._folder}/{folder}/{name}.gz"

    def _opened(self, address: str) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        protocol = address.partition("://")[0]
        try:
            with self._told("be used", passing=(ImportError, ValueError)):
                files, folder = url_to_fs(address)
        except ImportError as error:
            if protocol in EXTRAS:
                package = f"pip install 'distill-build[{EXTRAS[protocol]}]'"
                raise ConfigurationError(f"{protocol}:// needs a package that is not installed: {package}") from error
            raise ConfigurationError(f"{protocol}:// needs a package that is not installed: {error}") from error
        except ValueError as error:
            raise UsageError(f"{self.shown} is no address that can be used: {self._reason(error)}") from error
        return files, folder.rstrip("/")

    @contextmanager
    def _told(self, what: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Turns what a file system raises into a sentence."""
        try:
            yield
        except passing:
            raise
        except Exception as error:  # botocore, google.auth, paramiko and the others have no common base
            raise StorageError(f"{self.shown} cannot {what}: {self._reason(error)}. {_way_out(error)}") from error

    def _reason(self, error: Exception) -> str:
        told = (error.strerror if isinstance(error, OSError) else None) or str(error)
        reason = next(iter(told.strip().splitlines()), "") or type(error).__name__
        for secret in _secrets(self._address):
            reason = reason.replace(secret, "***")
        reason = USER_IN_ADDRESS.sub("//***@", reason)
        return reason[:LONGEST_REASON].rstrip(".")


def _way_out(error: Exception) -> str:
    kind = type(error).__name__
    if isinstance(error, PermissionError) or "Credentials" in kind:
        return (
            "Give credentials in the environment that may read and write there (AWS_…, GOOGLE_APPLICATION_CREDENTIALS)"
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "Make the bucket or folder first, or mend the address"
    return "Check the address and the network and try again: what was done is kept, and only the rest is left to do"


def is_path(address: str) -> bool:
    """Whether an address is a path, and neither a URL nor what was to be one."""
    return "://" not in address and not re.match(r"[\w+-]+:", address)


def _checked(address: str) -> str:
    """An address that means something. A path is one too."""
    head, separator, place = address.partition("://")
    if not (place if separator else address).strip("/") or not (separator or is_path(address)):
        raise UsageError(
            f"'{address}' is no address: write it as s3://bucket/folder, file:///folder or a folder's path"
        )
    if head == "memory" and separator:
        raise UsageError("memory:// ends with this process: name a place that stays, as s3://bucket/folder")
    return address


def without_secrets(address: str) -> str:
    """An address as it may be printed: without password and query."""
    if "://" not in address:
        return address
    parts = _parts(address)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"{user.partition(':')[0]}{at}{host}", parts.path, "", ""))


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise UsageError(f"the address cannot be read: {error}") from error


def _secrets(address: str) -> list[str]:
    """Texts that stand in no message: the address's password and query, and the environment's credentials."""
    parts = urlsplit(address)
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    found = {password, unquote(password), parts.query}
    found |= {value for name, value in os.environ.items() if SECRET_VARIABLES.search(name)}
    return sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)
