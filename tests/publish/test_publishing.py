"""`publish`: to a folder and to a Hub, what differs alone, and never over what people have written there."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.dataset.lockfile import read_lock
from distill_build.engine.artefacts import file_sha256
from tests.e2e.workspace import Finished, Workspace
from tests.publish.hub import TOKEN, ScriptedHub, scripted_hub

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
HUB = "hf://datasets/ada/sports"


@pytest.fixture
def built(workspace: Workspace) -> Workspace:
    assert workspace.run(*SMALL, "formats=[messages,alpaca]").status == 0
    return workspace


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    with scripted_hub() as running:
        yield running


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def to_hub(built: Workspace, hub: ScriptedHub, *words: str, token: str = TOKEN, **more: str) -> Finished:
    told = {"HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HOME": str(built.root / "hf"), "HF_HUB_DISABLE_XET": "1"}
    return built.raw("publish", HUB, *words, environment=told | more)


def test_a_folder_gets_exports_lock_and_card_and_a_second_time_nothing(built: Workspace) -> None:
    done = built.raw("publish", "out", "sports", "--json")
    assert done.status == 0, done.stderr
    out = built.root / "out"
    exports = {"train.messages.jsonl", "train.alpaca.jsonl"}
    assert files_in(out).keys() == {*exports, "README.md", "distill.lock"}
    for name in exports:
        assert (out / name).read_bytes() == (built.folder() / "dataset" / name).read_bytes()
    assert (out / "distill.lock").read_text() == built.lock()
    assert done.document["sent"][-1] == "distill.lock"  # what it names is there before it
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = built.raw("publish", "out", "sports", "--json")
    assert again.status == 0
    assert (again.document["sent"], again.document["removed"]) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps


def test_another_version_writes_what_differs_and_takes_out_what_is_gone(built: Workspace) -> None:
    built.raw("publish", "out", "sports")
    assert built.run(*SMALL, "formats=[messages]").status == 0
    done = built.raw("publish", "out", "sports", "--json")
    assert done.document["removed"] == ["train.alpaca.jsonl"]
    assert done.document["sent"] == ["README.md", "distill.lock"]
    assert not (built.root / "out/train.alpaca.jsonl").exists()


def test_the_card_says_how_it_loads_and_how_it_was_made(built: Workspace) -> None:
    built.raw("publish", "out", "sports")
    card = (built.root / "out/README.md").read_text()
    for said in (
        *("- config_name: messages", "path: train.messages.jsonl", "- n<1K", "- en"),
        *("| train | 4 |", "2 tags, 4 questions", "4 answers", "| answers | scripted | 4 |", "`en/answers.jinja`"),
    ):
        assert said in card, said
    assert str(built.root) not in card


def test_the_card_tells_the_cost_of_its_own_version_or_none(workspace: Workspace) -> None:
    prices = ("model.prices.prompt=100", "model.prices.completion=100")
    assert workspace.run(*SMALL, *prices).status == 0
    small, brought_by_git = costs_told(workspace), workspace.bytes()
    assert small == {"tags": "$0.02", "questions": "$0.05", "answers": "$0.01"}
    assert workspace.run(*SMALL, *prices, "questions_per_tag=6").status == 0
    assert costs_told(workspace) == {"tags": "$0.02", "questions": "$0.11", "answers": "$0.04"}
    for name, content in brought_by_git.items():  # into a folder whose runs/ is that of the other version
        (workspace.folder() / name).write_bytes(content)
    assert costs_told(workspace) == {"answers": ""}
    assert "is not known to be of these rows" in workspace.raw("verify").stdout
    assert workspace.raw("checkout", "outputs/sports").status == 0
    assert costs_told(workspace) == small
    shutil.rmtree(workspace.folder() / "runs")  # as in a clone
    assert costs_told(workspace) == {"answers": ""}
    assert workspace.raw("checkout", "outputs/sports").status == 0
    shutil.rmtree(workspace.root / ".distill-cache")
    assert costs_told(workspace) == {"answers": ""}


def costs_told(workspace: Workspace) -> dict[str, str]:
    """What the card says that each stage has cost."""
    assert workspace.raw("publish", "out", "sports").status == 0
    made = (workspace.root / "out/README.md").read_text().partition("| stage | model | requests |")[2]
    lines = made.partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {stage: cost for stage, *_, cost in rows}


@pytest.mark.parametrize("formats", ["csv", "parquet", "preference,csv"])
def test_the_card_says_how_many_rows_there_are_whatever_the_formats(workspace: Workspace, formats: str) -> None:
    """Of pairs there are fewer than rows."""
    stages = "stages=[tags,questions,dedup,answers,scores]"
    done = workspace.run(*SMALL, stages, "answers_per_question=2", f"formats=[{formats}]")
    assert done.status == 0, done.stderr
    workspace.raw("publish", "out", "sports")
    card = (workspace.root / "out/README.md").read_text()
    assert "| train | 8 |" in card
    assert "size_categories:\n- n<1K" in card


def test_a_persons_own_words_stand_on_top_and_their_front_matter_counts(built: Workspace) -> None:
    (built.root / "card.md").write_text("---\nlicense: cc-by-4.0\nlanguage: [de]\n---\n\n# Sport für alle\n\nHello.\n")
    done = built.raw("publish", "out", "sports")
    card = (built.root / "out/README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\nlanguage: [de]\n")
    assert card.count("language:") == 1
    assert card.index("# Sport für alle") < card.index("## How it was made")
    assert "licence" not in done.stderr


def test_words_that_would_keep_the_dataset_from_loading_are_refused_with_their_line(built: Workspace) -> None:
    (built.root / "card.md").write_text("---\nlicense: mit\npretty_name: Sports: for all\n---\n# Mine\n")
    done = built.raw("publish", "out", "sports")
    assert (done.status, "card.md, line 3: this is no YAML" in done.stderr) == (2, True), done.stderr
    assert not (built.root / "out").exists()


def test_without_a_licence_it_says_so(built: Workspace) -> None:
    assert "names no licence" in built.raw("publish", "out", "sports").stderr


def test_a_card_that_was_changed_where_it_lies_is_not_overwritten(built: Workspace) -> None:
    built.raw("publish", "out", "sports")
    card = built.root / "out/README.md"
    card.write_text(card.read_text().replace("# sports", "# Sports, by me"))
    before = files_in(built.root / "out")
    assert built.run(*SMALL, "formats=[messages]").status == 0
    done = built.raw("publish", "out", "sports")
    assert done.status == 4
    assert "was changed since" in done.stderr
    assert "card.md" in done.stderr
    assert files_in(built.root / "out") == before
    card.unlink()  # the way out that was told
    assert built.raw("publish", "out", "sports").status == 0


def test_another_dataset_is_not_replaced(built: Workspace, hub: ScriptedHub) -> None:
    assert built.run("topic=chess", *SMALL[1:], "formats=[messages]").status == 0
    assert (built.raw("publish", "out", "sports").status, to_hub(built, hub, "sports").status) == (0, 0)
    before, on_hub = files_in(built.root / "out"), dict(hub.files or {})
    for done in (built.raw("publish", "out", "chess"), to_hub(built, hub, "chess")):
        assert (done.status, "holds the dataset sports" in done.stderr) == (4, True), done.stderr
    assert (files_in(built.root / "out"), hub.files) == (before, on_hub)
    (built.root / "out/distill.lock").unlink()  # as where it was cut off: the card tells as much
    done = built.raw("publish", "out", "chess")
    assert (done.status, "holds the dataset sports" in done.stderr) == (4, True), done.stderr


@pytest.mark.parametrize("words", [("formats=[messages]",), ("formats=[messages,alpaca]", "system_prompt=Briefly.")])
def test_an_export_that_its_owner_has_changed_is_not_removed_nor_replaced(
    built: Workspace, words: tuple[str, ...]
) -> None:
    built.raw("publish", "out", "sports")
    (built.root / "out/train.alpaca.jsonl").write_text("mine")
    assert built.run(*SMALL, *words).status == 0
    before = files_in(built.root / "out")
    done = built.raw("publish", "out", "sports")
    assert (done.status, "train.alpaca.jsonl" in done.stderr) == (4, True), done.stderr
    assert files_in(built.root / "out") == before
    (built.root / "out/train.alpaca.jsonl").unlink()
    assert built.raw("publish", "out", "sports").status == 0


@pytest.mark.parametrize("words", [("formats=[csv]",), ("formats=[messages,parquet,csv]", "system_prompt=Briefly.")])
@pytest.mark.parametrize("changed", ["train.messages.jsonl", "train.parquet"])
def test_an_export_that_was_changed_on_the_hub_is_not_removed_nor_replaced(
    with_parquet: Workspace, hub: ScriptedHub, changed: str, words: tuple[str, ...]
) -> None:
    assert to_hub(with_parquet, hub).status == 0
    assert hub.files is not None
    own, hub.files[changed] = hub.files[changed], b"mine"
    assert with_parquet.run(*SMALL, *words).status == 0
    before = dict(hub.files)
    done = to_hub(with_parquet, hub)
    assert (done.status, f"{changed} of {hub.address}" in done.stderr) == (4, True), done.stderr
    assert (hub.files, len(hub.commits)) == (before, 1)
    hub.files[changed] = own
    assert to_hub(with_parquet, hub).status == 0
    assert hub.files["train.csv"] == (with_parquet.folder() / "dataset/train.csv").read_bytes()


def test_a_lock_that_names_files_elsewhere_is_none(built: Workspace) -> None:
    built.raw("publish", "out", "sports")
    lock, victim = read_lock(built.root / "out/distill.lock"), built.root / "victim.txt"
    assert lock is not None
    victim.write_text("mine")
    told = replace(lock, exports={**lock.exports, "../victim.txt": file_sha256(victim)})
    (built.root / "out/distill.lock").write_text(told.encode())
    done = built.raw("publish", "out", "sports")
    assert (done.status, victim.exists(), "distill.lock of out" in done.stderr) == (4, True, True), done.stderr


def test_a_persons_own_file_is_not_overwritten(built: Workspace, hub: ScriptedHub) -> None:
    assert (built.raw("publish", "out", "sports").status, to_hub(built, hub).status) == (0, 0)
    assert hub.files is not None
    (built.root / "out/train.csv").write_text("mine")
    hub.files["train.csv"] = b"mine"
    assert built.run(*SMALL, "formats=[messages,csv]").status == 0
    before, on_hub = files_in(built.root / "out"), dict(hub.files)
    for done in (built.raw("publish", "out", "sports"), to_hub(built, hub)):
        assert (done.status, "train.csv" in done.stderr) == (4, True), done.stderr
    assert (files_in(built.root / "out"), hub.files) == (before, on_hub)
    (built.root / "out/train.csv").unlink()
    assert built.raw("publish", "out", "sports").status == 0


def test_a_card_of_somebody_else_is_told_as_one(built: Workspace, hub: ScriptedHub) -> None:
    (built.root / "out").mkdir()
    (built.root / "out/README.md").write_text("# Mine\n")
    done = built.raw("publish", "out", "sports")
    assert (done.status, "not published by distill-build" in done.stderr) == (2, True), done.stderr
    hub.files = {"README.md": b"# Mine\n"}
    done = to_hub(built, hub)
    assert (done.status, "was not written by distill-build" in done.stderr) == (4, True), done.stderr
    assert not hub.writes


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("outputs/sports", "of the dataset itself"),
        ("outputs/sports/dataset", "of the dataset itself"),
        ("other", "holds files that were not published"),
        ("other/notes.txt", "is a file"),
        ("hf://datasets/ada", "names no dataset of the Hub"),
        ("hf://ada/sports", "names no dataset of the Hub"),
        ("s3://bucket/sports", "is no place to publish to"),
    ],
)
def test_places_that_are_none_are_refused_with_a_sentence(built: Workspace, where: str, said: str) -> None:
    (built.root / "other").mkdir()
    (built.root / "other/notes.txt").write_text("mine")
    before = built.bytes()
    done = built.raw("publish", where, "sports")
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    assert built.bytes() == before
    assert files_in(built.root / "other") == {"notes.txt": b"mine"}


def test_a_dataset_that_is_not_as_its_lock_says_is_not_published(built: Workspace) -> None:
    with (built.folder() / "dataset/train.messages.jsonl").open("a") as file:
        file.write(json.dumps({"messages": []}) + "\n")
    done = built.raw("publish", "out", "sports")
    assert done.status == 4
    assert "train.messages.jsonl" in done.stderr
    assert not (built.root / "out").exists()


def test_the_hub_gets_one_commit_and_a_second_time_nothing(built: Workspace, hub: ScriptedHub) -> None:
    done = to_hub(built, hub, "--private")
    assert done.status == 0, done.stderr
    assert hub.private
    assert hub.writes == ["create", "commit"]
    assert hub.files is not None
    assert hub.files.keys() - {".gitattributes"} == {
        *("train.messages.jsonl", "train.alpaca.jsonl", "README.md", "distill.lock")
    }
    assert to_hub(built, hub).status == 0
    assert hub.writes == ["create", "commit"]


@pytest.fixture
def with_parquet(workspace: Workspace) -> Workspace:
    pytest.importorskip("pyarrow")
    assert workspace.run(*SMALL, "formats=[messages,parquet]").status == 0
    return workspace


def test_parquet_goes_to_the_hubs_storage_of_large_files_once(with_parquet: Workspace, hub: ScriptedHub) -> None:
    file = (with_parquet.folder() / "dataset/train.parquet").read_bytes()
    for _ in range(2):
        done = to_hub(with_parquet, hub)
        assert done.status == 0, done.stderr
        assert hub.writes == ["create", "upload", "commit"]
    assert hub.files is not None
    assert hub.files["train.parquet"] == file
    assert with_parquet.run(*SMALL, "questions_per_tag=3", "formats=[messages,parquet]").status == 0
    done = to_hub(with_parquet, hub, "--json")
    assert "train.parquet" in done.document["sent"]
    assert hub.files["train.parquet"] == (with_parquet.folder() / "dataset/train.parquet").read_bytes() != file


@pytest.mark.parametrize("without_xet", ["0", "1"])
def test_a_storage_that_takes_nothing_is_a_sentence_and_no_commit(
    with_parquet: Workspace, hub: ScriptedHub, without_xet: str
) -> None:
    hub.broken = True
    done = to_hub(with_parquet, hub, HF_HUB_DISABLE_XET=without_xet)
    assert (done.status, hub.commits) == (5, []), done.stderr
    assert "the large files of ada/sports" in done.stderr
    hub.broken = False
    assert to_hub(with_parquet, hub).status == 0


def test_the_hub_gets_what_differs_alone(built: Workspace, hub: ScriptedHub) -> None:
    to_hub(built, hub)
    assert hub.files is not None
    hub.files["notes.md"] = b"somebody's own"
    assert built.run(*SMALL, "formats=[messages]").status == 0
    done = to_hub(built, hub, "--json")
    assert (done.document["sent"], done.document["removed"]) == (["README.md", "distill.lock"], ["train.alpaca.jsonl"])
    assert hub.files["notes.md"] == b"somebody's own"
    assert len(hub.commits) == 2


def test_a_card_that_was_changed_on_the_hub_is_not_overwritten(built: Workspace, hub: ScriptedHub) -> None:
    to_hub(built, hub)
    assert hub.files is not None
    hub.files["README.md"] += b"A word by me.\n"
    done = to_hub(built, hub)
    assert done.status == 4
    assert "card.md" in done.stderr
    assert len(hub.commits) == 1


def test_a_token_that_may_not_write_is_a_sentence_and_reaches_no_output(built: Workspace, hub: ScriptedHub) -> None:
    done = to_hub(built, hub, token="hf_secret_of_mine")  # noqa: S106 - it is none
    assert done.status == 2
    assert "HF_TOKEN" in done.stderr
    assert "secret_of_mine" not in done.stdout + done.stderr
    assert hub.files is None


def test_a_hub_that_is_not_there_is_a_sentence(built: Workspace, hub: ScriptedHub) -> None:
    address, hub.address = hub.address, "http://127.0.0.1:9"
    done = to_hub(built, hub)
    hub.address = address
    assert done.status == 5
    assert "cannot be reached" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("HF_HUB_OFFLINE", "1", 2),
        ("HF_ENDPOINT", "hub.example", 2),
        ("HF_ENDPOINT", "http://127.0.0.1:99999", 2),
        ("HF_ENDPOINT", "http://me:geheim@127.0.0.1:9", 2),
        ("HF_TOKEN", "hf_geheim\u00e4", 2),
        ("HF_TOKEN", "hf_geheim\x0b1", 2),
        ("HTTP_PROXY", "ftp://127.0.0.1:9", 5),
    ],
)
def test_settings_of_the_library_by_which_nothing_is_reached_are_a_sentence(
    built: Workspace, hub: ScriptedHub, name: str, value: str, status: int
) -> None:
    done = to_hub(built, hub, **{"NO_PROXY": "", "no_proxy": "", name: value})
    assert (done.status, "bug in" in done.stderr, "geheim" in done.stderr) == (status, False, False), done.stderr
    assert not hub.writes


@pytest.mark.parametrize("says", [b"<html>Log in first</html>", b"{}", b"[]"])
def test_what_answers_and_is_no_hub_is_a_sentence(built: Workspace, hub: ScriptedHub, says: bytes) -> None:
    hub.says = says
    done = to_hub(built, hub)
    assert (done.status, "could not publish" in done.stderr) == (5, True), done.stderr


def test_a_public_repository_gets_nothing_that_is_to_be_private(built: Workspace, hub: ScriptedHub) -> None:
    hub.files = {".gitattributes": b""}
    done = to_hub(built, hub, "--private")
    assert (done.status, "is public" in done.stderr) == (2, True), done.stderr
    assert not hub.writes


def test_what_names_a_place_of_this_machine_is_not_published(workspace: Workspace) -> None:
    student = f"format.student={workspace.root}/student"
    assert workspace.run(*SMALL, "formats=[messages]", "trainers=[axolotl]", student).status == 0
    done = workspace.raw("publish", "out", "sports")
    assert (done.status, "place on this machine" in done.stderr) == (2, True), done.stderr
    assert not (workspace.root / "out").exists()


def test_a_publication_that_was_cut_off_goes_on(built: Workspace) -> None:
    """At any file: those behind it are not there, and the one at which it ended is half written."""
    assert built.raw("publish", "whole", "sports").status == 0
    whole = files_in(built.root / "whole")
    order = built.raw("publish", "other", "sports", "--json").document["sent"]
    assert (order[0], order[-1]) == ("README.md", "distill.lock")
    for number, name in enumerate(order):
        (out := built.root / f"out{number}").mkdir()
        for before in order[:number]:
            (out / before).write_bytes(whole[before])
        (out / f".{name}.new").write_bytes(whole[name][:10])
        done = built.raw("publish", str(out), "sports")
        assert done.status == 0, done.stderr
        assert files_in(out) == whole


def test_another_version_goes_on_where_one_was_cut_off(built: Workspace) -> None:
    """Files of the one that was cut off are ours, though no lock tells them: its card does."""
    assert built.raw("publish", "out", "sports").status == 0
    lock = built.root / "out/distill.lock"
    before = lock.read_bytes()
    formats = ("formats=[messages,prompt_completion,csv]", "trainers=[trl]")
    assert built.run(*SMALL, *formats, "system_prompt=Hello").status == 0
    assert built.raw("publish", "out", "sports").status == 0
    lock.write_bytes(before)
    assert built.run(*SMALL, *formats, "system_prompt=Hi", "format.max_length=512").status == 0
    done = built.raw("publish", "out", "sports", "--json")
    assert done.status == 0, done.stderr
    assert {"train.prompt_completion.jsonl", "train_trl.py"} < set(done.document["sent"])
