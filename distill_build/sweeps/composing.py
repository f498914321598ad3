"""Words of a sweep → the settings of every job. Knows Hydra and OmegaConf.

    compose_sweep     a command line's words → variants; None where Hydra's own machinery is wanted
    combinations      words with several values → the words of each job
    variants_of       the words of each job → its settings

To compose a configuration takes a hundred times as long as to put another value into one. So what is composed is one
base for each distinct set of group choices (`model=a,b`), into which the other swept values are put one job after the
other. A value that this could get wrong (it adds a key, is a dictionary, refers to others, or lies in another swept
one) makes a base of its own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from distill_build.config_errors import translate
from distill_build.errors import DistillError
from distill_build.free_text import unescape_interpolations
from distill_build.resolution import plain_data, resolved, settings_from
from distill_build.sweeps.variants import Choice, Variant

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

    from distill_build.settings import Settings

OURS = {
    "launcher": "hydra_plugins.distill_build_union.UnionLauncher",
    "sweeper": "hydra_plugins.distill_build_union.UnionSweeper",
}
"""The plugins that conf/hydra/ names."""
NESTED = re.compile(r"\$\{[^}]*\$\{")
"""An interpolation whose name is made by another one: it may refer to anything."""


def compose_sweep(loader: Any, primary: str, overrides: list[str]) -> list[Variant] | None:
    """The variants that `overrides` ask for; None where another sweeper, launcher or a callback is configured."""
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    master = loader.load_configuration(primary, overrides, run_mode=RunMode.MULTIRUN)
    hydra = master.hydra
    plain = not (hydra.callbacks or hydra.job.env_set or hydra.job.chdir)
    if not plain or any(hydra[kind].get("_target_") != target for kind, target in OURS.items()):
        return None
    if hydra.sweeper.max_batch_size is not None:
        return None
    words: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)  # as typed, with what is escaped in them
    return variants_of(loader, master, combinations(loader, hydra.sweeper.params, words))


def combinations(loader: Any, params: Mapping[str, Any] | None, words: Sequence[str]) -> list[list[str]]:
    """Every combination of the values in `params` and `words`, the last setting changing fastest."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create(config_loader=loader)
    extra = [f"{key}={value}" for key, value in (params or {}).items()]
    (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides([*extra, *words]), None)
    return jobs


def variants_of(loader: Any, master: "DictConfig", jobs: Sequence[Sequence[str]]) -> list[Variant]:
    """The settings of each job. Raises ConfigurationError for the first that cannot be, with its number and values.

    `master` is the configuration that Hydra composes for the sweep itself.
    """
    return _Composer(loader, master, jobs).variants()


class _Composer:
    """The jobs of one sweep with what was composed so far."""

    def __init__(self, loader: Any, master: "DictConfig", jobs: Sequence[Sequence[str]]) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create(config_loader=loader)
        self._loader = loader
        self._master = master
        self._parsed: Any = cache(parser.parse_override)
        self._jobs = jobs
        self._common = set.intersection(*(set(words) for words in jobs)) if len(jobs) > 1 else set()
        self._bases: dict[tuple[str, ...], _Base] = {}

    def variants(self) -> list[Variant]:
        return [self._named(number, words) for number, words in enumerate(self._jobs, 1)]

    def _named(self, number: int, words: Sequence[str]) -> Variant:
        """A job; what is wrong with it alone is told with its number and choices."""
        try:
            return self._variant(words)
        except DistillError as error:
            if number == 1 and self._mistake(self._jobs[-1]) == str(error):  # nothing that is swept
                raise
            choices = " ".join(map(str, self._choices(words)))
            raise type(error)(f"job {number} of {len(self._jobs)} ({choices}): {error}") from error

    def _mistake(self, words: Sequence[str]) -> str | None:
        try:
            self._variant(words)
        except DistillError as error:
            return str(error)
        return None

    def _variant(self, words: Sequence[str]) -> Variant:
        try:
            return Variant(self._choices(words), self._settings(words, self._swept(words)))
        except Exception as error:
            raise translate(error) from error

    def _swept(self, words: Sequence[str]) -> list[str]:
        return [word for word in words if word not in self._common] if len(self._jobs) > 1 else []

    def _choices(self, words: Sequence[str]) -> tuple[Choice, ...]:
        return tuple(_choice(self._parsed(word)) for word in self._swept(words))

    def _settings(self, words: Sequence[str], swept: Sequence[str]) -> "Settings":
        """From the base of all words that are not just values."""
        values = [word for word in swept if self._is_value(word, words)]
        rest = tuple(word for word in words if word not in values)
        if rest not in self._bases:
            self._bases[rest] = _Base(self._loader.load_sweep_config(self._master, list(words)))
        return self._bases[rest].settings([self._parsed(word) for word in values])

    def _is_value(self, word: str, words: Sequence[str]) -> bool:
        """Whether `word` puts a value into a place of its own, and does nothing else."""
        override: Override = self._parsed(word)
        key = override.key_or_group
        others = [self._parsed(other).key_or_group for other in words if other != word]
        return (
            not (override.is_add() or override.is_delete() or override.package)
            and not self._loader.repository.group_exists(key)
            and not isinstance(override.value(), dict)
            and "${" not in word
            and not any(f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.") for other in others)
        )


def _choice(override: "Override") -> Choice:
    """A swept word as a person would say it."""
    value = override.value()
    typed = override.get_value_element_as_str()
    text = unescape_interpolations(value) if isinstance(value, str) else typed
    return Choice(override.get_key_element().lstrip("+"), text)


class _Base:
    """One composed configuration, and what it resolves to. Every job of it says all of its swept values anew."""

    def __init__(self, composed: "DictConfig") -> None:
        self._composed = composed
        self._choices = {str(key): str(option) for key, option in composed.hydra.runtime.choices.items()}
        self._data = plain_data(composed)
        self._references = _references(composed)

    def settings(self, values: "Iterable[Override]") -> "Settings":
        """The settings with these values in their places."""
        from hydra._internal.config_loader_impl import ConfigLoaderImpl

        overrides = list(values)
        ConfigLoaderImpl._apply_overrides_to_config(overrides, self._composed)
        for key in self._reached({override.key_or_group.partition(".")[0] for override in overrides}):
            self._data[key] = resolved(self._composed, key)
        return settings_from(self._data, self._choices)

    def _reached(self, keys: set[str]) -> set[str]:
        """`keys` and all that refer to them."""
        more = {
            other
            for other, text in self._references.items()
            if NESTED.search(text) or any(re.search(rf"\b{re.escape(key)}\b", text) for key in keys)
        } - keys
        return self._reached(keys | more) if more else keys


def _references(composed: "DictConfig") -> dict[str, str]:
    """The text of every top-level setting that refers to another one."""
    from omegaconf import OmegaConf

    raw: Any = OmegaConf.to_container(composed, resolve=False)
    texts = {str(key): repr(value) for key, value in raw.items() if key != "hydra"}
    return {key: text for key, text in texts.items() if "${" in text}
