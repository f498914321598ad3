"""Command-line words → words that Hydra reads as they were meant. Knows Hydra's grammar of overrides.

Hydra refuses unquoted text that is not ASCII, and takes `a, b` for a sweep, `3.10` for 3.1, `null` for
nothing, `[a]` for a list and `${x}` for an interpolation. A topic is none of these: it gets Hydra's quotes.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from distill_build.errors import UsageError
from distill_build.project import as_typed_in_root

LITERAL = frozenset({"topic", "name", "description", "audience", "system_prompt"})
"""Keys whose value is text as typed: not even `${…}` means anything."""

PATHS = re.compile(
    r"output_dir|cache\.dir|prompts\.dir|hydra\.run\.dir|(filter|kd)\.tokenizer|[\w-]+\.path"
    r"|stage\.[\w-]+\.(tokenizer|answer_schema)|answer\.schema"
)
"""Keys whose value is a path, with Hydra's `null` and `${…}`: typed, it counts from the working directory."""

FILES = re.compile(r"(decontaminate|stage\.[\w-]+)\.against")
"""Keys whose value is a path as those of `PATHS` are, or a list of some."""

LABELS = re.compile(r"answer\.labels|stage\.[\w-]+\.labels")
"""Keys whose value is a list of texts as typed."""

OF_A_STAGE = re.compile(r"stage\.[\w-]+\.(system_prompt|where|columns\.\w+|export\.\w+)")
"""Keys of a stage whose value is text as typed: expressions, most often."""

OF_A_MODEL = re.compile(r"[\w-]+\.(name|base_url|api_key_env|revision)")
"""Keys of a role, whatever it is called, whose value is text as those of `PATHS` are."""
NO_RELATIVE_PATH = ("$", "~", "/")
"""How a path begins that counts from nowhere, or from what another setting says."""

WORD = re.compile(r"(?P<key>\+{0,2}[\w.-]+)=(?P<value>.*)", re.DOTALL)
OWN_KEYS = re.compile(
    r"[\w-]+\.extra_body[.=]|(stage\.[\w-]+\.(columns|export|schema|answer_schema)|answer\.schema)=\{"
    r"|(stage\.[\w-]+\.)?axes(\.\w+)?="
)
"""Settings that hold keys of the endpoint's or the user's own: Hydra takes a new one with `++` only. A column that is
typed by itself gets none, since it may be a misspelt one."""
AXES = re.compile(r"\+{0,2}(?P<key>(stage\.[\w-]+\.)?axes)(?P<names>\.[^=]+)?=(?P<value>.*)", re.DOTALL)
PLAIN_KEYS = re.compile(r"[ -!#-&(-~]*")
"""Text without quotes that is ASCII: Hydra's grammar has no other keys in braces."""
# Hydra's QUOTED_VALUE: a backslash counts only in a run before a quote of the same kind.
QUOTED = re.compile(
    r"""'(?:[^'\\]|\\+[^'\\]|(?:\\\\)*\\')*(?:\\\\)*'"""
    r"""|"(?:[^"\\]|\\+[^"\\]|(?:\\\\)*\\")*(?:\\\\)*\""""
)
KEYED = r"\{[^{}]*:(?:[^{}]|\{[^{}]*\})*\}(?=\s*[,\]]|$)"
IN_LIST = re.compile(rf"{KEYED}|(?P<text>{QUOTED.pattern}|[^\[\],\s][^\[\],]*)")
"""One value of a list, or of several lists. Keys with values in braces are no text, and for Hydra to read."""
SWEEP_FUNCTION = re.compile(r"(choice|shuffle|sort)\(.*\)", re.DOTALL)


def quote_free_text(words: Iterable[str], *, multirun: bool) -> list[str]:
    """The words of a command line with the values of keys that take free text in Hydra's quotes.

    Without `multirun` a value is one text, unless it stands in quotes of its own: they are taken off. With
    `multirun` commas outside quotes separate values, and `choice(…)` goes through. What holds keys of
    one's own gets Hydra's `++`. Raises UsageError where the topic, or one of several values, is empty.
    """
    return [quote_word(word, multirun=multirun) for word in words]


def quote_word(word: str, *, multirun: bool) -> str:
    """One word of `quote_free_text`."""
    if (axes := AXES.fullmatch(word)) is not None and not PLAIN_KEYS.fullmatch(word):
        return _axes_as_text(word, axes)
    if OWN_KEYS.match(word):
        return f"++{word}"
    match = WORD.fullmatch(word)
    key = match["key"].lstrip("+") if match else ""
    if match is None or (multirun and SWEEP_FUNCTION.fullmatch(match["value"])):
        return word
    if FILES.fullmatch(key):
        return f"{match['key']}={_each_text(quote_path, match['value'])}"
    if LABELS.fullmatch(key):
        return f"{match['key']}={_each_text(quote_text, match['value'])}"
    if not is_free(key):
        return word
    values = split_sweep(match["value"]) if multirun else [match["value"]]
    if (len(values) > 1 or key == "topic") and not all(value.strip() for value in values):
        raise UsageError(f"'{word}' has an empty value: say it as in topic=sports, or topic=\"board games\"")
    return f"{match['key']}=" + ",".join(quote_value(key, value) for value in values)


def _each_text(quoted: Callable[[str], str], values: str) -> str:
    """Lists, or values, with each text of them in quotes."""
    return IN_LIST.sub(lambda each: each[0] if each["text"] is None else quoted(each["text"].strip()), values)


def _axes_as_text(word: str, axes: re.Match[str]) -> str:
    """Axes with names or values that Hydra's grammar does not have, as a text: its reader knows YAML."""
    names, value = axes["names"] or "", axes["value"]
    if not names.isascii() or names.count(".") > 1:
        raise UsageError(
            f"cannot read {word!r}: such a name of an axis, or of its value, stands inside braces, and all that belong "
            f"together do: '{axes['key']}={{难度: {{易: 0.5, 难: 0.5}}}}'"
        )
    if not value.lstrip().startswith("{"):
        return f"++{word.lstrip('+')}"
    spaced = re.sub(rf"{QUOTED.pattern}|:(?=\S)", lambda each: ": " if each[0] == ":" else each[0], value)
    return f"++{axes['key']}{names}={quote(spaced)}"


def is_literal(key: str) -> bool:
    """Whether the value of `key` is text as typed."""
    return key in LITERAL or OF_A_STAGE.fullmatch(key) is not None


def is_free(key: str) -> bool:
    """Whether the value of `key` is text."""
    return is_literal(key) or any(those.fullmatch(key) for those in (PATHS, OF_A_MODEL))


def split_sweep(value: str) -> Sequence[str]:
    """`value` at its commas; a part in quotes of its own keeps its commas. Spaces around several parts go."""
    parts: list[str] = []
    rest = value
    while True:
        quoted = re.match(rf"\s*({QUOTED.pattern})\s*(?=,|$)", rest)
        end = quoted.end() if quoted else rest.find(",")
        if end in (-1, len(rest)):
            return [value] if not parts else [*parts, rest.strip()]
        parts.append(rest[:end].strip())
        rest = rest[end + 1 :]


def quote_value(key: str, value: str) -> str:
    """One value of `key` in Hydra's quotes; `null` stays null where the key knows it."""
    if value == "null" and key != "topic":
        return value
    if PATHS.fullmatch(key):
        return quote_path(value)
    if is_literal(key):
        return quote_text(value)
    return quote(unquote(value) if QUOTED.fullmatch(value) else value)


def quote_text(value: str) -> str:
    """A text as it is typed, in Hydra's quotes."""
    return quote(escape_interpolations(unquote(value) if QUOTED.fullmatch(value) else value))


def quote_path(value: str) -> str:
    """A path as it is typed, from the root and in Hydra's quotes."""
    if value == "null":
        return value
    text = unquote(value) if QUOTED.fullmatch(value) else value
    relative = text.strip() and not text.startswith(NO_RELATIVE_PATH)
    return quote(as_typed_in_root(text) if relative else text)


def unquote(value: str) -> str:
    """The text of Hydra's quoted string: a run of backslashes before its own quote is halved."""
    mark = value[0]
    inner = re.sub(rf"(\\+){mark}", lambda run: run[1][: len(run[1]) // 2] + mark, value[1:-1])
    return re.sub(r"\\+\Z", lambda run: run[0][: len(run[0]) // 2], inner)


def quote(text: str) -> str:
    """`text` as Hydra's quoted string: a run of backslashes is doubled before a quote and at the end."""
    inner = re.sub(r"(\\*)'", lambda run: run[1] * 2 + r"\'", text)
    return "'" + re.sub(r"\\+\Z", lambda run: run[0] * 2, inner) + "'"


def escape_interpolations(text: str) -> str:
    r"""`text` such that OmegaConf reads it as itself: `\${` for `${`, and `???` is not a missing value."""
    if text == "???":
        return "${oc.decode:\"'???'\"}"
    return re.sub(r"(\\*)\$\{", lambda run: run[1] * 2 + r"\${", text)


def unescape_interpolations(text: str) -> str:
    r"""The text that `escape_interpolations` was given."""
    if text == "${oc.decode:\"'???'\"}":
        return "???"
    return re.sub(r"(\\*)\\\$\{", lambda run: run[1][: len(run[1]) // 2] + "${", text)
