"""Recipes of made-up stages, as a build writes down what it was made of."""

from typing import Any


def asking(role: str, *, model: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """The part of a stage that asks `role`, whose model differs from a plain one in `model`."""
    return {"scheme": 1, "role": [role], "models": {role: {"model": "plain", **(model or {})}}, **settings}


def recipe(**parts: dict[str, Any]) -> dict[str, Any]:
    """A recipe with these stages in their order, beside the parts that are none."""
    stages = [name for name in parts if name not in ("tree", "counts", "export")]
    return {**parts, "graph": {"stages": stages}}
