"""The settings of one build, as frozen typed records. Knows nothing of Hydra: see `config.composition`."""

from typing import Annotated, Any, Literal

import msgspec

from distill_build.graph import Graph, Kind, Shape
from distill_build.models.base import DEFAULT_CONCURRENCY, Limits, ModelSettings
from distill_build.review import REJECT, Review
from distill_build.subtree import NOTHING_SAID, Subtree, TagByHand, whole_tree

Objective = Literal["repeats", "unique", "near_duplicates", "leaf_coverage", "failures", "calls", "tokens", "usd"]
"""What a sweeper that looks for the best values may go by."""

FormatName = Literal[
    "messages", "prompt_completion", "alpaca", "sharegpt", "preference", "labels", "csv", "parquet", "soft", "kd"
]
"""A dataset format: see `export.formats`."""
TrainerName = Literal["trl", "llamafactory", "axolotl"]
"""A trainer: see `export.trainers`."""
Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
"""Items of one list, or of one request: a tree of ten such levels can still be counted."""
Samples = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
"""Results of one row: each is looked up by itself."""
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class PerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many items one request asks for."""

    tags: Positive = 5
    questions: Positive = 5


class StageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage, as conf/stage/<name>.yaml declares it. What belongs to other kinds has its default.

    `builtin`: which of ours carries it out, None for a user's own. `ids`: what its rows' ids begin with, and `names`:
    the settings that some of its own follow, where it is one of ours. `after`: the stage above, None for the topic;
    `by`: the one that a group has its rows for. `role`: who is asked, each of several. `wanted`: items of a list below
    each unit, or that number on each level. `schema`: the JSON schema of a reply. `where`, `columns`, `export`:
    expressions of jinja2.
    """

    kind: Kind
    builtin: str | None = None
    ids: str | None = None
    after: str | None = None
    by: str | None = None
    role: str | list[str] | None = None
    prompt: str | None = None
    samples: Samples = 1
    wanted: Positive | list[Positive] | None = None
    per_request: Positive | None = None
    system_prompt: str | None = None
    schema: dict[str, Any] | None = None
    where: str | None = None
    columns: dict[str, str] | None = None
    export: dict[str, str | None] | None = None
    names: dict[str, str] | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Who is asked; nobody for a stage that asks no model."""
        if self.role is None:
            return ()
        return (self.role,) if isinstance(self.role, str) else tuple(self.role)

    @property
    def expressions(self) -> dict[str, str]:
        """Each expression, by the key that it stands under: `where`, `columns.share`, `export.answer`."""
        columns = {f"columns.{name}": text for name, text in (self.columns or {}).items()}
        export = {f"export.{name}": text for name, text in (self.export or {}).items()}
        return {key: text for key, text in ({"where": self.where} | columns | export).items() if text is not None}


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hard caps on what one build may spend: US dollars, tokens (prompt and completion), HTTP requests."""

    usd: Annotated[float, msgspec.Meta(ge=0)] | None = None
    tokens: NotNegative | None = None
    calls: NotNegative | None = None


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dir: str = ".distill-cache"


class PromptSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`dir`: a project's own templates; a file there stands in for the packed one of the same name."""

    dir: str = "prompts"


class CurateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people's reviews come to. `reviewed` says which rows go on: `all`, those `not_rejected`, or, of those
    that are exported, the ones that were `accepted` or edited. `refill` says that another row is asked for in the place
    of each that was rejected."""

    reviewed: Literal["all", "not_rejected", "accepted"] = "not_rejected"
    refill: bool = False


class FormatSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How dataset rows are written. `reasoning` says where the chain of thought goes, `csv_bom` whether a CSV begins
    with the byte order mark by which spreadsheets know UTF-8, `margin` how far apart the judges' means of the two
    answers of a preference pair lie at the least, `max_length` how many tokens of a row the trainers take,
    `student` the name of the model that is to be trained, `turns` whether a dialogue is one row or has one for each."""

    reasoning: Literal["think", "field", "drop", "auto"] = "think"
    metadata: bool = True
    csv_bom: bool = False
    margin: Annotated[float, msgspec.Meta(ge=0)] = 1
    max_length: Positive = 2048
    student: str | None = None
    turns: Literal["dialogue", "each"] = "dialogue"


class KdSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the format kd is made for: the folder of the model that is to be trained, or its tokenizer.json; who trains
    it; and how many tokens each row is to have, None for as many as there are."""

    tokenizer: str | None = None
    trainer: Literal["distillkit", "axolotl"] = "distillkit"
    length: Positive | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything one build is told. `breadth` is one number or one a level, root first.

    `axes` are shares by axis and value. `stages` are those in force, in order; `stage` holds each, `models` the model
    of each role that they ask. `idle_prompts` are names of templates that other stages would use, which are found and
    not in force. `own_fields` are by role those of its model that do not follow `model`: they name settings in
    sentences, and change nothing.
    `by_hand` is what tree.yaml says of the tree, `reviews` what reviews.jsonl says of rows, by id, and `unread` are
    sentences on files of theirs that are not read.
    No field is a set: settings are digested as they are written, and a set is written in the order of chance.
    """

    topic: str
    name: str
    output_dir: str = "outputs"
    depth: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    breadth: Positive | list[Positive] = 10
    questions_per_tag: Positive = 10
    answers_per_question: Samples = 1
    language: Literal["en", "zh"] = "en"
    seed: int = 0
    system_prompt: str | None = None
    description: str | None = None
    audience: str | None = None
    axes: dict[str, dict[str, float]] = {}
    per_request: PerRequest = PerRequest()
    stages: list[str]
    stage: dict[str, StageSettings]
    models: dict[str, ModelSettings]
    idle_prompts: tuple[str, ...] = ()
    own_fields: dict[str, tuple[str, ...]] = {}
    by_hand: TagByHand = NOTHING_SAID
    reviews: dict[str, Review] = {}
    unread: tuple[str, ...] = ()
    curate: CurateSettings = CurateSettings()
    limits: Limits
    budget: Budget = Budget()
    cache: CacheSettings = CacheSettings()
    prompts: PromptSettings = PromptSettings()
    formats: list[FormatName] = msgspec.field(default_factory=lambda: ["messages"])
    format: FormatSettings = FormatSettings()
    trainers: list[TrainerName] = []
    kd: KdSettings = KdSettings()
    keep_responses: bool = True
    confirm: Literal["replace", "never"] = "replace"

    @property
    def reviews_in_force(self) -> dict[str, Review]:
        """Those that rows depend on: where all rows go on, a rejected one does too."""
        all_go_on = self.curate.reviewed == "all"
        return {key: each for key, each in self.reviews.items() if each.verdict != REJECT or not all_go_on}

    def role(self, stage: str) -> ModelSettings:
        """The model that works for `stage`, the first of several."""
        return self.models[self.stage[stage].roles[0]]

    def setting(self, role: str, field: str) -> str:
        """The setting that says a field of a role's model: the role's own, or that of the node that it follows."""
        return f"{role if field in self.own_fields.get(role, ()) else 'model'}.{field}"

    def breadth_at(self, level: int) -> int:
        """Tags under a parent on `level` - 1, where the topic is level 0 and `level` counts from 1."""
        return self.breadth[level - 1] if isinstance(self.breadth, list) else self.breadth

    def concurrency(self, model: ModelSettings) -> int:
        """How many requests to a model may be in flight: the lower of its own number and the build's."""
        return lower(self.limits.concurrency, model.limits.concurrency) or DEFAULT_CONCURRENCY

    def limits_for(self, model: ModelSettings) -> Limits:
        """A model's limits: caps are the lower of its own and the build's, the rest its own or the build's."""
        return Limits(
            concurrency=self.concurrency(model),
            rpm=lower(self.limits.rpm, model.limits.rpm),
            tpm=lower(self.limits.tpm, model.limits.tpm),
            timeout_s=own(model.limits.timeout_s, self.limits.timeout_s),
            retries=own(model.limits.retries, self.limits.retries),
            reasks=own(model.limits.reasks, self.limits.reasks),
        )


def declared_tree(settings: Settings) -> Subtree:
    """The whole tree, as the settings and a person's own file declare it."""
    return whole_tree(settings.by_hand, settings.depth, settings.breadth)


def graph_of(settings: Settings) -> Graph:
    """The stages in force. Ids of our own begin with a letter of theirs, all others with the stage's name."""
    return Graph(tuple(shape_of(name, settings.stage[name]) for name in settings.stages))


def shape_of(name: str, stage: StageSettings) -> Shape:
    """Where one stage stands. One that builds on ours is not ours, and has ids of its own."""
    prefix = stage.ids if stage.ids is not None and stage.builtin == name else name
    return Shape(name, stage.kind, stage.after, prefix, stage.by)


def names_of(name: str, stage: StageSettings) -> dict[str, str]:
    """What settings of one of ours are called elsewhere; those of one that builds on it have the stage's own name."""
    return (stage.names or {}) if stage.builtin == name else {}


def lower(first: int | None, second: int | None) -> int | None:
    """The lower of two caps, where None is no cap."""
    return min((cap for cap in (first, second) if cap is not None), default=None)


def own(first: Any, second: Any) -> Any:
    """The first that is set."""
    return second if first is None else first
