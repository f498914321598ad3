"""Hydra's composition of the packed files, worked out once for all tests: it takes half of the time of a small build.

What is remembered lies before any value: the defaults list for a choice of groups, and what its files come to. Words
are read and values put in as ever. What runs in tests/config or in a process of `Workspace.start` composes as users do;
tests/config/test_composed_once.py holds one against the other.
"""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from distill_build.config.composition import packed_conf
from distill_build.config.files import YamlSource

Key = tuple[object, ...]

work_out_defaults = config_loader_impl.create_defaults_list
put_together = ConfigLoaderImpl._compose_config_from_defaults_list
lists: dict[Key, Any] = {}
configurations: dict[Key, bytes] = {}


def files_of(repo: Any) -> Key:
    """What tells apart the files that a configuration is made of: the packed ones by place, others by content.

    No test changes a packed file.
    """
    sources = [(source.scheme(), source.path) for source in repo.get_sources()]
    return (
        *(contents(Path(path)) if is_own(scheme, path) else path for scheme, path in sources),
        *map(str, YamlSource.found.node["defaults"]),
    )


def is_own(scheme: str, path: str) -> bool:
    """Whether a folder of the search path is a test's own."""
    return scheme == "file" and path != str(packed_conf())


def contents(folder: Path) -> Key:
    """What stands in all configuration files of a folder."""
    return tuple((str(file.relative_to(folder)), file.read_bytes()) for file in sorted(folder.rglob("*.y*ml")))


def is_value(override: Override, repo: Any) -> bool:
    """Whether Hydra leaves a word alone until the files are put together."""
    return isinstance(override.value(), dict) or not repo.group_exists(override.key_or_group)


def defaults_list(
    repo: Any, config_name: str | None, overrides_list: Sequence[Override], prepend_hydra: bool, skip_missing: bool
) -> Any:
    """As Hydra's own."""
    words = [each for each in overrides_list if not each.is_sweep_override()]
    values = [each for each in words if is_value(each, repo)]
    choices = [each for each in words if each not in values]
    key = (files_of(repo), config_name, prepend_hydra, skip_missing, *(each.input_line for each in choices))
    if key not in lists:
        lists[key] = work_out_defaults(repo, config_name, choices, prepend_hydra, skip_missing)
    return replace(lists[key], config_overrides=values)


def configuration(loader: ConfigLoaderImpl, defaults: Sequence[Any], repo: Any) -> DictConfig:
    """As Hydra's own."""
    key = (files_of(repo), *(repr(each) for each in defaults))
    if key not in configurations:
        configurations[key] = pickle.dumps(put_together(loader, defaults, repo))
    return pickle.loads(configurations[key])  # noqa: S301 - our own, of this process


def look_up(remembering: CachingConfigRepository, repo: Any) -> None:
    """As Hydra's own, which copies the sources, too: what it does to them is to list others."""
    remembering.delegate = copy(repo)
    remembering.cache = {}


@contextmanager
def composed_once() -> Iterator[None]:
    """Composes so until the context ends."""
    with (
        patch.object(config_loader_impl, "create_defaults_list", defaults_list),
        patch.object(ConfigLoaderImpl, "_compose_config_from_defaults_list", configuration),
        patch.object(CachingConfigRepository, "__init__", look_up),
    ):
        yield
