"""Which texts repeat an earlier one in other words, by the cosine of their embeddings: the same on every machine.

The model is wordllama's packed one: a vector for each token, and a text is the sum of its tokens'. The vectors are
taken as whole numbers, so sums and products are exact in any order, and so is each verdict. Floating point only finds
the pairs that are worth a look. The package itself is not imported: it sets up logging for all of the process.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from distill_build.errors import ConfigurationError
from distill_build.stages.likeness.content import content_words
from distill_build.stages.likeness.repeats import ROUNDED, Repeat, exactly

PACKAGE = "wordllama"
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
SCALE = 1_000
"""Of a vector's number, which is around 1, so many parts are told apart."""
BLOCK = 2_048
"""Texts that are compared at once with all before them, and how many of these at a time: what a processor holds."""
SLACK = 1e-3
"""What floating point may be off by, many times over."""
LEADING = 64
"""Dimensions of the turned vectors that are compared in full: of the rest, lengths say how much it can add."""


def model_files(package: str = PACKAGE) -> tuple[Path, Path]:
    """(weights, tokenizer). Raises ConfigurationError where the extra is not installed."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        files = Path(folder) / WEIGHTS, Path(folder) / TOKENIZER
        if all(file.is_file() for file in files):
            return files
    raise ConfigurationError(
        "dedup.by=meaning needs an embedding model, which is not installed: pip install 'distill-build[meaning]'"
    )


@cache
def model_digest() -> str:
    """What tells this model from another one."""
    digest = hashlib.sha256()
    for file in model_files():
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def repeats_by_meaning(texts: Sequence[str], near: float, block: int = BLOCK) -> dict[int, Repeat]:
    """The places of texts that nearly repeat one before them which does not; of several the most alike, then the first.

    `texts` are as `normalise` leaves them; `near` is the least cosine, over 0; a `block` of them is compared at
    once.
    """
    if not texts:
        return {}
    vectors = _embedded(texts)
    least = exactly(near)
    repeats: dict[int, Repeat] = {}
    for place, candidates in _candidates(vectors, near, block):
        best: Repeat | None = None
        most = Fraction(0)
        for other in candidates:
            if other in repeats:
                continue
            squared = _squared_cosine(vectors[place], vectors[other])
            if squared >= least * least and squared > most:
                most, best = squared, Repeat(other, round(float(squared) ** 0.5, ROUNDED))
        if best is not None:
            repeats[place] = best
    return repeats


def _embedded(texts: Sequence[str]) -> Any:
    """The vectors of texts, a row each, of whole numbers."""
    import numpy

    tokens, tokenizer = _model()
    vectors = numpy.zeros((len(texts), tokens.shape[1]), dtype=numpy.int32)
    for start in range(0, len(texts), BLOCK):
        contents = [content_words(text) for text in texts[start : start + BLOCK]]
        for place, encoded in enumerate(tokenizer.encode_batch_fast(contents, add_special_tokens=False), start):
            vectors[place] = tokens[encoded.ids].sum(axis=0)
    return vectors


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


def _candidates(vectors: Any, near: float, block: int) -> Iterator[tuple[int, list[int]]]:
    """Places with the places before them that may be as near as that, in order; some are not.

    Turned so that the first dimensions tell most, a few of them are compared in full. What the rest can add is at most
    the product of its lengths (Cauchy and Schwarz). How it is turned changes what is looked at, never what is found.
    """
    import numpy

    lengths = numpy.sqrt((vectors.astype(numpy.float64) ** 2).sum(axis=1))
    units = (vectors / numpy.maximum(lengths, 1)[:, None]).astype(numpy.float32)
    turned = units
    if len(units) > block:  # else finding the turn takes longer than it saves
        _, axes = numpy.linalg.eigh(units.T @ units)
        turned = units @ axes[:, ::-1].astype(numpy.float32)
    del units
    rest = numpy.sqrt((turned[:, LEADING:] ** 2).sum(axis=1))
    leading = numpy.ascontiguousarray(numpy.hstack([turned[:, :LEADING], rest[:, None]]))
    for start in range(0, len(turned), block):
        own = slice(start, start + block)
        found: list[list[int]] = [[] for _ in range(len(turned[own]))]
        for before in range(0, start + block, block):
            others = slice(before, before + block)
            near_enough = leading[own] @ leading[others].T >= near - SLACK
            row, column = numpy.divmod(numpy.flatnonzero(near_enough), near_enough.shape[1])
            cosines = numpy.einsum("ij,ij->i", turned[own][row], turned[others][column])
            good = (cosines >= near - SLACK) & (before + column < start + row)
            for each, other in zip(row[good].tolist(), (before + column[good]).tolist(), strict=True):
                found[each].append(other)
        for each, places in enumerate(found):
            if places:
                yield start + each, places


def _squared_cosine(one: Any, other: Any) -> Fraction:
    """Exact; 0 for texts that are at more than a right angle."""
    first, second = one.astype("int64"), other.astype("int64")
    product = int(first @ second)
    lengths = int(first @ first) * int(second @ second)
    return Fraction(product * product, lengths) if product > 0 else Fraction(0)
