"""Which keys a configuration has, and the sentences for one that it does not have, or lacks.

They are made from the types in `distill_build.settings`, so they cannot fall behind them.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from distill_build.config.stage_checks import unknown_stage
from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings
from distill_build.records import as_typed
from distill_build.settings import Settings, StageSettings
from distill_build.stages.classes import followers_of_ours, settings_type_of

Data = dict[str, Any]
WORKED_OUT = frozenset({"models", "idle_prompts", "own_fields", "by_hand", "reviews", "unread"})
"""Fields of `Settings` that are made of others, or of files: no configuration has keys of these names."""
FOLLOWS = "same"
"""The model file of a role that follows `model`."""
MOST_NAMED = 3
"""Settings that a model file lacks, named one by one."""
ANY_KEYS = re.compile(
    r"[\w-]+\.extra_body\.|stage\.[\w-]+\.(schema|answer_schema|columns|export|names|axes)\.|axes\.|answer\.schema\."
)
"""Keys below settings whose keys are the user's own."""


def nodes_of_stages() -> frozenset[str]:
    """The top-level keys under which settings of stages of ours stand by themselves, as in dedup.near."""
    return frozenset(key.partition(".")[0] for key in settings_of_nodes())


def settings_of_nodes() -> list[str]:
    """The settings that stand under these keys."""
    return [key for key in followers_of_ours() if "." in key]


def known_keys(struct: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting's dotted key, those of `model` and `local` and the config groups included.

    Those of stages and roles are not among them: which there are, a configuration says.
    """
    yield from (f"{prefix}{key}" for key in keys_of_type(struct))
    if struct is Settings:
        yield from ("model", *known_keys(ModelSettings, "model."), "local", "local.path", "objective", "recipe")
        yield from (*sorted(nodes_of_stages()), *settings_of_nodes())


@cache
def keys_of_type(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """The dotted keys of a type's fields: each command asks for them by the dozen, and msgspec evaluates hints anew."""
    keys: list[str] = []
    for field in msgspec.structs.fields(struct):
        if struct is Settings and field.name in WORKED_OUT:
            continue
        keys.append(field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            keys += (f"{field.name}.{key}" for key in keys_of_type(field.type))
    return tuple(keys)


def keys_of_nodes(stages: Mapping[str, Data], roles: Collection[str]) -> Iterator[str]:
    """The dotted keys of these stages and roles."""
    for role in roles:
        yield from (role, f"model@{role}", *known_keys(ModelSettings, f"{role}."))
    for stage, own in stages.items():
        yield from (f"stage.{stage}", *known_keys(settings_type_of(own.get("builtin")), f"stage.{stage}."))


def unknown_key(key: str, there: Collection[str] = ()) -> ConfigurationError:
    """The sentence for a setting that does not exist, with the nearest one that does.

    `there` are the keys of the configuration, as far as they are known: stages and roles have some of their own.
    """
    if key == "stage":
        return ConfigurationError(
            "stage holds the settings of each stage, as stage.<name>.<key>; stages=[…] chooses them"
        )
    if ANY_KEYS.match(key):
        return ConfigurationError(f"{key} is not there yet: a key of your own is added with +{key}=…")
    if key.startswith("stage.") and there:
        return unknown_stage_key(key, there)
    if key in known_keys() or (there and "model" not in there):
        return gone_key(key)
    known = sorted({*known_keys(), *there})
    if key.startswith("model@"):
        return role_of_no_stage(key, [each.removeprefix("model@") for each in known if each.startswith("model@")])
    node, _, own = key.rpartition(".")
    if beside := [each.removeprefix(f"{node}.") for each in known if each.rpartition(".")[0] == node != ""]:
        near, otherwise = nearest_key(own, beside), f"{node} has {', '.join(beside)}"
        near = near and f"{node}.{near}"
    else:
        near, otherwise = nearest_key(key, known), "distill-build --cfg job lists them all"
    return ConfigurationError(f"unknown setting '{key}': " + (f"did you mean '{near}'?" if near else otherwise))


def role_of_no_stage(key: str, known: Collection[str]) -> ConfigurationError:
    """The sentence for a model that is chosen for a role which no stage asks."""
    near = nearest_key(key.removeprefix("model@"), known)
    hint = f"did you mean 'model@{near}'? " if near else ""
    return ConfigurationError(f"unknown setting '{key}': {hint}No stage has this role; there are {', '.join(known)}")


def nearest_key(typed: str, known: Collection[str]) -> str | None:
    """What somebody who typed this meant: `temp` begins temperature, though its letters are nearer to stream."""
    begun = [each for each in known if each.startswith(typed)] if len(typed) > 1 else []
    return next(iter(begun or difflib.get_close_matches(typed, known, n=1)), None)


def unknown_stage_key(key: str, there: Collection[str]) -> ConfigurationError:
    """The sentence for a stage that does not exist, or has no such key. `there` are the keys of the configuration."""
    name, _, rest = key.removeprefix("stage.").partition(".")
    stages = [each.split(".")[1] for each in sorted(there) if each.count(".") == 1 and each.startswith("stage.")]
    near_name = [name] if name in stages else difflib.get_close_matches(name, stages, n=1)
    beside = [each.split(".")[2] for each in there if near_name and each.startswith(f"stage.{near_name[0]}.")]
    keys = list(dict.fromkeys([*StageSettings.__struct_fields__, *beside]))
    near_key = [rest] if not rest or rest.partition(".")[0] in keys else difflib.get_close_matches(rest, keys, n=1)
    if not near_name:
        return unknown_stage(name, stages)
    if not near_key:
        return ConfigurationError(f"unknown setting '{key}': a stage has {', '.join(keys)}")
    nearest = ".".join(["stage", *near_name, *filter(None, near_key)])
    return ConfigurationError(f"unknown setting '{key}': did you mean '{nearest}'?")


def gone_key(key: str) -> ConfigurationError:
    """The sentence for a setting that the configuration does not have, though every one of ours does."""
    return ConfigurationError(
        f"the configuration has no '{key}': a project's own conf/distill.yaml begins with "
        "'defaults: [base, _self_]', and a setting that is not wanted is null rather than removed"
    )


def check_keys(data: Data, stages: Collection[str], roles: Collection[str]) -> None:
    """Raises ConfigurationError for the first key that no setting has, and for one that is gone."""
    known = {*known_keys(), *keys_of_nodes(data["stage"], roles)}
    in_force = {name: data["stage"][name] for name in stages}
    written = set(written_keys({**data, "stage": in_force}))
    unknown = sorted(key for key in written - known if not ANY_KEYS.match(key))
    if unknown:
        raise unknown_key(unknown[0], known)
    if gone := gone_keys({*known_keys(), *keys_of_nodes(in_force, roles)}, written):
        raise gone_key(gone[0])


def gone_keys(known: set[str], written: set[str]) -> list[str]:
    """The keys among `known` that are not written, though others beside them are."""
    nodes = {key.rpartition(".")[0] for key in written}
    absent = (known - written) - {"recipe"}
    return sorted(key for key in absent if "@" not in key and key.rpartition(".")[0] in nodes | {""})


def written_keys(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every dotted key that stands in `data`."""
    for name, value in data.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from written_keys(value, f"{prefix}{name}.")


def check_model_nodes(data: Mapping[Any, Any], choices: Mapping[str, str]) -> None:
    """Whether `data`, in which nothing need be resolved, has all settings of a model in each place where one belongs.

    `choices` are the options of config groups. Raises ConfigurationError for a model file that lacks some, and for a
    role that is a word (`teacher=deepseek`) in place of settings.
    """
    groups = [str(group) for group in choices if str(group).startswith("model@")]
    for node, group in (("model", "model"), *((group.partition("@")[2], group) for group in groups)):
        if node not in data:
            raise gone_key(node)
        if isinstance(word := data[node], str):
            raise ConfigurationError(f"{node}={word}: a role's model is chosen with model@{node}={word}")
        if choices.get(group) == FOLLOWS and not isinstance(data[node], dict):
            raise ConfigurationError(
                f"{node}={as_typed(data[node])}: a role holds the settings of its model, as {node}.temperature; leave "
                "it out, and it follows model"
            )
        written = set(written_keys(data[node])) if isinstance(data[node], dict) else set()
        if gone := gone_keys(set(known_keys(ModelSettings)), written):
            raise ConfigurationError(
                f"model/{choices.get(group)}.yaml, which {group} chooses, lacks {', '.join(gone[:MOST_NAMED])}"
                f"{' and more' * (len(gone) > MOST_NAMED)}: a model file begins with "
                "'defaults: [openai_compatible, _self_]' and says below what is different, null where a setting is "
                "not wanted"
            )
