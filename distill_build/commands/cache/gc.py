"""`cache gc`: removes what nothing needs. Responses only where --keep-last, --max-size or --older-than say so."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from distill_build.cache.gc.collection import Collection, carry_out, collect, figures_of
from distill_build.cache.gc.policy import Policy, policy_of
from distill_build.cache.inventory import disk_usage
from distill_build.commands.cache.columns import figures_table
from distill_build.commands.locate import find_cache
from distill_build.console.page import line_width, print_document, print_lines
from distill_build.console.words import local_time, volume
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.lock import unused
from distill_build.engine.reading import writable
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, short

BUSY = "the cache is in use by a build, an import or another gc: nothing was removed; run gc again when that has ended"
VERSIONS_SHOWN = 10


def run(options: Options) -> int:
    """Removes, or lists with --dry-run, what the flags allow."""
    policy = policy_of(options.keep_last, options.max_size, options.older_than)
    directory = find_cache(options)
    CacheDirectory(directory).check()
    if options.dry_run:
        return _tell(options, directory, policy, collect(directory, policy, datetime.now(UTC)))
    if not writable(directory):
        raise StorageError(
            f"the cache {directory} cannot be written, so nothing was removed: mend its permissions, or see with "
            "--dry-run what would go"
        )
    with unused(directory) as alone:
        if not alone:
            if options.json:
                print_document({"directory": str(directory), "busy": True})
            else:
                print(BUSY)
            return 0
        found = collect(directory, policy, datetime.now(UTC))
        try:
            carry_out(found, directory)
        except OSError as error:
            raise StorageError(
                f"{error.filename} cannot be removed: {error.strerror}. The cache is whole; mend that and run gc again"
            ) from error
    return _tell(options, directory, policy, found)


def _tell(options: Options, directory: Path, policy: Policy, found: Collection) -> int:
    """Prints what went, or would go."""
    left = found.left if options.dry_run else disk_usage(directory).total
    if options.json:
        print_document(_document(directory, found, left, options))
        return 0
    print_lines(_text(directory, policy, found, left, options))
    return 0


def _document(directory: Path, found: Collection, left: int, options: Options) -> JsonObject:
    """The document of `cache gc --json`; -v adds the keys of the calls."""
    figures = figures_of(found.chosen)
    keys = {"keys": [call.key for call in found.chosen]} if options.verbose else {}
    return {
        "directory": str(directory),
        "busy": False,
        "dry_run": options.dry_run,
        "bytes_before": found.size,
        "bytes_after": left,
        "calls": figures.total.row() | keys,
        "groups": figures.rows(),
        "versions": [
            {"name": version.name, "version": version.version, "at": version.at} for version in found.versions.values()
        ],
        "objects": len(found.objects),
        "files": len(found.files),
        "damaged": found.damaged,
        "notes": found.notes,
    }


def _text(directory: Path, policy: Policy, found: Collection, left: int, options: Options) -> Iterator[str]:
    """What went for people."""
    yield from found.notes
    if found.nothing:
        yield f"{directory}: nothing to remove, {volume(left)} stay"
    else:
        word = "would be removed" if options.dry_run else "removed"
        about = "about " if options.dry_run else ""
        yield f"{directory}: {about}{volume(found.size - left)} {word}, {about}{volume(left)} stay"
    if options.quiet:
        return
    yield from _versions(found, shown=len(found.versions) if options.verbose else VERSIONS_SHOWN)
    yield from _calls(found)
    yield from _unused(found)
    yield from _remarks(policy, found, left)


def _versions(found: Collection, *, shown: int) -> Iterator[str]:
    if found.versions:
        yield ""
        yield f"{number_of(len(found.versions), 'versions')}:"
    for version in list(found.versions.values())[:shown]:
        yield f"  {version.name} {short(version.version)} of {local_time(version.at)}"
    if len(found.versions) > shown:
        yield f"  and {len(found.versions) - shown:,} more: -v lists all"


def _calls(found: Collection) -> Iterator[str]:
    if found.chosen:
        yield ""
        yield f"{number_of(len(found.chosen), 'calls')} that nothing needs, and the cost:"
        yield from (f"  {line}" for line in figures_table(figures_of(found.chosen), line_width() - 2))


def _unused(found: Collection) -> Iterator[str]:
    if found.objects or found.files or found.roots:
        yield ""
    if found.objects:
        yield f"{number_of(len(found.objects), 'objects')} of no version"
    if found.files:
        yield f"{number_of(len(found.files), 'files')} left half-written, or of no entry"
    if found.roots:
        yield f"{number_of(len(found.roots), 'datasets')} without a version, whose folder is gone"


def _remarks(policy: Policy, found: Collection, left: int) -> Iterator[str]:
    """What stays though one might think otherwise."""
    if found.damaged:
        yield f"left alone: {number_of(found.damaged, 'damaged calls')}, which `distill-build cache fsck` sets aside"
    if policy.max_bytes is not None and left > policy.max_bytes:
        yield f"the cache stays larger than {volume(policy.max_bytes)}: what it holds is needed{_younger(policy)}"
    if not policy.removes_responses:
        yield "responses and versions stay: --keep-last N, --older-than AGE and --max-size SIZE let some go"


def _younger(policy: Policy) -> str:
    return ", or younger than --older-than says" if policy.older_than is not None else " by versions or builds"
