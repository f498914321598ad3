"""`export` adds the formats that are asked for, and leaves the dataset as a build with all of them would have."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from distill_build.builds.session import Session
from distill_build.builds.up_to_date import current_state
from distill_build.commands.curate.export import run
from distill_build.dataset.layout import Dataset, State
from distill_build.engine.artefacts import file_state
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.settings import FormatSettings, Settings
from distill_build.stages.identity import build_digest
from distill_build.stages.training.identity import export_identity
from tests.made_settings import own_stages
from tests.small_dataset import answers, settings, write_dataset, write_state

FOLDER = Path("outputs/sports")


@pytest.fixture
def dataset() -> Dataset:
    """As a build with the default settings left it, but that all is complete and nothing was exported."""
    dataset = write_dataset(FOLDER)
    (FOLDER / "failures.jsonl").unlink()
    write_state(dataset, Session(settings()).identity)
    return dataset


def state_of(dataset: Dataset) -> State:
    state = dataset.state()
    assert state is not None
    return state


def is_current(chosen: Settings, dataset: Dataset) -> bool:
    """Whether a build with `chosen` would have nothing to do; the state's generation stands for the cache's."""
    session = Session(chosen)
    session.directory.prepare()
    marker = session.directory.path / "distill-cache.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "generation": state_of(dataset).generation}))
    return current_state(session, "dataset") is not None


def exported() -> list[str]:
    return sorted(path.name for path in (FOLDER / "dataset").glob("train.*"))


def test_the_formats_asked_for_are_written_beside_those_that_lie_there(dataset: Dataset) -> None:
    run(settings(formats=["messages", "alpaca"]), Options(quiet=True))
    assert exported() == ["train.alpaca.jsonl", "train.messages.jsonl"]
    run(settings(formats=["csv"]), Options(quiet=True))
    assert exported() == ["train.alpaca.jsonl", "train.csv", "train.messages.jsonl"]
    assert is_current(settings(formats=["messages", "alpaca", "csv"]), dataset)


def test_a_format_that_was_taken_away_does_not_come_back(dataset: Dataset) -> None:
    run(settings(formats=["messages", "alpaca"]), Options(quiet=True))
    (FOLDER / "dataset/train.messages.jsonl").unlink()
    run(settings(formats=["csv"]), Options(quiet=True))
    assert exported() == ["train.alpaca.jsonl", "train.csv"]
    assert is_current(settings(formats=["alpaca", "csv"]), dataset)


@pytest.mark.usefixtures("dataset")
@pytest.mark.parametrize("named", [False, True])
def test_a_format_of_another_version_goes_and_is_told(named: bool, capsys: pytest.CaptureFixture[str]) -> None:
    run(settings(formats=["messages", "alpaca"]), Options(quiet=True))
    state = FOLDER / "runs/state.json"
    state.write_text(state.read_text().replace('"alpaca"', '"orc"').replace("train.alpaca.jsonl", "train.orc"))
    (FOLDER / "dataset/train.alpaca.jsonl").rename(FOLDER / "dataset/train.orc")
    run(settings(), Options(arguments=(str(FOLDER),)) if named else Options())
    assert "dataset/train.orc is removed: it is of no format that is known here" in capsys.readouterr().err
    assert exported() == ["train.messages.jsonl"]


def test_an_edited_export_is_kept(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    run(settings(), Options(quiet=True))
    (FOLDER / "dataset/train.messages.jsonl").write_text("mine")
    run(settings(), Options())
    (kept,) = dataset.runs.glob("*/train.messages.jsonl")
    assert (kept.read_text(), str(kept) in capsys.readouterr().err) == ("mine", True)
    assert exported() == ["train.messages.jsonl"]


@pytest.mark.usefixtures("dataset")
def test_every_answer_is_exported_and_no_artefact_is_touched() -> None:
    before = {path.name: file_state(path) for path in FOLDER.glob("*.jsonl")}
    run(settings(), Options(quiet=True))
    lines = (FOLDER / "dataset/train.messages.jsonl").read_text().splitlines()
    assert [json.loads(line)["metadata"]["id"] for line in lines] == [answer.id for answer in answers()]
    assert {path.name: file_state(path) for path in FOLDER.glob("*.jsonl")} == before


@pytest.mark.parametrize(
    "changes",
    [{}, {"formats": ["csv", "alpaca"]}, {"format": FormatSettings(reasoning="drop")}],
    ids=["nothing", "formats", "reasoning"],
)
def test_a_build_with_the_same_settings_has_nothing_left_to_do(dataset: Dataset, changes: dict[str, Any]) -> None:
    run(settings(**changes), Options(quiet=True))
    assert is_current(settings(**changes), dataset)


def test_a_build_with_the_settings_of_before_writes_its_own_exports_again(dataset: Dataset) -> None:
    run(settings(format=FormatSettings(metadata=False)), Options(quiet=True))
    assert not is_current(settings(), dataset)


def test_an_export_with_other_settings_than_the_builds_does_not_pass_for_a_build_with_them(dataset: Dataset) -> None:
    run(settings(seed=7), Options(quiet=True))
    assert not is_current(settings(seed=7), dataset)
    assert is_current(settings(), dataset)


def test_a_build_that_stopped_before_its_exports_is_completed(dataset: Dataset) -> None:
    write_state(dataset, Session(settings()).identity, until="answers")
    run(settings(), Options(quiet=True))
    assert state_of(dataset).until == "dataset"
    assert is_current(settings(), dataset)


def test_a_state_that_does_not_say_what_was_built_makes_the_next_build_look(dataset: Dataset) -> None:
    write_state(dataset, {"written": "by another version"})
    (FOLDER / "runs/state.json").write_text((FOLDER / "runs/state.json").read_text().replace("another", "an other"))
    run(settings(), Options(quiet=True))
    assert state_of(dataset).build == ""
    assert not is_current(settings(), dataset)


def test_a_dataset_without_a_state_is_exported_and_gets_none(dataset: Dataset) -> None:
    (FOLDER / "runs/state.json").unlink()
    run(settings(), Options(quiet=True))
    assert exported() == ["train.messages.jsonl"]
    assert dataset.state() is None


@pytest.mark.usefixtures("dataset")
def test_a_mark_that_is_no_longer_set_goes() -> None:
    for marked in (True, False):
        run(settings(formats=["csv"], format=FormatSettings(csv_bom=marked)), Options(quiet=True))
        assert (FOLDER / "dataset/train.csv").read_bytes().startswith(b"\xef\xbb\xbf") == marked


def test_an_export_goes_by_the_columns_that_the_settings_name_now(dataset: Dataset) -> None:
    stage = own_stages(settings())["answers"]
    shout = msgspec.structs.replace(stage, export={"question": "row.question", "answer": "row.answer | upper"})
    changed = settings(stage={"answers": shout})
    run(changed, Options(quiet=True))
    first = json.loads((FOLDER / "dataset/train.messages.jsonl").read_text().splitlines()[0])
    assert first["messages"][-1]["content"] == "IT IS “FOOTBALL”."
    assert is_current(changed, dataset)
    assert not is_current(settings(), dataset)


def test_the_digest_and_the_export_settings_are_those_of_a_session() -> None:
    chosen = settings(formats=["csv"], system_prompt="Be brief.")
    session = Session(chosen)
    assert session.identity["export"] == export_identity(chosen)
    assert session.build_digest("dataset", "g") == build_digest(session.identity, "dataset", "g")


def test_an_edited_answer_is_exported_and_told(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    path = dataset.artefact("answers.jsonl")
    path.write_text(path.read_text().replace("It is “Football”.", "It is soccer."))
    run(settings(), Options())
    assert "answers.jsonl is not what the last build wrote" in capsys.readouterr().err
    assert "It is soccer." in (FOLDER / "dataset/train.messages.jsonl").read_text()
    assert not is_current(settings(), dataset)


def test_json_names_the_files_with_their_digests(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    run(settings(), Options(json=True))
    file, card = json.loads(capsys.readouterr().out)["files"]
    written = dataset.folder / "dataset/train.messages.jsonl"
    assert file == {
        "path": str(written),
        "bytes": written.stat().st_size,
        "sha256": hashlib.sha256(written.read_bytes()).hexdigest(),
    }
    assert Path(card["path"]).name == "README.md"


def test_nothing_is_left_behind_even_by_an_export_that_was_killed(dataset: Dataset) -> None:
    (dataset.runs / "20200101T000000Z-abcdef/new/dataset").mkdir(parents=True)
    run(settings(), Options(quiet=True))
    assert sorted(path.name for path in dataset.runs.iterdir()) == ["lock", "state.json"]


@pytest.mark.parametrize("until", [None, "tags", "questions"])
def test_without_answers_the_sentence_says_to_build(until: str | None) -> None:
    if until is not None:
        write_dataset(FOLDER, until=until)
    with pytest.raises(UsageError, match="no answers to export in outputs/sports: build the dataset first"):
        run(settings(), Options())
    assert not (FOLDER / "runs").exists()


@pytest.mark.usefixtures("dataset")
def test_a_build_that_was_killed_while_it_replaced_files_is_finished_first() -> None:
    rows = (FOLDER / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (FOLDER / "runs/new.jsonl").write_bytes(rows[0])
    journal = {"moves": [["new.jsonl", "../answers.jsonl"]], "removals": []}
    (FOLDER / "runs/replacing.json").write_text(json.dumps(journal))
    run(settings(), Options(quiet=True))
    assert len((FOLDER / "dataset/train.messages.jsonl").read_bytes().splitlines()) == 1
