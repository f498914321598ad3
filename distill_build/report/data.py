"""What a page is made of: plain values, which the page's scripts read as JSON. Pure."""

from enum import IntEnum
from typing import Any, Literal

import msgspec

from distill_build.records import JsonObject


class RowState(IntEnum):
    """What became of a row: it stands; a transform dropped it, or what it hangs on, or all below it; a verdict that
    could decide is missing; a person does not want it. The page knows these numbers."""

    IN, OUT, OPEN, REJECTED = range(4)


class StageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One stage. `above` is the stage whose rows it has below them, or judges. `rows` are those of its artefact, None
    where there is none; `dropped` are those that a transform does not keep; `missing` stand in failures.jsonl."""

    name: str
    singular: str
    kind: str
    above: str | None
    rows: int | None
    dropped: int
    missing: int


class Below(msgspec.Struct, array_like=True, frozen=True):
    """What hangs on a tag, or on the topic itself: `rows` by stage, of a transform those it dropped; what the page's
    measure says, added up, and of how many rows."""

    rows: list[int]
    sum: float
    rated: int


TOPIC = -1
"""In place of a tag's."""
NOTHING_BELOW = Below([], 0.0, 0)


class TagFigures(msgspec.Struct, array_like=True, frozen=True):
    """A tag, and what hangs on it directly: what lies in tags below is added up by the page. `parent` is the place of
    the one above in the list, or TOPIC."""

    id: str
    label: str
    number: str
    parent: int
    leaf: bool
    flags: tuple[str, ...]
    below: Below
    missing: int
    state: RowState
    renamed_from: str | None


class Measure(msgspec.Struct, frozen=True):
    """The column by which rows and branches are rated: what a judge says, most often."""

    stage: str
    column: str


class Lengths(msgspec.Struct, frozen=True):
    """How long the texts of a column are, in characters: `bins` count those from 0 on, each `width` wide, and the last
    has all that are longer."""

    stage: str
    column: str
    texts: int
    empty: int
    median: int
    ninth_decile: int
    longest: int
    width: int
    bins: list[int]


class ValueShares(msgspec.Struct, frozen=True):
    """How often a column has each of a few values. `mean` is that of numbers."""

    stage: str
    column: str
    values: list[tuple[str, int]]
    mean: float | None


class SpentOnStage(msgspec.Struct, frozen=True):
    """What one model was asked for one stage. `usd` is None where prices are not known."""

    stage: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


class SpendingShown(msgspec.Struct, frozen=True):
    """`whole` says that all requests behind the dataset are in it; else only what its rows say of themselves."""

    by: list[SpentOnStage]
    whole: bool


class Dropped(msgspec.Struct, frozen=True):
    """Rows of which a transform says one reason not to keep them."""

    stage: str
    why: str
    rows: int


class Quoted(msgspec.Struct, frozen=True):
    """A row that another one is compared with."""

    id: str
    path: tuple[str, ...]
    text: str


class PairShown(msgspec.Struct, frozen=True):
    """Two rows that a transform says are alike; `columns` is what else it says of the first."""

    stage: str
    kept: bool
    why: tuple[str, ...]
    row: Quoted
    other: Quoted
    columns: JsonObject


class PairsShown(msgspec.Struct, frozen=True):
    """The first of `of` pairs."""

    shown: list[PairShown]
    of: int


class FailureCause(msgspec.Struct, frozen=True):
    stage: str
    cause: str
    missing: int


class FailureLine(msgspec.Struct, frozen=True):
    stage: str
    cause: str
    missing: int
    path: tuple[str, ...]
    detail: str
    row: str | None


class Failures(msgspec.Struct, frozen=True):
    """What could not be made, by cause, and the first of the `of` lines."""

    causes: list[FailureCause]
    shown: list[FailureLine]
    of: int


class SettingGroup(msgspec.Struct, frozen=True):
    """The settings of one part: a stage, the tree, what is exported."""

    name: str
    settings: list[tuple[str, Any]]


class LongText(msgspec.Struct, frozen=True):
    """A prompt, or another text of several lines. A lock has only its digest."""

    name: str
    parts: list[str]
    text: str


class VersionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the dataset with what changed against the one that it replaced."""

    version: str
    at: str
    counts: dict[str, int]
    missing: dict[str, int]
    calls: int | None
    usd: float | None
    changes: list[str]
    current: bool


class RowsOnPage(msgspec.Struct, frozen=True):
    """How many families are on the page, and of how many they were drawn; and in how many blocks they lie."""

    families: int
    of: int
    seed: int
    blocks: int


class DatasetPage(msgspec.Struct, frozen=True, kw_only=True):
    """All of a dataset's page but the rows. `at` is when the version was built (UTC, ISO 8601); `exported` counts the
    rows of the stage `exported_stage` that go into the training files; `notes` are sentences on what to look at."""

    kind: Literal["dataset"] = "dataset"
    topic: str
    name: str
    version: str | None
    at: str | None
    until: str | None
    complete: bool | None
    notes: list[str]
    exported_stage: str | None
    exported: int
    stages: list[StageFigures]
    flags: dict[str, int]
    reviews: dict[str, int]
    measure: Measure | None
    tree: list[TagFigures]
    below_topic: Below
    topic_missing: int
    lengths: list[Lengths]
    shares: list[ValueShares]
    spending: SpendingShown
    dropped: list[Dropped]
    pairs: PairsShown
    failures: Failures
    settings: list[SettingGroup]
    texts: list[LongText]
    versions: list[VersionLine] | None
    rows: RowsOnPage
    difference: "DifferenceShown | None" = None


class SideShown(msgspec.Struct, frozen=True):
    """One of two versions that are compared."""

    wanted: str
    version: str
    at: str | None
    counts: dict[str, int]


class StageChanges(msgspec.Struct, frozen=True):
    """Rows of one stage; `counts` are added, removed, changed and same, None where rows cannot be compared."""

    stage: str
    counts: tuple[int, int, int, int] | None


Pieces = list[tuple[str, str]]
"""Stretches of two texts woven together: whose each is ("same", "removed", "added"), and what it says."""


class SettingChange(msgspec.Struct, frozen=True):
    """A setting or prompt that differs; `pieces` are those of a long text."""

    words: str
    pieces: Pieces | None


class ItemChange(msgspec.Struct, frozen=True):
    """A row that differs. `before` is the path that it had, where that was another one; `columns` are those that
    changed, woven together."""

    id: str
    path: tuple[str, ...]
    text: str
    before: tuple[str, ...]
    columns: dict[str, Pieces]


class GroupOfChanges(msgspec.Struct, frozen=True):
    """Rows of which the same happened for the same reason; `items` are the first of `count`."""

    stage: str
    change: str
    count: int
    why: str
    items: list[ItemChange]


class DifferenceShown(msgspec.Struct, frozen=True):
    """What differs between two versions."""

    old: SideShown
    new: SideShown
    stages: list[StageChanges]
    settings: list[SettingChange]
    renamed: list[tuple[tuple[str, ...], tuple[str, ...]]]
    groups: list[GroupOfChanges]
    notes: list[str]


class JobShown(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a sweep, with what it holds and what that has cost. `dropped` is by transform and reason; shares are
    from 0 to 1. `page` is the command that writes its own page, None where nothing was built."""

    job: str
    page: str | None
    choices: dict[str, str]
    version: str | None
    counts: dict[str, int]
    missing: dict[str, int]
    dropped: dict[str, dict[str, int]]
    failures: int
    unique: float | None
    near_duplicates: float | None
    leaf_coverage: float | None
    calls: int
    tokens: int
    usd: float | None
    error: str | None


class SweepPage(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of a sweep side by side. `together` are calls, tokens and cost of all, each call counted once."""

    kind: Literal["sweep"] = "sweep"
    name: str
    jobs: list[JobShown]
    calls: int | None
    tokens: int | None
    usd: float | None


class Server(msgspec.Struct, frozen=True):
    """What a page is told that speaks to a server: which `snapshot` its rows are of, by stage the columns of which a
    person may say what is to be there, the lists that may have items of their own, and how to build."""

    snapshot: str
    editable: dict[str, tuple[str, ...]]
    lists: tuple[str, ...]
    build: str
