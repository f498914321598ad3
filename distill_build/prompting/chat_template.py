"""A model's own chat template, in the sandbox of prompts: messages → the text that the model is shown.

It is rendered as transformers does, for text alone, without tools:
https://huggingface.co/docs/transformers/main/chat_templating_writing. A template that wants the date has none: then the
text would be another one each day.
"""

import re
from collections.abc import Mapping, Sequence

from jinja2 import BaseLoader, Undefined
from jinja2.exceptions import TemplateError, TemplateSyntaxError

from distill_build.prompting.rendering import FAULTS, Message
from distill_build.prompting.sandbox import Sandbox

MARK_OF_TRAINING = re.compile(r"\{%(-?)\s*(end)?generation\s*(-?)%\}")
"""`{% generation %}` says which part trainers take the loss of, and nothing of the text."""


class ChatTemplateError(Exception):
    """A chat template cannot be read, or makes no text of messages: a sentence says why."""


class ChatTemplate:
    """`source` is the template, `tokens` the special tokens that it may name (`bos_token`, say)."""

    def __init__(self, source: str, tokens: Mapping[str, str]) -> None:
        """Raises ChatTemplateError."""
        self._sandbox = Sandbox(BaseLoader())
        self._sandbox.undefined = Undefined  # templates ask of what is not there whether it is
        self._sandbox.add_extension("jinja2.ext.loopcontrols")
        self._sandbox.globals["raise_exception"] = _raise
        self._tokens = tokens
        try:
            self._template = self._sandbox.from_string(MARK_OF_TRAINING.sub(_without_mark, source))
        except TemplateSyntaxError as error:
            raise ChatTemplateError(f"its chat template cannot be read: {error}") from error

    def render(self, messages: Sequence[Message]) -> str:
        """The text of the messages and of the beginning of a reply. Raises ChatTemplateError."""
        self._sandbox.begin()
        try:
            return self._template.render(messages=list(messages), add_generation_prompt=True, **self._tokens)
        except FAULTS as error:
            raise ChatTemplateError(f"its chat template makes no text of a question: {error}") from error


def _raise(sentence: str) -> None:
    raise TemplateError(sentence)


def _without_mark(found: re.Match[str]) -> str:
    return f"{{%{found[1]} {'endif' if found[2] else 'if true'} {found[3]}%}}"
