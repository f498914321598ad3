"""`cache VERB`: works on the store of responses."""

import difflib
import importlib

from distill_build.cli.grammar import CACHE_VERBS
from distill_build.errors import UsageError
from distill_build.options import Options

VERBS = {
    "stats": ("stats", "run"),
    "gc": ("gc", "run"),
    "fsck": ("fsck", "run"),
    "export": ("bundle", "write"),
    "import": ("bundle", "take_in"),
    "push": ("remote", "push"),
    "pull": ("remote", "pull"),
}
"""Verb → module of this room, and its function."""


def run(options: Options) -> int:
    """Does what the first of the arguments says."""
    verb, *words = options.arguments or ("",)
    if verb not in CACHE_VERBS:
        near = difflib.get_close_matches(verb, CACHE_VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its verbs are {', '.join(CACHE_VERBS)}"
        raise UsageError(f"cache does not know '{verb}': {hint}" if verb else f"cache what? {hint}")
    _check_words(verb, words)
    module, function = VERBS[verb]
    status: int = getattr(importlib.import_module(f"{__name__}.{module}"), function)(options)
    return status


def _check_words(verb: str, words: list[str]) -> None:
    """Raises UsageError where a verb does not take as many words."""
    wanted = CACHE_VERBS[verb].words.split()
    fewest = sum(not word.startswith("[") for word in wanted)
    usage = " ".join(("distill-build cache", verb, *wanted))
    if len(words) < fewest:
        raise UsageError(f"cache {verb} needs {wanted[len(words)]}: {usage}")
    if len(words) > len(wanted):
        raise UsageError(f"cache {verb} does not take the word '{words[len(wanted)]}': {usage}")
