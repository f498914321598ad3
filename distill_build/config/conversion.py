"""Plain data, as a configuration resolves to, → `Settings`. A mistake in it becomes one sentence.

Knows nothing of Hydra: see `distill_build.config.composition`. The sentences are made from the types in
`distill_build.settings`, so they cannot fall behind them.
"""

import json
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from distill_build.config.answer_schema import with_schemas_read
from distill_build.config.axes import read_axes
from distill_build.config.checks import check_address, check_settings, check_topic, not_text, objective_names
from distill_build.config.keys import Data, check_keys, gone_key, nodes_of_stages, settings_of_nodes, unknown_stage_key
from distill_build.config.naming import check_name, dataset_name
from distill_build.config.stage_checks import check_graph, check_stage, kind_of, stages_in_force
from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings
from distill_build.models.dialect import as_embedder
from distill_build.records import as_typed
from distill_build.settings import Settings, StageSettings
from distill_build.stages.classes import class_of, followers_of_ours, settings_type_of
from distill_build.stages.embedders import embedding_roles

Struct = TypeVar("Struct", bound=msgspec.Struct)
NOT_OF_A_BUILD = frozenset({"model", "local", "objective"})
"""Top-level keys that other keys refer to, or a sweep goes by, and that no build reads."""
ROLE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
TAKEN_BY_SETTINGS = frozenset(Settings.__struct_fields__) | {"hydra", "recipe"}


def to_settings(data: Data) -> Settings:
    """The typed settings of `data`. Raises ConfigurationError with the key, its value and what it takes."""
    check_nodes_of_stages(data.get("stage"))
    data = with_schemas_read(data)
    names = stages_in_force(data.get("stages"), data["stage"])
    roles = roles_of(data, names)
    check_builtins(data["stage"], names)
    check_keys(data, names, roles)
    of_others = {*NOT_OF_A_BUILD, *roles, *nodes_of_stages()}
    build = {key: value for key, value in data.items() if key not in of_others}
    build["topic"] = check_topic(data["topic"])
    build["axes"] = read_axes("axes", data["axes"])
    if not isinstance(data["name"], str | None):
        raise not_text("name", data["name"])
    build["name"] = dataset_name(data["topic"]) if data["name"] is None else check_name(data["name"])
    for lists in ("formats", "trainers"):
        build[lists] = [data[lists]] if isinstance(data[lists], str) else data[lists]
    followed = convert({**data["model"], "name": data["model"]["name"] or ""}, ModelSettings, "model.")
    plain = convert(build | {"stages": names, "stage": {}, "models": {}}, Settings)
    stages = {name: to_stage(name, data["stage"][name]) for name in names}
    models = with_embedders({role: to_model(role, data) for role in roles}, stages)
    objective_names(data["objective"])
    check_graph(names, stages)
    check_followed(data, stages)
    if data["axes"] and not any(getattr(stage, "axes", None) for stage in stages.values()):
        raise ConfigurationError(
            f"axes={as_typed(data['axes'])} does nothing: no stage among stages=[{','.join(names)}] follows it: put "
            "questions there, or leave axes out"
        )
    idle = prompts_of_others(data["stage"], names)
    own = {role: fields_of_its_own(model, followed) for role, model in models.items()}
    settings = replace(plain, stage=stages, models=models, idle_prompts=idle, own_fields=own)
    check_settings(settings)
    return settings


def check_nodes_of_stages(stages: Any) -> None:
    """Whether what stands under `stage` are the settings of stages, each with a file of its own."""
    if not isinstance(stages, dict):
        raise gone_key("stage")
    files = [name for name, node in stages.items() if not isinstance(node, dict) or "builtin" in node]
    for name, node in stages.items():
        if not isinstance(node, dict):
            raise ConfigurationError(
                f"stage.{name}={as_typed(node)}: a stage has settings of its own, as stage.{name}.<key>; one that is "
                "not wanted is left out of stages=[…]"
            )
        if name not in files:  # what a file says has all keys
            raise unknown_stage_key(f"stage.{name}", [f"stage.{each}" for each in files])


def check_builtins(stages: Mapping[str, Data], names: Collection[str]) -> None:
    """Raises ConfigurationError for a stage that is of another kind than the one of ours that it names: which settings
    it has follows from both."""
    for name in names:
        if (builtin := stages[name].get("builtin")) is not None:
            class_of(kind_of(name, stages[name]), builtin)


def to_model(role: str, data: Data) -> ModelSettings:
    """The model of one role."""
    check_address(role, data[role], data["model"])
    return convert({**data[role], "extra_body": as_sent(data[role]["extra_body"])}, ModelSettings, f"{role}.")


def with_embedders(
    models: Mapping[str, ModelSettings], stages: Mapping[str, StageSettings]
) -> dict[str, ModelSettings]:
    """`models`, those as embedders that are asked for embeddings. Raises ConfigurationError for one that is asked for
    completions too, or that says by itself what it is asked for."""
    embedding, completing = embedding_roles(stages)
    for role, model in models.items():
        if role in embedding & completing or (model.engine == "openai_embeddings" and role not in embedding):
            raise ConfigurationError(
                f"{role} is asked for completions and would be for embeddings too: give the stage that asks for these "
                "a role of its own, as in role: embedder, and leave engine as the model's file has it"
            )
    return {role: as_embedder(model, role) if role in embedding else model for role, model in models.items()}


def fields_of_its_own(model: ModelSettings, followed: ModelSettings) -> tuple[str, ...]:
    """The fields of a role's model that are not those of `followed`: all of one that is another model elsewhere."""
    fields = model.__struct_fields__
    differing = tuple(field for field in fields if getattr(model, field) != getattr(followed, field))
    return fields if {"name", "base_url"} <= set(differing) or "engine" in differing else differing


def to_stage(name: str, data: Data) -> StageSettings:
    """One stage's settings, which are checked for themselves."""
    kind_of(name, data)
    names = data.get("names") if data.get("builtin") == name else None
    if "axes" in data:
        data = data | {"axes": read_axes(f"stage.{name}.axes", data["axes"])}
    stage = convert(data, settings_type_of(data.get("builtin")), f"stage.{name}.", names or {})
    check_stage(name, stage)
    return stage


def check_followed(data: Data, stages: Mapping[str, StageSettings]) -> None:
    """Raises ConfigurationError for a setting that no stage in force follows: one of a stage does nothing without it;
    any does nothing where a stage in the place of ours does not take it over."""
    for key in settings_of_nodes():
        node = key.partition(".")[0]
        if not isinstance(data[node], dict):
            raise ConfigurationError(
                f"{node}={as_typed(data[node])}: these are settings of a stage, each by itself, as in {key}; whether "
                "it works at all is for stages=[…] to say"
            )
    for key, follower in followers_of_ours().items():
        node, _, field = key.rpartition(".")
        value, own = data[node][field] if node else data[key], stages.get(follower.stage)
        if value == follower.usual or (own is None and not node):
            continue
        if own is None:
            raise ConfigurationError(
                f"{key}={as_typed(value)} does nothing: {follower.stage} is not among stages=[{','.join(stages)}]: put "
                f"it there, or leave {key} out"
            )
        follows = msgspec.to_builtins(own).get(follower.key) == value
        if not follows and (node or own.builtin != follower.stage):  # others reach more than the stage, say the exports
            raise ConfigurationError(
                f"{key}={as_typed(value)}: this project's own conf/stage/{follower.stage}.yaml does not follow it: say "
                f"{follower.key}: ${{{key}}} there, or leave {key} out"
            )


def prompts_of_others(stages: Mapping[str, Data], in_force: Collection[str]) -> tuple[str, ...]:
    """The prompts of those stages that are not in force; one whose kind is misspelt may have one too."""
    others = {name: stage for name, stage in stages.items() if name not in in_force and isinstance(stage, dict)}
    asking = {name: stage for name, stage in others.items() if stage.get("kind") not in ("transform", "group")}
    return tuple(sorted({str(stage.get("prompt") or name) for name, stage in asking.items()}))


def roles_of(data: Data, names: Collection[str]) -> list[str]:
    """The roles that the stages in force ask. Raises ConfigurationError for one without a node, or that cannot be."""
    roles: dict[str, None] = {}
    for name in names:
        value = data["stage"][name].get("role")
        for role in value if isinstance(value, list) else [value] * (value is not None):
            check_role(name, role, data)
            roles[role] = None
    return list(roles)


def check_role(stage: str, role: Any, data: Data) -> None:
    """Whether `role` can be the name of one, and has a node with a model."""
    key = f"stage.{stage}.role={as_typed(role)}"
    if not isinstance(role, str) or not ROLE_NAME.fullmatch(role):
        raise ConfigurationError(f"{key}: a role's name has small letters, digits, - and _, and begins with a letter")
    if role in NOT_OF_A_BUILD | TAKEN_BY_SETTINGS | nodes_of_stages():
        raise ConfigurationError(f"{key}: the name is taken, by a setting: give the role another one, as in judge")
    if role not in data:
        raise ConfigurationError(
            f"{key}: this role has no settings, since no stage's file names it: write 'role: {role}' into "
            f"conf/stage/{stage}.yaml, or type stage.{stage}.role={role}"
        )


def as_sent(extra_body: Any) -> Any:
    """`extra_body` as its JSON reads: YAML has keys that are numbers, JSON spells them as text."""
    return json.loads(json.dumps(extra_body))


def convert(
    data: Data, struct: type[Struct], prefix: str = "", names: Mapping[str, str] = MappingProxyType({})
) -> Struct:
    """`data` as `struct`. Raises ConfigurationError naming the key, its value and what it takes.

    `names` are what keys are called elsewhere; the others begin with `prefix`.
    """
    try:
        return msgspec.convert(data, struct)
    except msgspec.ValidationError as error:
        key, value, wanted = find_mistake(str(error), data, struct)
        typed = names.get(key, f"{prefix}{key}")
        if isinstance(value, bool | int | float) and "text" in wanted.split(" or "):
            raise not_text(typed, value) from None
        if isinstance(value, list) and wanted.endswith("of text") and (other := _first_other(value)) is not None:
            raise not_text(f"{typed} has an item", other) from None
        raise ConfigurationError(f"{typed}={as_typed(value)}: expected {wanted}") from None


def find_mistake(message: str, data: Data, struct: type[msgspec.Struct]) -> tuple[str, Any, str]:
    """Key, value and expectation of the setting that msgspec's `message` (`… - at `$.a.b[0]``) is about."""
    path = re.search(r"`\$\.([\w.]+)", message)
    key = path[1] if path else ""
    value: Any = data
    expected: msgspec.inspect.Type = msgspec.inspect.type_info(struct)
    for name in key.split("."):
        value = value[name]
        if not isinstance(expected, msgspec.inspect.StructType):
            break
        expected = next(field.type for field in expected.fields if field.name == name)
    return key, value, describe(expected)


def _first_other(values: list[Any]) -> Any:
    """The first item of a list that is to hold texts and is a number or a truth value, which YAML makes of some."""
    return next((value for value in values if isinstance(value, bool | int | float)), None)


def describe(expected: msgspec.inspect.Type) -> str:
    """What a type takes, in words."""
    match expected:
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            number = "a whole number" if isinstance(expected, msgspec.inspect.IntType) else "a number"
            low = f" from {expected.ge}" if expected.ge is not None else ""
            return number + low + (f" to {expected.le}" if expected.le is not None else "")
        case msgspec.inspect.StrType(pattern=str()):
            return "text that is not blank"
        case msgspec.inspect.LiteralType():
            return "one of " + ", ".join(map(str, expected.values))
        case msgspec.inspect.ListType():
            return f"a list as in [a,b] of {describe(expected.item_type)}"
        case msgspec.inspect.VarTupleType():
            return f"a list of {describe(expected.item_type)}"
        case msgspec.inspect.TupleType():
            return f"[{', '.join(map(describe, expected.item_types))}]"
        case msgspec.inspect.DictType(value_type=msgspec.inspect.StrType() | msgspec.inspect.UnionType()):
            return "keys and texts as in {key: text}"
        case msgspec.inspect.UnionType():
            return " or ".join(map(describe, expected.types))
        case msgspec.inspect.StructType():
            return "settings of its own: " + ", ".join(field.name for field in expected.fields)
    return PLAIN_WORDS[type(expected)]


PLAIN_WORDS: dict[type[msgspec.inspect.Type], str] = {
    msgspec.inspect.StrType: "text",
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.NoneType: "null",
    msgspec.inspect.DictType: "keys and values as in {key: value}",
    msgspec.inspect.AnyType: "any value",
}
