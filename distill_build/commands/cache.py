"""`cache VERB`: works on the store of responses. Each verb is a module of its own, named in one table."""

import difflib
import importlib
from collections.abc import Mapping

from distill_build.errors import UsageError
from distill_build.options import Options

VERBS: Mapping[str, str] = {
    "stats": "distill_build.commands.cache_stats",
    "gc": "distill_build.commands.cache_gc",
    "fsck": "distill_build.commands.cache_fsck",
    "export": "distill_build.commands.cache_export",
    "import": "distill_build.commands.cache_import",
    "push": "distill_build.commands.cache_push",
    "pull": "distill_build.commands.cache_pull",
}
"""Verb → the module with its `run`."""
WORDS = {"export": ("FILE", "[VERSION]"), "import": ("FILE",), "push": ("URL",), "pull": ("URL",)}
"""What stands behind a verb; nothing behind those that are not named."""
UNSET = Options()
GC_FLAGS = ("keep_last", "max_size", "older_than", "dry_run")


def run(options: Options) -> int:
    """Does what the first of the arguments says."""
    verb, *words = options.arguments or ("",)
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its verbs are {', '.join(VERBS)}"
        raise UsageError(f"cache does not know '{verb}': {hint}" if verb else f"cache what? {hint}")
    _check_words(verb, words)
    _check_flags(verb, options)
    status: int = importlib.import_module(VERBS[verb]).run(options)
    return status


def _check_words(verb: str, words: list[str]) -> None:
    """Raises UsageError where a verb does not take as many words."""
    wanted = WORDS.get(verb, ())
    fewest = sum(not word.startswith("[") for word in wanted)
    usage = " ".join(("distill-build cache", verb, *wanted))
    if len(words) < fewest:
        raise UsageError(f"cache {verb} needs {wanted[len(words)]}: {usage}")
    if len(words) > len(wanted):
        raise UsageError(f"cache {verb} does not take the word '{words[len(wanted)]}': {usage}")


def _check_flags(verb: str, options: Options) -> None:
    """Raises UsageError for a flag of gc at another verb: whoever types it expects something to be spared or listed."""
    given = [flag for flag in GC_FLAGS if getattr(options, flag) != getattr(UNSET, flag)]
    if given and verb != "gc":
        raise UsageError(f"--{given[0].replace('_', '-')} is a flag of cache gc, not of cache {verb}")
