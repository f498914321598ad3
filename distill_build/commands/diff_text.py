"""What `diff` prints for people: the versions, the counts, the settings that differ, and the groups with examples."""

import difflib
from collections.abc import Iterator
from itertools import islice

from distill_build.commands.diff_comparison import Comparison, Counts
from distill_build.commands.diff_sides import Compared
from distill_build.commands.locate import typed
from distill_build.console.page import HANG, Line, Style
from distill_build.console.words import local_time
from distill_build.console.wrapping import CUT, cells, cut, fits
from distill_build.engine.manifest import ABSENT
from distill_build.options import Options
from distill_build.records import Path as TagPath
from distill_build.records import number_of, short
from distill_build.stages.attribution import Group
from distill_build.stages.causes import UNTIL, Cause
from distill_build.stages.setting_wording import said
from distill_build.stages.tally import STAGES
from distill_build.versions.difference import ChangedAnswer, Item
from distill_build.versions.tag_matching import TagTree

EXAMPLES = 3
"""Of each group; of one that follows from another group a single item is enough."""
LONGEST_QUESTION = 70
HEADINGS = ("", "added", "removed", "changed", "same")
MARKS: dict[str, tuple[str, Style]] = {
    "added": ("+", "added"),
    "removed": ("-", "removed"),
    "changed": ("~", "changed"),
    "renamed": ("~", "changed"),
}
EMPTY: Line = ()


def text(comparison: Comparison, options: Options, width: int) -> Iterator[Line]:
    """All lines: counts alone under -q, all items and whole prompts under -v. An item is cut to one row of `width`."""
    if not options.quiet:
        yield from heading(comparison)
        yield EMPTY
    if not comparison.differs:
        yield (("nothing differs: both are the same version", "plain"),)
    else:
        yield from table(comparison)
    yield from notes(comparison)
    if options.quiet:
        return
    yield from settings(comparison, whole=options.verbose)
    for group in comparison.groups:
        yield EMPTY
        yield from group_lines(comparison, group, width, whole=options.verbose)
    yield from _nothing_found(comparison)
    yield from _further(comparison, options)


def heading(comparison: Comparison) -> Iterator[Line]:
    """The two versions."""
    old, new = comparison.old, comparison.new
    names = old.dataset if old.dataset == new.dataset else f"{old.dataset} → {new.dataset}"
    yield ((names, "head"),)
    yield (("  old  ", "quiet"), HANG, (_side(old), "plain"))
    yield (("  new  ", "quiet"), HANG, (_side(new), "plain"))


def notes(comparison: Comparison) -> Iterator[Line]:
    """What nobody may miss of the two sides."""
    yield from ((("! " + note, "changed"),) for note in comparison.notes)


def _side(side: Compared) -> str:
    when = _when(side)
    missing = ", ".join(number_of(number, stage) for stage, number in side.missing.items())
    return f"{short(side.version)}  {when}  {called(side)}" + f"  ! {missing} missing" * bool(missing)


def called(side: Compared) -> str:
    """A version as the user called it, a long digest cut."""
    return short(side.wanted) if side.version.startswith(side.wanted.lower()) else side.wanted


def _when(side: Compared) -> str:
    if side.at is not None:
        return local_time(side.at)
    return "as its files lie" if side.content is not None else "not in the cache"


def table(comparison: Comparison) -> Iterator[Line]:
    """Counts by stage, with what else is to be said of a stage behind them."""
    rows = [HEADINGS, *(_row(stage, comparison.counts.get(stage)) for stage in STAGES)]
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
    difference, counts = comparison.difference, comparison.counts.get(stage)
    if stage in comparison.counts and counts is None:
        return f"{comparison.old.counts[stage]:,} → {number_of(comparison.new.counts[stage], stage)}"
    words = []
    if difference is not None and stage == "tags" and difference.renamed:
        words.append(f"{len(difference.renamed):,} renamed")
    if difference is not None and stage == "answers":
        changed, other = difference.answers.changed, difference.answers.other_request
        if changed:
            words.append(f"reasoning {sum(c.reasoning for c in changed):,}, answer {sum(c.answer for c in changed):,}")
        if other:
            words.append(f"{other:,} with the same text from another request")
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
    return said(cause) + " (a lock has only its digest)" * _digests(cause)


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


def group_lines(comparison: Comparison, group: Group, width: int, *, whole: bool) -> Iterator[Line]:
    """What happened to how many items, why, and the first of them."""
    assert comparison.difference is not None, "there are no groups without items"  # noqa: S101
    count = number_of(len(group.items), group.stage)
    yield (
        (f"{count} {group.change}", "head"),
        (f": {reason(group, settings_known=comparison.settings_known)}", "plain"),
    )
    shown = len(group.items) if whole else 1 if group.reason.because == "above" else EXAMPLES
    changed_answers = comparison.difference.answers.changed if group.change == "changed" else []
    changes = {changed.item.id: changed for changed in changed_answers}
    renamed = {new.id: old.path for old, new in comparison.difference.renamed}
    tree = comparison.difference.old if group.change == "removed" else comparison.difference.new
    mark, style = MARKS[group.change]
    for item in group.items[:shown]:
        room = width - cells(f"  {mark} {item.id}  ")
        words = described(tree, group.stage, item, changes.get(item.id), renamed.get(item.id, ()), room)
        yield ((f"  {mark} ", style), (f"{item.id}  ", "quiet"), HANG, (words, "plain"))
    if len(group.items) > shown:
        yield ((f"    and {len(group.items) - shown:,} more", "quiet"),)


def reason(group: Group, *, settings_known: bool) -> str:
    """Why, in a few words."""
    above = {"tags": "tags", "questions": "tags", "answers": "questions"}[group.stage]
    match group.reason.because:
        case "settings":
            return "; ".join(sentence(cause) for cause in group.reason.causes)
        case "above" if group.change in ("changed", "renamed"):
            return "it follows from a tag above that was renamed"
        case "above":
            return f"below {above} that were {group.change}"
        case "asked again":
            edited = "" if settings_known else ", or edited by hand"
            return f"the same request has another response: asked again (--rebuild), built with another cache{edited}"
        case "missing":
            return f"the {'old' if group.change == 'added' else 'new'} version could not make them (failures.jsonl)"
        case "until":
            return f"the {'old' if group.change == 'added' else 'new'} version stops before that ({UNTIL})"
    return "no setting that differs explains it" if settings_known else "not known without the settings of both"


def described(tree: TagTree, stage: str, item: Item, changed: ChangedAnswer | None, before: TagPath, room: int) -> str:
    """An item in one row of `room` cells, after its path `before` where it had another one.

    Where that is too much, the beginnings of paths go first, since others near it have them too.
    """
    paths = [path for path in (before, tree.tags[item.tag].path) if path]
    question = "" if stage == "tags" else f": {cut(' '.join(item.question.split()), LONGEST_QUESTION)}"
    sample = f" [sample {item.sample}]" if item.sample else ""
    tail = sample + _what_changed(changed)
    for labels in range(max(map(len, paths)), 0, -1):
        words = " → ".join(_end_of(path, labels) for path in paths) + question
        if fits(words + tail, room):
            break
    return cut(words, room - cells(tail)) + tail


def _end_of(path: TagPath, labels: int) -> str:
    shown = path[-labels:]
    return " ".join(" / ".join(shown if len(shown) == len(path) else (CUT, *shown)).split())


def _what_changed(changed: ChangedAnswer | None) -> str:
    if changed is None:
        return ""
    parts = [name for name, differs in (("reasoning", changed.reasoning), ("answer", changed.answer)) if differs]
    return f" ({' and '.join(parts)})"


def _nothing_found(comparison: Comparison) -> Iterator[Line]:
    """Two versions whose items are all the same."""
    if comparison.differs and comparison.difference is not None and not comparison.groups:
        yield EMPTY
        what = "no tag, question or answer text differs: only what else a row holds (call, usage, number, order)"
        yield ((what, "plain"),)


def _further(comparison: Comparison, options: Options) -> Iterator[Line]:
    """Where there is more."""
    if not comparison.groups:
        return
    command = typed(options, "diff", called(comparison.old), called(comparison.new), "ID")
    yield EMPTY
    if not options.verbose:
        yield (("-v lists all items and shows prompts line by line; --json is for programs", "quiet"),)
    yield ((f"{command} shows one item word by word", "quiet"),)
