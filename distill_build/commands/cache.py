"""`cache VERB`: works on the store of responses. Its verbs are in one table."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from distill_build.commands.cache_figures import CacheFigures, count_cache
from distill_build.commands.locate import find_cache
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.stages.tally import STAGES

HEADINGS = ("stage", "model", "calls", "accepted", "open", "responses", "prompt tokens", "completion tokens")
TEXT_COLUMNS = 2


def run(options: Options) -> int:
    """Does what the first of the arguments says."""
    verb = options.arguments[0] if options.arguments else ""
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its verbs are {', '.join(VERBS)}"
        raise UsageError(f"cache does not know '{verb}': {hint}" if verb else f"cache what? {hint}")
    return VERBS[verb](options)


def stats(options: Options) -> int:
    """Prints what the cache holds, by stage and model."""
    directory = find_cache(options)
    figures = count_cache(directory)
    if options.json:
        print(json.dumps(document(directory, figures), ensure_ascii=False, indent=2))
    else:
        print("\n".join(text(directory, figures)))
    return 0


VERBS: Mapping[str, Callable[[Options], int]] = {"stats": stats}


def document(directory: Path, figures: CacheFigures) -> JsonObject:
    """The document of `cache stats --json`."""
    return {
        "directory": str(directory),
        "entries": figures.entries,
        "bytes": figures.size,
        "damaged": figures.damaged,
        "groups": [
            {"stage": stage, "model": model, **figures.groups[stage, model].row()} for stage, model in in_order(figures)
        ],
    }


def text(directory: Path, figures: CacheFigures) -> Iterator[str]:
    """The figures for people."""
    yield f"{directory}: {figures.entries:,} calls, {figures.size / 1e6:,.1f} MB on disk"
    if figures.damaged:
        yield f"{figures.damaged:,} of them are damaged: their items are asked for again with build --rebuild GLOB"
    if figures.groups:
        yield ""
        yield from table([HEADINGS, *(_cells(figures, *place) for place in in_order(figures))])


def in_order(figures: CacheFigures) -> list[tuple[str, str]]:
    """Stages as they follow each other, then models by name."""
    ranks = {str(stage): rank for rank, stage in enumerate(STAGES)}
    return sorted(figures.groups, key=lambda place: (ranks.get(place[0], len(ranks)), place))


def _cells(figures: CacheFigures, stage: str, model: str) -> tuple[str, ...]:
    group = figures.groups[stage, model]
    numbers = (group.calls, group.accepted, group.open, group.attempts, group.prompt_tokens, group.completion_tokens)
    return (stage, model, *(f"{number:,}" for number in numbers))


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as their widest cell: texts to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(
            cell.ljust(width) if place < TEXT_COLUMNS else cell.rjust(width)
            for place, (cell, width) in enumerate(cells)
        )
