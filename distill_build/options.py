"""The flags and words of one command, as typed. Knows nothing of settings: see `distill_build.settings`."""

from typing import NamedTuple


class Options(NamedTuple):
    """What a command was told beside its settings.

    `locked`: nothing but the locked version may come out; `frozen`: that, and there must be a lock. `until`: last stage
    of a build. `keep_going`: failed items after which a build gives up, 0 = never. `rebuild`: globs of item paths to
    ask for again, one that is for one stage behind its name and a colon. `yes`: no question before rows are replaced.
    `dataset`: a dataset's folder or name,
    `cache_dir`: its cache, for commands that compose no configuration. `exit_code`: diff says by its status whether
    there is a difference. `keep_last`, `max_size`, `older_than`, `dry_run`: what `cache gc` may remove, as typed.
    `seed`: which rows `sample` draws. `yaml`, `outline`: tree prints a tree.yaml, of a dataset or of that file.
    `seed`: which rows `sample` draws. `to`: the file that `report` writes; `against`: the version it compares with.
    `port`: where `view` listens, any free one if None; `no_browser`: it opens none.
    `private`: a repository that `publish` makes is not for all.
    `arguments`: the words after the command. `overrides`: the key=value words as typed, for messages.
    """

    until: str = "dataset"
    offline: bool = False
    locked: bool = False
    frozen: bool = False
    keep_going: int = 0
    rebuild: tuple[str, ...] = ()
    yes: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    dataset: str | None = None
    cache_dir: str | None = None
    exit_code: bool = False
    keep_last: int | None = None
    max_size: str | None = None
    older_than: str | None = None
    dry_run: bool = False
    seed: int = 0
    yaml: bool = False
    outline: str | None = None
    to: str | None = None
    against: str | None = None
    port: int | None = None
    no_browser: bool = False
    private: bool = False
    arguments: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def names_dataset(self) -> bool:
        """Whether a dataset is named, for a command that may also go by its settings."""
        return self.dataset is not None or bool(self.arguments)

    @property
    def asks_nothing(self) -> bool:
        """Whether no model may be asked."""
        return self.offline or self.locked or self.frozen
