"""Which stages ask for embeddings, and which embeddings a stage goes by."""

from collections.abc import Container, Mapping
from typing import Any

from distill_build.settings import Settings, StageSettings

EMBEDDINGS, DEDUP = "embeddings", "dedup"
"""What carries them out."""
BY_MEANING = "meaning"
VECTOR = "vector"
"""The column of their rows: whole numbers of 8 bits, in base64."""


def goes_by_meaning(likeness: Any, near: Any) -> bool:
    """Whether a stage with these settings compares meanings: where only equal texts are the same, none does."""
    return likeness == BY_MEANING and near is not None


def with_embeddings(stages: Any, nodes: Any, chosen: Container[str]) -> Any:
    """`stages` with one that asks for embeddings before each that goes by meaning and lacks it, where a model is chosen
    for its role. `nodes` are the settings of all stages that there are, as far as they are as they should be."""
    if not isinstance(stages, list) or not isinstance(nodes, dict):
        return stages
    found: list[Any] = []
    for name in stages:
        node = nodes.get(name) if isinstance(name, str) else None
        if isinstance(node, dict) and node.get("builtin") == DEDUP and _goes_by_meaning(node):
            own = _embeddings_for(node, nodes, chosen)
            found += [own] if own is not None and own not in stages and own not in found else []
        found.append(name)
    return found


def _goes_by_meaning(node: Mapping[str, Any]) -> bool:
    return goes_by_meaning(node.get("likeness"), node.get("near", "auto"))


def _embeddings_for(node: Mapping[str, Any], nodes: Mapping[str, Any], chosen: Container[str]) -> str | None:
    """The stage that asks a chosen role for embeddings of the rows that a stage judges; None where there is none."""
    asking = {
        name: each for name, each in nodes.items() if isinstance(each, dict) and each.get("builtin") == EMBEDDINGS
    }
    after = node.get("after")
    return next(
        (name for name, each in asking.items() if each.get("role") in chosen and each.get("after") == after), None
    )


def embeddings_before(stage: str, settings: Settings) -> str | None:
    """The stage before this one that has the embeddings of the rows that it judges; None where there is no such."""
    own = settings.stage[stage]
    before = settings.stages[: settings.stages.index(stage)]
    return next((name for name in before if _is_of(settings.stage[name], own.after)), None)


def _is_of(stage: StageSettings, after: str | None) -> bool:
    return stage.builtin == EMBEDDINGS and stage.after == after


def embedding_roles(stages: Mapping[str, StageSettings]) -> tuple[set[str], set[str]]:
    """The roles that are asked for embeddings, and those that are asked for completions."""
    found: tuple[set[str], set[str]] = (set(), set())
    for stage in stages.values():
        found[stage.builtin != EMBEDDINGS].update(stage.roles)
    return found
