"""Which dataset and which cache a command without a configuration works on."""

from pathlib import Path

import pytest

from distill_build.commands.locate import find_cache, find_dataset
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.errors import UsageError
from distill_build.options import Options
from tests.small_dataset import write_dataset, write_state

OUTPUTS = Path("outputs")


def test_the_only_dataset_is_found_by_itself() -> None:
    write_dataset(OUTPUTS / "sports")
    (OUTPUTS / "sweeps").mkdir()
    assert find_dataset(Options()).folder == OUTPUTS / "sports"


def test_several_datasets_are_listed_to_choose_from() -> None:
    write_dataset(OUTPUTS / "sports")
    write_dataset(OUTPUTS / "体育")
    with pytest.raises(UsageError, match="which dataset\\? outputs/ holds sports, 体育;"):
        find_dataset(Options())


def test_without_a_dataset_an_example_is_given() -> None:
    with pytest.raises(UsageError, match="no dataset under outputs/: build one, as in distill-build topic=sports"):
        find_dataset(Options())


@pytest.mark.parametrize("wanted", ["board-games", "Board  Games", "outputs/board-games"])
def test_a_dataset_is_called_by_name_by_topic_or_by_folder(wanted: str) -> None:
    write_dataset(OUTPUTS / "sports")
    write_dataset(OUTPUTS / "board-games")
    assert find_dataset(Options(), wanted).folder == OUTPUTS / "board-games"
    assert find_dataset(Options(dataset=wanted)).folder == OUTPUTS / "board-games"


def test_a_dataset_elsewhere_is_named_by_its_folder() -> None:
    write_dataset(Path("elsewhere/sports"))
    assert find_dataset(Options(dataset="elsewhere/sports")).folder == Path("elsewhere/sports")


def test_a_name_that_does_not_exist_is_told_with_the_nearest() -> None:
    write_dataset(OUTPUTS / "sports")
    with pytest.raises(UsageError, match="no dataset 'sprots': did you mean 'sports'\\?"):
        find_dataset(Options(), "sprots")


@pytest.mark.parametrize("wanted", ["sweeps", "outputs/sports/sweeps", "outputs/sports/sweeps/0a1b", "sweeps/0a1b"])
def test_for_a_sweep_one_of_its_jobs_is_named(wanted: str) -> None:
    write_dataset(OUTPUTS / "sports")
    job = write_dataset(OUTPUTS / "sports/sweeps/0a1b/seed=1").folder
    with pytest.raises(UsageError, match=f"no dataset '{wanted}': name the folder of a sweep's job, as in -o {job}$"):
        find_dataset(Options(dataset=wanted))


def test_a_dataset_is_not_named_twice() -> None:
    write_dataset(OUTPUTS / "sports")
    with pytest.raises(UsageError, match="named twice"):
        find_dataset(Options(dataset="outputs/sports"), "sports")


def test_the_flag_comes_before_the_environment_and_that_before_the_last_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = {name: Path(name).absolute() for name in ("flag", "environment", "recorded")}
    for place in places.values():
        CacheDirectory(place).prepare()
    write_state(write_dataset(OUTPUTS / "sports"), {}, cache_dir=str(places["recorded"]))
    assert find_cache(Options()) == places["recorded"]
    monkeypatch.setenv("DISTILL_CACHE_DIR", str(places["environment"]))
    assert find_cache(Options()) == places["environment"]
    assert find_cache(Options(cache_dir=str(places["flag"]))) == places["flag"]


def test_a_cache_that_does_not_exist_is_not_made() -> None:
    with pytest.raises(UsageError, match="there is no cache at nowhere \\(--cache-dir\\)"):
        find_cache(Options(cache_dir="nowhere"))
    assert not Path("nowhere").exists()


def test_datasets_with_different_caches_leave_the_choice() -> None:
    for name in ("sports", "games"):
        write_state(write_dataset(OUTPUTS / name), {}, cache_dir=f"/caches/{name}")
    with pytest.raises(UsageError, match="which cache\\? /caches/games and /caches/sports"):
        find_cache(Options())


def test_a_folder_without_a_name_of_its_own_is_called_by_the_one_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(Path("elsewhere/sports"))
    monkeypatch.chdir("elsewhere/sports")
    assert find_dataset(Options(dataset=".")).folder.name == "sports"
