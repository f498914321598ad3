"""What `diff` prints for people: the versions, the counts, the settings that differ, and the groups with examples."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from msgspec.structs import replace

from distill_build.commands.locate import typed
from distill_build.commands.versions.diff.comparison import Comparison, Counts
from distill_build.commands.versions.diff.sides import Compared
from distill_build.console.page import HANG, Line, Style
from distill_build.console.words import local_time
from distill_build.console.wrapping import CUT, cells, cut, fits_width
from distill_build.engine.manifest import ABSENT
from distill_build.history.causes import UNTIL, Cause
from distill_build.history.grouping import Group
from distill_build.history.setting_wording import cause_words
from distill_build.options import Options
from distill_build.records import Path as TagPath
from distill_build.records import rows_of, short
from distill_build.versions.difference import Changed
from distill_build.versions.difference_rows import Item, Told

EXAMPLES = 3
"""Of each group; of one that follows from another group a single row is enough."""
LONGEST_TEXT = 70
HEADINGS = ("", "added", "removed", "changed", "same")
MARKS: dict[str, tuple[str, Style]] = {
    "added": ("+", "added"),
    "removed": ("-", "removed"),
    "changed": ("~", "changed"),
    "renamed": ("~", "changed"),
}
EMPTY: Line = ()


def difference_text(comparison: Comparison, options: Options, width: int) -> Iterator[Line]:
    """All lines: counts alone under -q, all rows and whole prompts under -v. A row is cut to one of `width` cells."""
    if not options.quiet:
        yield from heading(comparison)
        yield EMPTY
    if not comparison.differs:
        yield (("nothing differs: both are the same version", "plain"),)
    else:
        yield from _table(comparison)
    yield from side_notes(comparison)
    if options.quiet:
        return
    yield from settings(comparison, whole=options.verbose)
    told = comparison.told(lambda group: _shown(group, whole=options.verbose))
    for group, rows in zip(comparison.groups, told, strict=True):
        if options.verbose or not _goes_without_saying(comparison, group):
            yield EMPTY
            yield from group_lines(comparison, group, rows, width, whole=options.verbose)
    yield from _nothing_found(comparison)
    yield from _further(comparison, options)


def heading(comparison: Comparison) -> Iterator[Line]:
    """The two versions."""
    old, new = comparison.old, comparison.new
    names = old.dataset if old.dataset == new.dataset else f"{old.dataset} → {new.dataset}"
    yield ((names, "head"),)
    yield (("  old  ", "quiet"), HANG, (_side(old), "plain"))
    yield (("  new  ", "quiet"), HANG, (_side(new), "plain"))


def side_notes(comparison: Comparison) -> Iterator[Line]:
    """What nobody may miss of the two sides."""
    yield from ((("! " + note, "changed"),) for note in comparison.notes)


def _side(side: Compared) -> str:
    when = _when(side)
    missing = ", ".join(rows_of(number, stage) for stage, number in side.missing.items())
    return f"{short(side.version)}  {when}  {_called(side)}" + f"  ! {missing} missing" * bool(missing)


def _called(side: Compared) -> str:
    """A version as the user called it, a long digest cut."""
    return short(side.wanted) if side.version.startswith(side.wanted.lower()) else side.wanted


def _when(side: Compared) -> str:
    if side.at is not None:
        return local_time(side.at)
    return "as its files lie" if side.content is not None else "not in the cache"


def _table(comparison: Comparison) -> Iterator[Line]:
    """Counts by stage, with what else is to be said of a stage behind them."""
    rows = [HEADINGS, *(_row(stage, counts) for stage, counts in comparison.counts.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        figures = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        remark = _remark(comparison, row[0])
        line = "   ".join([row[0].ljust(widths[0]), *figures])
        yield ((f"{line}   ", "plain"), HANG, (remark, "quiet")) if remark else ((line, "plain"),)


def _row(stage: str, counts: Counts | None) -> tuple[str, ...]:
    if counts is None:
        return (stage, "?", "?", "?", "?")
    return (stage, *(f"{number:,}" for number in (counts.added, counts.removed, counts.changed, counts.same)))


def _remark(comparison: Comparison, stage: str) -> str:
    counts = comparison.counts.get(stage)
    if stage in comparison.counts and counts is None:
        before, after = (side.counts.get(stage, 0) for side in (comparison.old, comparison.new))
        return f"{before:,} → {rows_of(after, stage)}"
    if comparison.both is None or counts is None:
        return ""
    difference = comparison.both.difference
    found, words = difference.stages[stage], []
    if stage == difference.tree and difference.renamed:
        words.append(f"{len(difference.renamed):,} renamed")
    if found.changed:
        numbers = Counter(name for changed in found.changed for name in changed.columns)
        words.append(", ".join(f"{name} {numbers[name]:,}" for name in comparison.both.columns(stage) if numbers[name]))
    if found.other_request:
        words.append(f"{found.other_request:,} with the same text from another request")
    return "; ".join(words)


def settings(comparison: Comparison, *, whole: bool) -> Iterator[Line]:
    """The settings and prompts that differ."""
    if not comparison.settings_known:
        return  # a note has said so
    yield EMPTY
    if not comparison.causes:
        yield (("no setting or prompt differs", "plain"),)
        return
    yield (("settings and prompts that differ", "head"),)
    for cause in comparison.causes:
        yield ((f"  {sentence(cause)}", "plain"),)
        if whole:
            yield from _text_diff(cause)


def sentence(cause: Cause) -> str:
    """A cause in a few words."""
    return cause_words(cause) + " (a lock has only its digest)" * _digests(cause)


def _digests(cause: Cause) -> bool:
    return all(isinstance(side, str) and side.startswith("sha256:") for side in (cause.old, cause.new))


def _text_diff(cause: Cause) -> Iterator[Line]:
    """A prompt, or another long text, line by line."""
    old, new = ("" if side in (ABSENT, None) else side for side in (cause.old, cause.new))
    if not (isinstance(old, str) and isinstance(new, str) and "\n" in old + new):
        return
    styles: dict[str, Style] = {"+": "added", "-": "removed", "@": "quiet"}
    for line in islice(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""), 2, None):
        style = styles.get(line[:1], "plain")
        yield ((f"    {line[:1]}", style), HANG, (line[1:], style))


def _shown(group: Group, *, whole: bool) -> int:
    """How many rows of a group are shown."""
    return len(group.items) if whole else 1 if group.reason.because == "above" else EXAMPLES


def _goes_without_saying(comparison: Comparison, group: Group) -> bool:
    """Whether these are verdicts that came or went with the rows that they are on: the table counts them."""
    shape = comparison.shape(group.stage)
    return shape.kind == "transform" and group.change != "changed" and group.reason.above == shape.after


def group_lines(
    comparison: Comparison, group: Group, told: Mapping[str, Told], width: int, *, whole: bool
) -> Iterator[Line]:
    """What happened to how many rows, why, and the first of them; `told` says what those are known by."""
    assert comparison.both is not None, "there are no groups without rows"  # noqa: S101
    difference = comparison.both.difference
    yield (
        (f"{rows_of(len(group.items), group.stage)} {group.change}", "head"),
        (f": {reason_text(comparison, group)}", "plain"),
    )
    shown = _shown(group, whole=whole)
    changes = {changed.item.id: changed for changed in group.changed}
    renamed = {new.id: old.path for old, new in difference.renamed} if group.change == "renamed" else {}
    mark, style = MARKS[group.change]
    for item in group.items[:shown]:
        row, before = told[item.id], renamed.get(item.id, ())
        if group.stage == difference.tree:
            row = replace(row, text="")  # it ends the path
        room = width - cells(f"  {mark} {item.id}  ")
        words = _described(row, item, changes.get(item.id), before, room)
        yield ((f"  {mark} ", style), (f"{item.id}  ", "quiet"), HANG, (words, "plain"))
    if len(group.items) > shown:
        yield ((f"    and {len(group.items) - shown:,} more", "quiet"),)


def reason_text(comparison: Comparison, group: Group) -> str:
    """Why, in a few words."""
    side = "old" if group.change == "added" else "new"
    match group.reason.because:
        case "settings":
            return "; ".join(dict.fromkeys(map(_because_of, group.reason.causes)))
        case "above":
            return _from_above(comparison, group)
        case "asked again":
            edited = "" if comparison.settings_known else ", or edited by hand"
            return f"the same request has another response: asked again (--rebuild), built with another cache{edited}"
        case "missing":
            return f"the {side} version could not make them (failures.jsonl)"
        case "until":
            return f"the {side} version stops before that ({UNTIL})"
    known = comparison.settings_known
    return "no setting that differs explains it" if known else "not known without the settings of both"


def _because_of(cause: Cause) -> str:
    return f"by hand, in {cause.file}" if cause.by_people else sentence(cause)


def _from_above(comparison: Comparison, group: Group) -> str:
    above, shape = comparison.shape(group.reason.above), comparison.shape(group.stage)
    if group.change in ("added", "removed") and above.name == (shape.parent or shape.name):
        rows = above.name if above.name.endswith("s") else f"rows of {above.name}"
        return f"below {rows} that were {group.change}"
    if above.after is None:
        return "it follows from a tag above that was renamed"
    return f"it follows from what differs in {above.name}"


def _described(row: Told, item: Item, changed: Changed | None, before: TagPath, room: int) -> str:
    """A row in one line of `room` cells, after its path `before` where it had another one.

    Where that is too much, the beginnings of paths go first, since others near it have them too.
    """
    paths = [path for path in (before, row.path) if path]
    text = f": {cut(' '.join(row.text.split()), LONGEST_TEXT)}" if row.text else ""
    sample = f" [sample {item.sample}]" if item.sample else ""
    tail = sample + (f" ({_what_changed(changed.columns)})" if changed is not None else "")
    words = text
    for labels in range(max(map(len, paths), default=0), 0, -1):
        words = " → ".join(_end_of(path, labels) for path in paths) + text
        if fits_width(words + tail, room):
            break
    return cut(words, room - cells(tail)) + tail


KEPT = "kept"
"""The column of a verdict that says what comes of the row."""


def _what_changed(columns: Sequence[str]) -> str:
    """The columns; of a verdict that is another one whether it is, for what it goes by follows from that."""
    return "another verdict" if KEPT in columns else " and ".join(columns)


def _end_of(path: TagPath, labels: int) -> str:
    shown = path[-labels:]
    return " ".join(" / ".join(shown if len(shown) == len(path) else (CUT, *shown)).split())


def _nothing_found(comparison: Comparison) -> Iterator[Line]:
    """Two versions whose rows are all the same."""
    if comparison.differs and comparison.both is not None and not comparison.groups:
        yield EMPTY
        what = "no content differs: only what else a row holds (call, usage, number, order)"
        yield ((what, "plain"),)


def _further(comparison: Comparison, options: Options) -> Iterator[Line]:
    """Where there is more."""
    if not comparison.groups:
        return
    command = typed(options, "diff", _called(comparison.old), _called(comparison.new), "ID")
    yield EMPTY
    if not options.verbose:
        yield (("-v lists all rows and shows prompts line by line; --json is for programs", "quiet"),)
    yield ((f"{command} shows one item word by word", "quiet"),)
