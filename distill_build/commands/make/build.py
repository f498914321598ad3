"""`build`: brings the dataset up to date."""

from collections import Counter

from distill_build.builds.report import Report, Watcher
from distill_build.builds.session import Session, dataset_of
from distill_build.builds.up_to_date import current_state, settle
from distill_build.builds.walk.tally import StageTally, Tally
from distill_build.console import open_console
from distill_build.console.page import print_document
from distill_build.dataset.layout import State, rows_by_check
from distill_build.dataset.transaction import only_run
from distill_build.engine.ledger import new_run_id
from distill_build.errors import MISSING_ITEMS, StorageError, UsageError, unusable
from distill_build.export.formats import check_formats
from distill_build.graph import Shape
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import declared


def run(settings: Settings, options: Options) -> int:
    """Builds, reports, and returns 0 where nothing is missing, 1 where something is, 3 or 130 where it was stopped."""
    check_flags(options)
    check_formats(settings.formats)
    console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
    report = bring_up_to_date(session_of(settings, options), options, console)
    console.report(report)
    if options.json:
        print_document(_document(report))
    return _status(report)


def _status(report: Report) -> int:
    if report.stopped is not None:
        return report.stopped.exit_code
    return MISSING_ITEMS if report.failures else 0


def check_flags(options: Options) -> None:
    """Raises UsageError for flags that do not go together."""
    if options.rebuild and options.asks_nothing:
        raise UsageError("--rebuild asks again; --offline, --locked and --frozen ask nothing: leave one of them out")


def session_of(settings: Settings, options: Options) -> Session:
    """The settings made ready, where nothing is asked also on a machine that lacks the weights."""
    if not options.asks_nothing:
        return Session(settings, options.rebuild)
    from distill_build.builds.locked import locked_weights  # a build with nothing to do needs none of it

    return Session(settings, options.rebuild, lambda: locked_weights(dataset_of(settings)))


def bring_up_to_date(session: Session, options: Options, console: Watcher) -> Report:
    """Builds what is not up to date, one build of a dataset at a time."""
    dataset = session.dataset
    try:
        return _bring_up_to_date(session, options, console)
    except OSError as error:
        raise StorageError(
            f"{unusable(error, f'a file below {dataset.folder}')}. The old files are as they were, and what is stored "
            "stays; build again when that is mended"
        ) from error


def _bring_up_to_date(session: Session, options: Options, console: Watcher) -> Report:
    dataset, run_id = session.dataset, new_run_id()
    waiting = f"waiting for another build of {session.settings.name}: "
    with only_run(dataset, run_id, lambda holder: console.note(waiting + holder)):
        state = current_state(session, options.until)
        if state is not None:
            settle(session, state, console.note)
            return _nothing_to_do(session, options, state)
        from distill_build.builds.building import build_alone  # nothing to do needs no models, no store

        return build_alone(session, options, console, run_id)


def _nothing_to_do(session: Session, options: Options, state: State) -> Report:
    return Report(
        name=session.settings.name,
        folder=session.dataset.folder,
        graph=state.graph,
        version=state.version,
        run_id=None,
        until=options.until,
        up_to_date=True,
        seconds=0.0,
        tally=Tally({shape.name: _tally_of(state, shape) for shape in state.graph}),
        expected=declared(session.settings).rows(),
        counts=state.counts,
        failures=0,
        stopped=None,
        files=state.files(session.dataset),
        edited=(),
        checks=state.checks,
        unmatched=(*session.settings.unread, *state.unmatched),
    )


def _tally_of(state: State, shape: Shape) -> StageTally:
    """What the last build knows of a stage, where this one has asked for nothing."""
    stage, rows = shape.name, state.counts.get(shape.name, 0)
    return StageTally(
        found=state.requests.get(stage, 0),
        made=rows,
        judged=rows if shape.kind == "transform" else 0,
        dropped=sum(state.dropped.get(stage, {}).values()),
        why=Counter(state.dropped.get(stage, {})),
        spared=state.spared.get(stage, 0),
    )


def _document(report: Report) -> JsonObject:
    """The document of `build --json`: the shape of `plan --json` with what was done, and the outcome."""
    prompt, completion = report.tally.tokens
    return {
        "calls": report.tally.asked,
        "exact": True,
        "stages": {
            name: {"cached": stage.cached, "ask": stage.asked, "unknown": 0}
            for name, stage in report.tally.stages.items()
        },
        "tokens": {"prompt": prompt, "completion": completion},
        "usd": report.tally.usd,
        "retries": report.tally.retries,
        "version": report.version,
        "failures": report.failures,
        "seconds": round(report.seconds, 3),
        "counts": report.counts,
        "missing": {stage: report.missing(stage) for stage in report.stages},
        "newly_dropped": [{"stage": name, **line} for name, line in report.newly_dropped],
        "dropped": {stage: tally.dropped for stage, tally in report.transforms.items()},
        "refilled": {stage: tally.refilled for stage, tally in report.transforms.items() if tally.refilled},
        "checks": rows_by_check(report.checks),
        "unmatched": list(report.unmatched),
        "removed": [str(path) for path in report.removed],
        "folder": str(report.folder),
        "stopped": None if report.stopped is None else str(report.stopped),
        "exit_code": _status(report),
        "kept_rows": report.kept_rows,
    }
