"""Prompt templates → chat messages. The only module that knows jinja2.

A template makes messages by call blocks, `{% call message("system") %}…{% endcall %}`. The roles are
arguments of a function and never read from text, so a topic cannot forge a message, whatever it holds.
Templates run in jinja2's sandbox and without its sources of chance: equal variables give equal messages.

A project's `prompts/<language>/<file>` stands in for the packed file of the same name, one by one.
"""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, Template
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.nodes import Name
from jinja2.nodes import Template as Tree
from jinja2.sandbox import ImmutableSandboxedEnvironment

from distill_build.errors import ConfigurationError

Message = dict[str, str]

ROLES = ("system", "user", "assistant")
SUFFIX = ".jinja"
LOOKALIKES = (SUFFIX, ".j2", ".jinja2", ".txt")
REQUEST = frozenset({"topic", "path", "existing", "count", "structured", "examples"})
VARIABLES = {
    "tags": REQUEST | {"parent", "level"},
    "questions": REQUEST | {"tag"},
    "answers": frozenset({"topic", "path", "question", "system_prompt", "examples"}),
    "reask": frozenset({"error", "structured"}),
}
HOW = 'a template makes messages by {% call message("user") %}…{% endcall %}'


class Prompts:
    """The templates of one language. Each is read and compiled once.

    `own` is a project's prompts directory, which need not exist. Raises ConfigurationError for a file in it
    that nothing would use, and whenever a template cannot be read, compiled or rendered to messages.
    """

    def __init__(self, language: str, own: Path | None = None) -> None:
        self._language = language
        packed = packed_folder()
        self._loader = ChoiceLoader([FileSystemLoader(folder) for folder in (own, packed) if folder is not None])
        self._environment = environment(self._loader)
        self._compiled: dict[str, Template] = {}
        if own is not None and own.is_dir():
            self._refuse_unused(own, packed)
            self._refuse_unknown_variables(own)

    def render(self, template: str, /, **variables: object) -> list[Message]:
        """The messages that `template` (`tags`, …) makes of `variables`; the last is the user's."""
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

    def sources(self, template: str) -> dict[str, str]:
        """File name (as `en/tags.jinja`) → text, of `template` and of all that it includes by name."""
        found: dict[str, str] = {}
        waiting = [self._file(template)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name], tree = self._read(name)
                for reference in find_referenced_templates(tree):
                    if reference is None:
                        raise ConfigurationError(
                            f"{name}: a template is included by a name that is worked out; write it in quotes, so that "
                            "a change of that file is seen"
                        )
                    waiting.append(reference)
        return dict(sorted(found.items()))

    def _file(self, template: str) -> str:
        return f"{self._language}/{template}{SUFFIX}"

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

    def _refuse_unused(self, own: Path, packed: Path) -> None:
        """A misspelt file name would be ignored in silence, and the packed prompt be sent in its place."""
        known = sorted(path.name for path in (packed / self._language).glob(f"*{SUFFIX}"))
        for path in sorted(own.glob(f"*{SUFFIX}")):
            if path.name in known:
                raise ConfigurationError(f"{path} is not used: it belongs into {own / self._language}")
        files = sorted(path for path in (own / self._language).glob("*") if path.suffix in LOOKALIKES)
        unknown = [path for path in files if path.name not in known]
        if not unknown:
            return
        stems = [file.removesuffix(SUFFIX) for file in known]
        used = {name for stem in stems for name in self.sources(stem)}
        for path in unknown:
            if f"{self._language}/{path.name}" not in used:
                raise ConfigurationError(
                    f"{path} is not used: {nearest(path.stem, stems, 'no template includes it; this program has')}"
                )

    def _refuse_unknown_variables(self, own: Path) -> None:
        """A misspelt variable would be found when it is rendered: maybe after hours of requests."""
        for template, variables in VARIABLES.items():
            files = self.sources(template)
            if not any((own / file).is_file() for file in files):
                continue
            trees = {file: self._read(file)[1] for file in files}
            names = [name for tree in trees.values() for name in tree.find_all(Name)]
            known = {*variables, *self._environment.globals, "message", "caller"}
            known |= {name.name for name in names if name.ctx != "load"}
            for file, tree in trees.items():
                for unknown in sorted(self._undeclared(tree, file) - known):
                    line = next((name.lineno for name in tree.find_all(Name) if name.name == unknown), 1)
                    raise ConfigurationError(
                        f"{own / file}, line {line}: there is no variable {unknown}: "
                        f"{nearest(unknown, sorted(variables), f'{template} has')}"
                    )

    def _undeclared(self, tree: Tree, file: str) -> set[str]:
        try:
            return find_undeclared_variables(tree)
        except TemplateSyntaxError as error:  # a filter or test that there is not
            raise failure(error, file) from error


def packed_folder() -> Path:
    """`prompts/` as the wheel packs it, else as it lies beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packed = package / "prompts"
    return packed if packed.is_dir() else package.parent / "prompts"


def environment(loader: ChoiceLoader) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    del made.filters["random"], made.globals["lipsum"]  # the same variables have to give the same messages
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
