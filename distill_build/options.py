"""The flags and words of one command, as typed. Knows nothing of settings: see `distill_build.settings`."""

from dataclasses import dataclass
from typing import Literal

Until = Literal["tags", "questions", "answers", "dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a command was told beside its settings.

    `until`: last stage of a build. `keep_going`: failed items after which a build gives up, 0 = never.
    `rebuild`: globs of item paths to ask for again. `dataset`: a dataset's folder or name, `cache_dir`: its
    cache, for commands that compose no configuration. `arguments`: the words after the command.
    `overrides`: the key=value words as typed, for messages.
    """

    until: Until = "dataset"
    offline: bool = False
    keep_going: int = 0
    rebuild: tuple[str, ...] = ()
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    dataset: str | None = None
    cache_dir: str | None = None
    arguments: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
