"""Prompt templates → chat messages.

A template makes messages by call blocks, `{% call message("system") %}…{% endcall %}`. The roles are
arguments of a function and never read from text, so a topic cannot forge a message, whatever it holds.
Templates run in jinja2's sandbox and without its sources of chance: equal variables give equal messages.

A project's `prompts/<language>/<file>` stands in for the packed file of the same name, one by one. Which templates
there are, and what each may use, is for the stages to say: this module names none of them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal

from jinja2 import ChoiceLoader, FileSystemLoader, Template
from jinja2.exceptions import (
    SecurityError,
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.nodes import (
    Call,
    CallBlock,
    Const,
    Extends,
    Filter,
    Getattr,
    Getitem,
    Name,
    Node,
    Output,
    TemplateData,
    Test,
)
from jinja2.nodes import Template as Tree

from distill_build.errors import ConfigurationError
from distill_build.prompting.known import ANYTHING, SAMPLES, TEXT, Fields, Known, agreed, sample
from distill_build.prompting.references import bound_names, check_references, described, named_in_quotes, nearest
from distill_build.prompting.sandbox import CALLED, Sandbox, TooMuchWork
from distill_build.prompting.unconditional import Unconditional

Message = dict[str, str]

ROLES = ("system", "user", "assistant")
SUFFIX = ".jinja"
LOOKALIKES = (SUFFIX, ".j2", ".jinja2", ".txt")
FAULTS = (
    TemplateError, TooMuchWork, RecursionError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError,
)  # fmt: skip
"""What a template can raise by what it does; jinja2's filters look up methods of whatever they are given. All else is
no fault of a row: a bug of ours, or a machine without memory."""
TAKEN_OUT = {
    "attr": "a field is read as .NAME, and that of each item by map(attribute='NAME')",
    "random": "a request goes by no chance, so write | first",
}
"""Filters of jinja2 that are none here → what to write."""
NEVER_MENDED = (SecurityError, TooMuchWork, RecursionError, OverflowError)
"""What a template raises by what it does, whatever it is given: of small values nothing gets too much."""
OF_KINDS = (TypeError, AttributeError, TemplateRuntimeError)
"""What it raises by the kinds of its values. A field or item that is missing depends on the values themselves."""
HOW = 'a template makes messages by {% call message("user") %}…{% endcall %}'


@dataclass(frozen=True, slots=True)
class TemplateVariables:
    """What a template may use: its variables, and where `rows` is one of them the stages whose rows it may read.

    `known` is what is known of variables before there are any. `usual` says that it is used by the stage of ours that
    the packed one of its name was written for.
    """

    names: frozenset[str]
    rows: frozenset[str] = frozenset()
    known: Mapping[str, Known] = field(default_factory=dict)
    usual: bool = True

    def shared_with(self, other: "TemplateVariables") -> "TemplateVariables":
        """Of a template that is used with these and with others: what it has of both."""
        known = {name: agreed(self.known[name], other.known[name]) for name in self.known if name in other.known}
        return TemplateVariables(self.names & other.names, self.rows & other.rows, known, self.usual and other.usual)


REASK = "reask"
"""The template that shows a model what was wrong with its reply. It needs no stage."""
OF_REASK = TemplateVariables(frozenset({"error", "structured"}), known={"error": TEXT, "structured": TEXT})


class RenderingError(Exception):
    """A template makes no messages of the variables that it was given. The text is a sentence.

    `mended_by` says which others would help: none, where it does what it may not, or too much; those of other kinds;
    or just other ones.
    """

    def __init__(self, sentence: str, mended_by: Literal["nothing", "kinds", "values"]) -> None:
        super().__init__(sentence)
        self.mended_by = mended_by


class EmptyMessageError(TemplateError):
    """A message has no content. It may have some with other values."""


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
        fault = unusable(messages, outside)
        if fault is not None:
            raise RenderingError(f"{compiled.filename}: {fault}", "values")
        return messages

    def referenced_rows(self, template: str) -> frozenset[str]:
        """The stages whose rows `template`, or what it includes, reads as `rows.X`."""
        return self._rows[template]

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
        try:
            text, file, _ = self._loader.get_source(self._environment, name)
            return text, self._environment.parse(text, name, file)
        except (TemplateNotFound, TemplateSyntaxError, UnicodeDecodeError, OSError) as error:
            raise failure(error, name) from error

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
                    f"{path} is not used: {nearest(path.stem, stems, 'no template includes it; there could be')}"
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
            read = [_rows_of(tree, self._place(file), variables.rows) for file, tree in trees.items()]
            self._rows[template] = frozenset().union(*read)
        if is_own:
            self._refuse_unknown_fields(template, trees)
            self._refuse_unsendable(template, trees)
            self._refuse_unrenderable(template, trees.values())

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
        for line, text in _outside(trees[file], known):
            raise _at(self._place(file), line, unusable([], text) or "")
        roles = [role for tree in trees.values() for role in _roles_in(tree)]
        wrong = next((role for role in roles if role is not None and role not in ROLES), None)
        if wrong is not None:
            raise ConfigurationError(f"{self._place(file)}: {unknown_role(wrong)}")
        if None not in roles and "user" not in roles:
            messages = [{"role": role, "content": role} for role in roles if role is not None]
            raise ConfigurationError(f"{self._place(file)}: {unusable(messages, '')}")

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
        if not unconditional.is_open and (fault := unusable(messages, outside)) is not None:
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
        for what, name, line in _filters_and_tests(tree):
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


def _filters_and_tests(tree: Tree) -> Iterator[tuple[str, str, int]]:
    """Each filter and test of a template: which of the two, its name, its line."""
    yield from (("filter", node.name, node.lineno) for node in tree.find_all(Filter))
    yield from (("test", node.name, node.lineno) for node in tree.find_all(Test))
    for what, node in named_in_quotes(tree):
        if isinstance(node, Const) and isinstance(node.value, str):
            yield what, node.value, node.lineno


def _outside(tree: Tree, known: Mapping[str, Known]) -> Iterator[tuple[int, str]]:
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


def _roles_in(tree: Tree) -> Iterator[str | None]:
    """The roles of a template's messages; None for one that is worked out, and where `message` is used elsewise."""
    calls = [block.call for block in tree.find_all(CallBlock)] + list(tree.find_all(Call))
    own = [call for call in calls if isinstance(call.node, Name) and call.node.name == "message"]
    for call in own:
        role = call.args[0] if len(call.args) == 1 else None
        yield role.value if isinstance(role, Const) and isinstance(role.value, str) else None
    named = {id(call.node) for call in own}
    if any(name.name == "message" and id(name) not in named for name in tree.find_all(Name)):
        yield None


def _rows_of(tree: Tree, file: str, known: Collection[str]) -> set[str]:
    """The stages that a template reads as `rows.X`. Each has to be written out: what a request needs is known by it."""
    found: set[str] = set()
    read: set[int] = set()
    nodes: list[Getattr | Getitem] = [*tree.find_all(Getattr), *tree.find_all(Getitem)]
    for node in nodes:
        stage = node.attr if isinstance(node, Getattr) else node.arg.value if isinstance(node.arg, Const) else None
        if not isinstance(node.node, Name) or node.node.name != "rows" or not isinstance(stage, str):
            continue
        if stage not in known:
            way = nearest(stage, sorted(known), "rows has") if known else "there is none that it could read"
            raise ConfigurationError(f"{file}, line {node.lineno}: there is no stage {stage} in rows: {way}")
        read.add(id(node.node))
        found.add(stage)
    for name in tree.find_all(Name):
        if name.name == "rows" and id(name) not in read:
            raise ConfigurationError(
                f"{file}, line {name.lineno}: rows is read by the name of a stage written out, as in rows.NAME or "
                "rows['NAME']"
            )
    return found


def packed_folder() -> Path:
    """`prompts/` as the wheel packs it, else as it lies beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packed = package / "prompts"
    return packed if packed.is_dir() else package.parent / "prompts"


def collector(messages: list[Message]) -> Callable[[str, Callable[[], str]], str]:
    """The function `message` of one rendering. An empty system message says nothing and is left out."""

    def message(role: str, caller: Callable[[], str]) -> str:
        if role not in ROLES:
            raise TemplateRuntimeError(unknown_role(role))
        content = caller().strip()
        if not content and role != "system":
            raise EmptyMessageError(f"it makes an empty message of the role {role}; leave it out with {{% if %}}")
        if content:
            messages.append({"role": role, "content": content})
        return ""

    return message


def unknown_role(role: object) -> str:
    return f'message("{role}"): a role is one of {", ".join(ROLES)}'


def rendered(compiled: Template, environment: Sandbox, variables: Mapping[str, object]) -> tuple[list[Message], str]:
    """The messages that a template makes, and the text outside of them. Raises RenderingError where it fails."""
    messages: list[Message] = []
    environment.begin()
    try:
        return messages, compiled.render(variables, message=collector(messages))
    except FAULTS as error:
        raise unrendered(error, compiled.filename or str(compiled.name)) from error


def unusable(messages: list[Message], outside: str) -> str | None:
    """Why what was rendered cannot be sent, or None."""
    if outside and not outside.isspace():
        return f'text outside of a message would not be sent ("{outside.strip()[:40]}"); {HOW}'
    if not messages:
        return f"it makes no message; {HOW}"
    if messages[-1]["role"] != "user":
        role = messages[-1]["role"]
        return f"its last message has the role {role}: the request itself comes last, and is the user's"
    return None


def failure(error: Exception, template: str) -> ConfigurationError:
    """The sentence for whatever reading or compiling the file or name `template` raised."""
    if isinstance(error, TemplateNotFound):
        return ConfigurationError(f"there is no prompt template {error.message}: add it to prompts/, or name another")
    if isinstance(error, TemplateSyntaxError):
        return ConfigurationError(f"{error.filename or error.name}, line {error.lineno}: {error.message}")
    return ConfigurationError(f"the prompt template {template} cannot be read: {error}; it has to be UTF-8 text")


def unrendered(error: Exception, template: str) -> RenderingError:
    """The sentence for whatever rendering the file `template` raised."""
    file, line = position(error, template)
    sentence = str(error) or type(error).__name__
    sentence = f"{file}, line {line}: {sentence}"
    if isinstance(error, NEVER_MENDED):
        return RenderingError(sentence, "nothing")
    by_kinds = isinstance(error, OF_KINDS) and not isinstance(error, UndefinedError)
    return RenderingError(sentence, "kinds" if by_kinds else "values")


def position(error: Exception, template: str) -> tuple[str, int]:
    """The innermost place in a template where `error` passed; jinja2 writes it into the traceback."""
    found = (template, 1)
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith(SUFFIX):
            found = (file, trace.tb_lineno)
        trace = trace.tb_next
    return found
