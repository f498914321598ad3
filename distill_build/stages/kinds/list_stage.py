"""A list: its items are asked for below each unit, request by request."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from distill_build.dataset.unit import Place
from distill_build.records import JsonObject, Path
from distill_build.replies.labels import ListReading
from distill_build.replies.reasoning import Marks
from distill_build.stages.kinds.base import OF_LIST, ModelStage
from distill_build.stages.kinds.editable import Editable
from distill_build.stages.kinds.recipe import Recipe
from distill_build.subtree import Subtree

if TYPE_CHECKING:  # as in `base`
    from distill_build.calls.call import Call
    from distill_build.replies.parse import Rejection


class ListStage(ModelStage):
    """A list that grows below each unit, request by request: each request is shown the items so far.

    What a request asks for never depends on how many items are wanted in the end.
    """

    variables_of = OF_LIST
    grows_tree: ClassVar[bool] = False
    """Whether it comes after the topic, and its items are the tags below which all else hangs."""
    reading: ClassVar[ListReading]
    """How a reply's list is found, and its items are cleaned."""

    @property
    def recipe(self) -> Recipe:
        return self.recipes[self.first]

    @property
    def asked_roles(self) -> tuple[str, ...]:
        return (self.first,)

    @property
    def results(self) -> int:
        return self.settings.per_request or 1

    def wanted(self, level: int) -> int:
        """Items below a unit on `level`, where the topic is level 0."""
        wanted = self.settings.wanted
        assert wanted is not None, "a list says how many items it wants"  # noqa: S101
        return wanted[min(level, len(wanted) - 1)] if isinstance(wanted, list) else wanted

    def wanted_below(self, subtree: Subtree, level: int) -> int:
        """Items below a leaf on `level`, unless a person says otherwise for that part of the tree."""
        return subtree.length_of(self.counted_by, self.wanted(level))

    def own_columns(self) -> JsonObject:
        """What a person's own item has in the columns that come with a model's."""
        return {}

    def number(self, line: JsonObject) -> int:
        index: int = line["index"]
        return index

    def line(self, place: Place, index: int, item: str) -> JsonObject:
        """The line of item number `index` below the tag at `place`; for a stage that does not grow the tree."""
        raise NotImplementedError

    @classmethod
    def reading_by(cls, own: Mapping[str, Any]) -> ListReading:  # noqa: ARG003 - for those of ours that go by some
        """How replies are read, by settings of the stage's own, as its identity holds them."""
        return cls.reading

    @classmethod
    def editable_by(cls, own: Mapping[str, Any]) -> Editable:
        return Editable() if cls.grows_tree else Editable((cls.reading_by(own).item,))

    @cached_property
    def _reading(self) -> ListReading:
        return self.reading_by(msgspec.to_builtins(self.settings))

    def variables(self, path: Path) -> JsonObject:
        """What a template has besides the variables of every list."""
        raise NotImplementedError

    def quotas(self, ordinal: int) -> JsonObject:  # noqa: ARG002 - for those of ours that have some
        """What a template has that depends on the number of requests before."""
        return {}

    def taken(self, value: Any, ordinal: int) -> tuple[Sequence[str], Sequence[JsonObject]]:  # noqa: ARG002 - as above
        """The items of what was kept of a reply, in their order, and what columns each has besides, if any."""
        return value, ()

    def elsewhere(self, earlier: Sequence[Sequence[str]]) -> list[str]:
        """The labels that a request below a tag shows as covered elsewhere: of `earlier`, the labels that stand before
        the tag in the list of its parent, and so on for each tag above it, level 1 first.

        None where the prompt does not show them: then a change of theirs is no change of a request.
        """
        return [label for labels in earlier for label in labels] if self._shows_elsewhere else []

    @cached_property
    def _shows_elsewhere(self) -> bool:
        return self.prompts.uses(self.template, "elsewhere")

    def request(
        self, place: Place, existing: Sequence[str], ordinal: int, earlier: Sequence[Sequence[str]] = ()
    ) -> "Call":
        """Asks for `per_request` more items at `place`, given those so far; `ordinal` requests came before.

        `earlier` is as `elsewhere` takes it.
        """
        from distill_build.replies.schemas import response_format, valued_item

        count, model = self.results, self.recipe.model
        messages = self.prompts.render(
            self.template,
            **self.told_at(place),
            path=list(place.path),
            elsewhere=self.elsewhere(earlier),
            existing=existing,
            count=count,
            structured=model.structured,
            examples=model.examples,
            **self.variables(place.path),
            **self.quotas(ordinal),
        )
        reading = self._reading
        item = valued_item(reading.item, dict(reading.axes)) if reading.axes else None
        schema = response_format(reading.name, count, model.structured, item)
        return self.recipe.call(place.seen, messages, ordinal, self.read, schema)

    def read(self, raw: Any) -> "Rejection | Any":
        """The items in a reply, or why it cannot stand."""
        return read_list(raw, self._reading, self.recipe.model.reasoning_marks)

    def typical_call(self) -> "Call":
        topic = self.build.topic
        return self.request(Place((topic,) * (self.build.depth + 1), ""), [], 0)

    def identity(self) -> JsonObject:
        return super().identity() | self.own("per_request")

    def count(self) -> int | list[int] | None:
        return None if self.shape.after is None else self.settings.wanted


def read_list(
    raw: Any, reading: ListReading, marks: tuple[Marks, ...] | None
) -> "Rejection | tuple[str, ...] | tuple[JsonObject, ...]":
    """The items in a reply to a request of a list, or why it cannot stand; with the text of each under its name where
    it has values besides. `marks` are the model's own of reasoning."""
    from distill_build.replies.parse import Rejection, parse_items

    found = parse_items(raw, reading, marks)
    if isinstance(found, Rejection) or not reading.axes:
        return found if isinstance(found, Rejection) else found.items
    return tuple({reading.item: item, **own} for item, own in zip(found.items, found.values, strict=True))
