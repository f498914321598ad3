"""Which texts repeat an earlier one in other words, by the cosine of their embeddings: the same on every machine.

The model is wordllama's packed one: a vector for each token, and a text is the sum of its tokens'. The vectors are
taken as whole numbers, so their sums are exact in any order. The package itself is not imported: it sets up logging for
all of the process.
"""

import base64
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from distill_build.errors import ConfigurationError
from distill_build.stages.likeness.content import content_words
from distill_build.stages.likeness.cosine import BLOCK, repeats_by_cosine
from distill_build.stages.likeness.repeats import Repeat

PACKAGE = "wordllama"
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
SCALE = 1_000
"""Of a vector's number, which is around 1, so many parts are told apart."""


def model_files(package: str = PACKAGE) -> tuple[Path, Path]:
    """(weights, tokenizer). Raises ConfigurationError where the extra is not installed."""
    spec = importlib.util.find_spec(package)
    complete = (
        importlib.util.find_spec("threadpoolctl") is not None
    )  # an extra of an earlier version had only the model
    for folder in (complete and spec and spec.submodule_search_locations) or ():
        files = Path(folder) / WEIGHTS, Path(folder) / TOKENIZER
        if all(file.is_file() for file in files):
            return files
    raise ConfigurationError(
        "dedup.by=meaning needs an embedding model, which is not installed: pip install 'distill-build[meaning]'"
    )


def require_extra() -> None:
    """Raises ConfigurationError where the extra is not installed, which has what vectors are compared with."""
    model_files()


@cache
def model_digest() -> str:
    """What tells this model from another one."""
    digest = hashlib.sha256()
    for file in model_files():
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def repeats_by_meaning(texts: Sequence[str], near: float) -> dict[int, Repeat]:
    """The places of texts that nearly repeat one before them which does not; of several the most alike, then the first.

    `texts` are as `normalise` leaves them; `near` is the least cosine, over 0.
    """
    return repeats_by_cosine(embedded(texts), near)


def repeats_by_vector(vectors: Sequence[str], near: float) -> dict[int, Repeat]:
    """The same of vectors that somebody else made: whole numbers of 8 bits, in base64. Raises ConfigurationError where
    they are of several lengths."""
    return repeats_by_cosine(_decoded(vectors), near)


def _decoded(vectors: Sequence[str]) -> Iterator[Any]:
    import numpy

    lengths = sorted({len(base64.b64decode(each)) for each in vectors})
    if len(lengths) > 1:
        raise ConfigurationError(
            f"the embedder's vectors have {' and '.join(map(str, lengths))} numbers, and cannot be compared: have it "
            "send one length, and ask for all anew: embedder.revision=2, say"
        )
    for start in range(0, len(vectors), BLOCK):
        own = b"".join(map(base64.b64decode, vectors[start : start + BLOCK]))
        yield numpy.frombuffer(own, numpy.int8).reshape(-1, lengths[0])


def embedded(texts: Sequence[str]) -> Iterator[Any]:
    """The vectors of such texts, a row each, of whole numbers, some at a time."""
    import numpy

    tokens, tokenizer = _model()
    for start in range(0, len(texts), BLOCK):
        contents = [content_words(text) for text in texts[start : start + BLOCK]]
        encoded = tokenizer.encode_batch_fast(contents, add_special_tokens=False)
        yield numpy.stack([tokens[each.ids].sum(axis=0, dtype=numpy.int32) for each in encoded])


@cache
def _model() -> tuple[Any, Any]:
    """The vector of each token, of whole numbers, and what makes tokens of a text."""
    import numpy
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights, tokenizer_file = model_files()
    (table,) = load_file(weights).values()
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return numpy.rint(table.astype(numpy.float64) * SCALE).astype(numpy.int32), tokenizer
