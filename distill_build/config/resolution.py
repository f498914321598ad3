"""One composed configuration → `Settings`, with everything resolved once. Knows OmegaConf.

Most settings that refer to another one are that one alone (`name: ${model.name}`), which is looked up here. All other
references are OmegaConf's, which parses a grammar for each and takes a hundred times as long.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from distill_build.config.errors import translate
from distill_build.errors import ConfigurationError
from distill_build.project import from_root
from distill_build.stages.dialogue import unrolled, with_turns
from distill_build.stages.embedders import with_embeddings

if TYPE_CHECKING:
    from omegaconf import DictConfig, Node

    from distill_build.settings import Settings

HYDRA = "hydra"
MISSING = "???"
REFERENCE = re.compile(r"\$\{([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\}")
"""A setting that is another one, and nothing else."""
OF_A_SECRET = re.compile(
    r"(.*_)?((API_?KEY|SECRET|PASS|PASSWORD|PASSWD|PASSPHRASE|PAT|AUTH|CREDENTIALS?|PRIVATE)(_.*)?|(KEY|TOKEN)(_V?\d+)?)",
    re.IGNORECASE,
)
"""Names of variables whose values stand in no file. Words are whole between underscores: PATH and PATTERN are none of
these. What is behind a KEY or TOKEN says another thing of it most often, as in TOKEN_LIMIT."""
WRITTEN_DOWN = re.compile(
    r"system_prompt|stage\.[\w-]+\.(system_prompt|prompt|where|(labels|schema|answer_schema|columns|export)\b.+)"
    r"|answer\.(labels|schema)\b.+|[\w-]+\.extra_body\..*"
)
"""Texts of a user's own that distill.lock repeats, whatever they hold."""
FOLLOWED_NAME = "${model.name}"
OF_STAGES = ("stages", "stage")
"""The keys that say which roles a build has, so that the models of others need not be resolved."""


def settings_of(composed: "DictConfig", choices: Mapping[str, str]) -> "Settings":
    """The settings in one composed configuration. `choices` are the options of its config groups."""
    return settings_from(plain_data(composed, choices), choices)


def plain_data(composed: "DictConfig", choices: Mapping[str, str]) -> dict[str, Any]:
    """All top-level settings as plain data; None for a missing topic, `???` for what else is missing.

    What stands under `stage` are all stages that there are, resolved for those in force; of roles, those that these
    ask. Raises ConfigurationError for a model file that lacks settings, before any that follow them are resolved.
    """
    from distill_build.config.keys import check_model_nodes

    composition = Composition(composed, choices)
    check_model_nodes(composition.raw, choices)
    return composition.data({}, composition.raw)


class Composition:
    """A composed configuration and its plain form, in which references stand as they are written: `raw`."""

    def __init__(self, composed: "DictConfig", choices: Mapping[str, str]) -> None:
        self.composed = composed
        self.raw: dict[str, Any] = {str(key): self._written(str(key)) for key in composed if key != HYDRA}
        self._models = frozenset(key.partition("@")[2] for key in choices if key.startswith("model@"))

    def read_again(self, keys: Iterable[str]) -> None:
        """Takes in what has changed in the composed configuration, below these top-level keys."""
        self.raw |= {key: self._written(key) for key in keys}

    def data(self, before: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        """The resolved settings: `before`, with what stands under the top-level `keys` resolved anew."""
        data = dict(before)
        anew = set(keys)
        if not anew.isdisjoint({*OF_STAGES, *self._models}):
            data["stages"], data["stage"] = self._in_force()
        asked = roles_asked(data["stages"], data["stage"])
        for key in self.raw:
            if key in OF_STAGES:
                continue
            if key in self._models and key not in asked:
                data.pop(key, None)
            elif key in anew or key not in data:
                data[key] = self._resolved(key)
        return with_folders(data)

    def _in_force(self) -> tuple[Any, Any]:
        """The names of the stages in force, and the settings of all."""
        named = self._resolved("stages")
        nodes = self._stages(named)
        names = with_embeddings(named, nodes, chosen := self._chosen())
        for role in self._models - chosen:
            if with_embeddings(named, nodes, {*chosen, role}) != names:
                self._refuse_nameless(role)
        names = with_turns(names, nodes)
        return unrolled(names, nodes if names == named else self._stages(names))

    def _refuse_nameless(self, role: str) -> None:
        """Raises ConfigurationError for a setting of a role that would be asked if a model were named for it."""
        if (field := first_of_its_own(self.raw.get(role))) is not None:
            raise ConfigurationError(
                f"{role}.{field} does nothing: no model is named for {role}, and the packed one compares: say which it "
                f"is, as in {role}.name=text-embedding-3-small, or leave {role}.{field} out"
            )

    def _chosen(self) -> set[str]:
        """The roles for which a model is named that is not the one which all others follow."""
        nodes = {role: self.raw.get(role) for role in self._models}
        return {role for role, node in nodes.items() if isinstance(node, dict) and node.get("name") != FOLLOWED_NAME}

    def _stages(self, in_force: Any) -> Any:
        written = self.raw.get("stage")
        if not isinstance(written, dict):
            return self._resolved("stage")
        names = in_force if isinstance(in_force, list) else []
        return {
            name: self._resolved("stage", name) if name in names else settings for name, settings in written.items()
        }

    def _written(self, key: str) -> Any:
        return as_written(self.composed._get_node(key))

    def _resolved(self, *place: str) -> Any:
        """What stands at a place, with all references in it."""
        value: Any = self.raw
        for name in place:
            value = value.get(name, MISSING)
        if value == MISSING:
            return None if place == ("topic",) else MISSING
        try:
            return self._filled(value)
        except (LookupError, RecursionError):
            return resolved_by_omegaconf(self.composed, *place)

    def _filled(self, value: Any) -> Any:
        """`value` with the settings that it refers to. Raises LookupError for what is left to OmegaConf."""
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str) or not ("$" in value or value == MISSING):
            return value
        if (reference := REFERENCE.fullmatch(value)) is None:
            raise LookupError(value)
        found: Any = self.raw
        for name in reference[1].split("."):
            if not isinstance(found, dict):
                raise LookupError(value)  # noqa: TRY004 - what is not there is looked for, whatever is in its place
            found = found[name]
        return self._filled(found)


def as_written(node: Any) -> Any:
    """A node as plain data, in which references and `???` stand as they are. OmegaConf's own asks each item about both,
    which takes twelve times as long."""
    value = node._value()
    if isinstance(value, dict):
        return {key: as_written(item) for key, item in value.items()}
    return [as_written(item) for item in value] if isinstance(value, list) else value


def first_of_its_own(node: Any, place: str = "") -> str | None:
    """The first setting of a role's node, as it is written, that does not follow `model`; None where all do."""
    for key, value in node.items() if isinstance(node, dict) else ():
        found = first_of_its_own(value, f"{place}{key}.") if isinstance(value, dict) else f"{place}{key}"
        if found is not None and value != f"${{model.{place}{key}}}":
            return found
    return None


def with_folders(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the folders that are named to the user as they are reached from the working directory."""
    named = dict(data)
    if _is_named(output := data.get("output_dir")):
        named["output_dir"] = from_root(output)
    for key in ("cache", "prompts"):
        if isinstance(node := data.get(key), dict) and _is_named(place := node.get("dir")):
            named[key] = node | {"dir": from_root(place)}
    return named


def _is_named(folder: Any) -> TypeGuard[str]:
    return isinstance(folder, str) and folder.strip() != ""


def environment(variable: str, *default: Any, _node_: "Node") -> Any:
    """`${oc.env:…}` of OmegaConf, which gives the `_node_` that it stands in.

    Raises ConfigurationError for what would write a secret into files that are meant for git. It is refused where it is
    read, since a reference may be written in many ways.
    """
    from omegaconf.resolvers import oc

    key = str(_node_._get_full_key(None))
    secret = OF_A_SECRET.fullmatch(variable) and not key.endswith(".api_key_env")
    if not key.startswith(f"{HYDRA}.") and (secret or WRITTEN_DOWN.fullmatch(key)):
        raise ConfigurationError(
            f"{key} is the environment variable {variable}, and its value may be a secret, which stands in no file: "
            "write the text itself there; the key of an endpoint is named by api_key_env"
        )
    return oc.env(variable, *default)


def resolved_by_omegaconf(composed: "DictConfig", *place: str) -> Any:
    """The plain data at a place, as OmegaConf resolves it."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_new_resolver("oc.env", environment, replace=True)
    try:
        value: Any = composed
        for name in place:
            value = value[name]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException as error:
        raise translate(error) from error


def roles_asked(stages: Any, settings: Any) -> list[str]:
    """The roles that the stages in force name, as far as they are written as they should be."""
    if not isinstance(stages, list) or not isinstance(settings, dict):
        return []
    nodes = [settings[name] for name in stages if isinstance(name, str) and isinstance(settings.get(name), dict)]
    named = [node.get("role") for node in nodes]
    each = [role for value in named for role in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(role for role in each if isinstance(role, str)))


def settings_from(data: Mapping[str, Any], choices: Mapping[str, str]) -> "Settings":
    """The settings in resolved data, which stays as it is."""
    from distill_build.config.conversion import to_settings
    from distill_build.config.curation import with_parts_by_hand

    return with_parts_by_hand(to_settings(with_bodies(data, choices)))


def with_bodies(data: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """`data` with the model's extra_body beneath that of a role that follows it, as in a model file of its own."""
    followers = {key.partition("@")[2] for key, option in choices.items() if option == "same"}
    return {key: with_body(value, data) if key in followers else value for key, value in data.items()}


def with_body(node: Any, data: Mapping[str, Any]) -> Any:
    """A role's node with the model's extra_body beneath its own."""
    if not (isinstance(node, dict) and isinstance(node.get("extra_body"), dict)):
        return node
    return node | {"extra_body": {**data["model"]["extra_body"], **node["extra_body"]}}
