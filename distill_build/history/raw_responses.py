"""The raw responses behind the rows of one stage, as its dataset's sources name them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from distill_build.dataset.layout import RESPONSES, SOURCES
from distill_build.dataset.rows import SourcesRow, read_rows
from distill_build.engine.reading import Responses
from distill_build.errors import StorageError
from distill_build.stages.training.student_fit import StoredReply, stored_reply


class RawResponses:
    """Replies by the key of their call: those that the rows were made from, whatever else stands there by now.

    What there is to read is opened at the first one, and closed by `close`.
    """

    def __init__(self, sources: Path, stage: str, stores: Callable[[ExitStack], Sequence[Responses]]) -> None:
        """`sources` is the file that names them; `stores` opens where they may lie."""
        self._sources = sources
        self._stage = stage
        self._opens = stores
        self._opened = ExitStack()

    def __call__(self, key: str) -> StoredReply:
        """Raises StorageError where the response is nowhere, with the way out."""
        digest = self._digests.get(bytes.fromhex(key), b"").hex()
        for store in self._stores:
            entry = store.get(key)
            if entry is not None and (found := stored_reply(entry, digest)) is not None:
                return found
        raise StorageError(
            f"the reply {key[:12]}, of which soft labels are made, is neither in the cache nor in {RESPONSES}, or "
            f"{SOURCES} does not name it: cache pull or cache import bring it, else a build asks anew"
        )

    def close(self) -> None:
        self._opened.close()

    @cached_property
    def _stores(self) -> Sequence[Responses]:
        return self._opens(self._opened)

    @cached_property
    def _digests(self) -> dict[bytes, bytes]:
        """As bytes: there are very many."""
        named = read_rows(self._sources, SourcesRow) if self._sources.is_file() else ()
        return {bytes.fromhex(key): bytes.fromhex(digest) for row in named for key, digest in row.of(self._stage)}
