"""What a template does whatever it is given: what is left of it without all that reads its variables.

What is left is rendered for every row, and alike: a fault of it is one of every row. Any other may be one of some rows
alone, and is left to them.
"""

from collections.abc import Collection, Iterable, Iterator

from jinja2 import BaseLoader, nodes

from distill_build.prompting.references import bound_names
from distill_build.prompting.sandbox import Sandbox

UNSEEN = frozenset({"caller", "self", "super"})
"""Names that stand for another part of a template, which may read variables."""
INNER = frozenset({"body", "elif_", "else_"})
"""The fields of a statement that hold others."""
NUMBERS = frozenset({"length", "count", "wordcount", "int", "float", "abs", "round"})
"""Filters that make numbers of whatever they do not refuse."""
SOMETHING = "?"
"""Stands for what was taken out of a text: there may be some."""


class Unconditional(Sandbox):
    """Compiles templates without what reads `variables`; `trees` are all that may be compiled.

    `is_open` says after a rendering that what was taken out may have made text outside of call blocks, or messages.
    """

    def __init__(self, loader: BaseLoader, trees: Collection[nodes.Template], variables: Iterable[str]) -> None:
        super().__init__(loader)
        self._names = reading(trees, variables)
        self.is_open = False

    def parse(self, source: str, name: str | None = None, filename: str | None = None) -> nodes.Template:
        tree = super().parse(source, name, filename)
        tree.body = self._left(tree.body, within=False)
        return tree

    def _left(self, body: list[nodes.Node], *, within: bool) -> list[nodes.Node]:
        """What is left of statements that stand `within` a call block, or outside."""
        return [left for node in body for left in self._left_of(node, within=within)]

    def _left_of(self, node: nodes.Node, *, within: bool) -> Iterator[nodes.Node]:
        if isinstance(node, nodes.Output):
            for shown in node.nodes:
                yield from self._without(shown, within) if reads(shown, self._names) else [nodes.Output([shown])]
        elif any(reads(part, self._names) for part in decisive(node)):
            yield from self._without(node, within)
        else:
            inside = within or isinstance(node, nodes.CallBlock)
            for held in INNER.intersection(node.fields):
                setattr(node, held, self._left(getattr(node, held), within=inside))
            yield node

    def _without(self, node: nodes.Node, within: bool) -> Iterator[nodes.Node]:
        """What stands for a statement or an output that is taken out: what is worked out for it all the same."""
        for part in decisive(node):
            for worked_out in self._parts(part) if not isinstance(part, nodes.Stmt) else ():
                yield nodes.Assign(nodes.Name("_", "store"), worked_out).set_lineno(node.lineno)
        if not isinstance(node, (nodes.Assign, nodes.AssignBlock)):
            self.is_open |= not within
            yield nodes.Output([nodes.TemplateData(SOMETHING)]).set_lineno(node.lineno)

    def _parts(self, node: nodes.Node) -> Iterator[nodes.Expr]:
        """The parts of an expression that read no variable and are worked out whatever the others come to."""
        if isinstance(node, nodes.Expr) and not isinstance(node, nodes.Slice) and not reads(node, self._names):
            yield node
            return
        if (zero := _divisor_zero(node)) is not None:
            yield nodes.Div(nodes.Const(1), zero, lineno=node.lineno)
            return
        match node:
            case nodes.CondExpr():
                children: list[nodes.Node] = [node.test]
            case nodes.And() | nodes.Or():
                children = [node.left]
            case nodes.Compare():
                children = [node.expr, node.ops[0]]
            case _:
                children = list(node.iter_child_nodes())
        for child in children:
            yield from self._parts(child)


def _divisor_zero(node: nodes.Node) -> nodes.Const | None:
    """The zero that something is divided by, which is known without it; `%` of a text is a format."""
    match node:
        case nodes.Div(right=nodes.Const(value=0) as zero) | nodes.FloorDiv(right=nodes.Const(value=0) as zero):
            return zero
        case nodes.Mod(right=nodes.Const(value=0) as zero) if _is_number(node.left):
            return zero
    return None


def _is_number(node: nodes.Node) -> bool:
    """Whether an expression gives a number or fails."""
    match node:
        case nodes.Sub() | nodes.Div() | nodes.FloorDiv() | nodes.Pow() | nodes.Neg() | nodes.Pos():
            return True
        case nodes.Filter():
            return node.name in NUMBERS and not (node.args or node.kwargs)  # int('…') gives what it is told otherwise
    return False


def reading(trees: Collection[nodes.Template], variables: Iterable[str]) -> frozenset[str]:
    """The names in templates that include each other whose values may depend on `variables`, these among them."""
    found = {*variables, *UNSEEN}
    for tree in trees:
        found |= {arg.name for block in tree.find_all(nodes.CallBlock) for arg in block.args}
        found |= {name for each in tree.find_all((nodes.Import, nodes.FromImport)) for name in given_by(each)}
    while more := {name for tree in trees for name in _given_by_reading(tree, found)} - found:
        found |= more
    return frozenset(found)


def _given_by_reading(tree: nodes.Template, names: Collection[str]) -> Iterator[str]:
    for node in tree.find_all(nodes.Stmt):
        if any(reads(part, names) for part in ([node] if isinstance(node, nodes.Macro) else decisive(node))):
            yield from given_by(node)


def given_by(node: nodes.Node) -> set[str]:
    """The names that a statement gives something to, or a part of it."""
    alone = nodes.Template([node])
    return bound_names(alone) | {each.name for each in alone.find_all(nodes.NSRef)}


def decisive(node: nodes.Node) -> list[nodes.Node]:
    """The parts of a statement that decide whether what stands in it is rendered, and with what."""
    match node:
        case nodes.If():
            return [node.test, *(other.test for other in node.elif_)]
        case nodes.For():
            return [node.iter, *([node.test] if node.test is not None else [])]
        case nodes.CallBlock():
            return [node.call]
        case nodes.With():
            return list(node.values)
        case nodes.Assign():
            return [node.node]
        case nodes.Macro() | nodes.Block() | nodes.Scope() | nodes.Output():
            return []
    return [node]


def reads(node: nodes.Node, names: Collection[str]) -> bool:
    """Whether a part of a template looks at one of the names."""
    return any(each.name in names for each in nodes.Template([node]).find_all(nodes.Name) if each.ctx == "load")
