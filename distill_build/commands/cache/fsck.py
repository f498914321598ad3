"""`cache fsck`: rehashes everything, puts what is damaged into quarantine, and says which items it belongs to.

Exit 0 where all is well, 5 where something is damaged or gone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from distill_build.cache.fsck.checking import check_cache
from distill_build.cache.fsck.findings import KINDS, REPORT, Damage, Findings, Impact, Quarantine
from distill_build.commands.locate import find_cache_to_check
from distill_build.console.page import print_document, print_lines
from distill_build.console.words import rough_money
from distill_build.dataset.layout import RESPONSES
from distill_build.engine.lock import unused
from distill_build.engine.reading import writable
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, short

SHOWN = 10
"""Damaged things that are printed, and items of each; -v prints all, and the report in quarantine holds them too."""
NAMES = {"call": "calls", "object": "objects", "version": "versions", "dataset": "datasets"}
READ_ONLY = "the cache cannot be written, so everything was left where it is"
BUSY = "the cache is in use by a build, an import or gc, so everything was left where it is: run fsck again afterwards"


def run(options: Options) -> int:
    """Checks the cache that `options` name."""
    directory = find_cache_to_check(options)
    if not writable(directory):
        return _checked(options, directory, None, READ_ONLY)
    with unused(directory) as alone:
        if not alone:
            return _checked(options, directory, None, BUSY)
        return _checked(options, directory, Quarantine(directory, datetime.now(UTC)), "")


def _checked(options: Options, directory: Path, quarantine: Quarantine | None, remark: str) -> int:
    findings = check_cache(directory, quarantine)
    folder = quarantine.folder if quarantine is not None and quarantine.used else None
    found = _document(directory, findings, folder)
    if quarantine is not None and folder is not None:
        quarantine.report(found)
    if options.json:
        print_document(found)
    else:
        print_lines(_text(directory, findings, folder, remark, options))
    return 0 if findings.sound else StorageError.exit_code


def _document(directory: Path, findings: Findings, folder: Path | None) -> JsonObject:
    """The document of `cache fsck --json`, and the report beside what is in quarantine."""
    return {
        "directory": str(directory),
        "sound": findings.sound,
        "checked": findings.checked,
        "damage": [msgspec.to_builtins(damage) for damage in findings.damage],
        "hits": [msgspec.to_builtins(hit) for hit in findings.hits],
        "lacking": [msgspec.to_builtins(lacking) for lacking in findings.lacking],
        "restored": sorted(findings.restored),
        "salvaged": None if findings.saved is None else {"calls": findings.saved, "of": findings.expected},
        "other_scheme": findings.other_scheme,
        "usd": findings.usd,
        "quarantine": None if folder is None else str(folder),
        "notes": findings.notes,
    }


def _text(directory: Path, findings: Findings, folder: Path | None, remark: str, options: Options) -> Iterator[str]:
    """What was found, for people."""
    yield f"{directory}: {_summary(findings)}"
    if remark and (findings.damage or not options.quiet):
        yield remark
    if findings.saved is not None:
        yield _salvaged(findings, done=folder is not None)
    if not options.quiet:
        yield from _details(findings, shown=len(findings.damage) if options.verbose else SHOWN, verbose=options.verbose)
    yield from findings.notes
    if not options.quiet:
        yield from _lacking(findings, shown=len(findings.lacking) if options.verbose else SHOWN)
    if findings.other_scheme:
        yield f"left as found: {number_of(findings.other_scheme, 'calls')} of a scheme that is not known here"
    yield from _ways_out(findings, folder)


def _summary(findings: Findings) -> str:
    checked = ", ".join(number_of(findings.checked[kind], plural) for kind, plural in NAMES.items())  # type: ignore[index]  # kinds all
    if findings.sound:
        return f"{checked} checked, {'nothing is damaged' if findings.lacking else 'all is well'}"
    bad = ", ".join(_counted(kind, findings) for kind in KINDS if findings.of(kind))
    return f"damaged or gone: {bad} ({checked} checked)"


def _counted(kind: str, findings: Findings) -> str:
    number = len([damage for damage in findings.damage if damage.kind == kind])
    least = "at least " if kind == "object" and findings.lists_lost else ""
    return f"{least}{number_of(number, NAMES[kind])}" if kind in NAMES else f"the {kind}"


def _salvaged(findings: Findings, *, done: bool) -> str:
    saved, expected = findings.saved or 0, findings.expected
    if done and not saved:
        return "a new, empty database was made: no call could be read"
    calls = number_of(saved, "calls") if expected is None else f"{saved:,} of {number_of(expected, 'calls')}"
    return f"a new database was made of the {calls} that could be read" if done else f"{calls} can be read and saved"


def _details(findings: Findings, *, shown: int, verbose: bool) -> Iterator[str]:
    hits: dict[str, list[Impact]] = {}
    for hit in findings.hits:
        hits.setdefault(hit.damage, []).append(hit)
    for damage in findings.damage[:shown]:
        yield ""
        yield damage.reason
        if damage.name in findings.restored:
            yield f"  made anew{' from the files of its dataset' if damage.kind == 'object' else ''}"
        elif damage.kind in ("call", "object"):
            yield from _belongs(hits.get(damage.name, []), damage, verbose=verbose)
    if len(findings.damage) > shown:
        yield ""
        yield f"and {len(findings.damage) - shown:,} more: -v prints all, --json holds all"
    if findings.damage:
        yield ""


def _belongs(hits: list[Impact], damage: Damage, *, verbose: bool) -> Iterator[str]:
    """The items that something damaged belongs to."""
    if not hits:
        yield f"  {damage.stage + ': ' if damage.stage else ''}no version needs it"
    for hit in hits if verbose else hits[:SHOWN]:
        more = f" and {number_of(hit.versions - 1, 'versions')} before it" if hit.versions > 1 else ""
        place = f"{hit.stage} of {' / '.join(hit.path)}" if hit.stage else "in"
        item = "" if (hit.item,) == hit.path else f"{',' if hit.stage else ''} {hit.item}"  # the topic is its own id
        yield f"  {place}{item} ({hit.dataset} {short(hit.version)}{more})"
    if len(hits) > SHOWN and not verbose:
        yield f"  and {number_of(len(hits) - SHOWN, 'more items')}"


def _lacking(findings: Findings, *, shown: int) -> Iterator[str]:
    """The versions whose responses are not all here, the newest first."""
    for each in findings.lacking[:shown]:
        amount = "all" if each.missing == each.of else f"{each.missing:,} of the"
        of = number_of(each.of, "responses")
        yield f"{each.dataset} {short(each.version)} lacks {amount} {of} that it was read from"
    if len(findings.lacking) > shown:
        older = number_of(len(findings.lacking) - shown, "older versions")
        yield f"the same holds for {older}: -v prints all, --json holds all"


def _asked_again(findings: Findings) -> str:
    needed, usd = len({hit.damage for hit in findings.hits if hit.stage}), findings.usd
    if not (needed or findings.lacking):
        return ""
    cost = f" ({number_of(needed, 'calls')}{f', about {rough_money(usd)}' if usd else ''})" if needed else ""
    return f"; else a build that needs them asks again{cost}, and checkout does without them"


def _ways_out(findings: Findings, folder: Path | None) -> Iterator[str]:
    """What to do now."""
    if folder is not None:
        yield f"nothing was deleted: what was damaged lies in {folder}, with a report in {REPORT}"
    if findings.of("call") or findings.lacking:
        yield (
            "cache pull or cache import bring responses back, and a build those that its folder keeps in "
            f"{RESPONSES}{_asked_again(findings)}"
        )
    if {damage.name for damage in findings.of("object")} - findings.restored or findings.of("version"):
        yield (
            "cache pull or cache import bring versions back, and a build the one that its folder holds; until then "
            "checkout and diff may not do with these"
        )
