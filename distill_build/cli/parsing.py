"""Words of a command line → command, flags, settings. Imports nothing that takes time."""

import difflib
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from distill_build.cli.grammar import CACHE_VERBS, COMMANDS, FLAGS, HYDRA_FLAGS, Command, Flag, knows_flag, spellings
from distill_build.errors import UsageError
from distill_build.options import Options

FIELDS = {"from": "outline"}
"""What options call a flag, where that is another name."""
NEAR = 0.75  # a topic without its key, as in `distill-build sports`, is not near `export`
ASSIGNMENT = re.compile(r"(\+{0,2}|~)[\w./@:$-]*=|~[\w.@/]+$")
"""How a word that is a setting begins."""


class CommandLine(NamedTuple):
    """A command line, taken apart. `settings` are Hydra's flags and overrides, in the order Hydra wants."""

    command: str
    options: Options
    settings: tuple[str, ...] = ()
    help: bool = False
    version: bool = False


class Parts:
    """What has been read of a command line so far."""

    def __init__(self) -> None:
        self.plain: list[str] = []
        self.settings: list[str] = []
        self.flags: list[tuple[Flag, str]] = []


def parse(words: Sequence[str]) -> CommandLine:
    """Takes a command line apart. Raises UsageError for what does not exist or does not fit the command."""
    parts = sort_words(list(words))
    given = {flag.name for flag, _ in parts.flags}
    name = parts.plain[0] if parts.plain else "build"
    command = COMMANDS.get(name)
    if command is None:
        raise unknown_command(name, parts)
    called = with_verb(name, parts)
    if {"help", "version"} & given:
        shown = called if parts.plain else ""
        return CommandLine(shown, Options(), help="help" in given, version="version" in given)
    check_words(name, command, parts)
    if name == "cache":
        check_verb(*parts.plain[1:])
    for flag, _ in parts.flags:
        check_fits(called, flag)
    if "multirun" in given and (printing := [flag for flag in ("cfg", "info") if flag in given]):
        raise UsageError(f"--{printing[0]} prints one configuration: leave out -m, and choose one of the values")
    hydra = [f"--{flag.name}" + f"={value}" * bool(flag.value) for flag, value in parts.flags if flag in HYDRA_FLAGS]
    options = options_of(parts)
    stand_in = command.stand_in if options.names_dataset or not command.finds else ()
    return CommandLine(name, options, (*hydra, *stand_in, *parts.settings))


def sort_words(words: list[str]) -> Parts:
    """Flags with their values, settings, and all other words. Raises UsageError for an empty one, which commands would
    take for the working directory, or for the only dataset."""
    parts = Parts()
    while words:
        word = words.pop(0)
        if not word:
            raise UsageError("a word is '', as \"$NAME\" is where nothing sets it: say what it names, or leave it out")
        if word.startswith("-") and word != "-":
            parts.flags.append(take_flag(word, words))
        elif ASSIGNMENT.match(word) and not is_folder_of(word, parts):
            parts.settings.append(word)
        else:
            parts.plain.append(word)
    return parts


def is_folder_of(word: str, parts: Parts) -> bool:
    """Whether a word with = in it is a path: folders of a sweep's jobs have such names.

    For a command that takes no settings, be there something or not; none is known to take paths before it is typed.
    """
    command = COMMANDS.get(parts.plain[0]) if parts.plain else None
    if command is None or (command.composes and not command.finds):
        return False
    return os.path.lexists(word) or (not command.composes and os.sep in word.partition("=")[0])


def take_flag(word: str, rest: list[str]) -> tuple[Flag, str]:
    """The flag that `word` is, and its value, which is taken off `rest` where it is a word of its own."""
    typed, equals, value = word.partition("=")
    flag = next((flag for flag in (*FLAGS, *HYDRA_FLAGS) if typed in spellings(flag)), None)
    if flag is None:
        raise unknown_flag(typed, value or next(iter(rest), ""))
    if equals and not flag.value:
        raise UsageError(f"{typed} takes no value: '{word}'")
    if flag.value and not equals:
        value = take_value(flag, rest)
    if flag.choices and value not in flag.choices:
        raise UsageError(f"{typed} takes one of {', '.join(flag.choices)}, not '{value}'")
    if flag.value and not value:
        raise UsageError(f"{typed} needs a value: {typed} {flag.value}")
    return flag, value


def unknown_flag(typed: str, value: str) -> UsageError:
    """The sentence for a flag that does not exist. `value` is what stands behind it: it may have meant a setting."""
    from distill_build.config.keys import known_keys  # takes time, and is wanted for a mistake alone

    settings = {f"--{key.replace('_', '-')}": f"{key}={value or '…'}" for key in known_keys()}
    if near := difflib.get_close_matches(typed.replace("_", "-"), settings, n=1, cutoff=NEAR):
        return UsageError(f"unknown flag '{typed}': did you mean the setting '{settings[near[0]]}'?")
    names = {flag.name: f"--{flag.name}" for flag in (*FLAGS, *HYDRA_FLAGS)}
    close = difflib.get_close_matches(typed.strip("-"), names, n=1)  # without the marks, which are alike in all
    near = [names[close[0]]] if close and len(typed) > len("-x") else []  # of one letter nothing is near
    hint = f"did you mean '{near[0]}'?" if near else "see --help"
    return UsageError(f"unknown flag '{typed}': {hint}")


def take_value(flag: Flag, rest: list[str]) -> str:
    """The value that stands after a flag, "" where nothing does. One in brackets may be left out: then it is the first
    choice."""
    if flag.value.startswith("["):
        return rest.pop(0) if rest and rest[0] in flag.choices else flag.choices[0]
    return rest.pop(0) if rest else ""


def with_verb(name: str, parts: Parts) -> str:
    """The command, and its verb where it is one of `cache`."""
    verb = parts.plain[1] if name == "cache" and len(parts.plain) > 1 else ""
    return f"{name} {verb}" if verb in CACHE_VERBS else name


def check_fits(name: str, flag: Flag) -> None:
    """Raises UsageError where a command does not know a flag."""
    if not knows_flag(name, flag):
        those = [flag.whose] if " " in flag.whose else [other for other in COMMANDS if knows_flag(other, flag)]
        raise UsageError(f"{name} does not know --{flag.name}: it is a flag of {', '.join(those)}")


def check_words(name: str, command: Command, parts: Parts) -> None:
    """Raises UsageError where a command does not take as many words, or no settings."""
    words = parts.plain[1:]
    wanted = command.words.split()
    if command.composes:
        refuse_folders(name, [*words[len(wanted) :], *parts.settings])
    fewest = sum(not word.startswith("[") for word in wanted)
    if len(words) < fewest:
        raise UsageError(f"{name} needs {' '.join(wanted[len(words) : fewest])}: distill-build {name} {command.words}")
    if len(words) > len(wanted):
        usage = f"distill-build {name} {command.words}; what has spaces stands in quotes"
        hint = quote_hint(parts) if command.composes else usage
        raise UsageError(f"{name} does not take the word '{words[len(wanted)]}': {hint}")
    if parts.settings and not command.composes:
        instead = f"name the dataset, as in distill-build {name} -o outputs/sports"
        hint = instead if command.reads else "they go into the project's conf/distill.yaml"
        raise UsageError(f"{name} takes no settings, so not '{parts.settings[0]}': {hint}")


def check_verb(verb: str = "", *words: str) -> None:
    """Raises UsageError for a verb that `cache` does not have, or where one does not take as many words."""
    if verb not in CACHE_VERBS:
        near = difflib.get_close_matches(verb, CACHE_VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its verbs are {', '.join(CACHE_VERBS)}"
        raise UsageError(f"cache does not know '{verb}': {hint}" if verb else f"cache what? {hint}")
    wanted = CACHE_VERBS[verb].words.split()
    fewest = sum(not word.startswith("[") for word in wanted)
    usage = " ".join(("distill-build cache", verb, *wanted))
    if len(words) < fewest:
        raise UsageError(f"cache {verb} needs {wanted[len(words)]}: {usage}")
    if len(words) > len(wanted):
        raise UsageError(f"cache {verb} does not take the word '{words[len(wanted)]}': {usage}")


def refuse_folders(name: str, words: Sequence[str]) -> None:
    """Raises UsageError where one of the words that are to be settings is the path of a folder."""
    for word in words:
        if os.sep in word.partition("=")[0] and os.path.isdir(word):  # noqa: PTH112 - a value may be too long for a path
            raise UsageError(
                f"{name} takes settings, and {word} is a folder: type those that it was built with. A sweep's own "
                "command with formats=… writes other exports of its jobs, and asks nothing"
            )


def unknown_command(name: str, parts: Parts) -> UsageError:
    """The sentence for a command that does not exist."""
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=NEAR)
    hint = f"did you mean '{near[0]}'?" if near else f"{quote_hint(parts)}, and the commands are {', '.join(COMMANDS)}"
    return UsageError(f"unknown command '{name}': {hint}")


def quote_hint(parts: Parts) -> str:
    """The way out for a word too many: mostly a value with spaces that the shell took apart."""
    if parts.settings:
        return 'a value with spaces stands in quotes, as in topic="board games"'
    return f"a topic is said as topic={parts.plain[-1]}"


def options_of(parts: Parts) -> Options:
    """The options that the flags ask for."""
    chosen: dict[str, Any] = {}
    for flag, value in parts.flags:
        key = FIELDS.get(flag.name, flag.name.replace("-", "_"))
        if flag.name == "rebuild":
            chosen[key] = (*chosen.get(key, ()), value)
        elif flag.value == "N":
            chosen[key] = whole_number(flag, value)
        elif flag in FLAGS:
            chosen[key] = value if flag.value else True
    return Options(**chosen, arguments=tuple(parts.plain[1:]), overrides=tuple(parts.settings))


def whole_number(flag: Flag, value: str) -> int:
    """The N of a flag."""
    if not value.isdecimal():
        raise UsageError(f"--{flag.name} takes a whole number from 0, not '{value}'")
    return int(value)
