"""What decides what a build leaves on disk, beside the responses: the parts that need no prompts and no weights."""

from collections.abc import Mapping
from typing import Any

from distill_build.dataset.unit import View
from distill_build.engine.manifest import digest
from distill_build.errors import ConfigurationError
from distill_build.export import KD, TRAIN, Layout
from distill_build.export.layout import Training
from distill_build.export.reasoning import Where, chosen_place, lost_thought
from distill_build.graph import Graph
from distill_build.records import HISTORY, JsonObject
from distill_build.review import REVIEWS_FILE
from distill_build.settings import KdSettings, Settings, graph_of
from distill_build.subtree import (
    ABOUT,
    ANSWER,
    ANSWER_LABELS,
    ANSWER_SCHEMA,
    CHILDREN,
    NOTHING_SAID,
    TREE_FILE,
    AnswerByHand,
    TagByHand,
    own_items_of,
    said_of,
)

BY_HAND = TREE_FILE
"""What the parts of the tree are called, as a cause, that people have made."""
REVIEWS = REVIEWS_FILE
ORDER = "tags in order"
REFILL_REJECTED = "curate.refill"
"""The setting by which rejected rows are made up for, as a cause and in a recipe, which is silent where it is off."""
NESTED = (CHILDREN, ABOUT)
OF_FORMAT = ("reasoning", "metadata", "csv_bom", "margin", "max_length", "student", "turns")
"""The settings `format.*`, by which a recipe calls them too."""
OF_FORMS = ("labels", "answer_schema", "schema")
"""The settings of a stage by which its replies are read."""
OF_LENGTHS = ("kd_tokenizer", "kd_student")
OF_KD = (*OF_LENGTHS, "kd_trainer", "kd_length")
"""The settings `kd.*` in a recipe, and the digest of what is in the student's files; and those by which lengths go."""
STUDENT, AUTO = "student", "auto"
USUAL: JsonObject = {
    **{"csv_bom": False, "margin": 1, "trainers": [], "max_length": 2048, "student": "", "turns": "dialogue"},
    **{"kd_tokenizer": None, "kd_student": None, "kd_trainer": "distillkit", "kd_length": None},
}
"""Export settings that stand in a recipe only where they have another value."""
ROWS_VERSION = 9
"""Version of the form of the rows: raise it when a stage changes what a line holds."""


def build_digest(recipe: JsonObject, until: str, generation: str) -> str:
    """All that goes into a build; the cache's `generation` stands for the responses."""
    return digest([ROWS_VERSION, recipe, until, generation])


def tree_identity(settings: Settings) -> JsonObject:
    """The settings that say which tags are wanted."""
    return {
        "topic": settings.topic,
        "breadth": [settings.breadth_at(level) for level in range(1, settings.depth + 1)],
        **_said_by_people(settings),
        **({REFILL_REJECTED: True} if settings.curate.refill else {}),
    }


def makes_up_for_rejected(recipe: JsonObject) -> bool:
    """Whether other rows were asked for in the place of rejected ones, where `recipe` is that of the build."""
    return bool(recipe.get("tree", {}).get(REFILL_REJECTED))


def _said_by_people(settings: Settings) -> JsonObject:
    """What files of theirs say, by file: what is much by its digest."""
    said: JsonObject = {BY_HAND: tree_said(settings.by_hand)}
    for shape in graph_of(settings):
        if items := own_items_of(settings.by_hand, shape.name):
            said[f"{shape.name}.jsonl"] = digest(items)
    if settings.reviews:
        said[REVIEWS] = digest({key: review.said for key, review in settings.reviews.items()})
    return {name: told for name, told in said.items() if told}


def tree_said(tag: TagByHand) -> JsonObject:
    """What is said of a tag and below, as a recipe holds it, which `tag_said_of` reads back."""
    return {} if tag == NOTHING_SAID else _in_order(said_of(tag))


def _in_order(said: JsonObject) -> JsonObject:
    """What is said of a tag, with the order of its children: a lock has neither that nor what is empty."""
    found = {key: {label: _in_order(each) for label, each in said[key].items()} for key in NESTED if key in said}
    return {**said, **found, **({ORDER: list(said[CHILDREN])} if CHILDREN in said else {})}


def tag_said_of(said: JsonObject) -> TagByHand:
    """The tag of which a recipe says that, with its children in their order."""
    children: JsonObject = said.get(CHILDREN, {})
    order: list[str] = said.get(ORDER, list(children))
    known = (*TagByHand.__struct_fields__, CHILDREN, ORDER)
    return TagByHand(
        children={label: tag_said_of(children.get(label, {})) for label in order},
        only=said.get("only", False),
        about={label: tag_said_of(below) for label, below in said.get(ABOUT, {}).items()},
        rename=said.get("rename", {}),
        exclude=tuple(said.get("exclude", ())),
        breadth=said.get("breadth"),
        depth=said.get("depth"),
        description=said.get("description"),
        answer=_answer_of(said.get(ANSWER)),
        counts={key: value for key, value in said.items() if key not in known},
    )


def _answer_of(said: Any) -> AnswerByHand | None:
    """None also where a lock has a digest of it alone."""
    if not isinstance(said, dict):
        return None
    labels, schema = said.get(ANSWER_LABELS), said.get(ANSWER_SCHEMA)
    if isinstance(labels, list | tuple):
        return AnswerByHand(labels=tuple(labels))
    return AnswerByHand(schema=schema) if isinstance(schema, str) and schema.startswith("{") else None


def form_by_digest(recipe: JsonObject, stage: str) -> bool:
    """Whether `recipe` has a digest alone of what the rows of a stage have to be, as a lock has of long texts."""
    forms = [value for name, value in recipe.get(stage, {}).items() if name in OF_FORMS]
    return any(map(_by_digest, forms)) or (bool(forms) and _answer_by_digest(recipe.get("tree", {}).get(BY_HAND)))


def _by_digest(told: Any) -> bool:
    """Whether something in a setting is no more than the digest that a lock has of it."""
    if isinstance(told, Mapping):
        return any(map(_by_digest, told.values()))
    return isinstance(told, str) and told.startswith("sha256:")


def _answer_by_digest(said: Any) -> bool:
    """Whether that is so of what people say of answers to a part of the tree."""
    if not isinstance(said, Mapping):
        return False
    return any(_by_digest(told) if name == ANSWER else _answer_by_digest(told) for name, told in said.items())


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


def reaches_student(export: JsonObject) -> bool:
    """Whether `kd.*` reaches exports: rows are in the student's tokens, or their lengths are told by them."""
    return KD in export["formats"] or bool(export.get("trainers"))


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


def without_usual(export: JsonObject) -> JsonObject:
    """Export settings without those that have their usual value, of which older locks say nothing, or reach nothing."""
    reaching = OF_KD if KD in export["formats"] else OF_LENGTHS if reaches_student(export) else ()
    told = {name: value for name, value in export.items() if name in reaching or name not in OF_KD}
    return {name: value for name, value in told.items() if name not in USUAL or value not in (None, USUAL[name])}


def export_layout(identity: JsonObject) -> Layout:
    """How `export_identity` says that rows are laid out."""
    identity = USUAL | identity
    return Layout(
        reasoning=place_of_thought(identity),
        metadata=identity["metadata"],
        system_prompt=identity["system_prompt"],
        csv_bom=identity["csv_bom"],
        margin=identity["margin"],
        training=Training(tuple(identity["trainers"]), identity["max_length"], identity["student"]),
        kd=KdSettings(tokenizer=identity["kd_tokenizer"], trainer=identity["kd_trainer"], length=identity["kd_length"]),
        dialogues=HISTORY in identity["rows"],
        columns={name: told["kind"] for name, told in identity["rows"].get("metadata", {}).items()},
    )


def place_of_thought(identity: JsonObject) -> Where:
    """Where `export_identity` says that reasoning goes."""
    if identity["reasoning"] == AUTO:
        return chosen_place(identity.get("trainers", ()), identity.get("student", ""))
    said: Where = identity["reasoning"]
    return said


def lost_in_training(identity: JsonObject) -> str | None:
    """What is to be said, before they are written, of exports from which no thought reaches the student."""
    trainers, student = identity.get("trainers", ()), identity.get("student", "")
    return lost_thought(place_of_thought(identity), trainers, student, identity["formats"])


def export_sides(identity: JsonObject) -> tuple[str, ...]:
    """The sides that `export_identity` splits rows to, in order: each has a file of every format."""
    return tuple(identity["rows"].get("sides", (TRAIN,)))


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
    from distill_build.stages.all import class_of  # stages know their identities by this module
    from distill_build.stages.measures.ratings import told_ratings

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
