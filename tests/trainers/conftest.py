"""These tests need the extra `trainers`: `make test-trainers` runs them in an environment that has it."""

from importlib.util import find_spec

if any(find_spec(name) is None for name in ("datasets", "torch", "transformers", "trl")):
    collect_ignore_glob = ["test_*.py"]
