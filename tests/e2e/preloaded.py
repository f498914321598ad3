"""What the process that commands are forked from has done once for all of them: imports, and one composition.

Most of the half second that a command's start takes goes into Hydra's parsers, which build their tables as they meet
text. It reads settings and makes no file.
"""

import importlib
import pkgutil

import hydra._internal.core_plugins

import distill_build
import hydra_plugins.distill_build_union  # noqa: F401 - no other launcher's plugin: Ray's takes seconds
from distill_build.config.composition import run

for package in (distill_build, hydra._internal.core_plugins):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

run(["topic=one of them", "depth=2", "breadth=[3,2]", "model.name=x"], lambda _: 0, lambda _: 0)
