"""What became of a tag's rows in one segment of a build, and where its lines lie."""

from collections.abc import Mapping

import msgspec

from distill_build.records import JsonObject


class Rows(msgspec.Struct, frozen=True):
    """Lines of one file that belong to one unit: where they lie, and how many.

    `kept` says that they lie in the file of the last build, else in this run's spool. `start` and `length` are in
    bytes.
    """

    kept: bool
    start: int
    length: int
    count: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of one segment of a unit.

    `memo` is the digest of all that went in, None where something is missing. `rows` are by stage; `sources` is the
    line that names the responses behind them. `requests` and `spared` are numbers by stage: calls, and rows that were
    not to be made since what they would hang on was dropped, less those that are there besides. `dropped` counts by
    transform and reason, of which a row may have several, and `rows_dropped` the rows by transform. `lacking` names by
    row, the tag's own among them, the stages of the segment that could not make of it all that there is to be.
    """

    memo: str | None
    rows: dict[str, Rows]
    sources: Rows
    requests: dict[str, int]
    spared: dict[str, int] = msgspec.field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    rows_dropped: dict[str, int] = msgspec.field(default_factory=dict)
    failures: tuple[JsonObject, ...] = ()
    lacking: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
