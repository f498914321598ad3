"""Prompt templates → chat messages.

A template makes messages by call blocks, `{% call message("system") %}…{% endcall %}`. The roles are
arguments of a function and never read from text, so a topic cannot forge a message, whatever it holds.
Templates run in jinja2's sandbox and without its sources of chance: equal variables give equal messages.

A project's `prompts/<language>/<file>` stands in for the packed file of the same name, one by one. Which templates
there are, and what each may use, is for the stages to say: this module names none of them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, Template, Undefined
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.nodes import Const, Getattr, Getitem, Name
from jinja2.nodes import Template as Tree
from jinja2.sandbox import ImmutableSandboxedEnvironment

from distill_build.errors import ConfigurationError

Message = dict[str, str]

ROLES = ("system", "user", "assistant")
SUFFIX = ".jinja"
LOOKALIKES = (SUFFIX, ".j2", ".jinja2", ".txt")
HOW = 'a template makes messages by {% call message("user") %}…{% endcall %}'


@dataclass(frozen=True, slots=True)
class TemplateVariables:
    """What a template may use: its variables, and where `rows` is one of them the stages whose rows it may read."""

    names: frozenset[str]
    rows: frozenset[str] = frozenset()


REASK = "reask"
"""The template that shows a model what was wrong with its reply. It needs no stage."""
OF_REASK = TemplateVariables(frozenset({"error", "structured"}))


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
        looked into. Raises ConfigurationError for a template that is not there, cannot be read, or uses a variable or
        a stage that it cannot have; for a file in `own` that nothing would use; and whenever a template cannot be
        compiled or rendered to messages.
        """
        self._language = language
        self._own = own
        self._packed = packed_folder()
        folders = [folder for folder in (own, self._packed) if folder is not None]
        self._loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
        self._environment = environment(self._loader)
        self._templates = {**templates, REASK: OF_REASK}
        self._compiled: dict[str, Template] = {}
        self._rows: dict[str, frozenset[str]] = {}
        self._has_own = own is not None and own.is_dir()
        for template in self._templates:
            self._refuse_missing(template)
        if own is not None and self._has_own:
            self._refuse_unused(own, others)
        for template in self._templates:
            self._check(template)

    def render(self, template: str, /, **variables: object) -> list[Message]:
        """The messages that `template` makes of `variables`; the last is the user's."""
        compiled = self._compiled.get(template) or self._compile(template)
        messages: list[Message] = []
        try:
            outside = compiled.render(variables, message=collector(messages))
        except Exception as error:
            raise failure(error, compiled.filename or template) from error
        fault = unusable(messages, outside)
        if fault is not None:
            raise ConfigurationError(f"{compiled.filename}: {fault}")
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

    def _refuse_unused(self, own: Path, others: Collection[str]) -> None:
        """A misspelt file name would be ignored in silence, and the packed prompt be sent in its place."""
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

        Packed templates are what they should be; which rows a graph has for them is not theirs to know.
        """
        variables = self._templates[template]
        self._rows[template] = frozenset()
        if not self._has_own and "rows" not in variables.names:
            return
        trees = {file: tree for file, (_, tree) in self._files(template).items()}
        if self._own is not None and any((self._own / file).is_file() for file in trees):
            self._refuse_unknown_variables(template, trees)
        if "rows" in variables.names:
            read = [_rows_of(tree, self._place(file), variables.rows) for file, tree in trees.items()]
            self._rows[template] = frozenset().union(*read)

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
        names = [name for tree in trees.values() for name in tree.find_all(Name)]
        known = {*variables, *self._environment.globals, "message", "caller"}
        known |= {name.name for name in names if name.ctx != "load"}
        for file, tree in trees.items():
            for unknown in sorted(self._undeclared(tree, file) - known):
                line = next((name.lineno for name in tree.find_all(Name) if name.name == unknown), 1)
                raise ConfigurationError(
                    f"{self._place(file)}, line {line}: there is no variable {unknown}: "
                    f"{nearest(unknown, sorted(variables), f'{template} has')}"
                )

    def _undeclared(self, tree: Tree, file: str) -> set[str]:
        try:
            return find_undeclared_variables(tree)
        except TemplateSyntaxError as error:  # a filter or test that there is not
            raise failure(error, file) from error


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


class Sandbox(ImmutableSandboxedEnvironment):
    """jinja2's sandbox, in which data has fields and no methods: `row.items` is the field `items`, or nothing."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._field(obj, attribute) if isinstance(obj, dict) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._field(obj, argument) if isinstance(obj, dict) else super().getitem(obj, argument)

    def _field(self, obj: dict[Any, Any], name: Any) -> Any:
        try:
            return obj[name]
        except (KeyError, TypeError):
            return self._no_field(obj, name)

    def _no_field(self, obj: dict[Any, Any], name: Any) -> Undefined:
        has = ", ".join(map(str, obj)) or "none"
        pairs = "; its pairs are … | items" if name == "items" else ""
        return self.undefined(f"there is no field {name}: the fields are {has}{pairs}", obj=obj, name=name)


def environment(loader: ChoiceLoader) -> Sandbox:
    made = Sandbox(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    del made.filters["random"], made.globals["lipsum"]  # the same variables have to give the same messages
    del made.filters["attr"]  # it looks at the object and not at its fields
    return made


def collector(messages: list[Message]) -> Callable[[str, Callable[[], str]], str]:
    """The function `message` of one rendering. An empty system message says nothing and is left out."""

    def message(role: str, caller: Callable[[], str]) -> str:
        if role not in ROLES:
            raise ConfigurationError(f'message("{role}"): a role is one of {", ".join(ROLES)}')
        content = caller().strip()
        if content or role != "system":
            messages.append({"role": role, "content": content})
        return ""

    return message


def unusable(messages: list[Message], outside: str) -> str | None:
    """Why what was rendered cannot be sent, or None."""
    if outside and not outside.isspace():
        return f'text outside of a message would not be sent ("{outside.strip()[:40]}"); {HOW}'
    if not messages:
        return f"it makes no message; {HOW}"
    if messages[-1]["role"] != "user":
        role = messages[-1]["role"]
        return f"its last message has the role {role}: the request itself comes last, and is the user's"
    for message in messages:
        if not message["content"]:
            return f"it makes an empty message of the role {message['role']}; leave it out with {{% if %}}"
    return None


def failure(error: Exception, template: str) -> ConfigurationError:
    """The sentence for whatever reading, compiling or rendering the file or name `template` raised."""
    if isinstance(error, TemplateNotFound):
        return ConfigurationError(f"there is no prompt template {error.message}: add it to prompts/, or name another")
    if isinstance(error, TemplateSyntaxError):
        return ConfigurationError(f"{error.filename or error.name}, line {error.lineno}: {error.message}")
    if isinstance(error, (UnicodeDecodeError, OSError)):
        return ConfigurationError(f"the prompt template {template} cannot be read: {error}; it has to be UTF-8 text")
    file, line = position(error, template)
    return ConfigurationError(f"{file}, line {line}: {str(error) or type(error).__name__}")


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


def nearest(name: str, known: list[str], otherwise: str) -> str:
    """What `name` was meant to be, else all that it could have been."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"is it meant to be {close[0]}?" if close else f"{otherwise} {', '.join(known)}"
