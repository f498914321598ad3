"""The stages of one build, from its settings: ours and the user's own, by name, in order."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill_build.dataset.unit import Place
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.prompting.known import TEXTS, Known, TemplateVariables
from distill_build.records import JsonObject
from distill_build.settings import PromptSettings, Settings, StageSettings, graph_of
from distill_build.stages.chain import same
from distill_build.stages.classes import class_of
from distill_build.stages.flags import FLAGS
from distill_build.stages.kinds.base import ModelStage, Stage, Weights, template_of
from distill_build.stages.kinds.columns import (
    Columns,
    ColumnsOf,
    all_columns,
    known_of_list,
    known_to,
    require_columns,
    stages_in,
)
from distill_build.stages.kinds.editable import fault_of_given
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.stages.kinds.transform_stage import TransformStage
from distill_build.stages.training.rows import check_export
from distill_build.subtree import all_items

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.prompts import Prompts


class Stages:
    """The stages of one build. Raises ConfigurationError for prompts, expressions or weights that cannot be used."""

    def __init__(self, settings: Settings, prompts: "Prompts", weights: Weights) -> None:
        self.settings = settings
        self.graph = graph_of(settings)
        self._stages: dict[str, Stage] = {}
        columns = columns_of(settings)
        for shape in self.graph:
            known = known_to(shape.name, settings, columns)
            self._stages[shape.name] = _made(shape, settings, known, prompts, weights)
            check_export(shape, settings, known_to(shape.name, settings, columns, shape.name))
        _check_edits(self)
        _check_given(self)
        prompts.refuse_unused()

    def __getitem__(self, name: str) -> Stage:
        return self._stages[name]

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    @property
    def asking(self) -> list[ModelStage]:
        """Those that ask a model."""
        return [stage for stage in self if isinstance(stage, ModelStage)]

    @property
    def tree(self) -> ListStage:
        """The one that grows the tree."""
        stage = self[self.graph.tree.name]
        assert isinstance(stage, ListStage), "a tree grows as a list below each tag"  # noqa: S101
        return stage

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that work, each once."""
        return tuple(dict.fromkeys(role for stage in self.asking for role in stage.recipes))

    def identity(self) -> JsonObject:
        """The identities of all stages, by name."""
        return {stage.name: stage.identity() for stage in self}


def _check_edits(stages: Stages) -> None:
    """Raises ConfigurationError for an edit by hand of a column that the row's stage does not have, or of no text."""
    edits = {key: review for key, review in stages.settings.reviews.items() if review.text}
    anywhere = {stage.name: [each.editable for each in stage.variants] for stage in stages} if edits else {}
    for key, review in edits.items():
        if (shape := stages.graph.of_id(key)) is None:
            continue
        editable = stages[shape.name].editable
        for column in review.text.keys() - set(editable.columns):
            has = f"they have {' and '.join(editable.columns)}" if editable.columns else "they are worked out"
            raise ConfigurationError(f"{review.place}: {key}: {shape.name} have no {column} to be edited: {has}")
        faults = {each.fault_alone(review.text) for each in anywhere[shape.name]}
        if len(faults) == 1 and (fault := faults.pop()) is not None:  # else it depends on the row's place
            raise ConfigurationError(f"{review.place}: {key}: {fault}")


def _check_given(stages: Stages) -> None:
    """Raises ConfigurationError for an answer beside a person's own question that it cannot have, say."""
    for shape in stages.graph:
        behind = [stages[each.name] for each in stages.graph if each.after == shape.name]
        for item, answer in all_items(stages.settings.by_hand, shape.name, same):
            place = Place((), "", answer=answer)
            if (fault := fault_of_given((each.at(place).editable for each in behind), dict(item.given))) is not None:
                raise ConfigurationError(f"{item.place}: {fault}: mend it, or leave it out to have a model asked")


def prompts_of(settings: Settings, read: Sequence["Prompts"] = ()) -> "Prompts":
    """The templates that `settings` name. The folder that is the default need not be there, any other must.

    `read` are those of other settings: one of them is taken that was made of the same and held against the same.

    Raises ConfigurationError for templates that cannot be used.
    """
    from distill_build.prompting.prompts import Prompts

    folder = Path(settings.prompts.dir)
    if folder.absolute() != Path(PromptSettings().dir).absolute() and not folder.is_dir():
        raise ConfigurationError(
            f"prompts.dir={folder}: there is no such folder: put the templates that are to be others there, as in "
            f"{folder / settings.language / 'questions.jinja'}, or leave prompts.dir out"
        )
    used: dict[str, TemplateVariables] = {}
    columns = columns_of(settings)
    for name in settings.stages:
        own = settings.stage[name]
        if not issubclass(kind := class_of(own.kind, own.builtin), ModelStage):
            continue
        template = template_of(own, name)
        known, rows = known_of_list(kind.variables_of), frozenset[str]()
        if issubclass(kind, MapStage):
            known = known_to(name, settings, columns)
            rows = frozenset(stages_in(known))
        variables = TemplateVariables(kind.variables_of, rows, known, usual=template == own.builtin)
        used[template] = used[template].shared_with(variables) if template in used else variables
    made_of = (settings.language, folder, used, settings.idle_prompts)
    return next((each for each in read if each.made_of == made_of), None) or Prompts(*made_of)


def require_tree(name: str, own: StageSettings) -> None:
    """Raises ConfigurationError where a stage comes after the topic and grows no tree, or the other way round."""
    kind = class_of(own.kind, own.builtin)
    if (issubclass(kind, ListStage) and kind.grows_tree) == (own.after is None):
        return
    if own.after is None:
        raise ConfigurationError(
            f"stage.{name}.after=null: {name} grows no tree, which all others hang on: it comes after a stage that "
            f"does, as in stage.{name}.after=tags"
        )
    raise ConfigurationError(
        f"stage.{name}.after={own.after}: {name} grows the tree, which comes after the topic: stage.{name}.after=null"
    )


def columns_of(settings: Settings) -> dict[str, Columns]:
    """The columns of every stage in force. Raises ConfigurationError where one lacks what the next goes by."""
    for name in settings.stages:
        require_tree(name, settings.stage[name])
    columns = all_columns(settings, _columns_of)
    for name in settings.stages:
        own = settings.stage[name]
        require_columns(name, settings, columns, class_of(own.kind, own.builtin).reads)
    return columns


def _columns_of(own: StageSettings) -> ColumnsOf:
    kind = class_of(own.kind, own.builtin)
    flags: dict[str, Known] = {FLAGS: TEXTS} if issubclass(kind, ModelStage) else {}
    return lambda own, above: kind.columns(own, above) | flags


def _made(shape: Shape, settings: Settings, known: Mapping[str, Known], prompts: "Prompts", weights: Weights) -> Stage:
    own = settings.stage[shape.name]
    kind = class_of(own.kind, own.builtin)
    if issubclass(kind, ModelStage):
        return kind(shape, own, settings, prompts, weights)
    if issubclass(kind, (TransformStage, GroupStage)):
        rules = [key for key in own.expressions if not key.startswith("export.")]
        if own.builtin is not None and rules:
            raise ConfigurationError(
                f"stage.{shape.name}.{rules[0]}: {shape.name} goes by a rule of its own: leave it out, and write "
                f"yours as a {shape.kind} beside it, a file in conf/stage/ whose name stands in stages=[…]"
            )
        return kind(shape, own, settings, known)
    raise AssertionError(f"{shape.name} is of no kind")
