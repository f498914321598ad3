"""What the process that commands are forked from has done once for all: imports, compositions, prompts compiled.

Most of the half second that a command's start takes goes into Hydra's parsers, which build their tables as they meet
text, and into putting files together. It reads settings and makes no file.
"""

import concurrent.futures.thread  # noqa: F401 - this one and the next three are imported where they are needed first
import importlib
import pkgutil
import tomllib  # noqa: F401 - as the first
from contextlib import suppress
from string import ascii_letters, digits

import hydra._internal.core_plugins
from hydra.core.override_parser.overrides_parser import OverridesParser

import distill_build
import hydra_plugins.distill_build_union  # noqa: F401 - no other launcher's plugin: Ray's takes seconds
from distill_build.config.composition import run
from distill_build.prompting.files import SUFFIX, TemplateFiles, packed_folder
from distill_build.prompting.rendering import RenderingError
from distill_build.prompting.templates import Templates
from tests.e2e.composed_once import composed_once

MODEL = ("model=openai_compatible", "model.base_url=http://127.0.0.1:1/v1", "model.name=x")
CHOICES = ((), ("recipe=judged",), ("recipe=s1",), ("-m",))
"""What most commands choose, beside the model of the server."""
WRITTEN = (
    f"key={ascii_letters}-{digits}_/x.y:z",
    f"+a.{ascii_letters}{digits}_@b.c=[a,b c,1,-2.5,1e3,true,null,{{a:1,b:[x]}}]",
    f"""key='{ascii_letters}{digits} .,:;?!-/(){{}}[]@"'""",
    f"""key="{ascii_letters}{digits} .,:;?!-/(){{}}[]@'\"""",
    "key=${a.b}",
    "~key",
    "key=",
)
"""Overrides with all in them that others are written with."""


def nothing(_: object) -> int:
    """A command that does so."""
    return 0


for package in (distill_build, hydra._internal.core_plugins):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

kept = composed_once()
kept.__enter__()  # for as long as the process lives, and its name keeps it
for words in CHOICES:
    run(["topic=one of them", "breadth=[3,2]", *MODEL, *words], nothing, nothing)
OverridesParser.create().parse_overrides(list(WRITTEN))
for folder in packed_folder().iterdir():
    templates = Templates(TemplateFiles(folder.name, None))
    for path in folder.glob(f"*{SUFFIX}"):
        templates.uses(path.stem, "")
        with suppress(RenderingError):  # it is compiled by then
            templates.render(path.stem, {})
