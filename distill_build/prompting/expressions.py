"""The expressions of stage files (`where`, `columns`, `export`): jinja2's language, on data alone.

jinja2 parses; the tree becomes Python closures (see `expression_code`). What may not stand in one is refused when the
expression is read, before anything is sent. An evaluation pays for its work and has only so much (see
`expression_filters`), so no expression can hang a build or fill its memory.
"""

import math
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from distill_build.errors import ConfigurationError
from distill_build.prompting import expression_filters as of_data
from distill_build.prompting.expression_code import Code, NoExpressionError, Reader
from distill_build.prompting.expression_filters import EvaluationError, Scope
from distill_build.prompting.known import Known
from distill_build.prompting.references import check_references

__all__ = ["EvaluationError", "Expression", "compile_expression", "conditions"]

LONGEST = 4_000
"""Characters of an expression."""
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
OF_OTHERS = {
    r"===": "==", r"!==": "!=", r"<>": "!=", r"=>": ">=", r"=<": "<=", r"(?<![=!<>~])=(?![=<>~])": "==",
    r"&&?": "and", r"\|\|": "or", r"!(?!=)": "not", r"\bAND\b": "and", r"\bOR\b": "or", r"\bNOT\b": "not",
}  # fmt: skip
"""Signs of other languages → what stands for them here."""
ENVIRONMENT = ImmutableSandboxedEnvironment()
"""For its grammar; nothing is ever rendered with it."""


class Expression(msgspec.Struct, frozen=True):
    """A checked expression. `name` is the setting that it stands in, `rows` the stages that it reads as `rows.X`."""

    source: str
    name: str
    rows: frozenset[str]
    _code: Code

    def evaluate(self, row: Mapping[str, Any], rows: Mapping[str, Any], topic: str, path: Collection[str]) -> Any:
        """The value as plain JSON data. `row` and `rows` hold such data too, `rows` by the names of stages.

        Equal arguments give equal values. Raises EvaluationError where there is none: a field that the row does not
        have, a comparison of what has no order, too much work.
        """
        scope = Scope(row, rows, topic, path)
        try:
            value = self._code(scope)
            return value if isinstance(value, (str, bool, type(None))) else plain(scope, value)
        except EvaluationError as error:
            raise EvaluationError(f"{self._said()}: {error}") from error
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError, AttributeError) as error:
            raise EvaluationError(f"{self._said()}: {error}") from error

    def _said(self) -> str:
        return said(self.name, self.source)


def compile_expression(
    source: str,
    name: str,
    rows: Collection[str],
    own: str | None = None,
    known: Mapping[str, Known] = MappingProxyType({}),
) -> Expression:
    """The expression `source` of the setting `name`, ready to be evaluated.

    `rows` are the stages that `rows.X` may name; `own` is the stage that the expression belongs to, which is `row` or
    nothing; `known` is what is known of the variables. Raises ConfigurationError for what is no expression, for what
    may not stand in one, for a field that is surely not there, and for what fails whatever a row holds.
    """
    reader = Reader(rows, own)
    try:
        tree = _parsed(source)
        code = reader.code(tree, 0)
        check_references(tree, known, lambda _, sentence: NoExpressionError(sentence))
    except NoExpressionError as error:
        raise ConfigurationError(f"{said(name, source)}: {error}") from error
    except TemplateSyntaxError as error:
        fault = str(error.message).replace("end of template", "end of the expression")
        raise ConfigurationError(f"{said(name, source)}: {fault}{sign_of_another(source, fault)}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{said(name, source)}: its brackets are nested too deeply") from error
    expression = Expression(source, name, frozenset(reader.found), code)
    if not isinstance(tree, nodes.Name) and tree.find(nodes.Name) is None:  # what goes by no row fails for all or none
        try:
            expression.evaluate({}, {}, "", ())
        except EvaluationError as error:
            raise ConfigurationError(str(error)) from error
    return expression


def said(name: str, source: str) -> str:
    flat = " ".join(source.split())
    return f"{name}: {flat if len(flat) <= 100 else flat[:99] + '…'}"


def _parsed(source: str) -> nodes.Expr:
    if len(source) > LONGEST:
        raise NoExpressionError(f"it has {len(source):,} characters, and {LONGEST:,} is the most")
    parser = Parser(ENVIRONMENT, source, state="variable")
    if parser.stream.eos:
        raise NoExpressionError("it is empty: write what is to be worked out, as in row.score >= 4")
    tree: nodes.Expr = parser.parse_expression()
    if not parser.stream.eos:
        rest = parser.stream.current
        way = sign_of_another(source, str(rest.value)) or "; one expression has to stand there"
        raise NoExpressionError(f"there is {rest.value or rest.type!s} behind its end{way}")
    return tree


def sign_of_another(source: str, fault: str) -> str:
    """What stands here for a sign of another language that an unreadable expression has, as the end of a sentence.

    A single = may be that of an argument, unless it is the `fault`.
    """
    bare = QUOTED.sub("''", source)
    found = ((match[0], ours) for sign, ours in OF_OTHERS.items() if (match := re.search(sign, bare)))
    found = ((theirs, ours) for theirs, ours in found if theirs != "=" or "=" in fault)
    return next((f": write {ours} in place of {theirs}" for theirs, ours in found), "")


def conditions(source: str) -> list[str]:
    """The parts of an expression that `and` joins, in order, as they are written; itself where it joins none."""
    parts, depth, before = [""], 0, ""
    for _, kind, text in ENVIRONMENT.lexer.tokeniter(source, None, None, "variable"):
        depth += (text in OPENING) - (text in CLOSING) if kind == "operator" else 0
        if (kind, text, depth) == ("name", "and", 0) and before != ".":
            parts.append("")
        else:
            parts[-1] += " " if kind == "whitespace" else text
        before = before if kind == "whitespace" else text
    parts = [part.strip() for part in parts]
    try:
        trees = [_parsed(part) for part in parts]
    except (TemplateSyntaxError, NoExpressionError):  # as in `a if b and c else d`
        return [source]
    joined = trees[0]
    for tree in trees[1:]:
        joined = nodes.And(joined, tree)
    return parts if joined == _parsed(source) else [source]


def plain(scope: Scope, value: Any) -> Any:
    """`value` as JSON data of its own: lists for tuples, copies of what belongs to a row."""
    scope.pay(of_data.size(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationError("a number gets too large")
    if isinstance(value, of_data.SCALARS):
        return value
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise EvaluationError("the names of fields are texts")
        return {name: plain(scope, held) for name, held in value.items()}
    return [plain(scope, held) for held in value]
