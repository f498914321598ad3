"""A bug of ours → a log file with the trace, and a sentence that says where it is. Holds no secrets."""

import os
import platform
import re
import sys
import tempfile
import traceback
from importlib.metadata import version

EXIT_CODE = 70  # EX_SOFTWARE, sysexits.h
SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
SECRET_SHAPES = re.compile(r"\b(sk-|Bearer\s+)[\w.~+/=-]{6,}")
IN_ADDRESSES = re.compile(r"(://)[^/\s@]+(?=@)|(https?://[^\s?'\"]*\?)[^\s'\"]+")
"""A user with a password, as of a proxy, and what stands behind a ?, as a key."""
SHORTEST_SECRET = 6


def tell_bug(bug: BaseException) -> int:
    """Writes the trace of `bug` to a file of its own, says where, and returns the exit code."""
    text = redact("".join(traceback.format_exception(bug)))
    versions = f"distill-build {version('distill-build')}, Python {platform.python_version()}"
    where = _write(f"{versions}, {platform.platform()}\n\n{text}")
    sentence = redact(f"{type(bug).__name__}: {bug}".splitlines()[0])
    print(
        f"distill-build: this is a bug in distill-build ({sentence}); please report it with {where}, "
        "which holds the trace",
        file=sys.stderr,
    )
    return EXIT_CODE


def _write(text: str) -> str:
    """Writes a new log file that only its owner can read, and returns its path."""
    try:
        handle, path = tempfile.mkstemp(prefix="distill-build-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        print(text, file=sys.stderr)
        return "the lines above"
    return path


def redact(text: str) -> str:
    """`text` without the values of variables that are named like secrets, and without what looks like one."""
    secrets = [
        value for name, value in os.environ.items() if SECRET_NAMES.search(name) and len(value) >= SHORTEST_SECRET
    ]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return IN_ADDRESSES.sub(r"\1\2***", SECRET_SHAPES.sub(r"\1***", text))
