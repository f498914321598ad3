"""Which settings and prompts differ between two versions, and which of them can reach the requests of a stage.

A setting of a stage may differ without any request noticing: an edited comment in a prompt, most often. Where both
requests behind an item are still in the cache, they say what really differs: see `narrowed`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distill_build.engine.entry import Entry
from distill_build.engine.manifest import ABSENT, Difference, explain
from distill_build.records import JsonObject
from distill_build.stages.default import DEFAULT
from distill_build.stages.setting_names import setting_name
from distill_build.versions.lockfile import Facts

PROMPT = ".jinja"
"""How the names of prompts end."""
UNTIL = "--until"
TOPIC = "topic"
COUNTS: Mapping[str, str] = {
    "tags": "breadth",
    "questions": "questions_per_tag",
    "answers": "answers_per_question",
}
"""The setting that says how many items a parent has, by stage."""
MESSAGES = ("body.messages",)
REACH: Mapping[str, tuple[str, ...]] = {
    "scheme": ("scheme",),
    "model": ("body.model",),
    "revision": ("revision",),
    "weights": ("weights",),
    "structured": ("body.response_format", *MESSAGES),
    "examples": MESSAGES,
    "send_seed": ("body.seed",),
    "seed": ("seed", "body.seed"),
    "language": MESSAGES,
    "prompt": MESSAGES,
    "system_prompt": MESSAGES,
    "per_request": ("body.response_format", *MESSAGES),
}
"""Where in a manifest a part of a stage's identity shows. What is not named here is sent in a field of its own name."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A setting or prompt that differs, by the name that a user knows; a side without it is ABSENT.

    `parts` are the stages that it belongs to, or tree, counts or export; `fields` the places in a request's manifest
    where it shows.
    """

    name: str
    old: Any
    new: Any
    parts: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def prompt(self) -> bool:
        """Whether it is a template."""
        return self.name.endswith(PROMPT)


def causes_between(old: JsonObject, new: JsonObject) -> list[Cause]:
    """All that differs between two recipes, each name once, in the order of the stages."""
    found: dict[str, Cause] = {}
    for part in dict.fromkeys([*new, *old]):
        for difference in _differences(part, _whole_lists(old.get(part, {})), _whole_lists(new.get(part, {}))):
            name = setting_name(part, difference.path)
            parts = (*found[name].parts, part) if name in found else (part,)
            fields = found[name].fields if name in found else _fields(part, difference.path)
            found[name] = Cause(name, difference.old, difference.new, parts, fields)
    if "language" in found:  # other prompts go without saying
        return [cause for cause in found.values() if not (cause.prompt and ABSENT in (cause.old, cause.new))]
    return list(found.values())


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


def _differences(part: str, old: JsonObject, new: JsonObject) -> Iterator[Difference]:
    return explain(_tree(old), _tree(new)) if part == "tree" else explain(old, new)


def _whole_lists(value: Any) -> Any:
    """`value` with its lists as tuples, which are compared as one thing: `formats`, not `formats[0]`."""
    if isinstance(value, dict):
        return {key: _whole_lists(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _tree(identity: JsonObject) -> JsonObject:
    """The shape of the tree as a user says it: `depth`, and `breadth` as one number where it is one."""
    breadth = identity.get("breadth", ())
    one = breadth[0] if len(set(breadth)) == 1 else breadth
    return {**identity, "depth": len(breadth), "breadth": one}


def _fields(part: str, place: str) -> tuple[str, ...]:
    if part not in DEFAULT.names:
        return MESSAGES if place == TOPIC else ()
    head, _, rest = place.partition(".")
    return REACH.get(head) or (f"body.{rest.partition('.')[0]}",)


def own_causes(causes: Iterable[Cause], stage: str) -> list[Cause]:
    """Those that belong to the requests of a stage; any may hold the topic."""
    return [cause for cause in causes if stage in cause.parts or cause.name == TOPIC]


def count_causes(causes: Iterable[Cause], stage: str) -> list[Cause]:
    """Those that say how many items of a stage a parent has."""
    return [cause for cause in causes if cause.name == COUNTS[stage]]


def narrowed(causes: list[Cause], old: Entry | None, new: Entry | None) -> list[Cause]:
    """Those that show in the difference of two calls; all where a call is not there to be asked, or none shows.

    Numbers of items show in no request, and stay.
    """
    if old is None or new is None or len(causes) < 2:
        return causes
    differing = {_field(difference.path) for difference in explain(old.manifest, new.manifest)}
    shown = [cause for cause in causes if differing.intersection(cause.fields)]
    return [cause for cause in causes if cause in shown or not cause.fields] if shown else causes


def _field(path: str) -> str:
    """`body.messages[0].content` → `body.messages`."""
    return ".".join(path.partition("[")[0].split(".")[:2])
