"""What makes a stage, and what makes several a graph: each mistake is one sentence with the way out. Pure.

    stages_in_force    the names in `stages`: each is that of a stage, once
    kind_of            what a stage is, before anything else of it is looked at
    check_stage        one stage for itself: what its kind needs and takes, its schema, its columns, its expressions
    check_graph        all of them: each comes after one that is in force and stands before it

Nothing that stands in a stage's file is run or followed here: a schema may refer to itself alone, a prompt is a name,
an expression is text.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.graph import END, KINDS, Graph, Kind
from distill_build.records import ABOVE, BOOKKEEPING, EXPORTED, VERDICT
from distill_build.replies.schemas import ObjectSchema
from distill_build.settings import Settings, StageSettings, shape_of

STAGE_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What `rows.X` can name: with a hyphen it would be a subtraction."""
PROMPT_NAME = re.compile(r"[\w-]+")
OTHER_FILES = frozenset({END, "failures", "runs", "checks", "renamed_tags", "causes"})
PARTS_OF_A_RECIPE = frozenset({"tree", "counts", "graph", "export"})
NODES = frozenset({"model", "local", "objective", "hydra", "recipe"})
KEYS_OF_DOCUMENTS = frozenset(
    {"a", "above", "b", "below", "chain", "counts", "different", "dropped", "edited_from", "failures", "from_version"}
    | {"groups", "items_compared", "kind", "left_out", "missing", "notes", "review", "stage", "verdicts", "versions"}
)
"""The keys of documents beside which one is called as a stage, or in the singular as one of its rows."""
TAKEN: Mapping[str, str] = {
    **{name: "a key of what --json prints" for key in KEYS_OF_DOCUMENTS for name in (key, f"{key}s")},
    **dict.fromkeys(OTHER_FILES, "a file of a dataset, or a key of what --json prints,"),
    **dict.fromkeys(PARTS_OF_A_RECIPE, "what is recorded beside stages"),
    **dict.fromkeys(NODES, "a part of the configuration"),
    **dict.fromkeys(Settings.__struct_fields__, "a setting"),
}
"""Names that make no stage → what else that stands beside stages is called so."""
ASKS = frozenset({"role", "prompt", "system_prompt"})
LISTS = frozenset({"wanted", "per_request"})
MAPS = frozenset({"samples", "schema"})
TAKES: Mapping[Kind, frozenset[str]] = {
    "list": ASKS | LISTS,
    "map": ASKS | MAPS | {"export"},
    "transform": frozenset({"where", "columns"}),
    "group": frozenset({"by", "columns", "export"}),
}
"""What a stage of each kind may say, besides its kind and what it comes after."""
OF_ALL = frozenset({"kind", "builtin", "ids", "after", "names"})
TAKEN_IN_VERDICTS = VERDICT | {"path", *ABOVE}
"""What a verdict has, and what tells any other row from one: where that stands in the tree."""


# ---- Which there are ----


def stages_in_force(stages: Any, found: Mapping[str, Any]) -> list[str]:
    """The names in `stages`, where each is that of a stage that was `found`."""
    if not isinstance(stages, list) or not all(isinstance(name, str) for name in stages):
        typed = stages if isinstance(stages, str) else msgspec.json.encode(stages).decode()
        raise ConfigurationError(
            f"stages={typed}: expected a list of names, as in stages=[{','.join(example_with(typed, found))}]"
        )
    if not stages:
        example = ",".join(example_with("", found))
        raise ConfigurationError(
            f"stages=[]: a build has at least the stage that grows the tree, as in stages=[{example}]"
        )
    for name in stages:
        check_stage_name(name, found)
        if stages.count(name) > 1:
            raise ConfigurationError(
                f"stages has {name} twice: it stands there once; to have more rows of a map, see stage.{name}.samples"
            )
    return stages


def example_with(name: str, found: Mapping[str, Any]) -> list[str]:
    """Stages that make a build: those from the topic down to `name`, or to the last of ours where there is no such."""
    ours = [each for each, settings in found.items() if settings.get("builtin") == each]
    return max((way_to(each, found) for each in ([name] if name in found else ours)), key=len)


def way_to(name: str, found: Mapping[str, Any]) -> list[str]:
    """The stages from the topic down to one, each after the one before it."""
    way = [name]
    while (above := str(found[way[0]].get("after"))) in found and above not in way:
        way.insert(0, above)
    return way


def check_stage_name(name: str, found: Mapping[str, Any]) -> None:
    """Whether `name` is that of a stage which can be."""
    if name not in found:
        raise unknown_stage(name, found)
    if found[name].get("builtin") != name and (fault := fault_of_name(name, prefixes_of_ours(found))):
        raise ConfigurationError(f"conf/stage/{name}.yaml: {fault}")


def prefixes_of_ours(found: Mapping[str, Any]) -> frozenset[str]:
    """What the ids of our own stages begin with, in force or not: a stage of such a name would have ids as theirs."""
    ours = [stage for name, stage in found.items() if stage.get("builtin") == name]
    return frozenset(str(stage["ids"]) for stage in ours if stage.get("ids") is not None)


def unknown_stage(name: str, known: Collection[str]) -> ConfigurationError:
    """The sentence for a stage that no file makes."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    own = fault_of_name(name) or f"your own is a file conf/stage/{name}.yaml"
    return ConfigurationError(f"unknown stage '{name}': {hint}Known are {', '.join(known)}; {own}")


def fault_of_name(name: str, prefixes: Collection[str] = ()) -> str | None:
    """Why a stage of a user's own cannot be called so; `prefixes` are those of the ids of ours."""
    if not STAGE_NAME.fullmatch(name):
        return "a stage's name has small letters, digits and _, and begins with a letter"
    if name in prefixes:
        return "the name is taken (ids of our own stages begin so): give the stage another one"
    other = TAKEN.get(name)
    return f"the name is taken ({other} is called so): give the stage another one" if other is not None else None


# ---- One stage ----


def kind_of(name: str, data: Mapping[str, Any]) -> Kind:
    """The kind of a stage."""
    kind = data.get("kind")
    if kind is None:
        raise ConfigurationError(
            f"stage.{name}.kind is not set: a stage is one of {', '.join(KINDS)}; to build on another one, its file "
            "begins with 'defaults: [NAME, _self_]'"
        )
    found: Kind | None = next((each for each in KINDS if each == kind), None)
    if found is None:
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ConfigurationError(f"stage.{name}.kind={kind}: {hint}It is one of {', '.join(KINDS)}")
    return found


def check_stage(name: str, stage: StageSettings) -> None:
    """Whether a stage has what its kind needs, and nothing that only others take."""
    if stage.ids is not None and stage.builtin is None:
        raise ConfigurationError(f"stage.{name}.ids cannot be set: ids of your own stage begin with its name")
    if stage.ids is not None and not STAGE_NAME.fullmatch(stage.ids):
        raise ConfigurationError(
            f"stage.{name}.ids={stage.ids}: expected small letters, digits and _, a letter first: leave it out"
        )
    if stage.kind == "list" and stage.builtin != name:
        raise ConfigurationError(
            f"stage.{name}.kind=list: lists grow by stages of ours alone; one of your own is a map (asks a model for "
            "each row), a transform (judges rows) or a group"
        )
    for key in sorted(changed(stage) - TAKES[stage.kind] - OF_ALL):
        raise misplaced(name, stage, key)
    for key in needed(stage):
        if getattr(stage, key) in (None, [], {}):
            raise ConfigurationError(f"stage.{name}.{key} is not set, and a {stage.kind} needs it: {EXAMPLES[key]}")
    check_roles(name, stage)
    if stage.prompt is not None and not PROMPT_NAME.fullmatch(stage.prompt):
        raise ConfigurationError(
            f"stage.{name}.prompt={stage.prompt}: expected a prompt's name, as in translate for "
            "prompts/<language>/translate.jinja"
        )
    if stage.schema is not None:
        check_schema(name, stage.schema)
    taken = TAKEN_IN_VERDICTS if stage.kind == "transform" else BOOKKEEPING
    check_columns(f"stage.{name}.columns", stage.columns or {}, taken)
    if stage.export is not None:
        check_export_columns(name, stage.export)
    check_expressions(name, stage)


EXAMPLES: Mapping[str, str] = {
    "after": "the stage whose rows it takes, as in after: answers",
    "by": "a stage above, one row for each of its rows, as in by: questions",
    "role": "who is asked, as in role: translator",
    "prompt": "what is asked, as in prompt: translate for prompts/<language>/translate.jinja",
    "where": 'which rows are kept, as in where: "row.score >= 4"',
    "columns": "what its rows hold, as in columns: {longest: \"rows.notes | map(attribute='text') | max\"}",
}
"""What stands in a stage's file where a key is needed."""


def needed(stage: StageSettings) -> Iterator[str]:
    """The keys without which a stage of this kind is none. Ours know by themselves what they do."""
    own = stage.builtin is None
    match stage.kind:
        case "list":
            yield from ("role", "prompt")
        case "map":
            yield from ("after", "role")
        case "transform":
            yield from ("after", *["where"] * own)
        case "group":
            yield from ("after", "by", *["columns"] * own)


def changed(stage: StageSettings) -> set[str]:
    """The keys that have another value than without a word; not those that one of ours alone has."""
    usual = StageSettings(kind=stage.kind)
    return {key for key in usual.__struct_fields__ if getattr(stage, key) not in (getattr(usual, key), {})}


def misplaced(name: str, stage: StageSettings, key: str) -> ConfigurationError:
    """The sentence for a key that a stage of this kind has no use for."""
    takers = [kind for kind in KINDS if key in TAKES[kind]]
    usual = msgspec.json.encode(getattr(StageSettings(kind=stage.kind), key)).decode()
    why = " (it asks no model)" if key in ASKS else ""
    return ConfigurationError(
        f"stage.{name}.{key}: a {stage.kind} takes no {key}{why}, which belongs to a {' or a '.join(takers)}: leave it "
        f"out, or set it to {usual}"
    )


def check_roles(name: str, stage: StageSettings) -> None:
    """Whether each role stands once, and a list has one alone."""
    if stage.kind == "list" and len(stage.roles) > 1:
        raise ConfigurationError(
            f"stage.{name}.role=[{','.join(stage.roles)}]: a list is grown by one role, which is shown what there is "
            f"so far: say stage.{name}.role={stage.roles[0]}"
        )
    for role in stage.roles:
        if stage.roles.count(role) > 1:
            raise ConfigurationError(
                f"stage.{name}.role has {role} twice: stage.{name}.samples=2 asks one role two times"
            )


def check_schema(name: str, schema: Mapping[str, Any]) -> None:
    """Whether `schema` is a JSON schema of an object with columns of its own, and refers to itself alone."""
    key = f"stage.{name}.schema"
    ObjectSchema(schema).check(key)
    check_columns(f"{key}.properties", schema["properties"], BOOKKEEPING)


def check_columns(key: str, columns: Collection[str], taken: Collection[str]) -> None:
    """Whether columns have names that none of ours has in such a row, and that an expression can say."""
    for column in columns:
        if column in taken:
            raise ConfigurationError(
                f"{key}.{column}: rows have a column {column} of ours: give yours another name, none of "
                f"{', '.join(sorted(taken))}"
            )
        if not column.isidentifier() or column.startswith("_"):
            raise ConfigurationError(
                f"{key}.{column}: a column's name has letters, digits and _, and begins with a letter, so that "
                "expressions can say it"
            )


def check_export_columns(name: str, export: Mapping[str, str | None]) -> None:
    """Whether `export` says what a training row is made of."""
    for column in export:
        if column not in EXPORTED:
            raise ConfigurationError(f"stage.{name}.export.{column}: a training row is made of {', '.join(EXPORTED)}")
    for column in ("question", "answer"):
        if export.get(column) is None:
            raise ConfigurationError(
                f"stage.{name}.export.{column} is not set: a training row needs one, as in {column}: row.{column}"
            )


def check_expressions(name: str, stage: StageSettings) -> None:
    """Whether each expression can be one. They are compiled where the stages before it are known: see `Stages`."""
    for key, text in stage.expressions.items():
        if not text.strip():
            raise ConfigurationError(f"stage.{name}.{key} is empty: expected an expression, as in row.answer")


# ---- All of them ----


def check_graph(names: Sequence[str], stages: Mapping[str, StageSettings]) -> None:
    """Whether each stage comes after one that is in force and stands before it, and one alone after the topic."""
    for name in names:
        check_after(name, names, stages)
    roots = [name for name in names if stages[name].after is None]
    if not roots:
        raise ConfigurationError(f"stages=[{','.join(names)}]: none of them grows the tree, which all others hang on")
    if len(roots) > 1:
        raise ConfigurationError(f"stages has {' and '.join(roots)}, and one stage alone comes after the topic")
    graph = Graph(tuple(shape_of(name, stages[name]) for name in names))
    for shape in graph:
        if shape.by is not None and shape.after is not None:
            check_by(shape.name, shape.by, graph.lineage(shape.after)[:-1])
        if shape.kind == "list" and shape.after not in (None, roots[0]):
            raise ConfigurationError(
                f"stage.{shape.name}.after={shape.after}: a list hangs on the tree: say after: {roots[0]}"
            )
    check_prefixes(graph)


def check_prefixes(graph: Graph) -> None:
    """Whether an id says whose row it is. Rows of a transform have none of their own."""
    known: dict[str, str] = {}
    for shape in graph:
        if shape.kind != "transform" and (other := known.setdefault(shape.prefix, shape.name)) != shape.name:
            raise ConfigurationError(
                f"stage.{other}.ids and stage.{shape.name}.ids are both {shape.prefix}, and an id says whose row it "
                "is: leave them as they are"
            )


def check_after(name: str, names: Sequence[str], stages: Mapping[str, StageSettings]) -> None:
    """Whether a stage comes after one that stands before it in `stages`."""
    above = stages[name].after
    if above is None:
        return
    key = f"stage.{name}.after={above}"
    if above not in names:
        near = difflib.get_close_matches(above, [each for each in names if each != name], n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ConfigurationError(
            f"{key}: {hint}{above} is not among stages=[{','.join(names)}]: put it there, before {name}"
        )
    if circle := circle_of(name, stages):
        raise ConfigurationError(
            f"{key}: stages go round in a circle ({' after '.join(circle)}): one comes after another"
        )
    if names.index(above) > names.index(name):
        raise ConfigurationError(f"{key}: {above} stands behind {name} in stages: put it before")
    if stages[above].kind == "transform":
        judged = stages[above].after
        raise ConfigurationError(
            f"{key}: {above} is a transform, which has no rows of its own: say after: {judged}, and {name} sees what "
            f"{above} keeps, since it stands behind it"
        )


def circle_of(name: str, stages: Mapping[str, StageSettings]) -> list[str]:
    """The stages from one back to itself, each after the next; empty where it leads to the topic."""
    way = [name]
    while (above := stages[way[-1]].after) is not None and above in stages:
        if above == name:
            return [*way, name]
        if above in way:
            return []
        way.append(above)
    return []


def check_by(name: str, by: str, above: Sequence[str]) -> None:
    """Whether a group has its rows for a stage that lies above those that it is made of."""
    if by not in above:
        near = difflib.get_close_matches(by, above, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ConfigurationError(
            f"stage.{name}.by={by}: {hint}A group has a row for each row of a stage above those that it is made of: "
            f"{', '.join(above) or 'there is none'}"
        )
