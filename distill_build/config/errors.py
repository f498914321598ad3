"""What Hydra, OmegaConf or the YAML reader raised → one sentence with the way out.

Knows their errors by where the classes live, so that nothing of theirs is imported here. The texts that are
matched are those of Hydra 1.3, to which the dependency is pinned; a text without a sentence is shown as it is.
"""

import difflib
import re
import shlex
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from distill_build.config.free_text import quote
from distill_build.errors import ConfigurationError, UsageError
from distill_build.project import seen

THEIRS = ("hydra.", "omegaconf.", "yaml.", "antlr4.")
PLUGINS = {
    "hydra/launcher=joblib": "hydra-joblib-launcher",
    "hydra/launcher=ray": "hydra-ray-launcher",
    "hydra/launcher=submitit_local": "hydra-submitit-launcher",
    "hydra/launcher=submitit_slurm": "hydra-submitit-launcher",
    "hydra/sweeper=optuna": "hydra-optuna-sweeper",
}
"""Those that are tried with distill-build; the extra `launchers` has them all."""


LITERALLY = "where the text itself is meant, write \\${"
"""How a ${ is written that refers to nothing."""


def translate(error: Exception) -> Exception:
    """An error with one sentence for an error of composition; any other error as it is."""
    if hasattr(error, "override") and is_theirs(error):
        return unreadable_override(error.override)
    if getattr(error, "missing_cfg_file", None):
        return missing_file(error)
    if isinstance(error, RecursionError):
        return ConfigurationError("a file of the configuration begins with itself: look at its 'defaults'")
    if is_theirs(error) or isinstance(error, OSError | UnicodeError):
        cause = cause_of(error)
        return of_a_resolver(error) or refused(str(error), keys_at(error)) or refused(str(cause)) or _unreadable(cause)
    if (word := chosen_by(error)) is not None and "Config group override must be" in str(error):
        return ConfigurationError(f"{word}: one file of a group is chosen by its name; leave it out for what is usual")
    if isinstance(error, ValueError):  # how Hydra refuses flags that do not go together
        return UsageError(_one_line(error))
    return error


def is_theirs(error: BaseException) -> bool:
    """Whether Hydra, OmegaConf or the YAML reader raised this."""
    return type(error).__module__.startswith(THEIRS)


def refused(message: str, there: Collection[str] = ()) -> ConfigurationError | None:
    """The sentence for a refusal that has a known text. `there` are the keys of the configuration."""
    key = re.search(r"Could not (?:override|append to|delete from)[^']*'([^']+)'", message)
    if key and "already at" not in message:
        from distill_build.config.keys import unknown_key

        return unknown_key(key[1], there)
    if several := re.search(r"Ambiguous value for argument '(.+?)=(.*)'$", message, re.MULTILINE):
        setting, values = several.groups()
        return ConfigurationError(
            f"{setting}={values}: a list stands in brackets, {setting}=[{values}]; "
            "with -m each value is a build of its own"
        )
    if twice := re.search(r"Multiple values for (\S+)\.", message):
        return ConfigurationError(f"{twice[1]} is chosen already: say {twice[1]}=… once, and without a +")
    if again := re.search(r"(\S+) appears more than once in the final defaults list", message):
        return ConfigurationError(f"{again[1]} is chosen already: say {again[1]}=… once, and without a +")
    if other := re.search(r"Cannot merge DictConfig with ListConfig.*full_key: (\S+)", message, re.DOTALL):
        return ConfigurationError(
            f"{other[1]}: a list, as in [a,b], and settings with names, as in {{a: b}}, cannot take each other's place"
        )
    if single := re.search(r"node `(\S+)` is not a container and thus cannot contain `(\w+)`", message):
        node, setting = single.groups()
        return ConfigurationError(f"{node} is a single value: it holds settings of its own, as {node}.{setting}")
    if kind := re.search(r"does not support sweep type : (\w+)_SWEEP", message):
        return ConfigurationError(
            f"{kind[1].lower()}(…) has no end of values to try: list some, as in teacher.temperature=0,0.5,1, or have "
            "a sweeper choose them, with hydra/sweeper=optuna"
        )
    return unresolved(message)


def unresolved(message: str) -> ConfigurationError | None:
    """The sentence for a setting that is said to be like something which is not there."""
    setting = place[1] if (place := re.search(r"full_key: (\S+)", message)) else "a setting"
    if variable := re.search(r"Environment variable '(.+?)' not found", message):
        return ConfigurationError(f"{setting} is the environment variable {variable[1]}, which is not set")
    if missing := re.search(r"Interpolation key '(.+?)' not found", message):
        return ConfigurationError(f"{setting} is ${{{missing[1]}}}, and there is no setting of that name; {LITERALLY}")
    if kind := re.search(r"Unsupported interpolation type (\S+)", message):
        return ConfigurationError(
            f"{setting} has a reference ${{{kind[1]}:…}}, and there is nothing of that kind; {LITERALLY}"
        )
    if "Recursive interpolation" in message:
        return ConfigurationError("a setting follows itself: only a role can be 'same', as in model@teacher=same")
    return None


def unreadable_override(override: str) -> ConfigurationError:
    """The sentence for a word that Hydra's grammar does not take."""
    key, _, value = override.partition("=")
    if (bracket := unclosed_bracket(value)) is not None:
        return ConfigurationError(f"cannot read {override!r}: {bracket}; a list is [a,b], and settings are {{a: b}}")
    word = f"{key}={quote(value)}"
    typed = shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'
    return ConfigurationError(
        f"cannot read {override!r}: a value with more than ASCII letters and digits stands in quotes of its own, "
        f"inside the shell's: {typed}"
    )


def unclosed_bracket(value: str) -> str | None:
    """Which bracket of a list or of settings lacks its other half, in words; None where all are in pairs."""
    closing = {"[": "]", "{": "}"}
    waiting: list[str] = []
    for character in value if value[:1] in closing else "":
        if character in closing:
            waiting.append(character)
        elif character in closing.values() and (not waiting or closing[waiting.pop()] != character):
            return f"{character} closes nothing"
    return f"{waiting[-1]} is not closed" if waiting else None


def _unreadable(error: BaseException) -> ConfigurationError:
    """The sentence for a file that is no configuration. Errors of the YAML reader name it, others do not."""
    if isinstance(error, UnicodeError):
        return ConfigurationError(f"{being_read(error)} is not UTF-8 text")
    if line := conflict_in(Path(being_read(error))):
        return ConfigurationError(f"{being_read(error)} holds a merge conflict (line {line}): resolve it")
    if kind := re.match(r"Invalid loaded object type: (\w+)", str(error)):
        return ConfigurationError(f"{being_read(error)} is one {kind[1]}: settings have names, as in 'depth: 3'")
    said = re.sub(r" full_key: (\S+) object_type=\S+", r" (in \1)", _one_line(error))
    return ConfigurationError(f"the configuration cannot be read: {said}")


def being_read(error: BaseException) -> str:
    """The file that Hydra was at when it was raised: a variable of its `FileConfigSource.load_config`.

    One below the working directory is named as seen from there.
    """
    frames = (frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__))
    file = next((names["full_path"] for names in frames if "full_path" in names), "a file of the configuration")
    return seen(Path(file))


def keys_at(error: BaseException) -> set[str]:
    """The keys and groups of the configuration that Hydra was at: variables of its `_apply_overrides_to_config`, and
    of `Overrides`, which knows groups alone. None where it had not come so far."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    owners = [names["self"] for names in frames if "self" in names and not hasattr(type(names["self"]), "__getitem__")]
    groups = {str(key) for owner in owners for key in getattr(owner, "known_choices", ())}
    composed = next((names["cfg"] for names in frames if "overrides" in names and "cfg" in names), None)
    return groups | set(keys_in(composed) if composed is not None else ())


def keys_in(node: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a node of OmegaConf's."""
    for name, value in node.items_ex(resolve=False):
        yield f"{prefix}{name}"
        if hasattr(value, "items_ex") and not (value._is_none() or value._is_missing() or value._is_interpolation()):
            yield from keys_in(value, f"{prefix}{name}.")


def chosen_by(error: BaseException) -> str | None:
    """The word that Hydra was at when it sorted out which files of groups are chosen."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next(
        (names["override"].input_line for names in frames if hasattr(names.get("override"), "input_line")), None
    )


def conflict_in(file: Path) -> int | None:
    """The line where git's first mark of a conflict stands in a file; None where there is none."""
    from distill_build.dataset.lockfile import CONFLICT  # wanted for a mistake alone

    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    mark = CONFLICT.search(text)
    return text.count("\n", 0, mark.start()) + 1 if mark else None


def missing_file(error: Exception) -> ConfigurationError:
    """The sentence for a config group's option, or a primary configuration, that is not there."""
    group, _, option = str(getattr(error, "missing_cfg_file", "")).rpartition("/")
    if not group:
        return ConfigurationError(f"the configuration cannot be read: {str(error).partition(chr(10))[0]}")
    if (package := PLUGINS.get(f"{group}={option}")) is not None:
        return ConfigurationError(f"{group}={option} needs a plugin that is not installed: pip install {package}")
    known = [known for known in getattr(error, "options", None) or () if known != "same"]
    if not known and (inside := re.match(r"In '(\S+)'", str(error))):
        return ConfigurationError(f"{inside[1]}.yaml begins with {group}/{option}, and there is no such file")
    near = difflib.get_close_matches(option, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return ConfigurationError(f"unknown {group} '{option}': {hint}Known are {', '.join(known)}")


def cause_of(error: BaseException) -> BaseException:
    """The first error of a chain: it says what was wrong, the later ones where it was met."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def of_a_resolver(error: BaseException | None) -> ConfigurationError | None:
    """What a resolver of ours refused: OmegaConf wraps it, twice, without naming it as the cause."""
    while error is not None and not isinstance(error, ConfigurationError):
        error = error.__cause__ or error.__context__
    return error


def _one_line(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split())
