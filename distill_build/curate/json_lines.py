"""JSON in a file that people write, one object a line or one value in all: a mistake is told with its line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from distill_build.curate.texts import text_in
from distill_build.errors import ConfigurationError

T = TypeVar("T")
NO_NUMBER = "it has a number that no JSON has, as NaN, or one that is too long"
MERGE_MARKS = ("<<<<<<<", "=======", ">>>>>>>")


def objects_in(file: Path, example: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each object stands, as people are told it, and the object; `example` is what a line may look like.

    Raises ConfigurationError with file, line and remedy for what is none.
    """
    for number, line in enumerate(text_in(file).split("\n"), start=1):
        if line.strip():
            place = f"{file}, line {number}"
            yield place, _object(place, line, example)


def read_back(line: dict[str, Any], read: Callable[[str, dict[str, Any]], T]) -> T:
    """What `read`, which is told where a line stands, makes of one that is about to be written.

    Raises ConfigurationError with the reason alone where it would refuse it.
    """
    place = "the line"
    try:
        return read(place, _object(place, json.dumps(line), ""))
    except RecursionError as error:
        raise ConfigurationError(json_fault(error)) from error
    except ConfigurationError as error:
        raise ConfigurationError(str(error).removeprefix(f"{place}: ")) from error


def _object(place: str, line: str, example: str) -> dict[str, Any]:
    if line.startswith(MERGE_MARKS):
        raise ConfigurationError(f"{place}: it was left by a merge: keep the lines of both sides, and remove the marks")
    found = value_in(place, line, f"each line is one object by itself, as in {example}")
    if not isinstance(found, dict):
        raise ConfigurationError(f"{place}: each line is an object, as in {example}")
    return found


def value_in(place: str, text: str, remedy: str = "mend it there") -> Any:
    """What a text in JSON says; `place` is where it stands, as people are told it, and `remedy` what to do about one
    that is none. Raises ConfigurationError with both."""
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: each_key_once(place, pairs))
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:  # an escape may stand for what no file in UTF-8 can hold
        raise ConfigurationError(
            f"{place}: it has half of a letter, as \\ud800 without what belongs behind it: type the letter itself"
        ) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{place}: it is no JSON ({json_fault(error)}): {remedy}") from error
    except ValueError as error:
        raise ConfigurationError(f"{place}: {NO_NUMBER}: type another one, or null") from error
    return found


def json_fault(error: ValueError | RecursionError) -> str:
    """What is wrong with a text that is no JSON, and where in it: which line of a file it is, is told beside."""
    if isinstance(error, json.JSONDecodeError):
        line = f"line {error.lineno}, " if "\n" in error.doc else ""
        return f"{error.msg}: {line}character {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else NO_NUMBER


def each_key_once(place: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, in which no key may hide another one. Raises ConfigurationError, told with `place`, where one does."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"{place}: {twice} stands there twice: leave one of them out")
    return found
