"""The names that a user knows for the places in a build's identity (`Session.identity`)."""

from typing import get_args

from distill_build.settings import ROLE_OF_STAGE, Stage


def setting_name(part: str, place: str) -> str:
    """The name that a user knows: `sampling.temperature` of the answers is `teacher.temperature`."""
    head, _, rest = place.partition(".")
    if part not in get_args(Stage):
        return f"format.{place}" if place in ("reasoning", "metadata") else place
    role = ROLE_OF_STAGE[part]  # type: ignore[index]  # checked just above
    match head:
        case "prompt":
            return rest
        case "seed" | "language" | "system_prompt" | "scheme":
            return place
        case "per_request":
            return f"per_request.{part}"
        case "sampling":
            return f"{role}.{rest}"
        case "model":
            return f"{role}.name"
        case "weights":
            return f"{role}.path (its digest)"
    return f"{role}.{place}"
