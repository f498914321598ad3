"""One compiled template and its variables → the messages of a request, or the sentence that says why there are none.

A template makes messages by call blocks, `{% call message("system") %}…{% endcall %}`. The roles are arguments of a
function and never read from text, so a topic cannot forge a message, whatever it holds.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from jinja2 import Template
from jinja2.exceptions import (
    SecurityError,
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    UndefinedError,
)

from distill_build.errors import ConfigurationError
from distill_build.prompting.files import SUFFIX
from distill_build.prompting.sandbox import Sandbox, TooMuchWork

Message = dict[str, str]

ROLES = ("system", "user", "assistant")
FAULTS = (
    TemplateError, TooMuchWork, RecursionError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError,
)  # fmt: skip
"""What a template can raise by what it does; jinja2's filters look up methods of whatever they are given. All else is
no fault of a row: a bug of ours, or a machine without memory."""
NEVER_MENDED = (SecurityError, TooMuchWork, RecursionError, OverflowError)
"""What a template raises by what it does, whatever it is given: of small values nothing gets too much."""
OF_KINDS = (TypeError, AttributeError, TemplateRuntimeError)
"""What it raises by the kinds of its values. A field or item that is missing depends on the values themselves."""
HOW = 'a template makes messages by {% call message("user") %}…{% endcall %}'


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
    message = collector(messages)
    environment.begin(message)
    try:
        return messages, compiled.render(variables, message=message)
    except FAULTS as error:
        raise unrendered(error, compiled.filename or str(compiled.name)) from error


def unsendable(messages: list[Message], outside: str) -> str | None:
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
