"""The exports of a dataset's rows, as a build, `export` and `checkout` alike write them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.dataset.layout import SOURCES, CheckCount
from distill_build.dataset.transaction import Transaction
from distill_build.engine.reading import Responses
from distill_build.graph import Graph
from distill_build.history.raw_responses import RawResponses
from distill_build.records import Failure, JsonObject
from distill_build.stages.training.checks import TrainingChecks
from distill_build.stages.training.export_settings import export_layout, export_sides
from distill_build.stages.training.rows import training_rows
from distill_build.stages.training.soft_rows import SoftRows


class ExportedRows(msgspec.Struct, frozen=True):
    """The new files by name, the rows that make no training row, and what the others show."""

    files: dict[str, Path]
    refused: list[Failure]
    checks: tuple[CheckCount, ...]


NO_EXPORTS = ExportedRows({}, [], ())
"""Of a dataset that does not reach that far."""


def write_rows(
    transaction: Transaction,
    place: Callable[[str], Path],
    graph: Graph,
    recipe: JsonObject,
    export: JsonObject,
    stores: Callable[[ExitStack], Sequence[Responses]],
    there: Sequence[str] = (),
) -> ExportedRows:
    """Writes what `export` says, of rows that were made with `recipe`; `place` says where a file of the dataset lies,
    and `stores` opens where the replies behind them may. The formats `there` lie among the new files already.

    Raises StorageError for a reply or a line that cannot be had, and StudentError where the model that the format kd is
    for is not here, is another one, or has no use for the rows.
    """
    refused: list[Failure] = []
    with closing(RawResponses(place(SOURCES), export["rows"].get("stage", ""), stores)) as reply:
        layout = export_layout(export)
        soft = SoftRows(reply, layout, graph, recipe)
        layout = replace(layout, tokens=soft)
        checks = TrainingChecks(export["formats"], layout, recipe)
        rows = checks.watched(training_rows(place, graph, recipe, refused.append))
        files = transaction.write_exports(rows, export["formats"], layout, export_sides(export), there)
        soft.require_use()
    return ExportedRows(files, refused, (*checks.counts(), *soft.counts()))
