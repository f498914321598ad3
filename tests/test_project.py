"""Which folder is the root of the project that the working directory lies in."""

import os
from pathlib import Path

import pytest

from distill_build.project import Project, find_project


def configured(folder: Path) -> Path:
    """A folder with the configuration of a project."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf/distill.yaml").touch()
    return folder


def locked(folder: Path) -> Path:
    """A folder with a dataset that has a lock."""
    (folder / "outputs/sports").mkdir(parents=True)
    (folder / "outputs/sports/distill.lock").touch()
    return folder


def below(folder: Path) -> Path:
    """A folder in a folder of that one."""
    (folder / "notes/today").mkdir(parents=True, exist_ok=True)
    return folder / "notes/today"


def is_not_found(cwd: Path, home: Path | None = None) -> bool:
    return find_project(cwd, home) == Project(cwd, cwd)


def test_a_configuration_makes_a_folder_the_root_of_all_below(tmp_path: Path) -> None:
    root = configured(tmp_path)
    for cwd in (below(root), root / "conf", root):
        assert find_project(cwd, None) == Project(root, cwd, Path("conf/distill.yaml"))


def test_outputs_with_a_lock_do_too(tmp_path: Path) -> None:
    root, cwd = locked(tmp_path), below(tmp_path)
    assert find_project(cwd, None) == Project(root, cwd, Path("outputs/sports/distill.lock"))
    assert find_project(root / "outputs/sports", None).root == root


def test_outputs_without_a_lock_and_a_conf_of_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "outputs/sports").mkdir(parents=True)
    (tmp_path / "conf/model").mkdir(parents=True)
    assert is_not_found(below(tmp_path))


def test_the_nearest_root_counts(tmp_path: Path) -> None:
    configured(tmp_path)
    nested = locked(tmp_path / "nested")
    assert find_project(below(nested), None).root == nested


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["repository", "worktree"])
def test_the_search_ends_at_a_git_repository_which_may_be_the_root_itself(tmp_path: Path, make: object) -> None:
    assert callable(make)
    repository = tmp_path / "repository"
    cwd = below(repository)
    make(repository / ".git")
    configured(tmp_path)
    assert is_not_found(cwd)
    configured(repository)
    assert find_project(cwd, None).root == repository


def test_home_is_a_root_only_for_who_stands_in_it(tmp_path: Path) -> None:
    home = configured(tmp_path / "home")
    assert is_not_found(below(home), home)
    assert find_project(home, home).sign == Path("conf/distill.yaml")


def test_nothing_above_home_counts(tmp_path: Path) -> None:
    configured(tmp_path)
    home = tmp_path / "home"
    assert is_not_found(below(home), home)
    assert is_not_found(home, home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_is_no_root(tmp_path: Path) -> None:
    theirs = configured(tmp_path / "theirs")
    cwd = below(theirs)
    os.chown(theirs, 12345, -1)
    assert is_not_found(cwd)
    for mine in (cwd, cwd.parent):  # as in a container, where all of a project is somebody else's
        os.chown(mine, 12345, -1)
    assert find_project(cwd, None).root == theirs


def test_a_folder_that_everybody_may_write_in_is_no_root(tmp_path: Path) -> None:
    shared = configured(tmp_path / "shared")
    cwd = below(shared)
    shared.chmod(0o1777)
    assert is_not_found(cwd)
