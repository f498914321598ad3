"""The direction of imports, and who alone may know which library: read from the source, so that it stays true."""

import ast
import re
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "distill_build"

MAY_IMPORT = {
    "errors": set(),
    "records": set(),
    "options": set(),
    "project": set(),
    "graph": {"errors"},
    "engine": {"errors"},
    "prompting": {"errors"},
    "soft_labels": {"records"},
    "models": {"errors", "records", "soft_labels"},
    "replies": {"errors", "records", "soft_labels"},
    "subtree": set(),
    "review": set(),
    "settings": {"graph", "models", "review", "subtree"},
    "curate": {"errors", "export", "replies", "review", "subtree"},
    "export": {"errors", "records", "settings", "soft_labels"},
    "calls": {"engine", "errors", "models", "records", "replies", "settings"},
    "dataset": {"engine", "errors", "export", "graph", "records", "review", "settings", "subtree"},
    "versions": {"dataset", "engine", "errors", "graph", "records", "review"},
    "stages": {
        *("calls", "dataset", "engine", "errors", "export", "graph"),
        *("models", "prompting", "records", "replies", "review", "settings", "soft_labels", "subtree"),
    },
    "history": {
        *("calls", "curate", "dataset", "engine", "errors", "export", "graph", "records"),
        *("replies", "review", "settings", "stages", "subtree", "versions"),
    },
    "report": {
        *("calls", "dataset", "engine", "errors", "graph", "history", "records", "review", "stages"),
    },
    "publish": {"dataset", "engine", "errors", "export", "records", "report", "stages"},
    "view": {
        *("curate", "dataset", "engine", "errors", "graph", "history", "records", "replies", "report", "review"),
        *("stages", "subtree"),
    },
    "builds": {
        *("cache", "calls", "dataset", "engine", "errors", "export", "graph", "history", "models", "options"),
        *("prompting", "records", "replies", "review", "settings", "soft_labels", "stages", "subtree", "versions"),
    },
    "cache": {
        *("dataset", "engine", "errors", "graph", "history", "records", "replies", "settings", "stages", "versions"),
    },
    "sweeps": {
        *("builds", "calls", "dataset", "engine", "errors", "export", "graph"),
        *("models", "options", "prompting", "records", "replies", "settings", "stages"),
    },
    "config": {
        *("builds", "curate", "dataset", "engine", "errors", "graph", "models"),
        *("options", "project", "records", "replies", "review", "settings", "stages", "subtree", "sweeps"),
    },
    "console": {"builds", "dataset", "export", "graph", "models", "records", "settings", "stages", "sweeps"},
    "commands": {
        *("builds", "cache", "config", "console", "dataset", "engine", "errors", "export", "graph", "history"),
        *("models", "options", "project", "prompting", "records", "replies", "review", "settings", "stages"),
        *("curate", "report", "soft_labels", "subtree", "sweeps", "versions", "view", "publish"),
    },
    "cli": {"commands", "config", "console", "errors", "options", "project", "settings", "sweeps"},
    "__main__": {"cli"},
    "interface": {"dataset", "errors", "export", "project", "records", "stages"},
    "__init__": {"interface"},
}
"""Room → rooms that it may import besides itself."""
COMMANDS_MAY_IMPORT = {
    "locate": set(),
    "make": {"locate"},
    "cache": {"locate"},
    "versions": {"locate"},
    "look": {"locate", "versions"},
    "curate": {"locate", "look"},
}
"""The same among the rooms of commands."""

ONLY_KNOWN_IN = {
    "hydra": {"config/composition.py", "config/files.py", "config/multirun.py", "config/launching.py"},
    "omegaconf": {
        "config/composition.py",
        "config/files.py",
        "config/resolution.py",
        "config/multirun.py",
        "config/launching.py",
    },
    "diskcache": {"engine/store.py"},
    "fsspec": {"cache/transfer/remote.py"},
    "aiohttp": {"models/openai_compatible.py", "view/server.py"},
    "jinja2": {
        "prompting/templates.py",
        "prompting/expression_code.py",
        "prompting/expressions.py",
        "prompting/chat_template.py",
        "prompting/inspection.py",
        "prompting/references.py",
        "prompting/rendering.py",
        "prompting/sandbox.py",
        "prompting/unconditional.py",
    },
    "huggingface_hub": {"publish/hub.py"},
    "jsonschema": {"replies/schemas.py"},
    "xllamacpp": {"models/embedded_server.py"},
    "pyarrow": {"export/parquet.py"},
    "numpy": {"stages/likeness/meaning.py", "stages/likeness/cosine.py"},
    "threadpoolctl": {"stages/likeness/cosine.py"},
    "safetensors": {"stages/likeness/meaning.py"},
    "tokenizers": {"stages/likeness/meaning.py", "stages/measures/tokens.py"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def imported(path: Path) -> frozenset[str]:
    """Every dotted name that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def rooms_imported(path: Path, within: str) -> set[str]:
    """The rooms directly in a package, as `distill_build`, from which a module imports."""
    names = {name.removeprefix(f"{within}.") for name in imported(path) if name.startswith(f"{within}.")}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_lies_below_it(path: Path) -> None:
    own, *within = (part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts)
    others = rooms_imported(path, "distill_build") - {own}
    assert others <= MAY_IMPORT[own], f"{path.name} imports {others - MAY_IMPORT[own]}"
    if own == "commands" and within != ["__init__"]:
        others = rooms_imported(path, "distill_build.commands") - {within[0]}
        assert others <= COMMANDS_MAY_IMPORT[within[0]], f"{path.name} imports {others}"


@pytest.mark.parametrize("rooms", [MAY_IMPORT, COMMANDS_MAY_IMPORT], ids=["all", "commands"])
def test_rooms_have_an_order(rooms: dict[str, set[str]]) -> None:
    TopologicalSorter(rooms).prepare()  # raises CycleError


def test_no_module_imports_one_that_imports_it() -> None:
    """Also not for its types, nor while it is at work: two that need each other are one, or lack what both stand on."""
    of_file = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in modules()}
    ours = {name.removesuffix(".__init__"): ast.parse(path.read_text()) for name, path in of_file.items()}
    needed = {
        name: {
            module if (module := f"{node.module}.{alias.name}") in ours else node.module
            for node in ast.walk(source)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for name, source in ours.items()
    }
    TopologicalSorter(needed).prepare()  # raises CycleError


@pytest.mark.parametrize("library", ONLY_KNOWN_IN)
def test_a_library_is_known_in_one_place(library: str) -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert users == ONLY_KNOWN_IN[library]


OURS = "|".join(sorted(path.stem for path in (PACKAGE.parent / "conf/stage").glob("*.yaml")))
STAGE_NAMED = re.compile(rf"""["']({OURS})["']|\.({OURS})\b""")
"""A stage of ours as a text of its own, or as an attribute."""
ORDINARY = {
    "attempts": "a column of failures.jsonl, and what a cache's entry holds: how often something was asked for",
    "embeddings": "what an endpoint is asked for, as completions are",
    "filter": "a kind of name in a template of jinja2",
    "select": "the beginning of names of filters of jinja2",
    "split": "a method of texts",
}
"""Stages of ours whose names are words for other things too: of these it is looked whether one is told from others, or
looked up."""
WRITTEN_BY_PEOPLE = {
    "subtree.py": ("the key of a tag's children by hand in tree.yaml",),
    "export/trainers.py": ("a key of LLaMA-Factory's dataset_info.json",),
    "curate/reviews_file.py": ("what a person tags a row with", "as above", "as above"),
    "commands/look/reviewed.py": ("what a person tags a row with",),
    "publish/card.py": ("what a card's own tags stand under, for the Hub",),
    "view/reviewing.py": ("as above", "as above", "as above"),
    "view/said.py": ("as above",),
}
"""Lines with words that people write in files of theirs, which are stages of ours too."""
LOOKED_UP = re.compile(rf"""(?:[=!]=|(?:graph|stages?|shapes?|counts|kinds)\[) ?["']({"|".join(ORDINARY)})["']""")


def names_a_stage(line: str) -> bool:
    """Whether a line of source knows a stage of ours."""
    found = {name for names in STAGE_NAMED.findall(line) for name in names if name}
    return bool(found - ORDINARY.keys()) or LOOKED_UP.search(line) is not None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_outside_the_room_of_stages_names_one(path: Path) -> None:
    """Ours are not special: whatever works for them works for a user's own."""
    if path.relative_to(PACKAGE).parts[0] == "stages":
        return
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    named = [f"{number}: {line.strip()}" for number, line in lines if names_a_stage(line)]
    assert len(named) == len(WRITTEN_BY_PEOPLE.get(str(path.relative_to(PACKAGE)), ())), named


DEFINED_TWICE = {
    "Builtin": "the class of a stage of ours, which is found by its module's name",
    "main": "of each of the two programs: the command, and the embedded engine's process",
    "run": "what the command line calls of a command's module, and of what composes a configuration for it",
}
"""Public names that several modules define, each with its reason. May only get shorter."""


def defined_names(path: Path) -> set[str]:
    """The public functions, classes and types that a module defines. Constants are known by their module."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name) and not target.id.isupper()}
    return {name for name in names if not name.startswith("_")}


def test_a_public_name_is_defined_once() -> None:
    counts = Counter(name for path in modules() for name in defined_names(path))
    assert {name for name, count in counts.items() if count > 1} == set(DEFINED_TWICE)


def test_nothing_is_unpickled() -> None:
    users = {path.name for path in modules() if {"pickle", "marshal", "shelve"} & imported(path)}
    assert users == set()
