"""Which settings and prompts differ between two versions, and which of them can reach the rows of a stage.

A setting of a stage may differ without any request noticing: an edited comment in a prompt, most often. Where both
requests behind a row are still in the cache, they say what really differs: see `narrowed`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from distill_build.dataset.lockfile import Facts
from distill_build.engine.entry import Entry
from distill_build.engine.manifest import ABSENT, ValueChange, changes_between
from distill_build.records import EXPORTED, JsonObject
from distill_build.stages.dialogue import TURNS
from distill_build.stages.identity import BY_HAND, REFILL_REJECTED, REVIEWS, makes_up_for_rejected
from distill_build.stages.kinds.declared import COUNTED_BY, counts_in
from distill_build.stages.training.export_settings import OF_FORMAT, USUAL

PROMPT = ".jinja"
"""How the names of prompts end."""
LINES = ".jsonl"
"""How a recipe calls what people say, but for the tree: by a file, though items stand in others as well."""
OF_YOUR_OWN = " of your own"
"""What is told of items in its place, whichever file they stand in."""
UNTIL = "--until"
TOPIC = "topic"
STAGES = "stages"
"""The setting that lists the stages of a build."""
COUNTS, GRAPH, EXPORT = "counts", "graph", "export"
OF_ROWS, REVIEWED = "rows.", "rows.reviewed"
TOLD_BY_STAGES = ("rows.metadata", "rows.side")
"""What stages beside the exported one tell of its rows."""
OTHER_PARTS = frozenset({"tree", COUNTS, GRAPH, EXPORT})
"""The parts of a recipe that are no stages."""
ROLE, MODELS, NAMES = "role", "models", "names"
AFTER, REFILL = "after", "refill"
UNTOLD: Mapping[str, str] = {"reasoning": "native", "answer_kind": "text", "reviewed": "not_rejected"}
"""Settings that identities leave out where they have this value."""
MESSAGES = ("body.messages",)
SCHEMA = ("body.response_format", *MESSAGES)
MODEL_REACH: Mapping[str, tuple[str, ...]] = {
    "model": ("body.model",),
    "revision": ("revision",),
    "weights": ("weights",),
    "structured": SCHEMA,
    "examples": MESSAGES,
    "reasoning": SCHEMA,
    "send_seed": ("body.seed",),
}
"""Where in a manifest a part of a model shows. What is not named here is sent in a field of its own name."""
REACH: Mapping[str, tuple[str, ...]] = {
    "scheme": ("scheme",),
    "seed": ("seed", "body.seed"),
    "language": MESSAGES,
    "prompt": MESSAGES,
    "description": MESSAGES,
    "audience": MESSAGES,
}
"""Where in a manifest a part of a stage's identity shows. Own settings of a stage are rendered, or asked for."""


class Cause(msgspec.Struct, frozen=True):
    """A setting or prompt that differs, by the name that a user knows; a side without it is ABSENT.

    `parts` are the stages that it belongs to, or tree, counts, graph or export; `fields` the places in a request's
    manifest where it shows; `counts` the stages of whose rows it says how many there are.
    """

    name: str
    old: Any
    new: Any
    parts: tuple[str, ...]
    fields: tuple[str, ...]
    counts: tuple[str, ...] = ()

    @property
    def by_people(self) -> bool:
        """Whether it is a file that people own, or something that stands in it."""
        return self.name.startswith(BY_HAND) or ("tree" in self.parts and self.name.endswith((REVIEWS, OF_YOUR_OWN)))

    @property
    def file(self) -> str:
        """The name of that file; of items that they are people's own, as there may be several files."""
        return BY_HAND if self.name.startswith(BY_HAND) else self.name

    @property
    def prompt(self) -> bool:
        """Whether it is a template."""
        return self.name.endswith(PROMPT)


def causes_between(old: JsonObject, new: JsonObject) -> list[Cause]:
    """All that differs between two recipes, each name once, in the order of their parts.

    Of a stage that only one of them has nothing is told but that.
    """
    found: dict[str, Cause] = {}
    counted = _counted(old, new)
    for part in dict.fromkeys([*new, *old]):
        names = _names(part, old) | _names(part, new)
        for difference in _differences(part, old, new):
            name = setting_name(part, difference.path, names)
            parts, fields = _part(part, difference.path), _fields(part, difference.path)
            counts = _counts(part, difference.path) or counted.get(name) or _refilled(part, new, old)
            if (known := found.get(name)) is not None:
                parts = tuple(dict.fromkeys([*known.parts, *parts]))
                fields = tuple(dict.fromkeys([*known.fields, *fields]))
                counts = tuple(dict.fromkeys([*known.counts, *counts]))
            found[name] = Cause(name, difference.old, difference.new, parts, fields, counts)
    found |= {cause.name: cause for cause in _stages_cause(old, new)}
    if "language" in found:  # other prompts go without saying
        return [cause for cause in found.values() if not (cause.prompt and ABSENT in (cause.old, cause.new))]
    return list(found.values())


def _refilled(stage: str, *recipes: JsonObject) -> tuple[str, ...]:
    """The list that a transform judges which lets it go on for what is dropped: what decides that decides how far."""
    own: JsonObject = next((recipe[stage] for recipe in recipes if recipe.get(stage, {}).get(REFILL)), {})
    return (own[AFTER],) if AFTER in own else ()


def until_cause(old: str, new: str) -> Iterator[Cause]:
    """The stage that the builds stopped after, where it differs."""
    if old != new:
        yield Cause(UNTIL, old, new, (), ())


def recipe_of(facts: Facts) -> JsonObject:
    """The facts of a lock, to be compared with those of another: by stage and dotted place, without empty groups."""
    recipe: JsonObject = {}
    for (part, *places), fact in facts.items():
        recipe.setdefault(part, {})[".".join(places)] = fact
    return recipe


def setting_name(part: str, place: str, names: Mapping[str, str]) -> str:
    """The name that a user knows: `models.teacher.sampling.temperature` of a stage is `teacher.temperature`.

    `names` are what the stage's own settings are called where that is not `stage.<stage>.<setting>`, and of the counts
    the settings by stage.
    """
    head, _, rest = place.partition(".")
    if part == EXPORT and place == REVIEWED:
        return "curate.reviewed"
    if part == EXPORT and place in OF_FORMAT:
        return f"format.{place}"
    if part == EXPORT and place.startswith("kd_"):
        return "kd.tokenizer (its digest)" if place == "kd_student" else place.replace("_", ".", 1)
    if part == "tree" and place != REVIEWS and place.endswith(LINES):
        return items_of_your_own(place.removesuffix(LINES))
    if part in OTHER_PARTS:
        return names.get(place, place)
    match head:
        case "models":
            return _model_setting(*rest.partition(".")[::2])
        case "prompt":
            return rest
        case "seed" | "language" | "scheme" | "description" | "audience":
            return place
    return names[head] + place.removeprefix(head) if head in names else f"stage.{part}.{place}"


def items_of_your_own(stage: str) -> str:
    """What a person's own items of a list are called, whichever file they stand in."""
    return f"{stage}{OF_YOUR_OWN}"


def _model_setting(role: str, place: str) -> str:
    match place:
        case "model":
            return f"{role}.name"
        case "weights":
            return f"{role}.path (its digest)"
    return f"{role}.{place.removeprefix('sampling.')}"


def _differences(part: str, old: JsonObject, new: JsonObject) -> Iterator[ValueChange]:
    """Where one part of two recipes differs; not what only names the rest of it."""
    if part == GRAPH or (part not in OTHER_PARTS and not (part in old and part in new)):
        return
    if part == COUNTS:
        before, after = _whole_lists(counts_in(old)), _whole_lists(counts_in(new))
        both = [name for name in after if name in before]
        yield from changes_between({name: before[name] for name in both}, {name: after[name] for name in both})
        return
    usual = USUAL if part == EXPORT else {}
    before, after = _whole_lists(usual | old.get(part, {})), _whole_lists(usual | new.get(part, {}))
    if part == "tree":
        yield from changes_between(_tree(before), _tree(after))
        return
    exchanged = set(before.get(ROLE, ())) ^ set(after.get(ROLE, ()))
    for difference in changes_between(before, after):
        head, _, rest = difference.path.partition(".")
        if head in (NAMES, COUNTED_BY) or (head == ROLE and ABSENT in (difference.old, difference.new)):
            continue
        if head == MODELS and rest.partition(".")[0] in exchanged:
            continue  # the role is told, and what model it has follows
        if not (part == EXPORT and _follows(difference.path, old, new)):
            yield _with_usual(difference)


def _follows(place: str, old: JsonObject, new: JsonObject) -> bool:
    """Whether what exports hold follows from what is told otherwise: which stages there are, and their settings."""
    if place.startswith(TOLD_BY_STAGES):
        return True
    return place.startswith(OF_ROWS) and place != REVIEWED and any(True for _ in _stages_cause(old, new))


def _with_usual(difference: ValueChange) -> ValueChange:
    """What an identity does not tell is as usual, where that is no null."""
    setting = difference.path.rpartition(".")[2]
    if setting not in UNTOLD or ABSENT not in (difference.old, difference.new):
        return difference
    old, new = (UNTOLD[setting] if side is ABSENT else side for side in (difference.old, difference.new))
    return ValueChange(difference.path, old, new)


def _stages_cause(old: JsonObject, new: JsonObject) -> Iterator[Cause]:
    """The list of stages, where it differs by more than the turns of dialogues: these follow from their number. A lock
    may have a digest of it, and then their order is not known."""
    turns = [_turns(recipe) for recipe in (old, new)]
    by_number = {*turns[0].stages} ^ {*turns[1].stages}
    if by_number:
        name = turns[0].setting or turns[1].setting
        yield Cause(name, turns[0].number, turns[1].number, (GRAPH, *_in_order(by_number, new, old)), ())
    listed = [recipe.get(GRAPH, {}).get(STAGES) for recipe in (old, new)]
    if not all(isinstance(names, list | tuple) for names in listed):
        listed = [sorted(part for part in recipe if part not in OTHER_PARTS) for recipe in (old, new)]
    before, after = map(tuple, listed)
    if _without(by_number, before) != _without(by_number, after):
        both = _without(by_number, (*after, *before))
        others = [name for name in both if (name in before) != (name in after)]
        counts = tuple(judged for name in others for judged in _refilled(name, new, old))
        yield Cause(STAGES, before, after, (GRAPH, *others), (), counts)


class _Turns(msgspec.Struct, frozen=True):
    """The stages of a recipe that a dialogue's turns behind its first question and answer are made by, and the setting
    that says how many turns there are, empty where there are no more than these."""

    stages: tuple[str, ...]
    number: int
    setting: str


def _turns(recipe: JsonObject) -> _Turns:
    answers = [part for part, own in recipe.items() if part not in OTHER_PARTS and own.get("builtin") == TURNS]
    asks = [recipe[name][AFTER] for name in answers if AFTER in recipe[name]]
    setting = next((name for each in answers if (name := _names(each, recipe).get(TURNS))), "")
    return _Turns((*asks, *answers), 1 + len(answers), setting or f"stage.{answers[0]}.{TURNS}" if answers else "")


def _in_order(names: set[str], *recipes: JsonObject) -> list[str]:
    return [name for name in dict.fromkeys(name for recipe in recipes for name in recipe) if name in names]


def _without(some: set[str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in some)


def _counted(*recipes: JsonObject) -> dict[str, tuple[str, ...]]:
    """The settings that say how many rows there are, each with the stages that they are of."""
    counted: dict[str, tuple[str, ...]] = {}
    for part in dict.fromkeys(part for recipe in recipes for part in recipe if part not in OTHER_PARTS):
        for name in dict.fromkeys(recipe.get(part, {}).get(COUNTED_BY) for recipe in recipes):
            if name is not None:
                counted[name] = (*counted.get(name, ()), part)
    if any(makes_up_for_rejected(recipe) for recipe in recipes):  # then what people reject decides, too
        by_any = tuple(dict.fromkeys(part for parts in counted.values() for part in parts))
        counted |= {REFILL_REJECTED: by_any, REVIEWS: by_any}
    return counted


def _names(part: str, recipe: JsonObject) -> dict[str, str]:
    """What the settings of a part are called, in a recipe or in one made of a lock's facts."""
    if part == COUNTS:
        return {name: recipe[name][COUNTED_BY] for name in counts_in(recipe) if COUNTED_BY in recipe.get(name, {})}
    stage: JsonObject = recipe.get(part, {})
    flat = {key.removeprefix(f"{NAMES}."): name for key, name in stage.items() if key.startswith(f"{NAMES}.")}
    if part == EXPORT and (exported := stage.get("rows", {}).get("stage", stage.get("rows.stage"))) is not None:
        return {f"{OF_ROWS}{column}": f"stage.{exported}.export.{column}" for column in EXPORTED}
    return {**flat, **stage.get(NAMES, {})}


def _whole_lists(value: Any) -> Any:
    """`value` with its lists as tuples, which are compared as one thing: `formats`, not `formats[0]`."""
    if isinstance(value, dict):
        return {key: _whole_lists(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _tree(identity: JsonObject) -> JsonObject:
    """The shape of the tree as a user says it: `depth`, and `breadth` as one number where it is one."""
    breadth = identity.get("breadth", ())
    one = breadth[0] if len(set(breadth)) == 1 else breadth
    return {REFILL_REJECTED: False, **identity, "depth": len(breadth), "breadth": one}


def _counts(part: str, place: str) -> tuple[str, ...]:
    """The stage of whose rows a setting says how many there are, by what it says or by who is asked."""
    return (place,) if part == COUNTS else (part,) if place == ROLE else ()


def _part(part: str, place: str) -> tuple[str, ...]:
    """Where a setting belongs: what a stage hands to the exports is no matter of its rows."""
    return (EXPORT,) if place.partition(".")[0] == EXPORT else (part,)


def _fields(part: str, place: str) -> tuple[str, ...]:
    if part in OTHER_PARTS:
        return MESSAGES if place == TOPIC else ()
    head, _, rest = place.partition(".")
    if head == ROLE:
        return ("body.model", "revision", "weights")
    if head != MODELS:
        return REACH.get(head, SCHEMA)
    setting, _, field = rest.partition(".")[2].partition(".")
    return MODEL_REACH.get(setting) or (f"body.{field.partition('.')[0]}",)


def own_causes(causes: Iterable[Cause], stage: str) -> list[Cause]:
    """Those that belong to the requests of a stage, or to how it judges; any may hold the topic."""
    return [cause for cause in causes if stage in cause.parts or cause.name == TOPIC]


def count_causes(causes: Iterable[Cause], stage: str) -> list[Cause]:
    """Those that say how many rows of a stage a parent has."""
    return [cause for cause in causes if stage in cause.counts]


def narrowed(causes: list[Cause], old: Entry | None, new: Entry | None) -> list[Cause]:
    """Those that show in the difference of two calls; all where a call is not there to be asked, or none shows.

    Numbers of rows show in no request, and stay.
    """
    if old is None or new is None or len(causes) < 2:
        return causes
    differing = {_field(difference.path) for difference in changes_between(old.manifest, new.manifest)}
    shown = [cause for cause in causes if differing.intersection(cause.fields)]
    return [cause for cause in causes if cause in shown or not cause.fields] if shown else causes


def _field(path: str) -> str:
    """`body.messages[0].content` → `body.messages`."""
    return ".".join(path.partition("[")[0].split(".")[:2])
