"""The files of a configuration: how one is read, and which stages and roles there are. Knows Hydra's sources.

    YamlSource     what Hydra reads files with: our own, by libyaml, and each once as long as it does not change
    find_stages    every conf/stage/*.yaml on the search path → the node that base.yaml begins with, a file of our conf/
                   for Hydra. In its ConfigStore it would be copied again and again: a sixth of a composition.

Hydra composes what a defaults list names, so the files are looked for before it begins. A stage's file that begins with
no other stage is put into the node as it is: each entry of a list costs Hydra 1 to 4 ms. Of what stands in one
only the keys are looked at here; whether they make a stage is for `config.stage_checks` to say, once they are composed.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import GrammarParseError

from distill_build.errors import ConfigurationError
from distill_build.project import seen
from distill_build.settings import StageSettings
from distill_build.stages.classes import settings_type_of

PRIMARY = "distill"
GROUP = "stage"
FOUND = "stages_found"
"""The name of the node that `find_stages` makes."""
RECIPE = "recipe"
NO_RECIPE = "basic"
SELF = "_self_"
BASE = "base"
ROLE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
TYPED_ROLE = re.compile(r"\+{0,2}stage\.[\w-]+\.role=(.*)", re.DOTALL)
NO_ROLES = frozenset({"model", "hydra", "stage", "recipe"})
"""Nodes of a configuration that are no settings of base.yaml, and cannot be those of a role either."""


class YamlSource(FileConfigSource):
    """Reads a file as Hydra's own does, but faster, gives three kinds a little more, and has the node of all stages.

    The primary file gets recipe=basic at its end, where it names no recipe: what a recipe says counts more than what
    the file does. A stage's file gets all keys of a stage, so that each can be set, and lies where a stage belongs
    whatever its header says; a recipe's settings are those of the build.
    """

    primary = PRIMARY
    packed = Path()
    found: "FoundStages"

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        self.primary = YamlSource.primary  # they travel with the source into the processes of other launchers
        self.packed = YamlSource.packed
        self.found = YamlSource.found

    def __deepcopy__(self, memo: object) -> "YamlSource":
        """Itself: Hydra copies sources before it composes, and nothing changes one."""
        return self

    def is_config(self, config_path: str) -> bool:
        """See Hydra's ConfigSource."""
        return self._is_found(config_path) or super().is_config(config_path)

    def _is_found(self, config_path: str) -> bool:
        return config_path.removesuffix(".yaml") == FOUND and Path(self.path) == self.packed

    def load_config(self, config_path: str) -> ConfigResult:
        """See Hydra's ConfigSource."""
        if self._is_found(config_path):
            return ConfigResult(self.provider, self.full_path(), self.found.composable(), {"package": None})
        full_path = os.path.realpath(Path(self.path, self._normalize_file_name(config_path)))
        if not os.path.exists(full_path):  # noqa: PTH110 - as Hydra's own
            raise ConfigLoadError(f"Config not found : {full_path}")
        header, data = read(full_path)
        name = config_path.removesuffix(".yaml")
        if name == self.primary:
            data = with_recipe(data)
        elif name.startswith(f"{GROUP}/"):
            data = on_ours(data, name.removeprefix(f"{GROUP}/"), self.packed)
            header, data = {"package": None}, with_all_keys(data)
        elif name.startswith(f"{RECIPE}/"):
            header = {"package": "_global_"}
        config = composable(full_path, data)
        return ConfigResult(self.provider, self.full_path(), config, header)


class PackageSource(ImportlibResourcesConfigSource):
    """Reads what lies in a package, as Hydra's own files do, but faster."""

    def _read_config(self, res: Any) -> ConfigResult:
        """See Hydra's ImportlibResourcesConfigSource; `res` may lie in an archive."""
        if not isinstance(res, Path):
            return super()._read_config(res)
        header, data = read(str(res))
        return ConfigResult(self.provider, self.full_path(), composable(str(res), data), header)


def composable(full_path: str, data: Any) -> Any:
    """What stands in a file, as OmegaConf holds it. Raises ConfigurationError for half a reference."""
    try:
        return OmegaConf.create() if data is None else OmegaConf.create(data)
    except GrammarParseError as error:
        raise half_a_reference(seen(Path(full_path)), error.full_key) from error


def half_a_reference(file: str, key: str | None) -> ConfigurationError:
    """The sentence for a text with a ${ that begins no reference which could be read."""
    return ConfigurationError(
        f"{file}: {key} has a ${{ that does not read as a reference to another setting, as ${{topic}} is: "
        "for the text itself write \\${, and \\\\${ within YAML's double quotes"
    )


YamlSource.__name__ = FileConfigSource.__name__
PackageSource.__name__ = ImportlibResourcesConfigSource.__name__
"""In the processes of other launchers Hydra registers its own anew, and refuses it beside one of another name."""


def take_over(primary: str, packed: Path) -> None:
    """Has Hydra read files by `YamlSource` and `PackageSource`. `primary` is the name of the primary file, `packed` our
    own conf/."""
    YamlSource.primary, YamlSource.packed = primary, packed
    SourcesRegistry.instance().types |= {"file": YamlSource, "pkg": PackageSource}


def with_recipe(data: Any) -> Any:
    """What stands in a primary file, and behind it recipe=basic. Overrides stand last: Hydra wants them there."""
    if not isinstance(data, dict) or not isinstance(listed := data.get("defaults"), list):
        return data
    if any(isinstance(item, dict) and RECIPE in item for item in listed):
        return data
    own = [item for item in listed if not is_override(item)]
    return data | {
        "defaults": [
            *own,
            *[SELF] * (SELF not in own),
            {RECIPE: NO_RECIPE},
            *(item for item in listed if item not in own),
        ]
    }


def is_override(item: Any) -> bool:
    """Whether an item of a defaults list overrides another one."""
    return isinstance(item, dict) and any("override" in str(key).split() for key in item)


def on_ours(data: Any, name: str, packed: Path) -> Any:
    """What stands in a stage's file; where it begins with its own name, above what stands in ours of that name.

    It is found in the place of ours, and Hydra would look for itself there.
    """
    if not isinstance(data, dict) or bases(data) not in ([name], [name, SELF]):
        return data
    ours = packed / GROUP / f"{name}.yaml"
    own = {key: value for key, value in data.items() if key != "defaults"}
    return laid_over(read(os.path.realpath(ours))[1], own) if ours.is_file() else data


def laid_over(below: Any, above: Any) -> Any:
    """`above`, with what only `below` has; Hydra puts files together so."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: laid_over(below[key], value) if key in below else value for key, value in above.items()}


def with_all_keys(data: Any) -> Any:
    """What stands in a stage's file above the defaults of all keys, unless it builds on another one, which has them."""
    if data is None or (isinstance(data, dict) and not set(bases(data)) - {SELF}):
        return stage_defaults(settings_type_of((data or {}).get("builtin"))) | (data or {})
    return data


def bases(data: Mapping[str, Any]) -> list[Any]:
    """What a file begins with."""
    listed = data.get("defaults")
    return listed if isinstance(listed, list) else []


@cache
def stage_defaults(settings_type: type[StageSettings]) -> dict[str, Any]:
    """All keys of a stage; what has no default is null."""
    import msgspec

    stage = msgspec.convert({"kind": "map"}, settings_type)
    keys: dict[str, Any] = msgspec.to_builtins(stage)
    return keys | {"kind": None}


# ---- Reading ----


def read(full_path: str) -> tuple[dict[str, str | None], Any]:
    """Header and content of a YAML file, which are not to be changed. Raises what the reader raises."""
    about = os.stat(full_path)  # noqa: PTH116 - paths are texts here, as in Hydra
    return _parsed(full_path, (about.st_mtime_ns, about.st_size, about.st_ino))


@lru_cache(maxsize=256)
def _parsed(full_path: str, version: tuple[int, ...]) -> tuple[dict[str, str | None], Any]:  # noqa: ARG001 - a key of the cache
    """`read`, once for each version of a file."""
    import yaml

    with Path(full_path).open(encoding="utf-8-sig") as file:
        header = FileConfigSource._get_header_dict(file.read(512))
        file.seek(0)
        data = yaml.load(file, Loader=loader())  # noqa: S506 - a SafeLoader
    if data is not None and not isinstance(data, list | dict | str):
        raise OSError(f"Invalid loaded object type: {type(data).__name__}")
    return header, data


@cache
def loader() -> Any:
    """OmegaConf's way to read YAML on libyaml, which takes a tenth of the time; without libyaml as it is."""
    safe = get_yaml_loader()
    try:
        from yaml._yaml import CParser
    except ImportError:
        return safe
    from yaml.constructor import SafeConstructor
    from yaml.resolver import Resolver

    class Loader(CParser, safe):  # type: ignore[misc, valid-type]
        def __init__(self, stream: Any) -> None:
            CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return Loader


# ---- Stages and roles ----


class StageFile(NamedTuple):
    """Where the file of a stage lies, and what stands in it."""

    full_path: str
    content: Mapping[str, Any]

    @property
    def builds_on_others(self) -> bool:
        return bool(set(bases(self.content)) - {SELF})

    @property
    def whole(self) -> dict[str, Any]:
        """All keys of a stage that builds on no other."""
        return {key: value for key, value in with_all_keys(self.content).items() if key != "defaults"}


class FoundStages(NamedTuple):
    """The node of all stages and roles, and the files that it is made of, by stage."""

    node: dict[str, Any]
    files: Mapping[str, StageFile]

    def composable(self) -> Any:
        """The node, as OmegaConf holds it. Raises ConfigurationError for half a reference."""
        try:
            return OmegaConf.create(self.node)
        except GrammarParseError:
            for file in self.files.values():
                composable(file.full_path, file.content)  # raises what tells the file
            raise


def find_stages(
    folders: Sequence[Path], packed: Path, primary: str, words: Iterable[str], *, are_all: bool = True
) -> None:
    """Has `YamlSource` know the node of all stages and roles. `folders` are those of the search path, first come first.

    Roles are those that a stage's file names, and those that `words` or the primary file give a stage. Where Hydra
    looks into other places too (`are_all`), it has to find the files itself: one there may come before these.

    Raises ConfigurationError for a file that has the name of one of ours where it may not, or begins with anything but
    stages.
    """
    files = stage_files(folders, packed, primary)
    named = [file.content.get("role") for file in files.values()]
    project = first_content(folders, primary).get(GROUP)
    for settings in project.values() if isinstance(project, dict) else ():
        named.append(settings.get("role") if isinstance(settings, dict) else None)
    taken = NO_ROLES | set(first_content([packed], BASE))
    typed = (role for word in words if (match := TYPED_ROLE.fullmatch(word)) for role in ROLE_NAME.findall(match[1]))
    roles = dict.fromkeys([*(role for value in named for role in roles_in(value)), *typed])
    by_hydra = [name for name, file in files.items() if file.builds_on_others or not are_all]
    node = {
        "defaults": [
            SELF,
            *(f"{GROUP}/{name}@{GROUP}.{name}" for name in by_hydra),
            *({f"model@{role}": "same"} for role in roles if role not in taken and role != "null"),
        ],
        GROUP: {name: file.whole for name, file in files.items() if name not in by_hydra},
    }
    YamlSource.found = FoundStages(node, files)


def roles_in(value: Any) -> list[str]:
    """The roles in what a stage says of them, as far as they are names."""
    values = value if isinstance(value, list) else [value]
    return [role for role in values if isinstance(role, str) and ROLE_NAME.fullmatch(role)]


def stage_files(folders: Sequence[Path], packed: Path, primary: str) -> dict[str, StageFile]:
    """The file of each stage, ours first.

    Beside a primary file all files are stages. Elsewhere they may be another program's: then those are, which look so.
    """
    where = {folder: names_in(folder / GROUP) for folder in dict.fromkeys([packed, *folders])}
    known = {SELF, *(name for names in where.values() for name in names)}
    found: dict[str, StageFile] = {}
    for folder in (packed, *(folder for folder in folders if folder != packed)):
        ours = folder == packed or any((folder / f"{name}.yaml").is_file() for name in (primary, PRIMARY))
        for name in where[folder]:
            file = folder / GROUP / f"{name}.yaml"
            content = read(full_path := os.path.realpath(file))[1]
            if not ours and not looks_like_a_stage(content, known):
                continue
            if not ours and name in where[packed]:
                raise ConfigurationError(
                    f"{seen(file)}: the name is taken, by a stage of ours: give yours another name, and begin it with "
                    f"'defaults: [{name}, {SELF}]' to build on ours. Beside a conf/{primary}.yaml it may take its place"
                )
            check_file(seen(file), content, known)
            if name not in found or found_first(folder, folders, name, where):
                found[name] = StageFile(full_path, on_ours(content, name, packed) or {})
    return found


def found_first(folder: Path, folders: Sequence[Path], name: str, where: Mapping[Path, Sequence[str]]) -> bool:
    """Whether `folder` is the first of the search path that has a stage of this name."""
    return next((each for each in folders if name in where[each]), folder) == folder


def names_in(folder: Path) -> list[str]:
    """The options of a config group in one folder."""
    try:
        return sorted(name.removesuffix(".yaml") for name in os.listdir(folder) if name.endswith(".yaml"))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def looks_like_a_stage(content: Any, known: set[str]) -> bool:
    """Whether a file says its kind, or begins with stages alone."""
    if not isinstance(content, dict):
        return False
    begins = bases(content)
    return "kind" in content or (bool(begins) and all(isinstance(item, str) and item in known for item in begins))


def check_file(name: str, content: Any, known: set[str]) -> None:
    """Raises ConfigurationError for a file that cannot be composed as a stage, or would bring more than stages."""
    if content is not None and not isinstance(content, dict):
        raise ConfigurationError(f"{name} is no stage: a stage has settings with names, as in 'kind: map'")
    for item in bases(content or {}):
        if not isinstance(item, str) or item not in known:
            raise ConfigurationError(
                f"{name} begins with {item!r}, which is no stage: the 'defaults' of a stage name other stages, as in "
                f"'defaults: [answers, {SELF}]'"
            )


def first_content(folders: Iterable[Path], name: str) -> Mapping[str, Any]:
    """What stands in the first file of this name; nothing where there is none."""
    for _, content in chain_of(folders, name):
        return content
    return {}


def chain_of(folders: Iterable[Path], name: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """A file of the search path and what stands in it, then those files that it begins with."""
    searched = list(folders)
    waiting, seen_names = [name], {name}
    while waiting:
        here = waiting.pop(0)
        file = next((path for folder in searched if (path := folder / f"{here}.yaml").is_file()), None)
        content = read(os.path.realpath(file))[1] if file is not None else None
        if file is not None and isinstance(content, dict):
            yield file, content
            more = [item for item in bases(content) if isinstance(item, str) and item not in {SELF, *seen_names}]
            seen_names.update(more)
            waiting += more


def refuse_recipe(recipe: str, folders: Sequence[Path], packed: Path, primary: str) -> None:
    """Raises ConfigurationError for a typed recipe where a project's own file says already which stages there are."""
    for file, content in chain_of(folders, primary):
        if "stages" in content and file.parent != packed:
            raise ConfigurationError(
                f"{recipe} says which stages there are, and so does {seen(file)}: leave out the recipe, or take "
                "'stages' out of that file"
            )
