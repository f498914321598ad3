"""What stands in templates: read, checked before anything is sent, and compiled. Knows jinja2."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType

from jinja2 import BytecodeCache, ChoiceLoader, FileSystemLoader, Template
from jinja2.bccache import Bucket
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.nodes import Name
from jinja2.nodes import Template as Tree

from distill_build.errors import ConfigurationError
from distill_build.prompting.files import TemplateFiles
from distill_build.prompting.inspection import filters_and_tests, is_shown, message_roles, rows_read, texts_outside
from distill_build.prompting.known import ANYTHING, SAMPLES, TemplateVariables, sample
from distill_build.prompting.references import bound_names, check_references, nearest
from distill_build.prompting.rendering import (
    ROLES,
    Message,
    RenderingError,
    failure,
    rendered,
    unknown_role,
    unsendable,
)
from distill_build.prompting.sandbox import CALLED, Sandbox
from distill_build.prompting.unconditional import Unconditional

TAKEN_OUT = {
    "attr": "a field is read as .NAME, and that of each item by map(attribute='NAME')",
    "random": "a request goes by no chance, so write | first",
}
"""Filters of jinja2 that are none here → what to write."""


class _Compiled(BytecodeCache):
    """What was compiled in this process, by name, place and text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()
_TREES: dict[str, Tree] = {}
"""By text. Jobs of a sweep, and commands of one process, mostly have the same templates, and nobody changes a tree."""


@lru_cache(maxsize=1_000)
def _variables_of(tree: Tree) -> frozenset[str]:
    return frozenset(find_undeclared_variables(tree))


class Templates:
    """The templates of one language. Each is read once, and one text compiled once in a process."""

    def __init__(self, files: TemplateFiles) -> None:
        self._files = files
        self._loader = ChoiceLoader([FileSystemLoader(folder, "utf-8-sig") for folder in files.folders])
        self._environment = Sandbox(self._loader, _COMPILED)
        self._compiled: dict[str, Template] = {}
        self._trees: dict[str, tuple[str, Tree]] = {}

    def render(self, template: str, variables: Mapping[str, object]) -> list[Message]:
        """See `Prompts`."""
        compiled = self._compiled.get(template) or self._compile(template)
        messages, outside = rendered(compiled, self._environment, variables)
        fault = unsendable(messages, outside)
        if fault is not None:
            raise RenderingError(f"{compiled.filename}: {fault}", "values")
        return messages

    def uses(self, template: str, variable: str) -> bool:
        """See `Prompts`."""
        return any(variable in _variables_of(tree) for _, tree in self._with_trees(template).values())

    def shows(self, template: str, variable: str) -> bool:
        """See `Prompts`."""
        return any(is_shown(tree, variable) for _, tree in self._with_trees(template).values())

    def sources(self, template: str) -> dict[str, str]:
        """See `Prompts`."""
        return {name: text for name, (text, _) in self._with_trees(template).items()}

    def check(self, template: str, variables: TemplateVariables) -> frozenset[str]:
        """The stages whose rows a template reads.

        Finds before anything is sent what would else be found when it is rendered: maybe after hours of requests.

        Packed templates are what they should be for the stages of ours; which rows a graph has is not theirs to know.
        """
        trees = {file: tree for file, (_, tree) in self._with_trees(template).items()}
        is_own = any(map(self._files.is_own, trees))
        rows: frozenset[str] = frozenset()
        if is_own or not variables.usual:
            self._refuse_unknown_variables(template, variables, trees)
        if "rows" in variables.names:
            read = {file: rows_read(tree, self._files.place(file)) for file, tree in trees.items()}
            for file, lines in read.items():
                self._refuse_unknown_rows(template, variables, file, lines, is_own=is_own)
            rows = frozenset().union(*read.values())
        if is_own:
            self._refuse_unknown_fields(variables, trees)
            self._refuse_unsendable(template, variables, trees)
            self._refuse_unrenderable(template, variables, trees.values())
        return rows

    def _refuse_unknown_rows(
        self, template: str, variables: TemplateVariables, file: str, lines: Mapping[str, int], *, is_own: bool
    ) -> None:
        known = variables.rows
        for stage, line in lines.items():
            if stage in known:
                continue
            if not is_own and variables.usual:  # it is called as its stage is
                raise ConfigurationError(
                    f"{template} needs the stage {stage}, whose rows its prompt shows: put {stage} before {template} "
                    f"in stages=[…], or leave {template} out"
                )
            way = nearest(stage, sorted(known), "rows has") if known else "there is none that it could read"
            raise ConfigurationError(
                f"{self._files.place(file)}, line {line}: there is no stage {stage} in rows: {way}; one that is read "
                "stands before the one that asks in stages=[…]"
            )

    def _refuse_unknown_fields(self, variables: TemplateVariables, trees: Mapping[str, Tree]) -> None:
        known = variables.known
        for file, tree in trees.items():
            elsewhere = {name for other in trees.values() if other is not tree for name in bound_names(other)}
            names = {name: held for name, held in known.items() if name not in elsewhere}
            check_references(tree, names, partial(_at, self._files.place(file)), CALLED)

    def _refuse_unsendable(self, template: str, variables: TemplateVariables, trees: Mapping[str, Tree]) -> None:
        """What makes no request whatever it is given: text outside of messages, no message, none of the user's."""
        file = self._files.named(template)
        bound = {name for tree in trees.values() for name in bound_names(tree)}
        known = {name: held for name, held in variables.known.items() if name not in bound}
        for line, text in texts_outside(trees[file], known):
            raise _at(self._files.place(file), line, unsendable([], text) or "")
        roles = [role for tree in trees.values() for role in message_roles(tree)]
        wrong = next((role for role in roles if role is not None and role not in ROLES), None)
        if wrong is not None:
            raise ConfigurationError(f"{self._files.place(file)}: {unknown_role(wrong)}")
        if None not in roles and "user" not in roles:
            messages = [{"role": role, "content": role} for role in roles if role is not None]
            raise ConfigurationError(f"{self._files.place(file)}: {unsendable(messages, '')}")

    def _refuse_unrenderable(self, template: str, variables: TemplateVariables, trees: Collection[Tree]) -> None:
        """Renders a template without what reads its variables, for what they do not change; and then with values of the
        kinds that are known, for what no values of these kinds would change. Any other fault may be one of a row.
        """
        unconditional = Unconditional(self._loader, trees, variables.names)
        try:
            messages, outside = rendered(unconditional.get_template(self._files.named(template)), unconditional, {})
        except RenderingError as error:
            raise ConfigurationError(str(error)) from error
        if not unconditional.is_open and (fault := unsendable(messages, outside)) is not None:
            raise ConfigurationError(f"{self._files.place(self._files.named(template))}: {fault}")
        known = {**dict.fromkeys(variables.names, ANYTHING), **variables.known}
        told: set[str] = set()
        for values in SAMPLES:
            try:
                self.render(template, {name: sample(held, values) for name, held in known.items()})
            except RenderingError as error:
                if error.mended_by == "nothing":
                    raise ConfigurationError(str(error)) from error
                if error.mended_by == "values":
                    return
                told.add(str(error))
            else:
                return
        if len(told) == 1:
            raise ConfigurationError(told.pop())

    def _refuse_unknown_variables(self, template: str, variables: TemplateVariables, trees: Mapping[str, Tree]) -> None:
        known = {*variables.names, *self._environment.globals, "message", "caller"}
        known |= {name for tree in trees.values() for name in bound_names(tree)}
        for file, tree in trees.items():
            for unknown in sorted(self._undeclared(tree, file) - known):
                line = next((name.lineno for name in tree.find_all(Name) if name.name == unknown), 1)
                way = nearest(unknown, sorted(variables.names), f"{template} has")
                place = self._files.lies_in(file) or Path(file)
                if place.is_relative_to(self._files.packed):
                    mine = (self._files.own or Path("prompts")) / file
                    way = f"it is a prompt of ours for another stage, so name a prompt of your own, or write {mine}"
                raise _at(str(place), line, f"there is no variable {unknown}: {way}")

    def _undeclared(self, tree: Tree, file: str) -> frozenset[str]:
        known = {"filter": usable(self._environment.filters), "test": usable(self._environment.tests)}
        for what, name, line in filters_and_tests(tree):
            if name not in known[what]:
                way = TAKEN_OUT.get(name) or nearest(name, known[what], "there are")
                raise _at(self._files.place(file), line, f"there is no {what} {name}: {way}")
        try:
            return _variables_of(tree)
        except TemplateSyntaxError as error:  # what is found as late as a tree is compiled
            raise _at(self._files.place(file), error.lineno, str(error.message)) from error

    def _with_trees(self, template: str) -> dict[str, tuple[str, Tree]]:
        """As `sources`, with the syntax tree of each."""
        found: dict[str, tuple[str, Tree]] = {}
        waiting = [self._files.named(template)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._read(name)
                for reference in find_referenced_templates(found[name][1]):
                    if reference is None:
                        raise ConfigurationError(
                            f"{name}: a template is included by a name that is worked out; write it in quotes, so that "
                            "a change of that file is seen"
                        )
                    waiting.append(reference)
        return dict(sorted(found.items()))

    def _compile(self, template: str) -> Template:
        try:
            compiled = self._environment.get_template(self._files.named(template))
        except (TemplateNotFound, TemplateSyntaxError, UnicodeDecodeError, OSError) as error:
            raise failure(error, self._files.named(template)) from error
        compiled.globals = dict(compiled.globals)  # jinja2 copies its chain of maps at every rendering otherwise
        self._compiled[template] = compiled
        return compiled

    def _read(self, name: str) -> tuple[str, Tree]:
        """A template's text and its syntax tree."""
        if name not in self._trees:
            try:
                text, file, _ = self._loader.get_source(self._environment, name)
                tree = _TREES.get(text)
                if tree is None:
                    tree = _TREES[text] = self._environment.parse(text, name, file)
                self._trees[name] = text, tree
            except (TemplateNotFound, TemplateSyntaxError, UnicodeDecodeError, OSError) as error:
                raise failure(error, name) from error
        return self._trees[name]


def _at(file: str, line: int, sentence: str) -> ConfigurationError:
    return ConfigurationError(f"{file}, line {line}: {sentence}")


def usable(names: Iterable[str]) -> list[str]:
    """The names of filters or tests that a template can say."""
    return sorted(name for name in names if not name.startswith(" "))
