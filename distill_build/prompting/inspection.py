"""What stands in a template as it is written: its filters, texts outside of messages, its roles, the rows it reads."""

from collections.abc import Iterator, Mapping

from jinja2.nodes import (
    Call,
    CallBlock,
    CondExpr,
    Const,
    Extends,
    Filter,
    Getattr,
    Getitem,
    If,
    Name,
    Node,
    Output,
    TemplateData,
    Test,
)
from jinja2.nodes import Template as Tree

from distill_build.errors import ConfigurationError
from distill_build.prompting.known import ANYTHING, Fields, Known
from distill_build.prompting.references import described, named_in_quotes


def filters_and_tests(tree: Tree) -> Iterator[tuple[str, str, int]]:
    """Each filter and test of a template: which of the two, its name, its line."""
    yield from (("filter", node.name, node.lineno) for node in tree.find_all(Filter))
    yield from (("test", node.name, node.lineno) for node in tree.find_all(Test))
    for what, node in named_in_quotes(tree):
        if isinstance(node, Const) and isinstance(node.value, str):
            yield what, node.value, node.lineno


def texts_outside(tree: Tree, known: Mapping[str, Known]) -> Iterator[tuple[int, str]]:
    """Texts of a template that stand in no message and in no block, with their lines; variables are `known` to be such.

    What else is shown there may be a macro's, which makes messages.
    """
    if tree.find(Extends) is not None:  # then nothing but its blocks counts
        return
    for node in tree.body:
        for child in node.nodes if isinstance(node, Output) else ():
            if isinstance(child, TemplateData) and child.data.strip():
                yield child.lineno + child.data[: -len(child.data.lstrip())].count("\n"), child.data
            elif isinstance(child, (Name, Getattr, Getitem)) and _held(child, known) is not ANYTHING:
                yield child.lineno, f"{{{{ {described(child)} }}}}"


def _held(node: Node, known: Mapping[str, Known]) -> Known:
    """What is known of a variable, or of a field of one, as it is written."""
    match node:
        case Name(name=name):
            return known.get(name)
        case Getattr(node=of, attr=name) | Getitem(node=of, arg=Const(value=str() as name)):
            held = _held(of, known)
            return held.fields.get(name) if isinstance(held, Fields) else ANYTHING
    return ANYTHING


def is_shown(tree: Tree, variable: str) -> bool:
    """Whether a template does more with a variable than to decide by it."""
    conditions = [each.test for each in tree.find_all(If)] + [each.test for each in tree.find_all(CondExpr)]
    deciding = {id(name) for test in conditions for name in (test, *test.find_all(Name))}
    return any(name.name == variable and id(name) not in deciding for name in tree.find_all(Name))


def message_roles(tree: Tree) -> Iterator[str | None]:
    """The roles of a template's messages; None for one that is worked out, and where `message` is used elsewise."""
    calls = [block.call for block in tree.find_all(CallBlock)] + list(tree.find_all(Call))
    own = [call for call in calls if isinstance(call.node, Name) and call.node.name == "message"]
    for call in own:
        role = call.args[0] if len(call.args) == 1 else None
        yield role.value if isinstance(role, Const) and isinstance(role.value, str) else None
    named = {id(call.node) for call in own}
    if any(name.name == "message" and id(name) not in named for name in tree.find_all(Name)):
        yield None


def rows_read(tree: Tree, file: str) -> dict[str, int]:
    """The stages that a template reads as `rows.X`, with the first line that does. Each has to be written out: what a
    request needs is known by it."""
    found: dict[str, int] = {}
    read: set[int] = set()
    nodes: list[Getattr | Getitem] = [*tree.find_all(Getattr), *tree.find_all(Getitem)]
    for node in nodes:
        stage = node.attr if isinstance(node, Getattr) else node.arg.value if isinstance(node.arg, Const) else None
        if not isinstance(node.node, Name) or node.node.name != "rows" or not isinstance(stage, str):
            continue
        read.add(id(node.node))
        found[stage] = min(node.lineno, found.get(stage, node.lineno))
    for name in tree.find_all(Name):
        if name.name == "rows" and id(name) not in read:
            raise ConfigurationError(
                f"{file}, line {name.lineno}: rows is read by the name of a stage written out, as in rows.NAME or "
                "rows['NAME']"
            )
    return found
