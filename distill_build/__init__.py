"""distill-build: distillation datasets from a declaration, built incrementally."""

__version__ = "0.1.0"
