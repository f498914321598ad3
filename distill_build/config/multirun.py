"""Words of a sweep → the settings of every job. Knows Hydra and OmegaConf.

    compose_sweep     a command line's words → what Hydra composes for the sweep itself
    combinations      words with several values → the words of each job
    variants_of       the words of each job → its settings

To compose a configuration takes a hundred times as long as to put another value into one. So what is composed is one
base for each distinct set of group choices (`model=a,b`), into which the other swept values are put one job after the
other. A value that this could get wrong (it adds a key, is a dictionary, refers to others, or lies in another swept
one) makes a base of its own, and so does every job where a setting refers to Hydra's.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from distill_build.config.errors import translate
from distill_build.config.free_text import unescape_interpolations
from distill_build.config.keys import check_model_nodes
from distill_build.config.resolution import Composition, settings_from
from distill_build.errors import ConfigurationError, DistillError, UsageError
from distill_build.sweeps.jobs import Choice, Variant, is_of_all, refuse_swept, told_with

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

    from distill_build.settings import Settings

OURS = {
    "launcher": "hydra_plugins.distill_build_union.UnionLauncher",
    "sweeper": "hydra_plugins.distill_build_union.UnionSweeper",
}
"""The plugins that conf/hydra/ names."""
BATCH_SIZE = "max_batch_size"
FOLDERS = re.compile(r"\+*hydra\.sweep\.(dir|subdir)=")
NESTED = re.compile(r"\$\{[^}]*\$\{")
"""An interpolation whose name is made by another one: it may refer to anything."""
OF_HYDRA = re.compile(r"\bhydra\b")
NUMBER = re.compile(r"(?<!\\)\$\{\s*hydra[:.]job\.(?:num|id)\s*\}")


class ComposedSweep(msgspec.Struct, frozen=True):
    """`master` is what Hydra composes for a sweep itself, `words` its settings as typed, with what is escaped."""

    loader: Any
    master: "DictConfig"
    words: list[str]

    @property
    def is_plain(self) -> bool:
        """Whether the sweeper and the launcher are ours, and nobody else is to be told of jobs."""
        hydra = self.master.hydra
        more = hydra.callbacks or hydra.job.env_set or hydra.job.chdir or hydra.sweeper.get(BATCH_SIZE)
        return not more and all(hydra[kind].get("_target_") == target for kind, target in OURS.items())

    def variants(self) -> list[Variant]:
        """Every combination of the values. Raises ConfigurationError as `variants_of` does."""
        return variants_of(self.loader, self.master, self.combinations())

    def combinations(self) -> list[list[str]]:
        """The words of each job."""
        return combinations(self.loader, self.master.hydra.sweeper.params, self.words)


def compose_sweep(loader: Any, primary: str, overrides: list[str]) -> ComposedSweep:
    """What Hydra composes before it looks at the jobs.

    Raises what it raises, UsageError for folders of its own, and ConfigurationError for batches of no size.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    if folders := [word for word in overrides if FOLDERS.match(word)]:
        raise UsageError(
            f"{folders[0]}: a sweep lies with its dataset, and its jobs are named by what they choose; set output_dir"
        )
    overrides = [*overrides, "hydra.mode=MULTIRUN"]
    master = loader.load_configuration(primary, overrides, run_mode=RunMode.MULTIRUN)
    refuse_batches_of(master.hydra.sweeper.get(BATCH_SIZE))
    HydraConfig.instance().set_config(master)
    OmegaConf.set_readonly(master.hydra, None)  # plugins are set up in it
    words: Any = OmegaConf.to_container(master.hydra.overrides.task, resolve=False)
    return ComposedSweep(loader, master, words)


def refuse_batches_of(size: object) -> None:
    """Raises ConfigurationError for a size that no batch of jobs has; None stands for all jobs in one."""
    if size is not None and (type(size) is not int or size < 1):
        raise ConfigurationError(
            f"hydra.sweeper.{BATCH_SIZE}={size}: expected a whole number from 1, or null for all jobs at once"
        )


def parsed_overrides(loader: Any, words: Sequence[str]) -> "list[Override]":
    """Words as Hydra understands them."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create(config_loader=loader).parse_overrides(list(words))


def combinations(loader: Any, params: Mapping[str, Any] | None, words: Sequence[str]) -> list[list[str]]:
    """Every combination of the values in `params` and `words`, the last setting changing fastest.

    Raises ConfigurationError for a word that cannot be read, whose values cannot be listed, or that has none.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    extra = [f"{key}={value}" for key, value in (params or {}).items()]
    try:
        overrides = parsed_overrides(loader, [*extra, *words])
        (jobs,) = BasicSweeper.split_arguments(overrides, None)
    except Exception as error:
        raise translate(error) from error
    if not jobs:
        raise without_values(overrides)
    return jobs


def without_values(overrides: "Iterable[Override]") -> ConfigurationError:
    """The sentence for a word, one of several, that leaves no job: range(3,1), or a glob that matches nothing."""
    empty = next(each for each in overrides if each.is_sweep_override() and not any(each.sweep_string_iterator()))
    return ConfigurationError(f"{empty.input_line} has no values, so there is no job: list some, as in seed=1,2")


def variants_of(
    loader: Any, master: "DictConfig", jobs: Sequence[Sequence[str]], common: frozenset[str] | None = None
) -> list[Variant]:
    """The settings of each job. Raises ConfigurationError for the first that cannot be, with its values.

    `master` is the configuration that Hydra composes for the sweep itself, `common` the words that all jobs have in
    common, where `jobs` are not all of them.
    """
    return _Composer(loader, master, jobs, common).variants()


def in_common(jobs: Iterable[Sequence[str]]) -> frozenset[str]:
    """The words that all jobs have in common."""
    return frozenset.intersection(*map(frozenset, jobs))


class _Composer:
    """The jobs of one sweep with what was composed so far."""

    def __init__(
        self, loader: Any, master: "DictConfig", jobs: Sequence[Sequence[str]], common: frozenset[str] | None
    ) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        parser = OverridesParser.create(config_loader=loader)
        self._loader = loader
        self._master = master
        self._parsed: Any = cache(parser.parse_override)
        self._jobs = jobs
        self._common = in_common(jobs) if common is None else common
        self._bases: dict[tuple[tuple[str, ...], tuple[str, ...]], _Base] = {}

    def variants(self) -> list[Variant]:
        refuse_swept(choice.key for words in self._jobs for choice in self._choices(words))
        return [self._named(words) for words in self._jobs]

    def _named(self, words: Sequence[str]) -> Variant:
        """A job; what is wrong with it alone is told with its choices."""
        try:
            return self._variant(words)
        except DistillError as error:
            if words is self._jobs[0] and is_of_all(error, lambda: self._variant(self._jobs[-1])):
                raise
            raise told_with(self._choices(words), error) from error

    def _variant(self, words: Sequence[str]) -> Variant:
        try:
            return Variant(self._choices(words), self._settings(words, self._swept(words)))
        except Exception as error:
            raise translate(error) from error

    def _swept(self, words: Sequence[str]) -> list[str]:
        return [word for word in words if word not in self._common]

    def _choices(self, words: Sequence[str]) -> tuple[Choice, ...]:
        """What a job chooses, by key: in whatever order it is typed, it is the same job."""
        choices = (_choice(self._parsed(word)) for word in self._swept(words))
        return tuple(sorted(choices, key=lambda choice: choice.key))

    def _settings(self, words: Sequence[str], swept: Sequence[str]) -> "Settings":
        """From the base of all words that are not just values, and of the places of the values."""
        values = [word for word in swept if self._is_value(word, words)]
        overrides = [self._parsed(word) for word in values]
        rest = tuple(word for word in words if word not in values)
        key = rest, tuple(override.key_or_group for override in overrides)
        if key not in self._bases or self._bases[key].refers_to_hydra:
            self._bases[key] = _Base(self._loader.load_sweep_config(self._master, list(words)))
        return self._bases[key].settings(overrides)

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
    """One composed configuration, and what it resolves to. Every job of it says the same places anew.

    Raises ConfigurationError for a reference to the number of a job.
    """

    def __init__(self, composed: "DictConfig") -> None:
        from hydra.core.hydra_config import HydraConfig

        HydraConfig.instance().set_config(composed)
        self._composed = composed
        self._choices = {str(key): str(option) for key, option in composed.hydra.runtime.choices.items()}
        self._composition = Composition(composed, self._choices)
        self._references = _references(self._composition.raw)
        _refuse_numbers(self._references)
        check_model_nodes(self._composition.raw, self._choices)
        self._data = self._composition.data({}, self._composition.raw)

    @property
    def refers_to_hydra(self) -> bool:
        """Whether a setting does: what Hydra says of a job is composed, and cannot be put in."""
        return any(OF_HYDRA.search(text) for text in self._references.values())

    def settings(self, values: "Iterable[Override]") -> "Settings":
        """The settings with these values in their places."""
        from hydra._internal.config_loader_impl import ConfigLoaderImpl

        overrides = list(values)
        ConfigLoaderImpl._apply_overrides_to_config(overrides, self._composed)
        changed = {override.key_or_group.partition(".")[0] for override in overrides}
        self._composition.read_again(changed)
        self._data = self._composition.data(self._data, self._reached(changed))
        return settings_from(self._data, self._choices)

    def _reached(self, keys: set[str]) -> set[str]:
        """`keys` and all that refer to them."""
        more = {
            other
            for other, text in self._references.items()
            if NESTED.search(text) or any(re.search(rf"\b{re.escape(key)}\b", text) for key in keys)
        } - keys
        return self._reached(keys | more) if more else keys


def _refuse_numbers(references: Mapping[str, str]) -> None:
    for key, text in references.items():
        if number := NUMBER.search(text):
            raise ConfigurationError(
                f"{key} has {number[0]} in it, and a job is known by what it chooses, not by its number: leave it out"
            )


def _references(raw: Mapping[str, Any]) -> dict[str, str]:
    """The text of every top-level setting that refers to another one."""
    texts = {key: repr(value) for key, value in raw.items()}
    return {key: text for key, text in texts.items() if "${" in text}
