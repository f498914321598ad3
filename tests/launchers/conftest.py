"""These tests need the extra `launchers`: `make test-launchers` runs them in an environment that has it."""

from importlib.util import find_spec

PLUGINS = ("joblib_launcher", "ray_launcher", "submitit_launcher", "optuna_sweeper")

if any(find_spec(f"hydra_plugins.hydra_{name}") is None for name in PLUGINS):
    collect_ignore_glob = ["test_*.py"]
