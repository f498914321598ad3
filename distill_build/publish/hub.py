"""Publishes to the Hugging Face Hub, by huggingface_hub: one commit with what differs. The only place that knows it.

The token is the library's own affair: HF_TOKEN, or what `hf auth login` keeps. It reaches no file or message of ours.
"""

import hashlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from distill_build.dataset.lockfile import LOCK, Lock, parse_lock
from distill_build.errors import (
    ConfigurationError,
    DifferenceError,
    DistillError,
    EndpointError,
    StorageError,
    UsageError,
)
from distill_build.export import CARD
from distill_build.publish.earlier import refuse_to_lose, refuse_to_overwrite
from distill_build.publish.publication import Publication, Published
from distill_build.records import short

SCHEME = "hf://"
ADDRESS = re.compile(r"hf://datasets/(?P<repository>[\w.-]+/[\w.-]+)/?")
KIND = "dataset"
MAIN = "main"


def check_hub(address: str) -> str:
    """The repository that an address names.

    Raises UsageError for another, ConfigurationError without the library, or where its own settings forbid it.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(f"{address} names no dataset of the Hub: it is hf://datasets/USER/NAME")
    if find_spec("huggingface_hub") is None:
        raise ConfigurationError(f"{address} needs huggingface_hub: pip install 'distill-build[hub]'")
    endpoint = os.environ.get("HF_ENDPOINT")
    if endpoint is not None and not _is_address(endpoint):  # the library reads it as it is imported
        raise ConfigurationError(
            "HF_ENDPOINT is no address of a Hub, which begins with https:// or http:// and has no user or password in "
            "it: unset it"
        )
    _check_settings()
    return found["repository"]


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False


def _check_settings() -> None:
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise ConfigurationError("HF_HUB_OFFLINE is set, by which nothing reaches the Hub: unset it to publish")
    if not all("!" <= letter <= "~" for letter in get_token() or ""):  # the client's error would say the token
        raise ConfigurationError(
            "HF_TOKEN, or the token that `hf auth login` keeps, has a character that no token has: set it anew"
        )


def publish_to_hub(publication: Publication, repository: str, *, private: bool) -> Published:
    """Makes the branch main of a dataset repository, which is made where there is none, hold the publication.

    Raises EndpointError for a refusal, ConfigurationError for a public one that is to be private, StorageError where
    the Hub cannot be reached, DifferenceError as `refuse_to_overwrite` and `refuse_to_lose` do.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # exported lazily

    if not sys.stderr.isatty():
        disable_progress_bars()
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))  # as the library reads it, at its own import
    with _told(repository):
        head = _head(hub, repository, private=private)
        there = {file.path: file for file in hub.list_repo_tree(repository, repo_type=KIND, revision=MAIN)}
        sent = [name for name in publication.files if not _is_there(there.get(name), publication, name)]
        lock = _lock(hub, repository) if LOCK in there else None
        removed = sorted(({*lock.exports} - publication.files.keys()) & there.keys()) if lock is not None else []
        place = f"{hub.endpoint}/datasets/{repository}"
        if not sent and not removed:
            return Published(place, [], [])
        card = _text(hub, repository, CARD) if CARD in there else None
        replaced = [name for name in sent if name in there]
        refuse_to_overwrite(publication.name, place, lock, card, replaced)
        refuse_to_lose(place, lock, (*removed, *replaced), lambda name: _sha256(hub, repository, there[name]))
        operations: list[Any] = [
            *(CommitOperationAdd(name, publication.files[name]) for name in sent),
            *(CommitOperationDelete(name) for name in removed),
        ]
        with _told_of_storage(repository):
            hub.create_commit(
                repository,
                operations,
                commit_message=f"Version {short(publication.version)} of {publication.name}",
                repo_type=KIND,
                revision=MAIN,
                parent_commit=head,
            )
    return Published(place, sent, removed)


def _head(hub: Any, repository: str, *, private: bool) -> str:
    """The commit that main stands at, of a repository that is made where there is none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = hub.repo_info(repository, repo_type=KIND, revision=MAIN)
    except RepositoryNotFoundError:
        hub.create_repo(repository, repo_type=KIND, private=private or None, exist_ok=True)  # else as its owner has it
        found = hub.repo_info(repository, repo_type=KIND, revision=MAIN)
    if private and not found.private:
        raise ConfigurationError(
            f"{repository} is there and is public, so nothing was sent: make it private in its settings on the Hub, or "
            "leave out --private"
        )
    return str(found.sha)


def _is_there(file: Any, publication: Publication, name: str) -> bool:
    """Whether the Hub's file holds the same bytes: it names a large one by SHA-256, any other as git does."""
    if file is None:
        return False
    if getattr(file, "lfs", None) is not None:
        return bool(file.lfs.sha256 == publication.sha256(name))
    content = publication.content(name)
    blob = b"blob %d\0%b" % (len(content), content)
    return bool(getattr(file, "blob_id", None) == hashlib.sha1(blob, usedforsecurity=False).hexdigest())


def _sha256(hub: Any, repository: str, file: Any) -> str:
    """The SHA-256 of a file that is there, in hex: of a small one the Hub has none, so it is fetched."""
    large = getattr(file, "lfs", None)
    return str(large.sha256) if large is not None else hashlib.sha256(_content(hub, repository, file.path)).hexdigest()


def _lock(hub: Any, repository: str) -> Lock | None:
    """The lock that lies there; None for one that cannot be gone by."""
    with suppress(DifferenceError):  # another release's, or somebody's own
        return parse_lock(_text(hub, repository, LOCK), LOCK)
    return None


def _text(hub: Any, repository: str, name: str) -> str:
    """What a file of the repository says."""
    return _content(hub, repository, name).decode("utf-8", "replace")


def _content(hub: Any, repository: str, name: str) -> bytes:
    """A file of the repository as it is now, past any cache of the library's."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # lazily

    url = hf_hub_url(repository, name, repo_type=KIND, revision=MAIN, endpoint=hub.endpoint)
    reply = get_session().get(url, headers=build_hf_headers(token=hub.token), follow_redirects=True)
    hf_raise_for_status(reply)
    return bytes(reply.content)


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """What the library raises, as sentences: beside its own errors whatever it meets, of a proxy, a certificate, or a
    reply that is none of the Hub's."""
    from huggingface_hub import errors

    unreachable = errors.HTTPError  # type: ignore[attr-defined]  # of the client that it uses, whichever that is

    try:
        yield
    except errors.LocalTokenNotFoundError as error:
        raise EndpointError(_no_token(repository)) from error
    except errors.HFValidationError as error:
        raise UsageError(f"{repository} is no name of a repository: {error}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise EndpointError(_no_token(repository)) from error
        reason = error.server_message or f"status {status}"
        raise StorageError(
            f"the Hub does not take {repository}: {reason}. Publish again: what is there stays"
        ) from error
    except unreachable as error:
        raise StorageError(f"the Hub cannot be reached: {error}. Publish again when it can") from error
    except DistillError:
        raise
    except Exception as error:
        if _is_ours(error) or (isinstance(error, OSError) and error.filename is not None):  # a bug, or a file of ours
            raise
        raise StorageError(
            f"huggingface_hub could not publish to {repository} ({type(error).__name__}: {error}): look at HF_ENDPOINT "
            "and at the settings of a proxy or certificate, and publish again"
        ) from error


def _is_ours(error: Exception) -> bool:
    """Whether our own code raised it, and nothing that it called."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals["__name__"]).startswith(f"{__package__}.")


@contextmanager
def _told_of_storage(repository: str) -> Iterator[None]:
    """What uploads of large files raise, as a sentence: neither those by Git LFS nor those by Xet have errors of the
    library's own."""
    try:
        yield
    except (RuntimeError, ValueError, ConnectionError, TimeoutError) as error:
        reason = str(error.__cause__ or error).partition("\n")[0].rstrip(".")
        raise StorageError(
            f"the Hub does not take the large files of {repository}: {reason}. Publish again: what is there stays"
        ) from error


def _no_token(repository: str) -> str:
    return (
        f"the Hub does not let you write {repository}: set HF_TOKEN to a token with the right to write there, or "
        "log in with `hf auth login`"
    )
