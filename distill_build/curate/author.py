"""Who says what stands in the files that people own."""

import getpass
import subprocess

GIT_SECONDS = 10


def who() -> str | None:
    """The name that git has for the person at work, else the account's."""
    try:
        told = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607 - the user's own
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        told = ""
    try:
        return told or getpass.getuser().encode(errors="replace").decode()  # a variable may hold what no file can
    except (OSError, KeyError):
        return None
