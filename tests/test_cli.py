"""argv → command and exit code: in-process for the table of cases, in real processes for what a user sees."""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from distill_build.cli.dispatch import main
from distill_build.cli.grammar import CACHE_VERBS, COMMANDS, GROUPS, HYDRA_FLAGS
from distill_build.cli.parsing import parse
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.settings import Settings
from distill_build.sweeps.jobs import Variant
from tests.small_dataset import write_dataset, write_state

RECIPE: dict[str, object] = {}
Told = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an empty folder for temporary files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command line in this process: exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        return (status, *capsys.readouterr())

    return run


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a process of its own."""
    command = [sys.executable, "-m", "distill_build", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def stand_in(monkeypatch: pytest.MonkeyPatch, command: str, run: Callable[..., int]) -> None:
    """Puts `run` in the place of a command's module."""
    module = ModuleType(COMMANDS[command].module)
    module.run = run  # type: ignore[attr-defined]  # a module is what the table names
    monkeypatch.setitem(sys.modules, COMMANDS[command].module, module)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, Options]]:
    """What `build` and `plan` were called with."""
    calls: list[tuple[Settings, Options]] = []

    def run(settings: Settings, options: Options) -> int:
        calls.append((settings, options))
        return 0

    stand_in(monkeypatch, "build", run)
    stand_in(monkeypatch, "plan", run)
    return calls


# ---- Help and version ----


def test_help_names_every_command_and_the_main_settings(tell: Told) -> None:
    for words in (["--help"], ["-h"], ["topic=a", "--help"]):
        status, out, err = tell(*words)
        assert (status, err) == (0, "")
        assert all(f"\n  {name}" in out for name in COMMANDS)
        assert all(key in out for key in ("topic=", "depth=", "model=", "limits.", "budget.", "--until", "--cfg"))


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_command_has_a_help_of_its_own(tell: Told, command: str) -> None:
    status, out, _ = tell(command, "--help")
    assert status == 0
    assert out.startswith(f"distill-build {command}: ")
    assert ("--until" in out) == (command in ("build", "plan"))
    assert ("--multirun" in out) == COMMANDS[command].composes


def test_a_verb_of_cache_has_a_help_of_its_own_with_its_own_flags(tell: Told) -> None:
    for verb in CACHE_VERBS:
        status, out, _ = tell("cache", verb, "--help")
        assert status == 0
        assert out.startswith(f"distill-build cache {verb}: ")
        assert ("--keep-last" in out) == (verb == "gc")
        assert "--cache-dir" in out


def test_help_has_each_command_once_in_its_group(tell: Told) -> None:
    out = tell("--help")[1]
    for group, title in GROUPS.items():
        section = out.partition(f"\n{title}:\n")[2].partition("\n\n")[0].splitlines()
        assert [row.split()[0] for row in section] == [name for name in COMMANDS if COMMANDS[name].group == group]
    assert {command.group for command in COMMANDS.values()} == set(GROUPS)


def test_a_flag_that_one_command_knows_stands_in_its_own_help_alone_and_hydras_take_one_line(tell: Told) -> None:
    out = tell("--help")[1]
    assert "--keep-last" not in out
    assert "--keep-last" in tell("cache", "--help")[1]
    (line,) = [line for line in out.splitlines() if "--config-dir" in line]
    assert all(f"--{flag.name}" in line for flag in HYDRA_FLAGS)


@pytest.mark.parametrize("name", [*COMMANDS, *(f"cache {verb}" for verb in CACHE_VERBS)])
def test_a_command_has_examples_that_the_grammar_takes(tell: Told, name: str) -> None:
    out = tell(*name.split(), "--help")[1]
    shown = [line for line in out.splitlines() if line.startswith("  distill-build ")]
    assert shown
    for line in shown:
        words = shlex.split(line, comments=True)[1:]
        assert parse(words).command == name.split()[0]


def test_version_is_ours(tell: Told) -> None:
    assert tell("--version") == (0, "distill-build 0.1.0\n", "")


def test_help_imports_neither_hydra_nor_anything_heavy() -> None:
    code = "import sys; from distill_build.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {"hydra", "omegaconf", "msgspec", "aiohttp", "jinja2", "rich", "asyncio", "yaml", "diskcache"}


def test_importing_config_does_not_import_hydra() -> None:
    code = "import sys, distill_build.config.composition; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"hydra", "omegaconf", "msgspec"}


# ---- Commands, flags and settings ----


def test_no_command_is_build(built: list[tuple[Settings, Options]]) -> None:
    assert main(["topic=体育", "depth=3"]) == 0
    ((settings, options),) = built
    assert (settings.topic, settings.depth) == ("体育", 3)
    assert options == Options(overrides=("topic=体育", "depth=3"))


def test_flags_may_stand_anywhere(built: list[tuple[Settings, Options]]) -> None:
    main(
        ["-v", "topic=a", "--until", "tags", "plan", "depth=1", "-k", "3", "--rebuild=a/*", "--rebuild", "b", "--json",
         "--offline", "-q"]
    )  # fmt: skip
    ((settings, options),) = built
    assert settings.depth == 1
    assert options == Options(
        until="tags", offline=True, keep_going=3, rebuild=("a/*", "b"), json=True,
        quiet=True, verbose=True, overrides=("topic=a", "depth=1"),
    )  # fmt: skip


def test_a_command_that_composes_nothing_gets_its_words_without_hydra() -> None:
    code = (
        "import sys, types\n"
        "from distill_build.cli.dispatch import main\n"
        "module = types.ModuleType('distill_build.commands.look.show')\n"
        "module.run = lambda options: print(options.arguments, options.dataset, options.cache_dir) or 7\n"
        "sys.modules[module.__name__] = module\n"
        "status = main(['show', '1.2', '-o', 'outputs/a', '--cache-dir=c'])\n"
        "print(status, 'hydra' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "('1.2',) outputs/a c\n7 False\n"


def test_the_help_of_a_command_is_not_that_of_a_verb_with_its_name(tell: Told) -> None:
    assert tell("export", "--help")[1].startswith("distill-build export: write dataset formats from the rows")
    assert "Usage: distill-build export [NAME] [FLAG ...] [key=value ...]" in tell("export", "--help")[1]
    assert "Usage: distill-build cache export FILE [VERSION] [FLAG ...]" in tell("cache", "export", "--help")[1]


@pytest.mark.parametrize("command", ["build", "plan"])
def test_a_sweep_gets_all_its_jobs_at_once(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    swept: list[list[tuple[str, int]]] = []

    def run(variants: Sequence[Variant], options: Options) -> int:
        assert options.json
        swept.append([(variant.settings.topic, variant.settings.depth) for variant in variants])
        return 3

    monkeypatch.setitem(sys.modules, COMMANDS[command].sweep, module := ModuleType(COMMANDS[command].sweep))
    module.run = run  # type: ignore[attr-defined]  # as in `stand_in`
    assert main([command, "topic=网球,游泳", "-m", "depth=1,2", "--json"]) == 3
    assert swept == [[("网球", 1), ("网球", 2), ("游泳", 1), ("游泳", 2)]]


def test_an_export_is_for_one_dataset(tell: Told) -> None:
    status, _, err = tell("export", "topic=a", "-m", "depth=1,2")
    assert status == 2
    assert "export is for the files of one dataset: leave out -m. The command that built a sweep writes" in err


def test_a_word_with_an_equals_sign_is_a_path_where_there_are_no_settings(tell: Told, elsewhere: Path) -> None:
    for words in (("diff", "x/a=1", "x/a=2"), ("tree", "/x/a=1"), ("checkout", "latest", "./a=1")):
        assert parse(words).options.arguments == words[1:]
    (elsewhere / "breadth=1").mkdir()
    assert parse(("verify", "breadth=1")).options.arguments == ("breadth=1",)
    assert tell("verify", "breadth=2")[2].startswith("distill-build: verify takes no settings, so not 'breadth=2'")
    (elsewhere / "x/breadth=1").mkdir(parents=True)
    assert "plan takes settings, and x/breadth=1 is a folder" in tell("plan", "x/breadth=1")[2]
    assert "there is no dataset 'x/breadth=1'" in tell("export", "x/breadth=1")[2]
    assert parse(("export", "breadth=2")).options.arguments == ()


def test_hydras_flags_keep_working(tell: Told) -> None:
    status, out, _ = tell("plan", "-c", "job", "depth=3", "-p", "per_request")
    assert (status, out) == (0, "# @package per_request\ntags: 5\nquestions: 5\n")
    done = process("--info", "topic=a", "depth=3")  # it sets up logging for the rest of the process
    assert done.returncode == 0
    assert "Config search path" in done.stdout


USAGE = [
    (["bild"], "unknown command 'bild': did you mean 'build'?"),
    (["roll-back"], "unknown command 'roll-back'"),
    (["sports"], "a topic is said as topic=sports"),
    (["topic=board", "games"], 'a value with spaces stands in quotes, as in topic="board games"'),
    (["blid", "topic=sports"], 'as in topic="board games", and the commands are build, plan,'),
    (["plan", "topic=C", "basics"], "plan does not take the word 'basics': a value with spaces"),
    (["diff", "a", "b", "c", "d"], "diff does not take the word 'd': distill-build diff [A] [B] [ID]; what has spaces"),
    (["--ofline"], "unknown flag '--ofline': did you mean '--offline'?"),
    (["-d", "3"], "unknown flag '-d': see --help"),
    (["--wat"], "unknown flag '--wat': see --help"),
    (["--depth", "3"], "unknown flag '--depth': did you mean the setting 'depth=3'?"),
    (["--questions_per_tag=3"], "unknown flag '--questions_per_tag': did you mean the setting 'questions_per_tag=3'?"),
    (["topic=a", "--depht"], "unknown flag '--depht': did you mean the setting 'depth=…'?"),
    (["tree", "--offline"], "tree does not know --offline: it is a flag of build, plan"),
    (["export", "--until", "tags"], "export does not know --until"),
    (["tree", "-m"], "tree does not know --multirun"),
    (["plan", "-o", "x"], "plan does not know --dataset"),
    (
        ["topic=a", "--until", "tag"],
        "--until=tag: did you mean 'tags'? The stages are tags, questions, dedup, answers, and dataset",
    ),
    (["topic=a", "stages=[tags]", "--until=answers"], "--until=answers: The stages are tags, and dataset is the end"),
    (["topic=a,b", "-m", "--until", "tag"], "--until=tag: did you mean 'tags'?"),
    (["--until"], "--until needs a value: --until STAGE"),
    (["--cache-dir=", "history"], "--cache-dir needs a value: --cache-dir DIR"),
    (["--to", "", "report"], "--to needs a value: --to FILE"),
    (["init", ""], "a word is '', as \"$NAME\" is where nothing sets it: say what it names, or leave it out"),
    (["publish", "", "sports"], "a word is ''"),
    (["topic=a", ""], "a word is ''"),
    (["-k", "x"], "--keep-going takes a whole number from 0, not 'x'"),
    (["-k=-1"], "--keep-going takes a whole number from 0, not '-1'"),
    (["--json=yes"], "--json takes no value"),
    (["--cfg", "everything"], "--cfg takes one of job, hydra, all"),
    (["show"], "show needs ID: distill-build show ID"),
    (["show", "1.2", "topic=a"], "show takes no settings, so not 'topic=a'"),
    (["topic="], "topic=sports"),
    (["topic=a", "dept=1"], "unknown setting 'dept': did you mean 'depth'?"),
    (["depth=1"], "the topic is missing"),
    (["topic=a", "--config-dir", "nowhere"], "--config-dir=nowhere: there is no such folder"),
    (["topic=a,b", "-m", "--cfg", "job"], "--cfg prints one configuration: leave out -m"),
    (["topic=a,b", "-m", "--info"], "--info prints one configuration: leave out -m"),
]


@pytest.mark.parametrize(("words", "said"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_a_mistake_is_a_sentence_and_exit_2(tell: Told, words: Sequence[str], said: str) -> None:
    status, out, err = tell(*words)
    assert (status, out) == (2, "")
    assert err.startswith("distill-build: ")
    assert said in err
    assert err.count("\n") == 1


# ---- Errors ----


def test_an_error_keeps_its_exit_code_and_is_a_document_for_programs(
    tell: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_: Settings, __: Options) -> int:
        raise StorageError("the disk is full: 满")

    stand_in(monkeypatch, "build", run)
    status, out, err = tell("topic=a", "--json")
    assert (status, err) == (5, "distill-build: the disk is full: 满\n")
    assert json.loads(out) == {"error": {"kind": "StorageError", "message": "the disk is full: 满"}, "exit_code": 5}


def test_a_mistake_in_the_flags_is_a_document_too(tell: Told) -> None:
    status, out, _ = tell("--json", "--until=x")
    assert status == json.loads(out)["exit_code"] == 2


def test_ctrl_c_is_130(tell: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Settings, __: Options) -> int:
        raise KeyboardInterrupt

    stand_in(monkeypatch, "export", run)
    assert tell("export", "topic=a") == (130, "", "distill-build: interrupted\n")


def test_a_bug_is_a_sentence_with_a_log_that_holds_the_trace_and_no_secrets(
    tell: Told, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    def run(_: Settings, __: Options) -> int:
        raise ValueError(
            "sent Authorization: Bearer abcdefgh123 and hush-hush and sk-abcdef123456 "
            "to https://x.example/v1?key=in-the-query through URL('http://me:of-the-proxy@p.example:1')"
        )

    stand_in(monkeypatch, "build", run)
    monkeypatch.setenv("SOME_API_KEY", "hush-hush")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    status, out, err = tell("topic=a")
    (log,) = elsewhere.glob("*.log")
    text = log.read_text(encoding="utf-8")
    assert (status, out) == (70, "")
    assert "this is a bug in distill-build (ValueError: sent Authorization: Bearer *** and ***" in err
    assert str(log) in err
    assert "Traceback" not in err
    assert "Traceback" in text
    assert "in run" in text
    assert log.stat().st_mode & 0o077 == 0
    assert "https://x.example/v1?*** through URL('http://***@p.example:1')" in text
    for secret in ("hush-hush", "abcdefgh123", "abcdef123456", "in-the-query", "of-the-proxy"):
        assert secret not in text + err


# ---- Real processes ----


def test_a_process_says_a_mistake_without_a_trace(elsewhere: Path) -> None:
    done = process("topic=sports", "dept=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "distill-build: unknown setting 'dept': did you mean 'depth'?\n"
    assert list(elsewhere.iterdir()) == []


def test_a_process_prints_the_configuration() -> None:
    done = process("--cfg", "job", "topic=C++ (basics), part 1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "topic: C++ (basics), part 1\n" in done.stdout


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_lies_in_the_room_that_help_lists_it_under(command: str) -> None:
    module = COMMANDS[command].module
    assert module == f"distill_build.commands.{COMMANDS[command].group}.{command}".replace(".cache.cache", ".cache")
    assert importlib.util.find_spec(module) is not None


def unread(*words: str, streams: Sequence[str] = ("stdout",), **environment: str) -> tuple[int, str]:
    """The exit code of a command whose reader of `streams` has gone before it began, and what it says elsewhere."""
    reader, writer = os.pipe()
    os.close(reader)
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | dict.fromkeys(streams, writer)
    command = [sys.executable, "-m", "distill_build", *words]
    with subprocess.Popen(command, text=True, env={**os.environ, **environment}, **pipes) as child:  # type: ignore[call-overload]  # by name
        os.close(writer)
        out, err = child.communicate(timeout=60)
    return child.returncode, (out or "") + (err or "")


@pytest.fixture
def damaged(elsewhere: Path) -> Path:
    """A dataset with a file that is not as it was written."""
    dataset = write_dataset(elsewhere / "outputs" / "sports")
    write_state(dataset, RECIPE)
    dataset.artefact("answers.jsonl").write_text("")
    return dataset.folder


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_reader_that_goes_away_leaves_the_exit_code_alone(environment: dict[str, str]) -> None:
    assert process("verify", **environment).returncode == 4
    assert unread("verify", **environment) == (4, "")
    assert unread("verify", "--json", **environment)[0] == 4
    assert unread("tree", **environment) == (0, "")
    assert unread("--help", **environment) == (0, "")
    assert unread("verify", "nothing", "--json", **environment)[0] == process("verify", "nothing").returncode != 0


def test_nobody_need_read_what_is_said_of_an_error_either() -> None:
    both = ("stdout", "stderr")
    assert unread("dept=1", streams=["stderr"]) == unread("dept=1", streams=both) == (2, "")
    assert unread("tree", "nowhere", "--json", streams=both)[0] == process("tree", "nowhere").returncode != 0


def test_output_that_is_longer_than_a_pipe_takes_ends_as_any_other(elsewhere: Path) -> None:
    dataset = write_dataset(elsewhere / "outputs" / "sports")
    write_state(dataset, RECIPE)
    rows = dataset.artefact("tags.jsonl").read_bytes().splitlines(keepends=True)
    dataset.artefact("tags.jsonl").write_bytes(b"".join(rows[:1] * 20_000))
    command = f"set -o pipefail; {sys.executable} -m distill_build tree sports | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
