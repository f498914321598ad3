"""What decides what a build leaves on disk, beside the responses: the parts that need no prompts and no weights."""

from collections.abc import Mapping
from typing import Any

from distill_build.engine.manifest import digest
from distill_build.records import JsonObject
from distill_build.review import REVIEWS_FILE
from distill_build.settings import Settings, graph_of
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
OF_FORMS = ("labels", "answer_schema", "schema")
"""The settings of a stage by which its replies are read."""
ROWS_VERSION = 10
"""Version of the rows: raise it when a stage changes what a line holds, or which lines there are."""


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
    order = said.get(ORDER)
    if not isinstance(order, list):  # a lock has a digest of a long one
        order = list(children)
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
