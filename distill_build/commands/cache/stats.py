"""`cache stats`: prints what the cache holds, what it cost, and what needs it."""

from collections.abc import Iterator
from pathlib import Path

from distill_build.cache.gc.roots import is_there
from distill_build.cache.inventory import QUARANTINE, Inventory, TotalsByModel, take_inventory
from distill_build.commands.cache.columns import cost_text, figures_table
from distill_build.commands.locate import find_cache
from distill_build.console.page import line_width, print_document, print_lines
from distill_build.console.words import volume
from distill_build.options import Options
from distill_build.records import JsonObject, number_of

DATASETS_SHOWN = 10


def run(options: Options) -> int:
    """Prints the figures of the cache that `options` name; -v lists all datasets."""
    directory = find_cache(options)
    found = take_inventory(directory)
    if options.json:
        print_document(_document(directory, found))
        return 0
    print_lines(_text(directory, found, quiet=options.quiet, verbose=options.verbose))
    return 0


def _document(directory: Path, found: Inventory) -> JsonObject:
    """The document of `cache stats --json`."""
    total = found.all.total
    return {
        "directory": str(directory),
        "entries": found.entries,
        "bytes": found.disk_usage.total,
        "database_bytes": found.disk_usage.database,
        "object_bytes": found.disk_usage.objects,
        "quarantine_bytes": found.disk_usage.quarantine,
        "damaged": found.damaged,
        "usd": total.usd,
        "unpriced": total.unpriced,
        "groups": found.all.rows(),
        "reached": None if found.trouble else found.reached.total.row(),
        "unreached": None if found.trouble else found.unreached.total.row(),
        "trouble": found.trouble,
        "versions": found.versions,
        "imported_versions": found.imported,
        "objects": found.objects,
        "unused_objects": found.unused,
        "datasets": [
            {"name": root.name, "folder": root.folder, "there": is_there(root), "versions": len(root.versions)}
            for root in found.roots
        ],
    }


def _text(directory: Path, found: Inventory, *, quiet: bool = False, verbose: bool = False) -> Iterator[str]:
    """The figures for people."""
    total = found.all.total
    cost = f", paid for with {cost_text(total)}" if total.priced else ""
    yield f"{directory}: {number_of(found.entries, 'calls')}, {volume(found.disk_usage.total)} on disk{cost}"
    if found.damaged:
        damaged = number_of(found.damaged, "damaged calls")
        yield f"{damaged} among them, in no figure below: `distill-build cache fsck` says what that hits"
    if quiet:
        return
    if found.all.groups:
        yield ""
        yield from figures_table(found.all, line_width())
        yield ""
        yield from _needed(found)
    yield from _datasets(found, shown=len(found.roots) if verbose else DATASETS_SHOWN)
    if found.disk_usage.quarantine:
        size = volume(found.disk_usage.quarantine)
        yield f"{directory / QUARANTINE} holds {size} that fsck set aside, with reports: nothing here needs it"


def _needed(found: Inventory) -> Iterator[str]:
    if found.trouble is not None:
        yield f"What is needed cannot be told: {found.trouble}"
        return
    yield f"{'needed by versions or unfinished builds':<42}{_amount(found.reached)}"
    yield f"{'needed by nothing':<42}{_amount(found.unreached)}"


def _amount(figures: TotalsByModel) -> str:
    total = figures.total
    return f"{number_of(total.calls, 'calls'):>12}  {cost_text(total):>10}"


def _datasets(found: Inventory, *, shown: int) -> Iterator[str]:
    kept = f"{number_of(found.versions, 'versions')} kept in {number_of(found.objects, 'objects')}"
    unused = f" ({found.unused:,} of no version: cache gc removes them)" if found.unused else ""
    if found.versions or found.objects:
        yield f"{kept}, {volume(found.disk_usage.objects)}{unused}"
    for root in found.roots[:shown]:
        gone = "" if is_there(root) else ", which is gone"
        yield f"  {root.name}: {number_of(len(root.versions), 'versions')}, built in {root.folder}{gone}"
    if len(found.roots) > shown:
        yield f"  and {number_of(len(found.roots) - shown, 'more datasets')}: -v lists all"
    if found.imported:
        yield f"  {number_of(found.imported, 'versions')} from elsewhere: imported, or of a folder that is gone"
