"""The card of a folder of exports, README.md: by its `configs` a format loads from the folder by name, with its sides.

    load_dataset("outputs/sports/dataset", "messages")

Reference: https://huggingface.co/docs/hub/datasets-manual-configuration. A loader takes its reader from the first of
them, so all are of one type of file: JSON lines where there are any. It refuses a side whose file is empty, so that
one is not named.
"""

from collections.abc import Iterator, Mapping, Sequence

from distill_build.export.formats import FORMATS, file_name

CARD = "README.md"


def card(filled: Mapping[str, Sequence[str]]) -> str:
    """The text of the card, given the sides of which each format has rows."""
    loaded = loaded_of(filled)
    configs = ["---", *configs_of({name: filled[name] for name in loaded}), "---", ""] if loaded else []
    return "\n".join([*configs, *_text(loaded, filled), ""])


def loaded_of(filled: Mapping[str, Sequence[str]]) -> list[str]:
    """The formats that load from the folder by name: of one type of file, and with a row."""
    lines = [name for name in filled if FORMATS[name].lines]
    return [name for name in lines or list(filled)[:1] if filled[name]]


def configs_of(loaded: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The lines of a card's `configs`, given the formats that are to load by name and the sides of each."""
    yield "configs:"
    for number, (name, sides) in enumerate(loaded.items()):
        yield f"- config_name: {name}"
        if not number:
            yield "  default: true"
        yield "  data_files:"
        for side in sides:
            yield from (f"  - split: {side}", f"    path: {file_name(name, side)}")


def _text(loaded: Sequence[str], filled: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from ("# Training files", "", "| format | files with rows |", "|---|---|")
    for name, sides in filled.items():
        yield f"| {name} | {', '.join(f'`{file_name(name, side)}`' for side in sides)} |"
    if loaded:
        yield from ("", "From this folder, with `datasets`:", "", "```python")
        yield from (f'load_dataset(".", "{name}")' for name in loaded)
        yield "```"
