"""Prompt templates → chat messages.

How one is rendered is told in `rendering`; here they are found, read, and checked before anything is sent.
Templates run in jinja2's sandbox and without its sources of chance: equal variables give equal messages.

A project's `prompts/<language>/<file>` stands in for the packed file of the same name, one by one. Which templates
there are, and what each may use, is for the stages to say: this module names none of them.
"""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import msgspec
from jinja2 import ChoiceLoader, FileSystemLoader, Template
from jinja2.exceptions import (
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.nodes import (
    Name,
)
from jinja2.nodes import Template as Tree

from distill_build.errors import ConfigurationError
from distill_build.prompting.inspection import filters_and_tests, message_roles, rows_read, texts_outside
from distill_build.prompting.known import ANYTHING, SAMPLES, TEXT, Known, agreed, sample
from distill_build.prompting.references import bound_names, check_references, nearest
from distill_build.prompting.rendering import (
    ROLES,
    SUFFIX,
    Message,
    RenderingError,
    failure,
    rendered,
    unknown_role,
    unsendable,
)
from distill_build.prompting.sandbox import CALLED, Sandbox
from distill_build.prompting.unconditional import Unconditional

LOOKALIKES = (SUFFIX, ".j2", ".jinja2", ".txt")
TAKEN_OUT = {
    "attr": "a field is read as .NAME, and that of each item by map(attribute='NAME')",
    "random": "a request goes by no chance, so write | first",
}
"""Filters of jinja2 that are none here → what to write."""


class TemplateVariables(msgspec.Struct, frozen=True):
    """What a template may use: its variables, and where `rows` is one of them the stages whose rows it may read.

    `known` is what is known of variables before there are any. `usual` says that it is used by the stage of ours that
    the packed one of its name was written for.
    """

    names: frozenset[str]
    rows: frozenset[str] = frozenset()
    known: Mapping[str, Known] = msgspec.field(default_factory=dict)
    usual: bool = True

    def shared_with(self, other: "TemplateVariables") -> "TemplateVariables":
        """Of a template that is used with these and with others: what it has of both."""
        known = {name: agreed(self.known[name], other.known[name]) for name in self.known if name in other.known}
        return TemplateVariables(self.names & other.names, self.rows & other.rows, known, self.usual and other.usual)


REASK = "reask"
"""The template that shows a model what was wrong with its reply. It needs no stage."""
OF_REASK = TemplateVariables(frozenset({"error", "structured"}), known={"error": TEXT, "structured": TEXT})


class Prompts:
    """The templates of one language. Each is read and compiled once."""

    def __init__(
        self,
        language: str,
        own: Path | None,
        templates: Mapping[str, TemplateVariables],
        others: Collection[str] = (),
    ) -> None:
        """`own` is a project's prompts directory, which need not exist. `templates` are those in use, by name.

        `others` are names of templates that stages not in force would use: their files may lie there, and are not
        looked into. Raises ConfigurationError for a template that is not there, cannot be read, or uses a variable, a
        stage or a column that it cannot have; and for one that makes no messages whatever it is given.
        """
        self.made_of = (language, own, templates, others)
        self._language = language
        self._own = own
        self._others = others
        self._packed = packed_folder()
        folders = [folder for folder in (own, self._packed) if folder is not None]
        self._loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
        self._environment = Sandbox(self._loader)
        self._templates = {**templates, REASK: OF_REASK}
        self._compiled: dict[str, Template] = {}
        self._trees: dict[str, tuple[str, Tree]] = {}
        self._rows: dict[str, frozenset[str]] = {}
        self._has_own = own is not None and own.is_dir()
        for template in self._templates:
            self._refuse_missing(template)
        for template in self._templates:
            self._check(template)

    def render(self, template: str, /, **variables: object) -> list[Message]:
        """The messages that `template` makes of `variables`; the last is the user's.

        Raises RenderingError where it makes none of them.
        """
        compiled = self._compiled.get(template) or self._compile(template)
        messages, outside = rendered(compiled, self._environment, variables)
        fault = unsendable(messages, outside)
        if fault is not None:
            raise RenderingError(f"{compiled.filename}: {fault}", "values")
        return messages

    def referenced_rows(self, template: str) -> frozenset[str]:
        """The stages whose rows `template`, or what it includes, reads as `rows.X`."""
        return self._rows[template]

    def uses(self, template: str, variable: str) -> bool:
        """Whether `template`, or what it includes, reads a variable."""
        return any(variable in find_undeclared_variables(tree) for _, tree in self._files(template).values())

    def sources(self, template: str) -> dict[str, str]:
        """File name (as `en/reask.jinja`) → text, of `template` and of all that it includes by name."""
        return {name: text for name, (text, _) in self._files(template).items()}

    def _files(self, template: str) -> dict[str, tuple[str, Tree]]:
        """As `sources`, with the syntax tree of each."""
        found: dict[str, tuple[str, Tree]] = {}
        waiting = [self._file(template)]
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

    def _file(self, template: str) -> str:
        return f"{self._language}/{template}{SUFFIX}"

    def _lies_in(self, file: str) -> Path | None:
        """Where a file is: in the project's folder or in the packed one."""
        folders = [folder for folder in (self._own, self._packed) if folder is not None]
        return next((folder / file for folder in folders if (folder / file).is_file()), None)

    def _compile(self, template: str) -> Template:
        try:
            compiled = self._environment.get_template(self._file(template))
        except (TemplateNotFound, TemplateSyntaxError, UnicodeDecodeError, OSError) as error:
            raise failure(error, self._file(template)) from error
        compiled.globals = dict(compiled.globals)  # jinja2 copies its chain of maps at every rendering otherwise
        self._compiled[template] = compiled
        return compiled

    def _read(self, name: str) -> tuple[str, Tree]:
        """A template's text and its syntax tree."""
        if name not in self._trees:
            try:
                text, file, _ = self._loader.get_source(self._environment, name)
                self._trees[name] = text, self._environment.parse(text, name, file)
            except (TemplateNotFound, TemplateSyntaxError, UnicodeDecodeError, OSError) as error:
                raise failure(error, name) from error
        return self._trees[name]

    def refuse_unused(self) -> None:
        """Raises ConfigurationError for a file of the project that nothing would use: a misspelt name would be ignored
        in silence, and the packed prompt be sent in its place.

        It may be a stage's mistake, so whoever has stages has them looked at first.
        """
        own, others = self._own, self._others
        if own is None or not self._has_own:
            return
        packed = {path.name for path in (self._packed / self._language).glob(f"*{SUFFIX}")}
        known = packed | {f"{template}{SUFFIX}" for template in (*self._templates, *others)}
        for path in sorted(own.glob(f"*{SUFFIX}")):
            if path.name in known:
                raise ConfigurationError(f"{path} is not used: it belongs into {own / self._language}")
        files = sorted(path for path in (own / self._language).glob("*") if path.suffix in LOOKALIKES)
        unknown = [path for path in files if path.name not in known]
        if not unknown:
            return
        stems = sorted(file.removesuffix(SUFFIX) for file in known)
        used = {name for stem in stems if self._lies_in(self._file(stem)) for name in self.sources(stem)}
        for path in unknown:
            if f"{self._language}/{path.name}" not in used:
                raise ConfigurationError(
                    f"{path} is not used: delete it, or write conf/stage/{path.stem}.yaml, a stage that asks with it; "
                    f"{nearest(path.stem, stems, 'no template includes it, and there could be')}"
                )

    def _check(self, template: str) -> None:
        """Finds before anything is sent what would else be found when it is rendered: maybe after hours of requests.

        Packed templates are what they should be for the stages of ours; which rows a graph has is not theirs to know.
        """
        variables = self._templates[template]
        self._rows[template] = frozenset()
        if variables.usual and not self._has_own and "rows" not in variables.names:
            return
        trees = {file: tree for file, (_, tree) in self._files(template).items()}
        is_own = self._own is not None and any((self._own / file).is_file() for file in trees)
        if is_own or not variables.usual:
            self._refuse_unknown_variables(template, trees)
        if "rows" in variables.names:
            read = {file: rows_read(tree, self._place(file)) for file, tree in trees.items()}
            for file, lines in read.items():
                self._refuse_unknown_rows(template, file, lines, is_own=is_own)
            self._rows[template] = frozenset().union(*read.values())
        if is_own:
            self._refuse_unknown_fields(template, trees)
            self._refuse_unsendable(template, trees)
            self._refuse_unrenderable(template, trees.values())

    def _refuse_unknown_rows(self, template: str, file: str, lines: Mapping[str, int], *, is_own: bool) -> None:
        known = self._templates[template].rows
        for stage, line in lines.items():
            if stage in known:
                continue
            if not is_own and self._templates[template].usual:  # it is called as its stage is
                raise ConfigurationError(
                    f"{template} needs the stage {stage}, whose rows its prompt shows: put {stage} before {template} "
                    f"in stages=[…], or leave {template} out"
                )
            way = nearest(stage, sorted(known), "rows has") if known else "there is none that it could read"
            raise ConfigurationError(
                f"{self._place(file)}, line {line}: there is no stage {stage} in rows: {way}; one that is read stands "
                "before the one that asks in stages=[…]"
            )

    def _refuse_unknown_fields(self, template: str, trees: Mapping[str, Tree]) -> None:
        known = self._templates[template].known
        for file, tree in trees.items():
            elsewhere = {name for other in trees.values() if other is not tree for name in bound_names(other)}
            names = {name: held for name, held in known.items() if name not in elsewhere}
            check_references(tree, names, partial(_at, self._place(file)), CALLED)

    def _refuse_unsendable(self, template: str, trees: Mapping[str, Tree]) -> None:
        """What makes no request whatever it is given: text outside of messages, no message, none of the user's."""
        file = self._file(template)
        bound = {name for tree in trees.values() for name in bound_names(tree)}
        known = {name: held for name, held in self._templates[template].known.items() if name not in bound}
        for line, text in texts_outside(trees[file], known):
            raise _at(self._place(file), line, unsendable([], text) or "")
        roles = [role for tree in trees.values() for role in message_roles(tree)]
        wrong = next((role for role in roles if role is not None and role not in ROLES), None)
        if wrong is not None:
            raise ConfigurationError(f"{self._place(file)}: {unknown_role(wrong)}")
        if None not in roles and "user" not in roles:
            messages = [{"role": role, "content": role} for role in roles if role is not None]
            raise ConfigurationError(f"{self._place(file)}: {unsendable(messages, '')}")

    def _refuse_unrenderable(self, template: str, trees: Collection[Tree]) -> None:
        """Renders a template without what reads its variables, for what they do not change; and then with values of the
        kinds that are known, for what no values of these kinds would change. Any other fault may be one of a row.
        """
        variables = self._templates[template]
        unconditional = Unconditional(self._loader, trees, variables.names)
        try:
            messages, outside = rendered(unconditional.get_template(self._file(template)), unconditional, {})
        except RenderingError as error:
            raise ConfigurationError(str(error)) from error
        if not unconditional.is_open and (fault := unsendable(messages, outside)) is not None:
            raise ConfigurationError(f"{self._place(self._file(template))}: {fault}")
        known = {**dict.fromkeys(variables.names, ANYTHING), **variables.known}
        told: set[str] = set()
        for values in SAMPLES:
            try:
                self.render(template, **{name: sample(held, values) for name, held in known.items()})
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

    def _place(self, file: str) -> str:
        """A file of a template, as it is told."""
        return str(self._lies_in(file) or file)

    def _refuse_missing(self, template: str) -> None:
        file = self._file(template)
        if self._lies_in(file) is not None:
            return
        folder = self._own if self._own is not None else Path("prompts")
        beside = sorted(folder.glob(f"*/{template}{SUFFIX}"))
        close = get_close_matches(template, [path.stem for path in folder.glob(f"{self._language}/*{SUFFIX}")], n=1)
        beside += [folder / self._file(name) for name in close]
        there = f" (there is {beside[0]})" if beside else ""
        raise ConfigurationError(
            f"there is no prompt template {file}{there}: write {folder / file}, the prompt in this language"
        )

    def _refuse_unknown_variables(self, template: str, trees: Mapping[str, Tree]) -> None:
        variables = self._templates[template].names
        known = {*variables, *self._environment.globals, "message", "caller"}
        known |= {name for tree in trees.values() for name in bound_names(tree)}
        for file, tree in trees.items():
            for unknown in sorted(self._undeclared(tree, file) - known):
                line = next((name.lineno for name in tree.find_all(Name) if name.name == unknown), 1)
                way = nearest(unknown, sorted(variables), f"{template} has")
                place = self._lies_in(file) or Path(file)
                if place.is_relative_to(self._packed):
                    mine = (self._own or Path("prompts")) / file
                    way = f"it is a prompt of ours for another stage, so name a prompt of your own, or write {mine}"
                raise _at(str(place), line, f"there is no variable {unknown}: {way}")

    def _undeclared(self, tree: Tree, file: str) -> set[str]:
        known = {"filter": usable(self._environment.filters), "test": usable(self._environment.tests)}
        for what, name, line in filters_and_tests(tree):
            if name not in known[what]:
                way = TAKEN_OUT.get(name) or nearest(name, known[what], "there are")
                raise _at(self._place(file), line, f"there is no {what} {name}: {way}")
        try:
            return find_undeclared_variables(tree)
        except TemplateSyntaxError as error:  # what is found as late as a tree is compiled
            raise _at(self._place(file), error.lineno, str(error.message)) from error


def _at(file: str, line: int, sentence: str) -> ConfigurationError:
    return ConfigurationError(f"{file}, line {line}: {sentence}")


def usable(names: Iterable[str]) -> list[str]:
    """The names of filters or tests that a template can say."""
    return sorted(name for name in names if not name.startswith(" "))


def packed_folder() -> Path:
    """`prompts/` as the wheel packs it, else as it lies beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packed = package / "prompts"
    return packed if packed.is_dir() else package.parent / "prompts"
