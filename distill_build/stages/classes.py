"""The classes that carry stages out, ours by their names, and what they tell of a stage by its settings alone."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import fields

from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.replies.labels import ListReading
from distill_build.settings import Settings, StageSettings, graph_of
from distill_build.stages.kinds.base import Stage
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.stages.kinds.transform_stage import TransformStage

BUILTIN = Path(__file__).parent / "builtin"
"""Where ours are."""
KINDS: Mapping[str, type[Stage]] = {
    "list": ListStage,
    "map": MapStage,
    "transform": TransformStage,
    "group": GroupStage,
}


def class_of(kind: str, builtin: str | None) -> type[Stage]:
    """What carries a stage out: a class of ours, or that of its kind.

    Raises ConfigurationError where there is no such stage of ours, or it is of another kind.
    """
    if builtin is None:
        return KINDS[kind]
    if builtin in _ours() and issubclass(found := _ours_called(builtin), KINDS[kind]):
        return found
    raise ConfigurationError(
        f"builtin={builtin} makes no {kind}: ours are {', '.join(_ours())}, and a file that builds on one begins with "
        "'defaults: [answers, _self_]'"
    )


@cache
def _ours() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in BUILTIN.glob("*.py") if not path.stem.startswith("_")))


def _ours_called(builtin: str) -> type[Stage]:
    found: type[Stage] = import_module(f"{__package__}.builtin.{builtin}").Builtin
    return found


def settings_type_of(builtin: object) -> type[StageSettings]:
    """What the file of a stage may say, by the name of the one of ours that carries it out; what each may, where there
    is no such."""
    if isinstance(builtin, str) and builtin in _ours():
        return _ours_called(builtin).settings_type
    return StageSettings


class Follower(msgspec.Struct, frozen=True):
    """A stage of ours, the key of its own by which it follows a setting that stands by itself, and that one's value
    where nobody has set it."""

    stage: str
    key: str
    usual: Any


@cache
def followers_of_ours() -> dict[str, Follower]:
    """By the name of the setting: `answers_per_question`, or `dedup.near` under the node of a stage."""
    return {
        setting: Follower(
            name, key, _usual(settings_type_of(name), key) if "." in setting else _usual(Settings, setting)
        )
        for name in _ours()
        for setting, key in _ours_called(name).followers.items()
    }


def _usual(kind: type[msgspec.Struct], key: str) -> Any:
    """The default of a field, as a configuration holds it."""
    default = next(field for field in fields(kind) if field.name == key)
    made = default.default_factory() if default.default is msgspec.NODEFAULT else default.default
    return msgspec.to_builtins(made)


def tree_reading(settings: Settings) -> ListReading:
    """How the lists that the tree grows by are read."""
    own = settings.stage[graph_of(settings).tree.name]
    kind = class_of(own.kind, own.builtin)
    assert issubclass(kind, ListStage), "a tree grows by lists"  # noqa: S101
    return kind.reading


def item_column(own: StageSettings) -> str:
    """The column with the text of an item of a list."""
    kind = class_of(own.kind, own.builtin)
    assert issubclass(kind, ListStage), "a list has items"  # noqa: S101
    return kind.reading.item


def replies_in_json(settings: Settings, shape: Shape, role: str) -> bool:
    """Whether a role's replies to a stage are asked for with a schema. A text needs none, and thinks first."""
    own = settings.stage[shape.name]
    kind = class_of(own.kind, own.builtin)
    if not issubclass(kind, MapStage):
        return True
    form = kind.form_by(msgspec.to_builtins(own))
    asked = form.has_reasoning and settings.models[role].reasoning == "prompted"
    return form.schema is not None and not asked
