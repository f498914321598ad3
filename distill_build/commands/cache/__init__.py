"""`cache VERB`: works on the store of responses."""

import importlib

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
    module, function = VERBS[options.arguments[0]]
    status: int = getattr(importlib.import_module(f"{__name__}.{module}"), function)(options)
    return status
