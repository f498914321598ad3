"""Random graphs of stages: what is declared, the settings and prompts that declare it, and how it changes.

Every row has a number: a tag's and a question's follow from its text, any other has it in its column `value`.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import strategies as st
from msgspec.structs import replace as replace_fields

from distill_build.models.base import Limits, ModelSettings
from distill_build.settings import FormatSettings, PerRequest, Settings, StageSettings
from distill_build.subtree import OwnItem, TagByHand
from tests.e2e.graphs.replies import ASKED, LABELS, QUESTIONS, TAGS, reply_to
from tests.made_settings import made_settings, own_stages

END = "dataset"
PER_REQUEST = 2
PROMPT = '{%% call message("user") %%}\n%s\n{%% endcall %%}\n'
SCHEMA = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
TOP = [str(label) for label in reply_to(f"{TAGS}|top||", None, 0)]
"""Labels that the endpoint gives on level 1."""
NAMES = ("s_a", "s_b", "s_c", "s_d", "s_e")


@dataclass(frozen=True)
class Stage:
    """A stage behind the tree. Kinds are the program's, but for `barrier`: a transform like dedup.

    `named` is another stage that its prompt, condition or column reads; `least` the number from which a transform
    keeps a row. With `shared` a map's prompt shows only the number of its row, so that several rows have one call.
    """

    name: str
    kind: str
    after: str
    by: str = ""
    samples: int = 1
    roles: tuple[str, ...] = ()
    named: str = ""
    least: int = 1
    shared: bool = False
    exports: bool = False

    @property
    def parent(self) -> str:
        """The stage whose rows its own hang on."""
        return self.by or self.after

    @property
    def judges(self) -> bool:
        return self.kind in ("transform", "barrier")

    @property
    def needs(self) -> set[str]:
        return {self.after, self.by, self.named} - {"", TAGS}


@dataclass(frozen=True)
class Declared:
    """A whole declaration. `order` are the stages behind the tree; `warmth` are temperatures by role.

    What a person says by labels of level 1: `lengths` are the questions that leaves there are to have, `own` questions
    of their own.
    """

    depth: int = 1
    breadth: tuple[int, int] = (2, 2)
    questions: int = 2
    order: tuple[Stage, ...] = (Stage(QUESTIONS, "list", TAGS),)
    warmth: tuple[tuple[str, float], ...] = ()
    until: str = END
    reasks: int = 0
    refill: int = 2
    lengths: tuple[tuple[str, int], ...] = ()
    own: tuple[tuple[str, str], ...] = ()

    def wanted(self, path: tuple[str, ...]) -> int:
        """The questions that a model is to give at the leaf with that path, topic first."""
        return dict(self.lengths).get(path[1], self.questions)

    @property
    def own_places(self) -> list[str]:
        """The tags of level 1 that have questions of a person's own; none where there are no questions."""
        asks = any(stage.name == QUESTIONS for stage in self.order)
        return list(dict.fromkeys(label for label, _ in self.own)) if asks else []

    def own_at(self, path: tuple[str, ...]) -> list[str]:
        """The questions of a person's own at a tag."""
        return [text for label, text in self.own if path[1:] == (label,)]

    @property
    def reached(self) -> tuple[Stage, ...]:
        """The stages that a build fills, behind the tree."""
        names = [TAGS, *(stage.name for stage in self.order)]
        return self.order if self.until == END else self.order[: names.index(self.until)]

    @property
    def roles(self) -> tuple[str, ...]:
        return ("tagger", "student", *(role for stage in self.order for role in stage.roles))

    def temperature(self, role: str) -> float | None:
        """Of a role's model. Two roles of one stage differ: they are refused otherwise."""
        return dict(self.warmth).get(role, 0.5 if role.startswith("x_") else None)

    @property
    def exported(self) -> Stage | None:
        """The stage that feeds the exports."""
        found = [stage for stage in self.reached if stage.exports]
        return found[-1] if found and self.until == END else None

    def __getitem__(self, name: str) -> Stage:
        return next(stage for stage in self.order if stage.name == name)

    def lineage(self, name: str) -> list[str]:
        """The stages above one, from the tree down to itself."""
        return [TAGS] if name == TAGS else [*self.lineage(self[name].parent), name]

    def settings(self, base_url: str) -> Settings:
        """What a configuration that declares it would be composed to."""
        model = ModelSettings(engine="openai_compatible", name="scripted", base_url=base_url, api_key_required=False)
        plain = made_settings(
            model, topic="top", name="top", depth=self.depth, breadth=list(self.breadth[: self.depth]),
            questions_per_tag=self.questions, per_request=PerRequest(tags=PER_REQUEST, questions=PER_REQUEST),
            limits=Limits(concurrency=16, timeout_s=60, retries=2, reasks=self.reasks),
            format=FormatSettings(reasoning="field"), by_hand=self._by_hand,
        )  # fmt: skip
        ours = own_stages(plain)
        return replace_fields(
            plain,
            stages=[TAGS, *(stage.name for stage in self.order)],
            stage={TAGS: ours[TAGS]} | {stage.name: self._stage(stage, ours) for stage in self.order},
            models={role: replace_fields(model, temperature=self.temperature(role)) for role in self.roles},
        )

    @property
    def _by_hand(self) -> TagByHand:
        return TagByHand(
            about={label: TagByHand(counts={"questions_per_tag": length}) for label, length in self.lengths},
            holders={
                label: TagByHand(items={QUESTIONS: tuple(map(OwnItem, self.own_at(("top", label))))})
                for label in self.own_places
            },
        )

    def write_prompts(self, root: Path) -> None:
        """The project's only files."""
        shutil.rmtree(root / "prompts", ignore_errors=True)
        (root / "prompts/en").mkdir(parents=True)
        shown = '|{{ path | join(">") }}|{{ elsewhere | join(";") }}|{{ existing | join(";") }}'
        prompts = {TAGS: TAGS + shown, QUESTIONS: QUESTIONS + shown}
        prompts |= {stage.name: self._prompt(stage) for stage in self.order if stage.kind == "map"}
        for name, text in prompts.items():
            (root / f"prompts/en/{name}.jinja").write_text(PROMPT % text)

    def _stage(self, stage: Stage, ours: dict[str, StageSettings]) -> StageSettings:
        export = None
        if stage.exports:
            asked = "rows.questions.question" if QUESTIONS in self.lineage(stage.parent) else "path | join('>')"
            export = {"question": asked, "answer": "row.value"}
            export |= {"reasoning": self._reading(stage, stage.name)} if stage.named else {}
        match stage.kind:
            case "list":
                return ours[stage.name]
            case "barrier":
                return replace_fields(ours["dedup"], refill=self.refill)
            case "transform":
                where = f"{number_in('row', stage.after)} + {self._reading(stage, stage.after)} >= {stage.least}"
                return StageSettings(kind="transform", after=stage.after, where=where)
            case "group":
                rows = f"rows.{stage.after}"
                summed = f"({rows} | map(attribute='value') | sum)" if has_value(stage.after) else f"({rows} | length)"
                columns = {"value": f"{summed} + {self._reading(stage, stage.by)}"}
                return StageSettings(kind="group", after=stage.after, by=stage.by, columns=columns, export=export)
        role = list(stage.roles) if len(stage.roles) > 1 else stage.roles[0]
        return StageSettings(
            kind="map", after=stage.after, role=role, samples=stage.samples, schema=SCHEMA, export=export
        )

    def _prompt(self, stage: Stage) -> str:
        shown = [stage.name]
        if stage.shared:
            shown.append(f"{{{{ {number_in('row', stage.after)} }}}}")
        else:
            shown.append('{{ path | join(">") }}')
            shown += [self._shown(name) for name in self.lineage(stage.after)[1:]]
        return "|".join([*shown, f"{{{{ {self._reading(stage, stage.after)} }}}}"])

    def _shown(self, name: str) -> str:
        """What a prompt shows of a row above."""
        if name == QUESTIONS:
            return "{{ rows.questions.question }}"
        judge = f"{{{{ rows.{name}.role }}}}:" if len(self[name].roles) > 1 else ""
        sample = f"{{{{ rows.{name}.sample }}}}:" if self[name].kind == "map" else ""
        return f"{judge}{sample}{{{{ rows.{name}.value }}}}"

    def _reading(self, stage: Stage, seen_from: str) -> str:
        """The number that a stage reads of the one that it names: of the row above, else how many rows there are."""
        if not stage.named:
            return "0"
        judged = self[stage.named].after if stage.named != TAGS and self[stage.named].judges else stage.named
        if judged not in self.lineage(seen_from):
            return f"(rows.{stage.named} | length)"
        return f"(rows.{stage.named}.kept | int)" if judged != stage.named else number_in(f"rows.{judged}", judged)


def has_value(stage: str) -> bool:
    """Whether a stage's rows have their number in a column."""
    return stage not in (TAGS, QUESTIONS)


def number_in(row: str, stage: str) -> str:
    """The number of a row, as an expression."""
    if has_value(stage):
        return f"{row}.value"
    return f"({row}.label | length) % 4" if stage == TAGS else f"({row}.question | length) % 3"


def number_of(stage: str, shown: str) -> int:
    """The number of a row with this label, question or value."""
    return int(shown) if has_value(stage) else len(shown) % (4 if stage == TAGS else 3)


def in_order(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """As they stand, but each once, behind those that it needs; without those that need one which is not there."""
    waiting, found = list({stage.name: stage for stage in stages}.values()), list[Stage]()
    while ready := next((one for one in waiting if one.needs <= {each.name for each in found}), None):
        waiting.remove(ready)
        found.append(ready)
    return tuple(found)


@st.composite
def stage_behind(draw: st.DrawFn, name: str, before: tuple[Stage, ...]) -> Stage:
    """One more stage, behind those that are there."""
    above = {TAGS: ""} | {stage.name: stage.parent for stage in before if not stage.judges}
    any_kind = ("transform", "map", "group", "map", "barrier")
    kind = draw(st.sampled_from(any_kind if QUESTIONS in above else ("map", "transform")))
    after = draw(st.sampled_from([*reversed(above), *reversed(above)][:-1] or [TAGS]))
    named = draw(st.sampled_from(["", *reversed([TAGS, *(stage.name for stage in before)]), ""]))
    exports = draw(st.integers(0, 2)) > 0
    if kind == "barrier":
        return Stage(draw(st.sampled_from(("dedup", name))), kind, QUESTIONS)
    if kind == "group" and after != TAGS:
        lineage = [above[after]]
        while above[lineage[-1]]:
            lineage.append(above[lineage[-1]])
        return Stage(name, kind, after, draw(st.sampled_from(lineage)), named=named, exports=exports)
    if kind == "transform":
        return Stage(name, kind, after, named=named, least=draw(st.integers(1, 3)))
    roles = (f"r_{name}", f"x_{name}")[: draw(st.integers(1, 2))]
    samples, shared = draw(st.integers(1, 2)), draw(st.integers(0, 3)) == 0
    return Stage(name, "map", after, samples=samples, roles=roles, named=named, shared=shared, exports=exports)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Stage, ...]:
    """Up to five stages and the questions, each behind one that is there."""
    found: tuple[Stage, ...] = ()
    questions_at = draw(st.sampled_from((0, 0, 0, 1, 2)))
    for place, name in enumerate(NAMES[: draw(st.sampled_from((5, 4, 3, 2)))]):
        if place == questions_at:
            found = (*found, Stage(QUESTIONS, "list", TAGS))
        found = (*found, draw(stage_behind(name, found)))
    return in_order(found)


PLACES = st.sampled_from([*TOP, *TOP, "Of my own", LABELS[0]])
lengths = st.dictionaries(st.sampled_from(TOP), st.integers(1, 4), max_size=2).map(lambda found: tuple(found.items()))
own_questions = st.lists(
    st.tuples(PLACES, st.sampled_from(["How long is it?", "Whose is it?", *ASKED[:3]])), max_size=2, unique=True
).map(tuple)
declarations = st.builds(
    Declared,
    depth=st.integers(1, 2),
    breadth=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    questions=st.integers(1, 3),
    order=orders(),
    reasks=st.integers(0, 1),
    refill=st.sampled_from((2, 1, 0)),
    lengths=st.just(()) | lengths,
    own=st.just(()) | own_questions,
)
CHANGES = (
    "breadth", "questions", "depth", "orders", "add", "remove", "reorder", "samples", "roles", "least", "warm", "until",
    "exports", "refill", "lengths", "own",
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, now: Declared) -> Declared:
    """The declaration with one change."""
    order = list(now.order)
    place = draw(st.integers(0, max(0, len(order) - 1)))
    match draw(st.sampled_from(CHANGES)):
        case "breadth":
            return replace(now, breadth=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))))
        case "questions":
            return replace(now, questions=draw(st.integers(1, 4)))
        case "depth":
            return replace(now, depth=3 - now.depth)
        case "until":
            return replace(now, until=draw(st.sampled_from([TAGS, *(stage.name for stage in order), END, END])))
        case "lengths":
            return replace(now, lengths=draw(lengths))
        case "own":
            return replace(now, own=draw(own_questions))
        case "refill":
            return replace(now, refill=(now.refill + 1) % 3)
        case "warm":
            return replace(now, warmth=((draw(st.sampled_from(now.roles)), draw(st.sampled_from((0.0, 1.0)))),))
        case "orders":
            order = list(draw(orders()))
        case "add":
            free = [name for name in NAMES if name not in {stage.name for stage in order}]
            if free:
                order.insert(place + 1, draw(stage_behind(free[0], in_order(order[: place + 1]))))
        case "remove":
            order = order[:place] + order[place + 1 :]
        case "reorder":
            order = list(draw(st.permutations(order)))
        case "samples":
            order = [replace(stage, samples=stage.samples % 3 + 1) for stage in order]
        case "roles":
            order = [replace(stage, roles=_other_judges(stage)) for stage in order]
        case "least":
            order = [replace(stage, least=stage.least % 3 + 1) for stage in order]
        case "exports":
            order = [replace(stage, exports=not stage.exports and stage.kind in ("map", "group")) for stage in order]
    after = replace(now, order=in_order(order))
    names = {TAGS, END, *(stage.name for stage in after.order)}
    warmth = tuple(each for each in now.warmth if each[0] in after.roles)
    return replace(after, until=now.until if now.until in names else END, warmth=warmth)


def _other_judges(stage: Stage) -> tuple[str, ...]:
    return (f"r_{stage.name}", f"x_{stage.name}")[: 3 - len(stage.roles)] if stage.kind == "map" else ()


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Declared, str]]:
    """A declaration and what becomes of it change by change, each with the endpoint's illness; well in the end."""
    now = draw(declarations)
    ill = st.sampled_from(("cold", "flu", ""))
    found = [(now, draw(ill))]
    for _ in range(draw(st.integers(1, 3))):
        now = draw(changed(now))
        found.append((now, draw(ill)))
    return [*found, (now, "")] if found[-1][1] else found
