"""What a page says that is in no row: settings and prompts, versions, failures."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.dataset.lockfile import LONGEST_TEXT
from distill_build.dataset.rows import FailureRow, read_rows
from distill_build.history.history import HistoryStep
from distill_build.history.setting_wording import cause_words
from distill_build.records import JsonObject
from distill_build.report.data import FailureCause, FailureLine, Failures, LongText, SettingGroup, VersionLine

MOST_FAILURES = 300
NAMES = "names"
"""The part of a stage's settings that says how the others are typed; a lock needs it, a person does not."""


def failures_of(dataset: Dataset) -> tuple[Failures, Counter[tuple[str, ...]], Counter[str]]:
    """What is missing: for the page, by the path of the tag, and by stage."""
    causes, places, stages = Counter[tuple[str, str]](), Counter[tuple[str, ...]](), Counter[str]()
    shown, lines = list[FailureLine](), 0
    for row in read_rows(dataset.artefact(FAILURES), FailureRow):
        causes[row.stage, row.cause] += row.missing
        places[row.path] += row.missing
        stages[row.stage] += row.missing
        lines += 1
        if len(shown) < MOST_FAILURES:
            shown.append(FailureLine(row.stage, row.cause, row.missing, row.path, row.detail, row.row))
    by_cause = [FailureCause(stage, cause, missing) for (stage, cause), missing in causes.most_common()]
    return Failures(by_cause, shown, lines), places, stages


def setting_groups(recipe: JsonObject) -> tuple[list[SettingGroup], list[LongText]]:
    """The settings by part, and apart from them all long texts: prompts, most of all. A text that several parts have
    comes once."""
    groups, texts = list[SettingGroup](), dict[tuple[str, str], list[str]]()
    for part, own in recipe.items():
        settings = []
        for name, value in _flat(own if isinstance(own, Mapping) else {"": own}):
            if isinstance(value, str) and ("\n" in value or len(value) > LONGEST_TEXT):
                texts.setdefault((name.removeprefix("prompt."), value), []).append(part)
            elif not (name == NAMES or name.startswith(f"{NAMES}.")):
                settings.append((name, value))
        if settings:
            groups.append(SettingGroup(part, settings))
    return groups, [LongText(name, parts, text) for (name, text), parts in texts.items()]


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        elif value is not None and value != {}:
            yield name, value


def version_lines(steps: list[HistoryStep], held: str | None) -> list[VersionLine]:
    """The versions of a dataset, newest first; `held` is the one of the folder's files."""
    current = next((step for step in steps if step.version.version == held), None)
    return [_line(step, current=step is current) for step in steps]


def _line(step: HistoryStep, *, current: bool) -> VersionLine:
    version, spent = step.version, step.version.spent
    return VersionLine(
        version=version.version,
        at=version.at,
        counts=version.counts,
        missing=version.missing,
        calls=None if spent is None else spent.calls,
        usd=None if spent is None else spent.usd,
        changes=[*map(cause_words, step.changes), *filter(None, [step.reason])],
        current=current,
    )
