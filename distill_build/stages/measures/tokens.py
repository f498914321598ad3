"""How many tokens a text has, by a tokenizer from a file: the tokenizer.json that a model comes with."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_build.errors import ConfigurationError


class TokenCounter:
    """Counts by the tokenizer in `file`, which `setting` names; `digest` is that of what is in it.

    Raises ConfigurationError as `tokenizer_in`.
    """

    def __init__(self, file: str, setting: str) -> None:
        self.digest, self._tokenizer = tokenizer_in(file, f"{setting}={file}")

    def count(self, texts: Iterable[str]) -> int:
        """The tokens of texts, each by itself, and of nothing around them."""
        return token_count(self._tokenizer, texts)


def token_count(tokenizer: Any, texts: Iterable[str]) -> int:
    """The tokens of texts, each by itself, and of nothing around them."""
    return sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)


def tokenizer_in(file: str, name: str) -> tuple[str, Any]:
    """The digest of a tokenizer.json, and the tokenizer in it; `name` is what a sentence calls the file.

    Raises ConfigurationError for a file that is not there or holds no tokenizer, and where the library for it is not
    installed.
    """
    try:
        about = Path(file).stat()
        return _loaded(file, (about.st_mtime_ns, about.st_size))
    except OSError as error:
        raise ConfigurationError(
            f"{name} cannot be read: {error.strerror}: it is the tokenizer.json of a model, a file on this machine"
        ) from error
    except ImportError:
        raise ConfigurationError(
            f"{name} needs the package tokenizers, which is not installed: pip install 'distill-build[tokens]'"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{name} is no tokenizer.json as the package tokenizers writes it: {error}") from None


@lru_cache(maxsize=4)
def _loaded(file: str, version: tuple[int, ...]) -> tuple[str, Any]:  # noqa: ARG001 - a key of the cache
    """The digest of a file, and the tokenizer in it. A file may say that a text is to be cut: here none is."""
    from tokenizers import Tokenizer

    content = Path(file).read_bytes()
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(str(error)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return hashlib.sha256(content).hexdigest(), tokenizer
