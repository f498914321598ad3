"""What a recipe says of exports: the settings that reach them, and how rows are laid out by these."""

from distill_build.export import KD, TRAIN, Layout
from distill_build.export.layout import Training
from distill_build.export.reasoning import Where, chosen_place, lost_thought
from distill_build.records import HISTORY, JsonObject
from distill_build.settings import KdSettings

OF_FORMAT = ("reasoning", "metadata", "csv_bom", "margin", "max_length", "student", "turns")
"""The settings `format.*`, by which a recipe calls them too."""
OF_LENGTHS = ("kd_tokenizer", "kd_student")
OF_KD = (*OF_LENGTHS, "kd_trainer", "kd_length")
"""The settings `kd.*` in a recipe, and the digest of what is in the student's files; and those by which lengths go."""
AUTO = "auto"
USUAL: JsonObject = {
    **{"csv_bom": False, "margin": 1, "trainers": [], "max_length": 2048, "student": "", "turns": "dialogue"},
    **{"kd_tokenizer": None, "kd_student": None, "kd_trainer": "distillkit", "kd_length": None},
}
"""Export settings that stand in a recipe only where they have another value."""


def reaches_student(export: JsonObject) -> bool:
    """Whether `kd.*` reaches exports: rows are in the student's tokens, or their lengths are told by them."""
    return KD in export["formats"] or bool(export.get("trainers"))


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
