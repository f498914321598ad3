"""How CI gets the program: from where it was installed, which pip recorded."""

import json
from typing import Any

import pytest

from distill_build.commands.make.installed import WHEELS, program_of

COMMIT = "0123456789012345678901234567890123456789"
ORIGINS: list[tuple[dict[str, Any] | None, str, str | None]] = [
    (None, "distill-build==1.2", None),
    (
        {"url": "https://example.com/d.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
        f"git+https://example.com/d.git@{COMMIT}",
        None,
    ),
    ({"url": "https://example.com/d-1.2.whl", "archive_info": {}}, "https://example.com/d-1.2.whl", None),
    ({"url": "https://example.com/d.whl?a=1&b=2", "archive_info": {}}, "'https://example.com/d.whl?a=1&b=2'", None),
    ({"url": "file:///home/me/a%20clone", "dir_info": {"editable": True}}, WHEELS, "/home/me/a clone"),
    ({"url": "file:///srv/d-1.2.whl", "archive_info": {}}, WHEELS, "/srv/d-1.2.whl"),
    (
        {"url": "file:///home/me/d", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
        WHEELS,
        f"git+file:///home/me/d@{COMMIT}",
    ),
]


@pytest.mark.parametrize(("origin", "words", "place"), ORIGINS)
def test_ci_installs_from_where_the_program_came_or_from_a_wheel_in_the_project(
    origin: dict[str, Any] | None, words: str, place: str | None
) -> None:
    program = program_of("1.2", origin and json.dumps(origin))
    assert (program.version, program.words, program.place) == ("1.2", words, place)
