"""What `cache fsck` and its neighbours never touch: other schemes, other folders, and pickles."""

import json
import pickle
from pathlib import Path

from tests.e2e.caches import CACHE, keys, opened
from tests.e2e.fsck.checked import CALLS, TREE, assert_sound, fsck, quarantined
from tests.e2e.workspace import Workspace


def test_a_cache_of_an_unknown_scheme_and_a_folder_of_something_else_are_refused(project: Workspace) -> None:
    marker = project.root / CACHE / "distill-cache.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"scheme": 99}))
    for verb in ("fsck", "gc", "stats"):
        refused = project.raw("cache", verb, "--cache-dir", CACHE)
        assert (refused.status, refused.stdout) == (5, "")
        assert "scheme 99" in refused.stderr
    (project.root / "thesis").mkdir()
    (project.root / "thesis" / "chapter1.tex").write_text("mine")
    for verb in ("fsck", "gc", "stats"):
        assert project.raw("cache", verb, "--cache-dir", "thesis").status == 2
    assert [path.name for path in (project.root / "thesis").iterdir()] == ["chapter1.tex"]


class Payload:
    """Would create a file if it were ever unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def test_planted_pickles_are_never_loaded(project: Workspace) -> None:
    """As a value, as a key, and in a file of its own."""
    owned = project.root / "owned"
    planted = pickle.dumps(Payload(owned))
    pickle.loads(planted)  # noqa: S301 - shows that it would work
    owned.unlink()
    first, second = (row["call"] for row in project.rows("answers")[:2])
    file = project.root / CACHE / "ab" / "cd" / f"{'e' * 28}.val"
    file.parent.mkdir(parents=True)
    file.write_bytes(planted)
    with opened(project) as database:
        database.execute("UPDATE Cache SET mode = 4, value = ? WHERE key = ?", (planted, first))
        database.execute(
            "UPDATE Cache SET mode = 4, value = NULL, filename = ? WHERE key = ?", (f"ab/cd/{'e' * 28}.val", second)
        )
        database.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", (planted, planted))
    assert project.raw("cache", "stats", "--cache-dir", CACHE).status == 0
    assert project.raw("cache", "gc", "--cache-dir", CACHE, "--older-than", "0d").status == 0
    assert project.run(*TREE, "name=again", "--offline").status == 5
    found = fsck(project, "--json")
    assert (found.status, len(found.document["damage"])) == (5, 3)
    assert len([path for path in quarantined(project, "calls/*") if path.read_bytes() == planted]) >= 2
    assert not owned.exists()
    assert_sound(project, lacking=2)
    assert len(keys(project)) == CALLS - 2
