"""distill-build: distillation datasets from a declaration, built incrementally."""
