"""The text of a file that people write, and what is told of one that is none."""

from collections.abc import Sequence
from pathlib import Path

from distill_build.errors import ConfigurationError
from distill_build.replies.labels import normalise


def text_in(file: Path) -> str:
    """The whole text. Raises ConfigurationError for a file that cannot be read, and for bytes that are no UTF-8."""
    return decoded(all_bytes_of(file), file)


def all_bytes_of(file: Path) -> bytes:
    """All that stands in a file. Raises ConfigurationError for one that cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise cannot_be_read(file, error) from error


def decoded(content: bytes, file: Path) -> str:
    """What `content`, that `file` has or is to have, says. Raises ConfigurationError with the line that is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{file}, line {line}: it is no text in UTF-8: save the file in that encoding, or move it away"
        ) from error


def cannot_be_read(file: Path, error: OSError) -> ConfigurationError:
    """What to raise for a file of theirs that cannot be read."""
    return ConfigurationError(f"{file} cannot be read ({error.strerror}): mend it, or move it away")


def is_about(topic: str, told: object, place: str) -> bool:
    """Whether a file, or a line, that names `told` speaks of `topic`: one that names none speaks of all.

    Raises ConfigurationError, told with `place`, for what is no topic.
    """
    if told is None or told == "":
        return True
    if not isinstance(told, str):
        raise ConfigurationError(f"{place}: topic is a text: that of the dataset, or left out, not {told!r}")
    return not told.strip() or normalise(told) == normalise(topic)


def way_out(name: str, known: Sequence[str], otherwise: str) -> str:
    """What to do about a name that is none of `known`: the one that was meant, else what `otherwise` says."""
    import difflib  # a start without a mistake is to be short

    near = difflib.get_close_matches(name.lower(), known, 1)
    return f"did you mean {near[0]}?" if near else otherwise
