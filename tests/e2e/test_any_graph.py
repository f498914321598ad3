"""Any graph of stages under any changes: what is sent is just what must be sent, and the same bytes come again.

The program is held against a model of a graph that is written here, and knows nothing of keys, phases or files: it
works out the rows stage by stage, and with them every request. Replies are a function of the request's text alone.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from distill_build.calls.call import derived_seed
from distill_build.records import row_id
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, content

TAGS, QUESTIONS = "tags", "questions"
WORDS = ("kites", "boats", "drums", "maps", "ropes", "tents", "lamps", "wheels", "gates", "nets", "bells", "sails")
ASKED = tuple(f"What is the point of {word}?" for word in WORDS)
LABELS = tuple(map(str.title, WORDS))
LIST_PROMPT = (
    '{% call message("user") %}\n%s|{{ path | join(">") }}|{{ existing | join(";") }}\n{% endcall %}\n'
    "{# {{ count }} {{ structured }} #}"
)
ROW_PROMPT = '{% call message("user") %}\n%s|{{ row.id }}|{{ %s }}%s\n{% endcall %}\n'
SCHEMA = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
PER_REQUEST = 2


def chance(text: str, kinds: int) -> int:
    """A number below `kinds` that follows from a text."""
    return hashlib.sha256(text.encode()).digest()[0] % kinds


def items_for(text: str) -> list[str]:
    """What the endpoint lists: what other places have too, at times what is there already, and something new."""
    pool = LABELS if text.startswith(TAGS) else ASKED
    start = chance(text, len(pool))
    listed = [pool[(start + place) % len(pool)] for place in range(chance(text + "!", 3))]
    new = next(item for place in range(len(pool)) if (item := pool[(start + place) % len(pool)]) not in text)
    return [*listed, new]


def value_for(text: str) -> int:
    """What the endpoint answers about a row."""
    return chance(text, 5)


def reply(_: int, body: Body) -> Fault:
    text = body["messages"][-1]["content"]
    stage = text.partition("|")[0]
    return content(json.dumps({stage: items_for(text)} if stage in (TAGS, QUESTIONS) else {"value": value_for(text)}))


@dataclass(frozen=True)
class OwnStage:
    """A stage of the user's own. `named` is a stage whose rows a map's prompt names, `least` a threshold."""

    name: str
    kind: str
    after: str
    by: str = ""
    samples: int = 1
    named: str = ""
    least: int = 1


@dataclass(frozen=True)
class Declared:
    """A whole declaration; `warmth` are temperatures by role."""

    depth: int = 1
    breadth: int = 2
    questions: int = 2
    dedup: bool = True
    own: tuple[OwnStage, ...] = ()
    warmth: tuple[tuple[str, int], ...] = ()

    @property
    def stages(self) -> list[str]:
        return [TAGS, QUESTIONS, *["dedup"] * self.dedup, *(stage.name for stage in self.own)]

    def write(self, root: Path) -> None:
        """The project's files."""
        for folder in ("conf/stage", "prompts/en"):
            shutil.rmtree(root / folder, ignore_errors=True)
            (root / folder).mkdir(parents=True)
        for name in (TAGS, QUESTIONS):
            (root / f"prompts/en/{name}.jinja").write_text(LIST_PROMPT.replace("%s", name))
        for stage in self.own:
            document: dict[str, Any] = {"kind": stage.kind, "after": stage.after}
            if stage.kind == "map":
                document |= {
                    "role": f"r-{stage.name}",
                    "prompt": stage.name,
                    "samples": stage.samples,
                    "schema": SCHEMA,
                }
                shown = "id" if stage.named in self.lineage(stage.after) else " | length"
                named = f"|{{{{ rows.{stage.named}{'.' * (shown == 'id')}{shown} }}}}" if stage.named else ""
                prompt = ROW_PROMPT.replace("%s", stage.name, 1).replace("%s", f"row.{self.column(stage.after)}", 1)
                (root / f"prompts/en/{stage.name}.jinja").write_text(prompt.replace("%s", named))
            elif stage.kind == "transform":
                document["where"] = f"row.{self.column(stage.after)} | string | length >= {stage.least}"
                if self.column(stage.after) == "value":
                    document["where"] = f"row.value >= {stage.least}"
            else:
                document |= {"by": stage.by, "columns": {"value": f"rows.{stage.after} | length"}}
            (root / f"conf/stage/{stage.name}.yaml").write_text(json.dumps(document))
        (root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")

    def lineage(self, stage: str) -> list[str]:
        """The stages above one, from itself up to the tree."""
        above = {each.name: each.by or each.after for each in self.own} | {QUESTIONS: TAGS}
        found = [stage]
        while found[-1] in above:
            found.append(above[found[-1]])
        return found

    def column(self, stage: str) -> str:
        return {TAGS: "label", QUESTIONS: "question"}.get(stage, "value")

    @property
    def line(self) -> list[str]:
        warm = [f"{role}.temperature={value}" for role, value in self.warmth]
        return [
            "topic=top", f"depth={self.depth}", f"breadth={self.breadth}", f"questions_per_tag={self.questions}",
            f"per_request.tags={PER_REQUEST}", f"per_request.questions={PER_REQUEST}",
            f"stages=[{','.join(self.stages)}]", *warm,
        ]  # fmt: skip


@dataclass
class Made:
    """A row of the model. `lines` are what prompts see of it."""

    stage: str
    id: str
    shown: str
    above: "Made | None"
    rank: tuple[int, ...] = ()
    below: dict[str, list["Made"]] = field(default_factory=dict)
    kept: dict[str, bool] = field(default_factory=dict)

    def up(self, stage: str) -> "Made | None":
        return self if self.stage == stage else self.above.up(stage) if self.above else None

    def down(self, stage: str) -> Iterator["Made"]:
        """All rows of `stage` below this one, in order."""
        for rows in self.below.values():
            for row in rows:
                if row.stage == stage:
                    yield row
                yield from row.down(stage)


class Model:
    """Works a declaration out, stage by stage over the whole dataset."""

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.sent: set[tuple[str, int, int]] = set()
        self.rows: dict[str, list[Made]] = {TAGS: [], QUESTIONS: []}
        self.judged: dict[str, str] = {}
        self._warmth = dict(declared.warmth)
        self._tree(("top",), "top", None, declared.depth, ())
        for name in declared.stages[1:]:
            if name == QUESTIONS:
                self._questions()
            elif name == "dedup":
                self._dedup()
            else:
                self._own(next(stage for stage in declared.own if stage.name == name))

    def _ask(self, role: str, text: str, sample: int) -> None:
        self.sent.add((text, self._warmth.get(role, -1), derived_seed(0, sample, 0)))

    def _list(self, role: str, stage: str, path: tuple[str, ...], wanted: int, taken: set[str]) -> list[str]:
        items: list[str] = []
        ordinal = 0
        while len(items) < wanted:
            text = f"{stage}|{'>'.join(path)}|{';'.join(items)}"
            self._ask(role, text, ordinal)
            ordinal += 1
            for item in items_for(text):
                if item.casefold() not in taken:
                    taken.add(item.casefold())
                    items.append(item)
        return items[:wanted]

    def _tree(self, path: tuple[str, ...], key: str, above: Made | None, depth: int, place: tuple[int, ...]) -> None:
        if not depth:
            return
        taken = {label.casefold() for label in path}
        for index, label in enumerate(self._list("tagger", TAGS, path, self.declared.breadth, taken)):
            tag = Made(TAGS, row_id("t", key, label), label, above, (*place, index))
            tag.path = (*path, label)  # type: ignore[attr-defined]  # of tags alone
            tag.leaf = depth == 1  # type: ignore[attr-defined]
            self.rows[TAGS].append(tag)
            self._tree((*path, label), tag.id, tag, depth - 1, (*place, index))

    def _questions(self) -> None:
        for tag in self.rows[TAGS]:
            if tag.leaf and self._seen(tag, QUESTIONS):  # type: ignore[attr-defined]
                found = self._list("student", QUESTIONS, tag.path, self.declared.questions, set())  # type: ignore[attr-defined]
                for index, text in enumerate(found):
                    self._hang(QUESTIONS, Made(QUESTIONS, row_id("q", tag.id, text), text, tag, (index,)))

    def _hang(self, stage: str, row: Made) -> None:
        self.rows.setdefault(stage, []).append(row)
        assert row.above is not None
        row.above.below.setdefault(stage, []).append(row)

    def _dedup(self) -> None:
        self.judged["dedup"] = QUESTIONS
        first: set[str] = set()
        for row in sorted(self.rows[QUESTIONS], key=lambda row: row.rank):  # the sort keeps tree order within a rank
            if self._seen(row, "dedup"):
                row.kept["dedup"] = row.shown not in first
                first.add(row.shown)

    def _own(self, stage: OwnStage) -> None:
        self.rows.setdefault(stage.name, [])
        if stage.kind == "transform":
            self.judged[stage.name] = stage.after
            for row in self.rows[stage.after]:
                if self._seen(row, stage.name):
                    text = row.shown
                    row.kept[stage.name] = (int(text) if text.isdigit() else len(text)) >= stage.least
        elif stage.kind == "group":
            for row in self.rows[stage.by]:
                if self._seen(row, stage.name):
                    number = sum(self._seen(each, stage.name) for each in row.down(stage.after))
                    self._hang(stage.name, Made(stage.name, row_id(stage.name, row.id), str(number), row))
        else:
            for row in self.rows[stage.after]:
                if self._seen(row, stage.name):
                    self._map(stage, row)

    def _map(self, stage: OwnStage, row: Made) -> None:
        named = ""
        if stage.named:
            common = row.up(stage.named)
            named = f"|{common.id}" if common is not None else f"|{self._beside(row, stage)}"
        text = f"{stage.name}|{row.id}|{row.shown}{named}"
        for sample in range(stage.samples):
            self._ask(f"r-{stage.name}", text, sample)
            made = Made(stage.name, row_id(stage.name, row.id, sample), str(value_for(text)), row)
            self._hang(stage.name, made)

    def _beside(self, row: Made, stage: OwnStage) -> int:
        """How many rows of the stage that a prompt names lie beside or below a row."""
        at, lineage = row, self.declared.lineage(stage.named)
        while at.stage not in lineage:
            assert at.above is not None
            at = at.above
        return sum(self._seen(each, stage.name) for each in at.down(stage.named))

    def _seen(self, row: Made, seer: str) -> bool:
        """Whether a stage sees a row: no transform before it has dropped the row, what it hangs on, or all below."""
        order = self.declared.stages
        for transform, judged in self.judged.items():
            if transform == seer or order.index(transform) > order.index(seer):
                continue
            at: Made | None = row
            while at is not None:
                if at.kept.get(transform) is False:
                    return False
                below = [each for each in at.down(judged) if at.stage != TAGS or at.leaf]  # type: ignore[attr-defined]
                if below and not any(each.kept.get(transform) for each in below):
                    return False
                at = at.above
        return True


NAMES = ("s_a", "s_b", "s_c", "s_d")


@st.composite
def own_stages(draw: st.DrawFn) -> tuple[OwnStage, ...]:
    """Up to four stages, each behind one that is there."""
    rows, above = [QUESTIONS, TAGS], {TAGS: "", QUESTIONS: TAGS}
    found: list[OwnStage] = []
    for name in NAMES[: draw(st.integers(0, 4))]:
        kind = draw(st.sampled_from(("map", "map", "transform", "group")))
        after = draw(st.sampled_from(rows))
        if kind == "group":
            ancestors = [above[after]]
            while ancestors[-1] and above[ancestors[-1]]:
                ancestors.append(above[ancestors[-1]])
            by = draw(st.sampled_from(ancestors))
            if not by or (by == TAGS and after != QUESTIONS):
                continue
            found.append(OwnStage(name, kind, after, by))
            rows.append(name)
            above[name] = by
        elif kind == "transform":
            found.append(OwnStage(name, kind, after, least=draw(st.integers(1, 6))))
        else:
            named = draw(st.sampled_from(["", *rows]))
            found.append(OwnStage(name, kind, after, samples=draw(st.integers(1, 2)), named=named))
            rows.append(name)
            above[name] = after
    return tuple(found)


declarations = st.builds(
    Declared,
    depth=st.integers(1, 2),
    breadth=st.integers(1, 3),
    questions=st.integers(1, 4),
    dedup=st.booleans(),
    own=own_stages(),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Declared]:
    """A declaration, and what becomes of it change by change."""
    now = draw(declarations)
    found = [now]
    for _ in range(draw(st.integers(1, 3))):
        change = draw(
            st.sampled_from(("breadth", "questions", "depth", "dedup", "own", "samples", "least", "warm", "drop"))
        )
        match change:
            case "breadth" | "questions":
                now = replace(now, **{change: draw(st.integers(1, 4))})
            case "depth":
                now = replace(now, depth=draw(st.integers(1, 2)))
            case "dedup":
                now = replace(now, dedup=not now.dedup)
            case "own":
                now = replace(now, own=draw(own_stages()))
            case "drop":
                now = replace(now, own=now.own[:-1])
            case "samples":
                own = tuple(replace(each, samples=3 - each.samples) if each.kind == "map" else each for each in now.own)
                now = replace(now, own=own)
            case "least":
                own = tuple(replace(each, least=each.least % 6 + 1) for each in now.own)
                now = replace(now, own=own)
            case "warm":
                roles = ["tagger", "student", *(f"r-{each.name}" for each in now.own if each.kind == "map")]
                now = replace(now, warmth=((draw(st.sampled_from(roles)), draw(st.integers(0, 1))),))
        roles = {"tagger", "student", *(f"r-{each.name}" for each in now.own if each.kind == "map")}
        now = replace(now, warmth=tuple(each for each in now.warmth if each[0] in roles))
        found.append(now)
    return found


def arrived(server: ScriptedServer) -> list[tuple[str, int, int]]:
    """The requests, as the model tells them."""
    bodies = [request.body for request in server.requests]
    return [(body["messages"][-1]["content"], body.get("temperature", -1), body["seed"]) for body in bodies]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@settings(
    max_examples=25, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
)  # fmt: skip
@given(history=histories())
def test_what_is_sent_is_what_must_be_and_the_bytes_come_again(
    history: list[Declared], endpoint: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = InProcess(tmp_path_factory.mktemp("graph"), endpoint)
    seen: set[tuple[str, int, int]] = set()
    for declared in history:
        declared.write(project.root)
        endpoint.reset()
        done = project.run(*declared.line, "-q")
        model = Model(declared)
        sent = arrived(endpoint)
        assert done.status == 0, done.stderr
        assert set(sent) == model.sent - seen
        assert len(sent) == len(set(sent)), "something is sent twice"
        seen |= model.sent
        for name in declared.stages:
            if name not in model.judged:
                assert {row["id"] for row in project.rows(name, "top")} == {row.id for row in model.rows[name]}, name
    before = project.bytes("top")
    shutil.rmtree(project.root / "outputs")
    endpoint.reset()
    assert project.run(*history[-1].line, "--offline", "-q").status == 0
    assert (endpoint.count, project.bytes("top")) == (0, before)
