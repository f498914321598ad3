"""What a stage is: a value that says what is asked for, how a reply is read, and which rows come of it.

Four kinds, for ours and for a user's own alike. Ours are modules in `builtin/`, each a class with what is special to
it; a user's own is the class of its kind with the settings of one YAML file. Nothing here knows who is asked when.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from distill_build.dataset.unit import Place, Verdict
from distill_build.engine.manifest import SCHEME
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.models.base import ModelSettings
from distill_build.prompting.known import ANYTHING, NUMBER, TEXT, TEXTS, TRUTH, Fields, Known
from distill_build.records import JsonObject, Path, Usage, row_id
from distill_build.replies.labels import ListReading
from distill_build.replies.reasoning import Marks
from distill_build.replies.schemas import ObjectSchema
from distill_build.settings import Settings, StageSettings, names_of
from distill_build.stages.columns import known_fields, stages_in
from distill_build.stages.declared import COUNTED_BY, counted_by
from distill_build.stages.flags import FLAGS, NO_REASONING, REPEATS_QUESTION, SPECIAL_TOKENS, RowFlag, flags_of
from distill_build.stages.recipe import Recipe

if TYPE_CHECKING:  # a build with nothing to do reads no reply, and who follows a row to its request renders no prompt
    from distill_build.calls.call import Call
    from distill_build.prompting.expressions import Expression
    from distill_build.prompting.prompts import Prompts
    from distill_build.replies.parse import Rejection

OF_ALL = frozenset({"topic", "description", "audience", "path", "structured", "examples"})
"""What the template of any stage is rendered with."""
OF_LIST = OF_ALL | {"elsewhere", "existing", "count"}
"""What the template of a list is rendered with; a list may add the name that it has for its place."""
OF_ROW = OF_ALL | {"row", "rows", "system_prompt", "schema"}
"""What the template of a map is rendered with: `row` is the row above, `rows` the others by their stages."""
TOLD = ("description", "audience")
"""Settings of a build that a prompt may show."""
Weights = Callable[[str, ModelSettings], str | None]
"""A role and its model → the digest of its weights file, None for a model behind an address."""


class Stage:
    """One stage of a dataset, whatever its kind. `expressions` are those of its file by setting."""

    above_column: ClassVar[str] = "parent"
    """The column that holds the id of the row above."""

    settings_type: ClassVar[type[StageSettings]] = StageSettings
    """What its file may say: one of ours that has settings of its own derives a type with them, and names it here."""

    reads: ClassVar[frozenset[str]] = frozenset()
    """Columns that the rows above have to have."""

    side_column: ClassVar[str] = "split"
    """The column of a verdict that says to which side a row goes, where it has `sides`."""

    followers: ClassVar[Mapping[str, str]] = {}
    """Settings that stand by themselves → those of one of ours which follow them: of one in its place they should."""

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        """The columns of its rows, as far as its settings and those of the rows above tell."""
        raise NotImplementedError

    @classmethod
    def sides(cls, own: StageSettings) -> tuple[str, ...]:  # noqa: ARG003
        """Those that training rows are split to, each into files of its own; none where it splits nothing."""
        return ()

    @classmethod
    def metadata(cls, own: StageSettings) -> Mapping[str, Literal["text", "number"]]:  # noqa: ARG003
        """Columns of its rows that training rows made of these, or below them, tell too, and what they hold."""
        return {}

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings) -> None:
        self.shape = shape
        self.settings = settings
        self.build = build

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def refers_to(self) -> frozenset[str]:
        """The stages whose rows its prompt or expressions name."""
        return frozenset()

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences on what it leaves undone by its settings, for whoever is about to build."""
        return ()

    def number(self, line: JsonObject) -> int:  # noqa: ARG002 - for stages with several rows below one
        """Which one a row is among those below the same row."""
        return 0

    def identity(self) -> JsonObject:
        """All that its rows can depend on besides those that they are made from, by the names that `causes` knows."""
        its_own = [key for key in self.settings_type.__struct_fields__ if key not in StageSettings.__struct_fields__]
        names = names_of(self.name, self.settings)
        return self.own("builtin", *its_own) | ({"names": names} if names else {})

    def count(self) -> int | list[int] | None:
        """How many rows there are below one above, as its settings say; None where no setting of its own does."""
        return None

    def own(self, *keys: str) -> JsonObject:
        """Settings of its file that are identity, as far as they are set."""
        return {key: value for key in keys if (value := getattr(self.settings, key)) not in (None, {}, ())}


class ModelStage(Stage):
    """A stage whose rows a model is asked for."""

    variables_of: ClassVar[frozenset[str]]
    """What its template is rendered with."""
    flags: ClassVar[tuple[RowFlag, ...]] = (SPECIAL_TOKENS,)
    """Those that its rows may have, in the order of their column."""

    def __init__(
        self, shape: Shape, settings: StageSettings, build: Settings, prompts: "Prompts", weights: Weights
    ) -> None:
        super().__init__(shape, settings, build)
        self.prompts = prompts
        self.recipes: dict[str, Recipe] = {}
        for role in settings.roles:
            model = build.models[role]
            self.recipes[role] = Recipe(shape.name, role, model, build.seed, weights(role, model))
        _refuse_one_in_two(shape.name, self.recipes)

    @property
    def template(self) -> str:
        """The prompt's name."""
        return template_of(self.settings, self.name)

    @property
    def refers_to(self) -> frozenset[str]:
        return self.prompts.referenced_rows(self.template)

    @cached_property
    def of_build(self) -> JsonObject:
        """What each rendering has of the settings of the build."""
        return {"topic": self.build.topic, "description": self.build.description, "audience": self.build.audience}

    @property
    def counted_by(self) -> str:
        """The setting that says how many rows there are below one row above."""
        return counted_by(self.name, self.settings)

    @property
    def first(self) -> str:
        """The first of its roles."""
        return next(iter(self.recipes))

    @property
    def asked_roles(self) -> tuple[str, ...]:
        """The roles that are asked, each as often as any other."""
        raise NotImplementedError

    @property
    def results(self) -> int:
        """How many results one row above has (map), or how many items one request asks for (list)."""
        raise NotImplementedError

    @cached_property
    def row_flags(self) -> tuple[RowFlag, ...]:
        """`flags`, and those that its settings add."""
        return self.flags

    def flagged(self, line: JsonObject) -> JsonObject:
        """A line of its artefact with its last column: the names of its flags."""
        return {**line, FLAGS: flags_of(line, self.row_flags)}

    def typical_call(self) -> "Call":
        """A request as those for places that are not known yet will be: its length serves estimates alone."""
        raise NotImplementedError

    def identity(self) -> JsonObject:
        return {
            **super().identity(),
            "scheme": SCHEME,
            "role": list(self.settings.roles),
            "models": {role: recipe.identity() for role, recipe in self.recipes.items()},
            "seed": self.build.seed,
            "language": self.build.language,
            "prompt": self.prompts.sources(self.template),
            COUNTED_BY: self.counted_by,
            **{key: told for key in TOLD if (told := self.of_build[key]) is not None and self._reads(key)},
        }

    def _reads(self, variable: str) -> bool:
        return self.prompts.uses(self.template, variable)


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
        return wanted[level] if isinstance(wanted, list) else wanted

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
        self, path: Path, existing: Sequence[str], ordinal: int, earlier: Sequence[Sequence[str]] = ()
    ) -> "Call":
        """Asks for `per_request` more items below `path`, given those so far; `ordinal` requests came before.

        `earlier` is as `elsewhere` takes it.
        """
        from distill_build.replies.schemas import response_format, valued_item

        count, model = self.results, self.recipe.model
        messages = self.prompts.render(
            self.template,
            **self.of_build,
            path=list(path),
            elsewhere=self.elsewhere(earlier),
            existing=existing,
            count=count,
            structured=model.structured,
            examples=model.examples,
            **self.variables(path),
            **self.quotas(ordinal),
        )
        reading = self._reading
        item = valued_item(reading.item, dict(reading.axes)) if reading.axes else None
        schema = response_format(reading.name, count, model.structured, item)
        return self.recipe.call(path, messages, ordinal, self.read, schema)

    def read(self, raw: Any) -> "Rejection | Any":
        """The items in a reply, or why it cannot stand."""
        return read_list(raw, self._reading, self.recipe.model.reasoning_marks)

    def typical_call(self) -> "Call":
        topic = self.build.topic
        return self.request((topic,) * (self.build.depth + 1), [], 0)

    def identity(self) -> JsonObject:
        return super().identity() | self.own("per_request")

    def count(self) -> int | list[int] | None:
        return None if self.shape.after is None else self.settings.wanted


def _refuse_one_in_two(stage: str, recipes: Mapping[str, Recipe]) -> None:
    """Raises ConfigurationError for two roles whose requests are the same: one reply would count as two."""
    for (first, one), (second, other) in combinations(recipes.items(), 2):
        if one.identity() == other.identity():
            raise ConfigurationError(
                f"stage.{stage}.role: {first} and {second} would be sent the same requests, whose replies count once: "
                f"set another {second}.name, {second}.temperature or {second}.revision, or leave {second} out and set "
                f"stage.{stage}.samples=2, which asks {first} twice"
            )


class MapStage(ModelStage):
    """Results for each row of the stage above: `samples` of them from each role."""

    variables_of = OF_ROW
    flags = (NO_REASONING, REPEATS_QUESTION, SPECIAL_TOKENS)
    place_columns: ClassVar[tuple[str, ...]] = ("parent",)
    """The columns that say what the row hangs on, besides its path."""
    takes_over: ClassVar[tuple[str, ...]] = ()
    """Columns of the row above that it has too."""

    @property
    def asked_roles(self) -> tuple[str, ...]:
        return tuple(self.recipes)

    @property
    def results(self) -> int:
        return self.settings.samples * len(self.recipes)

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:
        role: dict[str, Known] = {"role": TEXT} if isinstance(own.role, list) else {}
        fields = {"reasoning": ANYTHING, "answer": TEXT} if own.schema is None else known_fields(own.schema)
        carried = {name: above.get(name) for name in cls.takes_over}
        counted = Fields(dict.fromkeys(Usage().row(), NUMBER))
        return {
            "id": TEXT,
            **dict.fromkeys(cls.place_columns, TEXT),
            "path": TEXTS,
            "sample": NUMBER,
            **role,
            **carried,
            **fields,
            "model": TEXT,
            "finish_reason": TEXT,
            "usage": counted,
            "call": TEXT,
        }

    def variables(self, row: JsonObject) -> JsonObject:  # noqa: ARG002 - for those of ours that have more
        """What a template has besides `topic`, `path`, `row`, `rows`, `system_prompt`, `schema` and the model's."""
        return {}

    def request(self, place: Place, row: JsonObject, others: JsonObject, number: int) -> "Call":
        """Asks for result `number` of `row`, a line of the stage above; `others` are the rows that the prompt names."""
        role, sample = self.role_of(number), number % self.settings.samples
        return self._call(place.path, self._messages(place.path, row, others, role), sample, role)

    def role_of(self, number: int) -> str:
        """Who is asked for result `number` of a row."""
        return list(self.recipes)[number // self.settings.samples]

    def number(self, line: JsonObject) -> int:
        role = list(self.recipes).index(line["role"]) if "role" in line else 0
        sample: int = line["sample"]
        return role * self.settings.samples + sample

    def _messages(self, path: Path, row: JsonObject, others: JsonObject, role: str) -> list[dict[str, str]]:
        model = self.recipes[role].model
        return self.prompts.render(
            self.template,
            **self.of_build,
            path=list(path),
            row=row,
            rows=others,
            system_prompt=self.settings.system_prompt,
            schema=self.settings.schema,
            structured=model.structured,
            examples=model.examples,
            **self.variables(row),
        )

    def _call(self, path: Path, messages: list[dict[str, str]], sample: int, role: str) -> "Call":
        recipe = self.recipes[role]
        if self.schema is None:
            return recipe.call(path, messages, sample, self.readers[role])
        from distill_build.replies.parse import object_format

        response_format = object_format(self.name, self.schema, recipe.model.structured)
        return recipe.call(path, messages, sample, self.readers[role], response_format)

    @cached_property
    def schema(self) -> ObjectSchema | None:
        """What a reply has to fit; None for a text."""
        return None if self.settings.schema is None else ObjectSchema(self.settings.schema)

    @cached_property
    def readers(self) -> "dict[str, Callable[[Any], Rejection | JsonObject]]":
        """What reads a reply of each role: what is kept are its fields, and how it ended."""
        marks = {role: recipe.model.reasoning_marks for role, recipe in self.recipes.items()}
        return {role: partial(read_result, schema=self.schema, marks=own) for role, own in marks.items()}

    def row_id(self, parent: str, number: int) -> str:
        """The id of a result."""
        samples = self.settings.samples
        if isinstance(self.settings.role, list):
            return row_id(self.shape.prefix, parent, self.settings.role[number // samples], number % samples)
        return row_id(self.shape.prefix, parent, number)

    def line(self, place: Place, above: JsonObject, number: int, call: str, kept: JsonObject) -> JsonObject:
        """The line of the artefact. `above` is the row that it is for, `call` the key of the call it was read from."""
        fields, role, sample = dict(kept), self.role_of(number), number % self.settings.samples
        finish_reason, usage = fields.pop("finish_reason"), fields.pop("usage")
        return {
            "id": self.row_id(above["id"], number),
            **self.head(place, above),
            "sample": sample,
            **({"role": role} if isinstance(self.settings.role, list) else {}),
            **{name: above[name] for name in self.takes_over},
            **fields,
            "model": self.recipes[role].model.name,
            "finish_reason": finish_reason,
            "usage": usage,
            "call": call,
        }

    def head(self, place: Place, above: JsonObject) -> JsonObject:
        """The columns that say where the row hangs."""
        return {self.above_column: above["id"], "path": list(place.path)}

    def typical_call(self) -> "Call":
        path = (self.build.topic,) * (self.build.depth + 1)
        return self._call(
            path, [{"role": "user", "content": "What is " + " ".join(["word"] * 15) + "?"}], 0, self.first
        )

    def identity(self) -> JsonObject:
        return super().identity() | self.own("schema", "system_prompt") | {"after": self.shape.after}

    def count(self) -> int:
        return self.settings.samples


JudgeScope = Literal["row", "dataset"]


class TransformStage(Stage):
    """Judges the rows of the stage above. By an expression, row by row; one of ours may look at all rows.

    A transform of scope `dataset` says of each row by itself what it goes by (`measure`: a small value), and judges
    these values together. Rows come in rank order: by their number within their tag first, then by place in the tree.
    """

    usual: ClassVar[Verdict] = Verdict(kept=True)
    """What one of scope `dataset` says of most rows."""

    @property
    def scope(self) -> JudgeScope:
        """What it looks at: each row by itself, or all rows together."""
        return "row"

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        """`known` is what is known of what expressions may name: see `columns.known_to`."""
        super().__init__(shape, settings, build)
        self.where = _compiled(settings.where, f"stage.{shape.name}.where", known, shape.after)
        self.values = _all_compiled(settings.columns, f"stage.{shape.name}.columns", known, shape.after)

    @property
    def refers_to(self) -> frozenset[str]:
        own = [self.where] if self.where is not None else []
        return frozenset().union(*(expression.rows for expression in (*own, *self.values.values())))

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        return {"id": TEXT, "kept": TRUTH, "why": TEXTS, **dict.fromkeys(own.columns or {}, ANYTHING)}

    def verdict(self, place: Place, row: JsonObject, others: JsonObject) -> Verdict:
        """What is said of one row by itself. Raises EvaluationError."""
        columns = evaluated(self.values, place, row, others)
        if self.where is None or self.where.evaluate(row, others, place.path[0], list(place.path)):
            return Verdict(kept=True, columns=columns)
        return Verdict(kept=False, why=(f"{self._unmet(place, row, others)} does not hold",), columns=columns)

    @cached_property
    def _conditions(self) -> "list[Expression]":
        """What `where` joins by `and`."""
        from distill_build.prompting.expressions import compile_expression, conditions

        where = self.where
        assert where is not None, "it judges by an expression"  # noqa: S101
        return [compile_expression(part, where.name, where.rows, self.shape.after) for part in conditions(where.source)]

    def _unmet(self, place: Place, row: JsonObject, others: JsonObject) -> str:
        """The first condition that a dropped row does not meet: those behind it may not even apply."""
        topic, path = place.path[0], list(place.path)
        unmet = (part.source for part in self._conditions if not part.evaluate(row, others, topic, path))
        return next(unmet, self.settings.where or "")

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:
        """What a row is judged by, where all are judged together; `others` are the rows that it `refers_to`."""
        raise NotImplementedError

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """What is said of each row, given the ids and measures of all in rank order; `usual` where that is all."""
        raise NotImplementedError

    def yields(
        self,
        rows: Iterable[JsonObject],  # noqa: ARG002 - for those with thresholds
        then: JsonObject,  # noqa: ARG002 - as above
    ) -> Mapping[str, Mapping[str, int]]:
        """How many rows other thresholds would keep, by setting and value, as far as `rows` tell it: lines of its
        artefact, which were judged by the identity of `then`."""
        return {}

    def identity(self) -> JsonObject:
        return super().identity() | {"after": self.shape.after} | self.own("where", "columns")


class GroupStage(Stage):
    """One row for each row of `by`, made from those of `after` below it."""

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        """`known` is as that of a transform."""
        super().__init__(shape, settings, build)
        self.values = _all_compiled(settings.columns, f"stage.{shape.name}.columns", known, shape.by)

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        return {"id": TEXT, "parent": TEXT, "path": TEXTS, **dict.fromkeys(own.columns or {}, ANYTHING)}

    @property
    def refers_to(self) -> frozenset[str]:
        after = {self.shape.after} if self.shape.after is not None else set()
        return frozenset(after).union(*(expression.rows for expression in self.values.values()))

    def line(self, place: Place, row: JsonObject, others: JsonObject) -> JsonObject:
        """The line of the artefact for `row`, a line of `by`. Raises EvaluationError."""
        columns = evaluated(self.values, place, row, others)
        return {"id": row_id(self.shape.prefix, row["id"]), "parent": row["id"], "path": list(place.path), **columns}

    def identity(self) -> JsonObject:
        return super().identity() | {"after": self.shape.after, "by": self.shape.by} | self.own("columns")


def template_of(settings: StageSettings, stage: str) -> str:
    """The name of a stage's prompt."""
    return settings.prompt or stage


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


def read_result(raw: Any, schema: ObjectSchema | None, marks: tuple[Marks, ...] | None) -> "Rejection | JsonObject":
    """The fields in a reply to a request of a map, and how it ended; or why it cannot stand. Without a schema the
    fields are reasoning and answer. `marks` are the model's own of reasoning."""
    from distill_build.replies.parse import Rejection, parse_answer, parse_object

    if schema is not None:
        found = parse_object(raw, schema, marks)
        if isinstance(found, Rejection):
            return found
        fields = {name: found.fields.get(name) for name in schema.fields}  # every row has every column
        return {**fields, "finish_reason": found.finish_reason, "usage": found.usage.row()}
    parsed = parse_answer(raw, marks)
    if isinstance(parsed, Rejection):
        return parsed
    return {
        "reasoning": parsed.reasoning,
        "answer": parsed.answer,
        "finish_reason": parsed.finish_reason,
        "usage": parsed.usage.row(),
    }


def evaluated(expressions: "Mapping[str, Expression]", place: Place, row: JsonObject, others: JsonObject) -> JsonObject:
    """The values of expressions by name. Raises EvaluationError."""
    topic, path = place.path[0], list(place.path)
    return {name: expression.evaluate(row, others, topic, path) for name, expression in expressions.items()}


def _compiled(source: str | None, name: str, known: Mapping[str, Known], own: str | None) -> "Expression | None":
    if source is None:
        return None
    from distill_build.prompting.expressions import compile_expression

    return compile_expression(source, name, stages_in(known), own, known)


def _all_compiled(
    sources: Mapping[str, str] | None, name: str, known: Mapping[str, Known], own: str | None
) -> "dict[str, Expression]":
    found = {key: _compiled(source, f"{name}.{key}", known, own) for key, source in (sources or {}).items()}
    return {key: expression for key, expression in found.items() if expression is not None}
