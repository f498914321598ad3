"""`show ID`: prints one row of any stage with everything recorded of it: what is above, below, and said of it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from distill_build.commands.locate import find_rows
from distill_build.commands.look.counted_tree import load_tree
from distill_build.commands.look.lookup import Found, find_item
from distill_build.commands.look.reviewed import models_text, review_words, said_of_row
from distill_build.commands.look.tree import counts_in_words, figures
from distill_build.console.page import HANG, Line, print_document, print_lines
from distill_build.dataset.layout import FAILURES
from distill_build.dataset.rows import (
    FailureRow,
    Placed,
    VerdictRow,
    content_of,
    list_text,
    read_rows,
    read_rows_with_lines,
)
from distill_build.graph import Shape
from distill_build.history.provenance import row_with, rows_above
from distill_build.options import Options
from distill_build.records import ABOVE, RENAMED_FROM, JsonObject, number_of
from distill_build.review import REJECT, REVIEW
from distill_build.stages.flags import FLAGS
from distill_build.stages.training.rows import exported_stage, goes_on

SHORTENED = {"finish_reason": "finish"}
TEXT = "answer"
"""The column of a reply that is read as it comes."""
THOUGHT = "reasoning"
"""The column that stands in <think> where it is printed, as in what a model learns from."""


def run(options: Options) -> int:
    """Prints the item whose id, or the beginning of it, is the first of the arguments."""
    wanted, *name = options.arguments
    with find_rows(options, *name) as dataset, find_item(options, dataset, wanted) as found:
        shown = _document(found)
        shown["review"] = said_of_row(dataset, found)
        shown["edited_from"] = models_text(options, dataset, found, shown["review"]) or None
        lines = [*found.note(options, dataset), *_text(found, shown)]
    if options.json:
        print_document({**shown, "from_version": found.from_version})
    else:
        print_lines(lines)
    return 0


def _document(found: Found) -> JsonObject:
    """The document of `show --json`.

    `above` are the rows above from the first tag down, `below` by stage those directly below, each with what is below
    it in turn, in numbers; `verdicts` by transform; `left_out` why it goes no further. A tag has the counts and
    failures of all its place.
    """
    key, kind = found.row["id"], found.stage.singular
    failures = (row for row in read_rows(found.files.artefact(FAILURES), FailureRow) if row.row == key)
    shown: JsonObject = {
        "stage": found.stage.name,
        "kind": kind,
        kind: found.row,
        "above": [row for _, row in rows_above(found.files, found.graph, found.stage, found.row)[:-1]],
        "verdicts": _verdicts(found, found.stage, key),
        "left_out": left_out(found),
        "below": _below(found),
        "failures": msgspec.to_builtins(list(failures)),
    }
    if found.stage is not found.graph.tree:
        return shown
    tree = load_tree(found.files, found.graph)
    node = tree.nodes[key]
    return shown | {
        **figures(node, tree),
        "missing": node.missing,
        "failures": msgspec.to_builtins(node.failures),
    }


def _verdicts(found: Found, stage: Shape, key: str) -> JsonObject:
    """What each transform said of a row."""
    rows = ((shape, row_with(found.files, shape, key)) for shape in found.graph.judges(stage.name))
    return {shape.name: row for shape, row in rows if row is not None}


def left_out(found: Found) -> list[str]:
    """Why a row goes no further, and into no training file, as far as verdicts tell: those on it and on what it hangs
    on, or else on all that hangs on one of these."""
    why: list[str] = []
    chain = rows_above(found.files, found.graph, found.stage, found.row)[::-1]
    for stage, row in chain:
        own = ["rejected by hand"] if row.get(REVIEW) == REJECT else []
        own += [f"dropped by {name}" for name, said in _verdicts(found, stage, row["id"]).items() if not said["kept"]]
        why += own if row is found.row else [f"its {stage.singular} {row['id']} is {each}" for each in own]
    for stage, row in chain:
        if why:
            break
        own = list(_dropped_below(found, stage, row))
        why = own if row is found.row else [f"its {stage.singular} {row['id']} is {each}" for each in own]
    recipe = found.files.recipe()
    if not why and found.stage == exported_stage(found.graph, recipe) and not goes_on(found.row, recipe):
        why.append("nobody has accepted it, which curate.reviewed=accepted asks for")
    return why


def _dropped_below(found: Found, stage: Shape, row: JsonObject) -> Iterator[str]:
    """What a row is left out for though nobody dropped it: all rows of a stage below it were. A tag that is no leaf is
    never left out so."""
    graph = found.graph
    for judged in graph if row.get("leaf", True) or stage is not graph.tree else ():
        lineage = graph.lineage(judged.name)
        if judged.kind == "transform" or stage.name not in lineage[:-1] or not graph.judges(judged.name):
            continue
        ids = {row["id"]}
        for name in lineage[lineage.index(stage.name) + 1 :]:
            ids = {each.id for each in read_rows(found.files.artefact(graph[name].file), Placed) if each.above in ids}
        dropped = _dropped(found, judged, ids)
        if ids and len(dropped) == len(ids):
            by = dict.fromkeys(name for said in dropped.values() for name in said)
            yield f"dropped, since all {judged.name} below it were dropped by {' and '.join(by)}"


def left_out_words(why: Sequence[str]) -> Iterator[Line]:
    """The same in a line, or none."""
    if why:
        yield _fact("left out", "; ".join(why))


def _below(found: Found) -> JsonObject:
    """The rows directly below, by stage, each with the numbers of those below it and who dropped it."""
    graph, key = found.graph, found.row["id"]
    below: JsonObject = {}
    for shape in graph:
        above = found.graph.tree if shape is graph.tree else graph.above(shape.name)
        if shape.kind == "transform" or above is None or above.name != found.stage.name:
            continue
        lines = read_rows_with_lines(found.files.artefact(shape.file), Placed)
        rows = [json.loads(line) for row, line in lines if row.above == key]
        ids = {row["id"] for row in rows}
        numbers, dropped = _numbers_below(found, shape, ids), _dropped(found, shape, ids)
        below[shape.name] = [
            {"row": row, "below": {name: number[row["id"]] for name, number in numbers.items()}}
            | {"dropped": dropped.get(row["id"], {})}
            for row in rows
        ]
    return {name: rows for name, rows in below.items() if rows}


def _numbers_below(found: Found, stage: Shape, ids: set[str]) -> dict[str, Counter[str]]:
    """How many rows of each stage are directly below each of `ids`; a tag's own tags stand in its number."""
    stages = [shape for shape in found.graph if shape.kind != "transform" and shape is not found.graph.tree]
    numbers: dict[str, Counter[str]] = {}
    for shape in stages:
        above, file = found.graph.above(shape.name), found.files.artefact(shape.file)
        if ids and above is not None and above.name == stage.name and file.exists():
            numbers[shape.name] = Counter(row.above for row in read_rows(file, Placed) if row.above in ids)
    return numbers


def _dropped(found: Found, stage: Shape, ids: set[str]) -> dict[str, dict[str, list[str]]]:
    """Id → transform → why, of the rows with these `ids` that are dropped."""
    dropped: dict[str, dict[str, list[str]]] = {}
    for shape in found.graph.judges(stage.name) if ids else ():
        for row in read_rows(found.files.artefact(shape.file), VerdictRow):
            if row.id in ids and not row.kept:
                dropped.setdefault(row.id, {})[shape.name] = list(row.why)
    return dropped


def _text(found: Found, shown: JsonObject) -> Iterator[str | Line]:
    """For people."""
    row, graph = found.row, found.graph
    yield _fact(found.stage.singular, row["id"])
    yield from _facts(found)
    yield from left_out_words(shown["left_out"])
    yield from (_fact("reviewed", words) for words in review_words(shown["review"]))
    if "counts" in shown:
        reached = tuple(shape for shape in graph if shape.name in shown["counts"])
        yield _fact("below", ", ".join(counts_in_words(shown["counts"], shown["dropped"], reached)))
    for name, verdict in shown["verdicts"].items():
        yield _fact("verdict", verdict_text(name, verdict))
    for failure in shown["failures"]:
        items, tries = number_of(failure["missing"], failure["stage"]), number_of(failure["attempts"], "attempts")
        yield _fact("missing", f"{items} after {tries}: {failure['cause']}, {failure['detail']}")
    yield from _texts_above(found, shown["above"])
    yield from _own_texts(found)
    for name, text in (shown["edited_from"] or {}).items():
        yield from ("", f"The model's {name}, before it was edited by hand:", _plain(text))
    for name, rows in shown["below"].items():
        yield from _rows_below(graph[name], rows, whole=graph[name].kind != "list")


def verdict_text(transform: str, verdict: JsonObject) -> str:
    """What a transform said of a row: "dropped by dedup: the same question as an earlier one; same_as q_…"."""
    columns = {name: value for name, value in content_of(verdict).items() if value is not None}
    said = [*verdict["why"], *(f"{name} {_plain(value)}" for name, value in columns.items())]
    return f"{'kept' if verdict['kept'] else 'dropped'} by {transform}" + (f": {'; '.join(said)}" if said else "")


def _facts(found: Found) -> Iterator[Line]:
    """The columns that stand in many rows; texts come below."""
    row, content = found.row, content_of(found.row)
    yield _fact("path", " / ".join(row["path"]))
    for name, value in row.items():
        if name == RENAMED_FROM and value is not None:
            yield _fact("renamed", f"by hand from {value}")
        if name in ("id", "path", "label", "question") or name in content:
            continue
        if name in ABOVE and value is not None and found.stage is not found.graph.tree:
            above = found.graph.of_id(value)
            yield _fact(above.singular if above is not None else name, value)
        elif name == FLAGS:
            yield from [_fact(name, ", ".join(value))] if value else []
        elif name == "usage":
            yield _fact(name, ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in value.items()))
        else:
            yield _fact(SHORTENED.get(name, name), _plain(value))


def _texts_above(found: Found, above: list[JsonObject]) -> Iterator[str | Line]:
    """The texts of the rows above that are no tags: their path is told."""
    for row in above:
        stage = found.graph.of_id(row["id"])
        if stage is not None and stage is not found.graph.tree:
            yield from ("", stage.heading)
            yield from _texts(stage, row)


def _own_texts(found: Found) -> Iterator[str]:
    if found.stage is not found.graph.tree:
        yield from _texts(found.stage, found.row)


def _texts(stage: Shape, row: JsonObject) -> Iterator[str]:
    """What a row says: under the columns' names, but for a text that a reply is as it comes."""
    if stage.kind == "list":
        yield from ("", list_text(row))
        return
    content = content_of(row)
    if content.get(THOUGHT) is not None:
        yield from ("", "<think>", _plain(content[THOUGHT]), "</think>")
    others = {name: value for name, value in content.items() if name != THOUGHT}
    for name, value in others.items():
        yield from ("", *([f"{name}:"] if len(others) > 1 or name != TEXT else []), _plain(value))


def _rows_below(stage: Shape, rows: list[JsonObject], *, whole: bool) -> Iterator[str | Line]:
    """Rows below: whole, or a line for each with the numbers of what is below it."""
    if not whole:
        names = list(dict.fromkeys(name for each in rows for name in each["below"]))
        numbers = f", with the number of their {' and '.join(names)}" if names else ""
        yield from ("", f"{stage.name.replace('_', ' ').title()}{numbers}")
    for each in rows:
        row = each["row"]
        dropped = "; ".join(f"dropped by {name}: {'; '.join(why)}" for name, why in each["dropped"].items())
        if whole:
            sample = f" {row['sample']}" if "sample" in row else ""
            yield from ("", f"{stage.heading}{sample}  {row['id']}" + (f"  {dropped}" if dropped else ""))
            yield from _texts(stage, row)
        else:
            place = [row["number"]] if "number" in row else [f"{number:>3}" for number in each["below"].values()]
            gap = " " if "number" in row else "  "
            line = f"  {row['id']}  {'  '.join(place)}{gap}{' '.join(list_text(row).split())}"
            yield line + (f"  ({dropped})" if dropped else "")


def _plain(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fact(name: str, value: object) -> Line:
    return (f"{name:<9} ", "plain"), HANG, (str(value), "plain")
