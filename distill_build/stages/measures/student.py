"""The model that is to be trained, as far as rows of tokens are made for it: its tokenizer and its chat template."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from distill_build.errors import ConfigurationError, StudentError
from distill_build.prompting.chat_template import ChatTemplate, ChatTemplateError
from distill_build.records import JsonObject
from distill_build.stages.measures.tokens import token_count, tokenizer_in

TOKENIZER, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
"""The files of a model that say it; newer ones have the template in a file of its own."""
SETTING = "kd.tokenizer"
SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
"""What a chat template may name."""


@lru_cache(maxsize=4)
def student_of(place: str | None, digest: str | None) -> "Student":
    """The model in the files at `place`, which are those that `digest` is of: see `student_digest`.

    It is held: a build writes for the one that it began with, whatever lies there by then. Raises StudentError where
    none is named, for files that are not there or cannot be read, and for others.
    """
    if place is None:
        raise StudentError(
            "formats=kd is made for one model, in whose tokens it is: set kd.tokenizer to the folder that has its "
            "tokenizer.json and its chat template"
        )
    student = Student(place)
    if student_digest(place) != digest:
        raise StudentError(
            f"{SETTING}={place} holds another model than the format kd was written for: the digest of its files differs"
        )
    return student


class Student:
    """The model whose files lie in a folder, or beside its tokenizer.json.

    Raises StudentError for files that are not there or cannot be read.
    """

    def __init__(self, place: str) -> None:
        self._name = f"{SETTING}={place}"
        try:
            _, self._tokenizer = tokenizer_in(str(_file(place, TOKENIZER)), self._name)
        except ConfigurationError as error:
            raise StudentError(str(error)) from error
        config = self._config(_file(place, CONFIG))
        source = self._source(_file(place, TEMPLATE), config)
        try:
            self._template = ChatTemplate(source, _special_tokens(config))
        except ChatTemplateError as error:
            raise StudentError(f"{self._name}: {error}") from error
        self.vocabulary: int = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def prompt(self, messages: Sequence[JsonObject]) -> list[int]:
        """The tokens of messages up to where a reply begins. Raises ChatTemplateError where there can be none."""
        ids: list[int] = self._tokenizer.encode(self._template.render(messages), add_special_tokens=False).ids
        return ids

    def require_prompts(self, system_prompt: str | None) -> None:
        """Raises StudentError where its template makes no text even of a short question."""
        system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        try:
            self.prompt([*system, {"role": "user", "content": "Why?"}])
        except ChatTemplateError as error:
            raise StudentError(f"{self._name}: {error}") from error

    def count(self, texts: Iterable[str]) -> int:
        """The tokens of texts, each by itself, and of nothing around them."""
        return token_count(self._tokenizer, texts)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, as far as they are any of this model's."""
        text: str = self._tokenizer.decode([each for each in tokens if each < self.vocabulary])
        return text

    def _config(self, file: Path) -> Mapping[str, Any]:
        if not file.is_file():
            return {}
        try:
            config = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        except (OSError, ValueError) as error:
            raise StudentError(f"{self._name}: {file} cannot be read: {error}") from error
        return config

    def _source(self, file: Path, config: Mapping[str, Any]) -> str:
        if file.is_file():
            return file.read_text(encoding="utf-8")
        held = config.get("chat_template")
        if isinstance(held, list):  # several, by name
            held = next((each.get("template") for each in held if each.get("name") == "default"), None)
        if isinstance(held, str):
            return held
        raise StudentError(
            f"{self._name}: there is no chat template beside it, neither {TEMPLATE} nor chat_template in {CONFIG}: "
            "take the folder of the model that is to be trained"
        )


def student_digest(place: str) -> str:
    """SHA-256 of the files that say what a student is. Raises StudentError for a tokenizer that is not there."""
    found = hashlib.sha256()
    for name in (TOKENIZER, CONFIG, TEMPLATE):
        try:
            found.update(_file(place, name).read_bytes())
        except OSError as error:
            if name == TOKENIZER:
                raise StudentError(
                    f"{SETTING}={place} cannot be read: {error.strerror}: it is a model's folder with its "
                    f"{TOKENIZER}, on this machine"
                ) from error
    return found.hexdigest()


def _file(place: str, name: str) -> Path:
    path = Path(place).expanduser()
    if path.is_dir():
        return path / name
    return path if name == TOKENIZER else path.parent / name


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """As text: some files say an object with the text in it."""
    found = {name: config.get(name) for name in SPECIAL}
    texts = {name: held.get("content") if isinstance(held, dict) else held for name, held in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}
