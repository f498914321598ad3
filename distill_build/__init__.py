"""distill-build: distillation datasets from a declaration, built incrementally."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_build.interface import LoadedDataset, PastVersion, PlanResult, build, load, plan

__all__ = ["LoadedDataset", "PastVersion", "PlanResult", "build", "load", "plan"]


def __getattr__(name: str) -> object:
    """The Python interface, when it is asked for: commands start without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from distill_build import interface

    return getattr(interface, name)
