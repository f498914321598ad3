"""The schema of an answer, where a configuration names the file that has it. Reads that file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_build.curate.json_lines import value_in
from distill_build.curate.texts import decoded
from distill_build.errors import ConfigurationError
from distill_build.project import seen

NODE, KEY, OF_STAGE = "answer", "schema", "answer_schema"


def with_schemas_read(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the schemas in the place of the files that are named. Raises ConfigurationError for one that cannot
    be read, with the setting's name."""
    found = dict(data)
    if isinstance(node := data.get(NODE), dict) and isinstance(name := node.get(KEY), str):
        found[NODE] = node | {KEY: _read(f"{NODE}.{KEY}", name)}
    for stage, own in data["stage"].items():
        if isinstance(name := own.get(OF_STAGE), str) and not name.startswith("${"):  # of one not in force as written
            found["stage"] = found["stage"] | {stage: own | {OF_STAGE: _read(f"stage.{stage}.{OF_STAGE}", name)}}
    return found


def _read(key: str, name: str) -> Any:
    path, place = Path(name), f"{key}={name}"
    try:
        text = decoded(path.read_bytes(), path)
    except OSError as error:
        raise ConfigurationError(
            f"{place}: {seen(path)} cannot be read ({error.strerror}): name a file with a JSON schema, or write "
            "the schema itself in braces"
        ) from error
    return value_in(place, text)
