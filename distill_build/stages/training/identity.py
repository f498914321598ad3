"""The settings that reach exports, as a recipe is to hold them."""

from distill_build.dataset.unit import View
from distill_build.errors import ConfigurationError
from distill_build.graph import Graph
from distill_build.records import JsonObject
from distill_build.settings import KdSettings, Settings, graph_of
from distill_build.stages.classes import class_of
from distill_build.stages.measures.ratings import told_ratings
from distill_build.stages.training.export_settings import AUTO, reaches_student, without_usual

STUDENT = "student"


def export_identity(settings: Settings) -> JsonObject:
    """The settings that reach exports."""
    margin = settings.format.margin
    export = {
        "formats": list(settings.formats),
        "reasoning": settings.format.reasoning,
        "metadata": settings.format.metadata,
        "csv_bom": settings.format.csv_bom,
        "margin": int(margin) if margin == int(margin) else margin,
        "trainers": list(settings.trainers),
        "max_length": settings.format.max_length,
        "student": settings.format.student or _own_student(settings),
        "turns": settings.format.turns,
        "system_prompt": settings.system_prompt,
        "rows": export_rows(settings),
    }
    return without_usual(export | (kd_identity(settings.kd) if reaches_student(export) else {}))


def _own_student(settings: Settings) -> str:
    """The name of the role that is to be trained, where it has one of its own and trainers or `auto` go by it."""
    goes_by_it = settings.trainers or settings.format.reasoning == AUTO
    own = goes_by_it and STUDENT in settings.models and "name" in settings.own_fields.get(STUDENT, ())
    return settings.models[STUDENT].name if own else ""


def kd_identity(kd: KdSettings) -> JsonObject:
    """The settings `kd.*`; `kd_student` is the digest of what is in the student's files."""
    told = {"kd_tokenizer": kd.tokenizer, "kd_student": None, "kd_trainer": kd.trainer, "kd_length": kd.length}
    if kd.tokenizer is None:
        return told
    from distill_build.stages.measures.student import student_digest

    return told | {"kd_student": student_digest(kd.tokenizer)}


def export_rows(settings: Settings) -> JsonObject:
    """Which stage feeds the exports, and how its rows become training rows: the last one in force that says so.

    With it what other stages tell of these rows: `metadata`, and the side that each goes to, of those there are.
    """
    graph = graph_of(settings)
    for name in reversed(settings.stages):
        if (export := settings.stage[name].export) is not None:
            reviewed = {} if settings.curate.reviewed == "not_rejected" else {"reviewed": settings.curate.reviewed}
            return {"stage": name, **export, **reviewed, **_told_by_others(graph, name, settings)}
    return {}


def _told_by_others(graph: Graph, exported: str, settings: Settings) -> JsonObject:
    metadata: JsonObject = {}
    sides: JsonObject = {}
    for shape in graph:
        own = settings.stage[shape.name]
        kind = class_of(own.kind, own.builtin)
        of = shape.after if shape.kind == "transform" and shape.after is not None else shape.name
        if View(graph).way(exported, of)[1]:
            continue  # it has no row, or none alone, for each that is exported
        for name, told in kind.metadata(own).items():
            _add(metadata, name, {"from": f"rows.{shape.name}.{name}", "kind": told})
        if found := kind.sides(own):
            sides = {"side": f"rows.{shape.name}.{kind.side_column}", "sides": list(found)}
    for rating in told_ratings(graph, exported, settings):
        _add(metadata, rating.mean_name, {"mean": f"{rating.stage}.{rating.column}", "kind": "number"})
    return ({"metadata": dict(sorted(metadata.items()))} if metadata else {}) | sides


def _add(metadata: JsonObject, name: str, told: JsonObject) -> None:
    if name in metadata:
        one, other = (each.get("from") or f"rows.{each['mean']}" for each in (metadata[name], told))
        raise ConfigurationError(
            f"{one} and {other} would both be {name} in the metadata of the exports: give the one that is yours "
            "another name, as in axes.effort for axes.score"
        )
    metadata[name] = told
