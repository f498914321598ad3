"""One composed configuration → `Settings`, with everything resolved once. Knows OmegaConf."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distill_build.config_errors import translate

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from distill_build.settings import Settings

HYDRA = "hydra"


def settings_of(composed: "DictConfig", choices: Mapping[str, str]) -> "Settings":
    """The settings in one composed configuration. `choices` are the options of its config groups."""
    return settings_from(plain_data(composed, choices), choices)


def plain_data(composed: "DictConfig", choices: Mapping[str, str]) -> dict[str, Any]:
    """All top-level settings as plain data; None for a missing topic, `???` for what else is missing.

    Raises ConfigurationError for a model file that lacks settings, before any that follow them are resolved.
    """
    from omegaconf import OmegaConf

    from distill_build.conversion import check_models

    raw: Any = OmegaConf.to_container(composed, resolve=False)
    check_models(raw, choices)
    return {str(key): resolved(composed, str(key)) for key in composed if key != HYDRA}


def resolved(composed: "DictConfig", key: str) -> Any:
    """The plain data under one top-level key, with all interpolations resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if OmegaConf.is_missing(composed, key):
        return None if key == "topic" else "???"
    try:
        value = composed[key]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException as error:
        raise translate(error) from error


def settings_from(data: Mapping[str, Any], choices: Mapping[str, str]) -> "Settings":
    """The settings in resolved data, which stays as it is."""
    from distill_build.conversion import to_settings

    return to_settings(with_bodies(data, choices))


def with_bodies(data: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """`data` with the model's extra_body beneath that of a role that follows it, as in a model file of its own."""
    followers = {key.partition("@")[2] for key, option in choices.items() if option == "same"}
    return {key: with_body(value, data) if key in followers else value for key, value in data.items()}


def with_body(node: Any, data: Mapping[str, Any]) -> Any:
    """A role's node with the model's extra_body beneath its own."""
    if not (isinstance(node, dict) and isinstance(node.get("extra_body"), dict)):
        return node
    return node | {"extra_body": {**data["model"]["extra_body"], **node["extra_body"]}}
