"""What a stage is: a value that says what is asked for, how a reply is read, and which rows come of it.

Four kinds, each in a module of its own, for ours and for a user's own alike. Ours are modules in `builtin/`, each a
class with what is special to it; a user's own is the class of its kind with the settings of one YAML file. Nothing here
knows who is asked when.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import msgspec

from distill_build.dataset.unit import Place
from distill_build.engine.manifest import SCHEME
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.models.base import ModelSettings
from distill_build.prompting.known import Known
from distill_build.records import JsonObject
from distill_build.settings import Settings, StageSettings, names_of
from distill_build.stages.flags import FLAGS, SPECIAL_TOKENS, RowFlag, flags_of
from distill_build.stages.kinds.declared import COUNTED_BY, counted_by
from distill_build.stages.kinds.editable import Editable
from distill_build.stages.kinds.recipe import Recipe

if TYPE_CHECKING:  # a build with nothing to do reads no reply, and who follows a row to its request renders no prompt
    from distill_build.calls.call import Call
    from distill_build.prompting.prompts import Prompts

OF_ALL = frozenset({"topic", "description", "audience", "path", "structured", "examples"})
"""What the template of any stage is rendered with."""
OF_LIST = OF_ALL | {"elsewhere", "existing", "count"}
"""What the template of a list is rendered with; a list may add the name that it has for its place."""
THOUGHT_MARKS = "thought_marks"
"""The variable of a template with the two marks between which a model is asked to think; null where it is not asked."""
OF_ROW = OF_ALL | {"row", "rows", "system_prompt", "schema", THOUGHT_MARKS}
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

    @classmethod
    def editable_by(cls, own: Mapping[str, Any]) -> Editable:  # noqa: ARG003 - for those whose rows are asked for
        """What a person may say of its rows, by settings of the stage's own, as its identity holds them."""
        return Editable()

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings) -> None:
        self.shape = shape
        self.settings = settings
        self.build = build

    @property
    def name(self) -> str:
        return self.shape.name

    @cached_property
    def editable(self) -> Editable:
        """What a person may say of its rows."""
        return self.editable_by(msgspec.to_builtins(self.settings))

    def at(self, place: Place) -> Self:  # noqa: ARG002 - for those of which a person may say something there
        """The stage as it is at a place."""
        return self

    @property
    def variants(self) -> tuple[Self, ...]:
        """The stage as it is at all places."""
        return (self,)

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

    def called(self, key: str) -> str:
        """A setting of its file as it is typed."""
        return names_of(self.name, self.settings).get(key, f"stage.{self.name}.{key}")

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
            digest, has = weights(role, model), self.has_reasoning
            self.recipes[role] = Recipe(shape.name, role, model, build.seed, digest, self.read_by, has_reasoning=has)
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

    def told_at(self, place: Place) -> JsonObject:
        """The same at one place, of which a person may have said something."""
        return self.of_build if place.description is None else {**self.of_build, "description": place.description}

    @property
    def read_by(self) -> JsonObject | None:
        """Settings of its own by which a reply is read, as `Recipe` has them."""
        return None

    @property
    def has_reasoning(self) -> bool:
        """Whether its rows have a column for the chain of thought."""
        return False

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


def template_of(settings: StageSettings, stage: str) -> str:
    """The name of a stage's prompt."""
    return settings.prompt or stage


def _refuse_one_in_two(stage: str, recipes: Mapping[str, Recipe]) -> None:
    """Raises ConfigurationError for two roles whose requests are the same: one reply would count as two."""
    for (first, one), (second, other) in combinations(recipes.items(), 2):
        if one.asks_as(other):
            raise ConfigurationError(
                f"stage.{stage}.role: {first} and {second} would be sent the same requests, whose replies count once: "
                f"set another {second}.name, {second}.temperature or {second}.revision, or leave {second} out and set "
                f"stage.{stage}.samples=2, which asks {first} twice"
            )
