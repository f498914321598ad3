"""A dataset's folder name: made from its topic, or given by the user. Pure."""

import hashlib
import re
import unicodedata

from distill_build.errors import ConfigurationError

RESERVED = frozenset({"sweeps"})  # Hydra's sweep files live there, see conf/base.yaml
LONGEST_BYTES = 120  # file systems take 255 in UTF-8; room for what is put after it
LETTERS_DIGITS_MARKS = ("L", "N", "M")  # Unicode general categories; a mark is part of the letter before it
UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def dataset_name(topic: str) -> str:
    """The folder name for `topic`: letters of any script, digits and hyphens, in lower case.

    Where more than spaces or case has to go (C, C++, C#; a topic that is too long; a reserved name), six hex
    digits of the topic's SHA-256 are added. Two spellings of one text in Unicode have one name.
    """
    text = unicodedata.normalize("NFC", topic)
    folded = unicodedata.normalize("NFC", text.casefold())
    spaced = re.sub(r"\s+", "-", folded.strip())
    kept = "".join(character if in_name(character) else "-" for character in spaced)
    name = shorten(tidy(kept) if kept != spaced else kept.strip("-"))
    if name == spaced and name and name not in RESERVED:
        return name
    return f"{name or 'topic'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def in_name(character: str) -> bool:
    """Whether a name made from a topic keeps `character`."""
    return character == "-" or unicodedata.category(character)[0] in LETTERS_DIGITS_MARKS


def tidy(name: str) -> str:
    """`name` without the doubled and outer hyphens that dropped characters leave behind."""
    return re.sub(r"-{2,}", "-", name).strip("-")


def shorten(name: str) -> str:
    """`name`, cut to `LONGEST_BYTES` of UTF-8 between two characters."""
    return name.encode()[:LONGEST_BYTES].decode(errors="ignore").rstrip("-")


def check_name(name: str) -> str:
    """`name` as the user gave it, where it is safe as a folder's name. Raises ConfigurationError."""
    if not name.strip() or name != name.strip() or name.startswith((".", "-")) or UNSAFE.search(name):
        reason = "it is one folder's name, without slashes, and begins with neither a dot, a hyphen nor a space"
    elif name.casefold() in RESERVED:
        reason = "that name is kept for Hydra's sweeps"
    elif len(name.encode("utf-8", "surrogatepass")) > LONGEST_BYTES:
        reason = f"it is longer than {LONGEST_BYTES} bytes"
    else:
        return name
    raise ConfigurationError(f"name={name!r} cannot be used: {reason}; for example name=sports-v2")
