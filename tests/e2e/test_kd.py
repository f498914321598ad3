"""Format `kd`: rows of tokens for one model, each position with what the teacher held likely next."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, own_prompt
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content
from tests.teacher import (
    CLOSE,
    TEMPLATE,
    VOCABULARY,
    completion_tokens,
    distribution,
    listing,
    prompt_tokens,
    write_student,
)

pytest.importorskip("pyarrow")
pytest.importorskip("tokenizers")
K = 40
WORDS = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", f"teacher.logprobs={K}")
KD = (*WORDS, "formats=[messages,kd]", "kd.tokenizer=student")
FILE = "dataset/train.kd.parquet"
SYSTEM = "Be brief."
QUESTION_ALONE = "{% call message('user') %}{{ question }}{% endcall %}"
IN_JSON = (
    "answer.kind=json",
    "answer.schema={type: object, properties: {says: {type: string}}, required: [says]}",
    "second.reasoning=drop",
)


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.tokens = listing()
    project = InProcess(tmp_path / "here", server)
    write_student(project.root / "student")
    return project


@pytest.fixture
def processes(project: InProcess, server: ScriptedServer) -> Workspace:
    """The same project with a process for each command: one process holds a student that it has seen."""
    return Workspace(project.root, server)


def kd_rows(project: Workspace) -> list[dict[str, Any]]:
    from pyarrow.parquet import read_table

    rows: list[dict[str, Any]] = read_table(project.folder() / FILE).to_pylist()
    return rows


def message_of(row: dict[str, Any]) -> dict[str, Any]:
    return {"content": row["answer"], "reasoning_content": row["reasoning"]}


def divergence(row: dict[str, Any], place: int, ids: str, values: str, shift: int = 0) -> float:
    """KL of what a file says at a position from what the teacher itself says there, in nats; what is not among the
    likeliest is taken together."""
    own = distribution(row["input_ids"][: place + 1 + shift])
    told = list(zip(row[ids][place], row[values][place], strict=True))
    rest = max(1e-9, 1 - sum(math.exp(value) for _, value in told))
    own_rest = max(1e-9, 1 - sum(math.exp(own[token]) for token, _ in told))
    return sum(math.exp(value) * (value - own[token]) for token, value in told) + rest * math.log(rest / own_rest)


def answer_places(row: dict[str, Any]) -> range:
    """The positions that predict a token of the reply: from the last of the prompt to the last but one."""
    first = next(place for place, label in enumerate(row["labels"]) if label >= 0)
    length = sum(row["attention_mask"])
    return range(first - 1, length - 1)


@pytest.mark.parametrize(("trainer", "last"), [("axolotl", CLOSE), ("distillkit", -100)])
@pytest.mark.parametrize("words", [(), (f"system_prompt={SYSTEM}",)])
def test_a_row_is_the_prompt_and_the_reply_in_tokens_with_the_loss_on_the_reply(
    project: InProcess, words: tuple[str, ...], trainer: str, last: int
) -> None:
    assert project.run(*KD, *words, f"kd.trainer={trainer}").status == 0
    rows = kd_rows(project)
    assert len(rows) == 4
    system = [{"role": "system", "content": SYSTEM}] if words else []
    for row, answer in zip(rows, project.rows("answers"), strict=True):
        prompt = prompt_tokens([*system, {"role": "user", "content": answer["question"]}])
        own = completion_tokens(message_of(answer))
        assert row["input_ids"] == prompt + own
        assert row["labels"] == [-100] * len(prompt) + [*own[:-1], last]
        assert row["attention_mask"] == [1] * len(row["input_ids"])
        assert own[-1] == CLOSE


@pytest.mark.parametrize(
    ("trainer", "ids", "values"),
    [("distillkit", "token_ids", "top_values"), ("axolotl", "target_token_ids", "target_logprobs")],
)
def test_the_teacher_against_itself_diverges_by_nothing_and_by_much_one_place_off(
    project: InProcess, trainer: str, ids: str, values: str
) -> None:
    assert project.run(*KD, f"kd.trainer={trainer}").status == 0
    for row in kd_rows(project):
        assert len(row[ids]) == len(row[values]) == len(row["input_ids"])
        places = answer_places(row)
        right = [divergence(row, place, ids, values) for place in places]
        late = [divergence(row, place, ids, values, shift=1) for place in places if place + 1 < len(row["input_ids"])]
        early = [divergence(row, place, ids, values, shift=-1) for place in places]
        most = 0.001 if trainer == "distillkit" else 0.2  # what adds up to 1 among 40 says nothing of the rest
        assert max(right) < most
        assert min(sum(late) / len(late), sum(early) / len(early)) > 2


def test_the_likeliest_add_up_to_one_for_axolotl_and_its_mask_says_where_they_hold(project: InProcess) -> None:
    assert project.run(*KD, "kd.trainer=axolotl").status == 0
    for row in kd_rows(project):
        held = [place for place, mask in enumerate(row["target_mask"]) if mask == [1] * K]
        assert held == list(answer_places(row))
        assert sum(map(sum, row["target_mask"])) == K * len(held)
        for values in row["target_logprobs"]:
            assert sum(map(math.exp, values)) == pytest.approx(1, abs=1e-4)


def test_every_position_has_a_distribution(project: InProcess) -> None:
    assert project.run(*KD, "kd.length=600").status == 0
    for row in kd_rows(project):
        assert {len(row[name]) for name in ("input_ids", "labels", "attention_mask", "token_ids", "top_values")} == {
            600
        }
        for ids, values in zip(row["token_ids"], row["top_values"], strict=True):
            assert len(set(ids)) == K
            assert max(ids) < VOCABULARY
            assert 0.5 < sum(map(math.exp, values)) <= 1.001
        length = sum(row["attention_mask"])
        assert row["attention_mask"] == [1] * length + [0] * (600 - length)
        assert set(row["labels"][length:]) == {-100}


def test_rows_that_are_longer_than_all_are_to_be_are_left_out_and_told(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = lambda number, body: content("word " * number) if classify(body) == "answers" else None
    assert project.run(*KD).status == 0
    lengths = sorted(len(row["input_ids"]) for row in kd_rows(project))
    built = project.run(*KD, f"kd.length={lengths[-1] - 1}")
    assert built.status == 0
    assert "not in the format kd: they are longer than kd.length" in built.stderr
    assert len(kd_rows(project)) == sum(length < lengths[-1] for length in lengths)


@pytest.mark.parametrize("words", [("format.reasoning=drop",), ("teacher.reasoning=drop",)])
@pytest.mark.parametrize("block", [False, True])
def test_a_thought_that_is_dropped_is_not_learnt(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], block: bool
) -> None:
    def plan(number: int, body: Body) -> Fault | None:
        if classify(body) != "answers" or number % 2:
            return content(f"Plain {number}.") if classify(body) == "answers" else None
        return content("<think>\nHm.\n</think>\n\nYes.") if block else content("Yes.", reasoning_content="Hm.")

    server.plan = plan
    built = project.run(*KD, *words)
    assert built.status == 0
    thoughtless = [row for row in project.rows("answers") if row["answer"] != "Yes."]
    assert 0 < len(thoughtless) < 4
    assert f"{4 - len(thoughtless)} of 4 rows" in built.stderr
    assert "their tokens hold a thought" in " ".join(built.stderr.split())
    own = [completion_tokens(message_of(row)) for row in thoughtless]
    assert [row["input_ids"][-len(each) :] for row, each in zip(kd_rows(project), own, strict=True)] == own


@pytest.mark.parametrize("roles", ["[teacher,second]", "[second,teacher]"])
@pytest.mark.parametrize(("answer", "words"), [("Yes.", ("format.reasoning=drop",)), ('{"says":"yes"}', IN_JSON)])
def test_a_thought_in_the_marks_of_one_teacher_of_two_is_not_learnt(
    project: InProcess, server: ScriptedServer, roles: str, answer: str, words: tuple[str, ...]
) -> None:
    def plan(_: int, body: Body) -> Fault | None:
        if classify(body) != "answers":
            return None
        return content(f"[[\nHm.\n]]\n\n{answer}" if body["model"] == "other" else answer)

    server.plan = plan
    if words == IN_JSON:
        own_prompt(project, "en/answers.jinja", lambda _: QUESTION_ALONE)
    second = ("second.name=other", "second.reasoning_marks=[['[[',']]']]", f"second.logprobs={K}")
    built = project.run(*KD, f"stage.answers.role={roles}", *second, *words)
    assert built.status == 0, built.stderr
    assert "4 of 8 rows are not in the format kd: their tokens hold a thought" in " ".join(built.stderr.split())
    own = completion_tokens({"content": answer})
    assert [row["input_ids"][-len(own) - 1 :][1:] for row in kd_rows(project)] == [own] * 4
    assert all(b"Hm." not in bytes(token for token in row["input_ids"] if token < 256) for row in kd_rows(project))


def exchange_letters(student: Path, one: str, other: str) -> None:
    """Gives a student a vocabulary in which two letters have each other's id."""
    file = student / "tokenizer.json"
    told = json.loads(file.read_text())
    ids = told["model"]["vocab"]
    ids[one], ids[other] = ids[other], ids[one]
    file.write_text(json.dumps(told))


def require_refused(project: InProcess, server: ScriptedServer, said: str) -> None:
    """A build with kd is refused and writes nothing; what it was answered serves one without."""
    refused = project.run(*KD)
    assert refused.status == 2
    assert said in " ".join(refused.stderr.split())
    assert not (project.folder() / "answers.jsonl").exists()
    server.reset()
    assert project.run(*WORDS).status == 0
    assert server.count == 0
    files = project.bytes()
    exported = project.raw("export", "sports", "formats=[kd]", "kd.tokenizer=student")
    assert exported.status == 2
    assert said in " ".join(exported.stderr.split())
    assert project.bytes() == files


def test_a_student_with_another_template_is_refused_where_no_prompt_is_what_was_sent(
    project: InProcess, server: ScriptedServer
) -> None:
    write_student(project.root / "student", TEMPLATE.replace("assistant", "model"))
    require_refused(project, server, "of 4 rows with soft labels 4 would be left out")


def test_a_student_with_another_vocabulary_is_refused(project: InProcess, server: ScriptedServer) -> None:
    exchange_letters(write_student(project.root / "student"), "a", "e")
    require_refused(project, server, "the teacher's tokens are not those of kd.tokenizer")


def test_an_alternative_that_the_student_does_not_have_is_of_another_vocabulary(
    project: InProcess, server: ScriptedServer
) -> None:
    def tokens(body: Body, whole: Body) -> Body:
        made = listing()(body, whole)
        made["choices"][0]["logprobs"]["content"][0]["top_logprobs"][-1]["id"] = 10**6
        return made

    server.tokens = tokens
    refused = project.run(*KD)
    told = "the teacher's tokens are not those of kd.tokenizer"
    assert (refused.status, told in " ".join(refused.stderr.split())) == (2, True), refused.stderr


@pytest.mark.parametrize(("quiet", "status"), [(1, 0), (2, 0), (3, 2)])
def test_single_rows_with_other_tokens_are_left_out_and_most_are_another_vocabulary(
    project: InProcess, server: ScriptedServer, quiet: int, status: int
) -> None:
    answers = ["Quiet.", "quiet.", "quite."][:quiet] + ["Plain.", "Other.", "Else."][: 4 - quiet]

    def plan(_: int, body: Body) -> Fault | None:
        return content(answers.pop()) if classify(body) == "answers" else None

    server.plan = plan
    exchange_letters(write_student(project.root / "student"), "u", "x")
    built = project.run(*KD)
    assert built.status == status, built.stderr
    if status == 0:
        assert f"{quiet} of 4 rows" in built.stderr
        assert "the teacher's tokens are not those of kd.tokenizer" in " ".join(built.stderr.split())
        assert len(kd_rows(project)) == 4 - quiet


@pytest.mark.parametrize("other", ["vocabulary", "template"])
def test_a_student_of_no_use_stops_a_build_at_the_first_replies(
    project: InProcess, server: ScriptedServer, other: str
) -> None:
    if other == "vocabulary":
        exchange_letters(project.root / "student", "a", "e")
    else:
        write_student(project.root / "student", TEMPLATE.replace("assistant", "model"))
    more = ("questions_per_tag=20", "limits.concurrency=1")
    refused = project.run(*KD, *more)
    assert refused.status == 2
    assert "of 8 rows with soft labels 8 would be left out" in " ".join(refused.stderr.split())
    assert server.kinds["answers"] == 8
    assert not (project.folder() / "answers.jsonl").exists()
    write_student(project.root / "student")
    assert project.run(*KD, *more).status == 0
    assert server.kinds["answers"] == len(project.rows("answers")) == len(kd_rows(project)) > 8


@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_student_of_no_use_is_not_paid_for_again(
    project: InProcess, server: ScriptedServer, concurrency: int
) -> None:
    exchange_letters(project.root / "student", "a", "e")
    more = ("questions_per_tag=20", f"limits.concurrency={concurrency}")
    assert project.run(*KD, *more).status == 2
    paid = server.count
    for _ in range(2):
        again = project.run(*KD, *more)
        assert again.status == 2
        assert "of 8 rows with soft labels 8 would be left out" in " ".join(again.stderr.split())
    assert server.count == paid


def test_stored_replies_of_which_only_the_later_are_of_use_stop_nothing(
    project: InProcess, server: ScriptedServer
) -> None:
    answers = iter(["Quiet."] * 8 + ["Plain."] * 100)
    server.plan = lambda _, body: content(next(answers)) if classify(body) == "answers" else None
    exchange_letters(project.root / "student", "u", "x")
    assert project.run(*WORDS, "questions_per_tag=20", "limits.concurrency=1").status == 0
    built = project.run(*KD, "questions_per_tag=24", "limits.concurrency=1")
    assert built.status == 0, built.stderr
    assert len(kd_rows(project)) == len(project.rows("answers")) - 8 > 32


def test_a_student_of_no_use_stops_no_job_beside_it(processes: Workspace, server: ScriptedServer) -> None:
    """Though they wait for the same replies."""
    exchange_letters(write_student(processes.root / "other"), "a", "e")
    swept = processes.run("-m", *KD[:-1], "kd.tokenizer=other,student", "questions_per_tag=20", "limits.concurrency=2")
    assert swept.status == 1
    assert "no use to kd.tokenizer=other" in " ".join(swept.stderr.split())
    (written,) = processes.root.rglob("train.kd.parquet")
    assert server.kinds["answers"] == len((written.parent.parent / "answers.jsonl").read_text().splitlines()) > 8


def test_what_the_first_replies_lack_by_chance_stops_nothing(project: InProcess, server: ScriptedServer) -> None:
    """Tokens that are not listed, and texts that only the teacher has a token for."""
    answers = iter(["Quiet."] * 7 + ["Plain.", "Quiet.", "Plain."] + ["Plain."] * 100)
    server.plan = lambda _, body: content(next(answers)) if classify(body) == "answers" else None
    exchange_letters(project.root / "student", "u", "x")
    more = ("questions_per_tag=20", "limits.concurrency=1")
    assert project.run(*KD, *more).status == 0
    assert len(kd_rows(project)) == len(project.rows("answers")) - 8
    server.tokens = listing(lost=1)
    built = project.run(*KD, *more, "name=lost", "cache.dir=other")
    assert built.status == 0
    assert "the endpoint does not list all of their tokens" in " ".join(built.stderr.split())


def test_a_prompt_of_the_same_length_that_is_another_one_is_left_out(project: InProcess) -> None:
    assert project.run(*WORDS).status == 0
    first = project.rows("answers")[0]["path"][-1]
    loud = "{{ question | upper if path[-1] == '" + first + "' else question }}"
    own_prompt(project, "en/answers.jinja", lambda text: text.replace("{{ question }}", loud))
    built = project.run(*KD)
    assert built.status == 0, built.stderr
    assert "2 of 4 rows are not in the format kd" in built.stderr
    assert "another one than the endpoint was sent" in " ".join(built.stderr.split())
    left = [completion_tokens(message_of(row)) for row in project.rows("answers") if row["path"][-1] != first]
    assert [row["input_ids"][-len(own) :] for row, own in zip(kd_rows(project), left, strict=True)] == left


def test_a_build_writes_for_the_student_that_it_began_with(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*KD, "name=before").status == 0

    def plan(_: int, body: Body) -> Fault | None:
        if classify(body) == "answers":
            exchange_letters(write_student(project.root / "student"), "a", "e")
        return None

    server.plan = plan
    built = project.run(*KD, "cache.dir=other")
    assert built.status == 0, built.stderr
    assert (project.folder() / FILE).read_bytes() == (project.folder("before") / FILE).read_bytes()


def test_another_student_in_the_place_of_the_one_that_files_are_for_is_told(
    processes: Workspace, server: ScriptedServer
) -> None:
    assert processes.run(*KD).status == 0
    files = processes.bytes()
    server.reset()
    write_student(processes.root / "student", TEMPLATE + " ")
    refused = processes.raw("export", "sports", "formats=[csv]")
    assert refused.status == 2
    told = " ".join(refused.stderr.split())
    assert "kd.tokenizer=student holds another model" in told
    assert "name the folder of one by kd.tokenizer, or remove the file" in told
    assert processes.bytes() == files
    gone = processes.raw("export", "sports", "formats=[kd]", "kd.tokenizer=student")
    assert gone.status == 2, "its prompts have one token more"
    write_student(processes.root / "other", TEMPLATE + "{# another #}")
    assert processes.raw("export", "sports", "formats=[csv]", "kd.tokenizer=other").status == 0
    assert (processes.folder() / FILE).read_bytes() == files[FILE], "the same prompts"
    assert 'kd_tokenizer = "other"' in processes.lock()
    assert processes.raw("verify").status == 0
    assert server.count == 0


@pytest.mark.parametrize("there", ["another", "none"])
@pytest.mark.parametrize("formats", ["[messages,kd]", "[kd]"])
def test_a_checkout_without_the_student_brings_back_all_else(
    processes: Workspace, server: ScriptedServer, there: str, formats: str
) -> None:
    words = (*KD, f"formats={formats}")
    assert processes.run(*words).status == 0
    files = processes.bytes()
    server.reset()
    shutil.rmtree(processes.root / "student")
    if there == "another":
        write_student(processes.root / "student", TEMPLATE + "{# another #}")
    (processes.folder() / FILE).unlink()
    brought = processes.raw("checkout", "latest", "--json")
    assert brought.status == 1
    told = " ".join(brought.stderr.split())
    assert f"all but {FILE} is back: kd.tokenizer=student" in told
    assert "export sports formats=[kd] kd.tokenizer=" in told
    assert list(json.loads(brought.stdout)["left_out"]) == ["kd"]
    assert {name for name, held in processes.bytes().items() if files.get(name) == held} >= files.keys() - {
        *(FILE, "distill.lock", "dataset/README.md")
    }
    assert not (processes.folder() / FILE).exists()
    assert f"formats = {json.dumps(formats.strip('[]').split(','))}" in processes.lock(), "it is of that version still"
    assert processes.raw("verify").status == 0
    write_student(processes.root / "student")
    assert processes.raw("checkout", "outputs/sports").status == 0, "its lock has the format"
    assert processes.bytes() == files
    (processes.folder() / FILE).unlink()
    shutil.rmtree(processes.root / "student")
    assert processes.raw("checkout", "latest").status == 1
    write_student(processes.root / "student")
    assert processes.raw("export", "sports", "formats=[kd]", "kd.tokenizer=student").status == 0
    assert processes.bytes() == files
    assert server.count == 0


def test_a_checkout_without_the_student_keeps_the_side_that_is_there_beside_one_that_is_lost(
    processes: Workspace, server: ScriptedServer
) -> None:
    test = "dataset/test.kd.parquet"
    sides = ("split.test=0.5", "stages=[tags,questions,dedup,answers,split]", "formats=[kd]")
    assert processes.run(*KD, *sides).status == 0
    files = processes.bytes()
    server.reset()
    shutil.rmtree(processes.root / "student")
    (processes.folder() / FILE).unlink()
    for _ in range(2):
        brought = processes.raw("checkout", "latest")
        assert brought.status == 1
        assert f"all but {FILE} is back:" in " ".join(brought.stderr.split())
        assert "removed" not in brought.stdout
        assert processes.bytes()[test] == files[test]
        assert '"test.kd.parquet"' in processes.lock()
        assert processes.raw("verify").status == 0
    (processes.folder() / test).write_bytes(b"damaged")
    brought = processes.raw("checkout", "latest")
    assert f"all but {FILE}, {test} is back:" in " ".join(brought.stderr.split())
    assert f"removed, as no lock says that it is as this version has it: {test}" in " ".join(brought.stdout.split())
    write_student(processes.root / "student")
    assert processes.raw("checkout", "latest").status == 0
    assert processes.bytes() == files
    assert server.count == 0


def test_a_checkout_without_the_student_keeps_the_rows_that_are_those_of_the_version(
    processes: Workspace, server: ScriptedServer
) -> None:
    sides = ("split.test=0.5", "stages=[tags,questions,dedup,answers,split]", "formats=[messages,kd]")
    assert processes.run(*KD, *sides).status == 0
    files = processes.bytes()
    assert {FILE, "dataset/test.kd.parquet"} < files.keys()
    shutil.rmtree(processes.root / "student")
    (processes.folder() / "dataset/train.messages.jsonl").unlink()
    assert processes.raw("checkout", "latest").status == 0
    assert processes.bytes() == files
    shutil.rmtree(processes.folder() / "runs")  # as git brings it, with its exports
    assert processes.raw("checkout", "outputs/sports").status == 0
    assert processes.bytes() == files
    (processes.folder() / "dataset/test.kd.parquet").write_bytes(files[FILE])
    assert processes.raw("checkout", "latest").status == 1, "not all of them are"
    assert processes.raw("verify").status == 0
    write_student(processes.root / "student")
    assert processes.run(*KD, "breadth=1").status == 0
    shutil.rmtree(processes.root / "student")
    other = processes.raw("checkout", "latest~1")
    removed = f"removed, as no lock says that it is as this version has it: {FILE}"
    assert (other.status, removed in " ".join(other.stdout.split())) == (1, True), other.stderr
    assert server.count == 7, "a build's, and of the other one all was there"


@pytest.mark.parametrize("words", [(), ("kd.tokenizer=student",), ("kd.trainer=axolotl",)])
def test_files_that_lie_there_are_made_anew_by_what_is_typed_and_what_the_folder_says(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    assert project.run(*KD, "kd.length=600").status == 0
    before = (project.folder() / FILE).read_bytes()
    server.reset()
    exported = project.run("export", *WORDS, "formats=[csv]", *words)
    assert exported.status == 0, exported.stderr
    rows = kd_rows(project)
    assert len(rows) == 4
    assert ("target_mask" in rows[0]) == ("kd.trainer=axolotl" in words)
    assert ({len(row["input_ids"]) for row in rows} == {600}) == ("kd.tokenizer=student" not in words)
    assert ((project.folder() / FILE).read_bytes() == before) == (not words)
    assert project.raw("verify").status == 0
    assert server.count == 0


def test_lengths_are_told_by_the_student_where_one_is_named(processes: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda number, body: content("word " * (number + 9)) if classify(body) == "answers" else None
    words = (*WORDS, "kd.tokenizer=student", "formats=[messages]", "trainers=[axolotl]", "format.max_length=30")
    built = processes.run(*words)
    assert "4 of 4 rows are longer than format.max_length, by kd.tokenizer" in built.stderr
    assert "does nothing" not in built.stderr
    shutil.rmtree(processes.root / "student")
    exported = processes.raw("export", "sports", "formats=[csv]")
    assert exported.status == 0
    assert "by kd.tokenizer" not in exported.stderr


def test_it_is_a_format_as_the_others_are(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*KD).status == 0
    files = project.bytes()
    server.reset()
    assert project.raw("verify").status == 0
    assert project.run(*KD, "--frozen").status == 0
    assert project.run(*WORDS).status == 0
    assert project.raw("export", "sports", "formats=[kd]", "kd.tokenizer=student").status == 0
    assert project.bytes() == files
    assert project.run(*KD).status == 0
    (project.folder() / FILE).unlink()
    assert project.raw("checkout", "latest").status == 0
    assert project.bytes() == files
    assert project.raw("export", "sports", "formats=[csv]").status == 0, "the student is the folder's own"
    assert (project.folder() / FILE).read_bytes() == files[FILE]
    write_student(project.root / "student", TEMPLATE + " ")
    assert "kd.tokenizer (its digest)" in project.run("explain", *KD).stdout
    assert server.count == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kd.tokenizer=null",), "set kd.tokenizer"),
        (("kd.tokenizer=nowhere",), "kd.tokenizer=nowhere cannot be read"),
        (("kd.tokenizer=student/tokenizer.json", "kd.trainer=trl"), "kd.trainer"),
        (("teacher.logprobs=null",), "teacher.logprobs=K"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], said: str
) -> None:
    refused = project.run(*KD, *words)
    assert (refused.status, server.count) == (2, 0)
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("template", ["{% if %}", "{{ raise_exception('no system') }}", "{% for x in messages %}"])
def test_a_template_that_makes_no_text_is_a_sentence(project: InProcess, server: ScriptedServer, template: str) -> None:
    write_student(project.root / "student", template)
    refused = project.run(*KD)
    assert (refused.status, server.count) == (2, 0)
    assert "chat template" in refused.stderr


def test_a_folder_without_a_template_is_told(project: InProcess, server: ScriptedServer) -> None:
    (project.root / "student/tokenizer_config.json").unlink()
    refused = project.run(*KD)
    assert (refused.status, server.count) == (2, 0)
    assert "there is no chat template beside it" in refused.stderr
    (project.root / "student/chat_template.jinja").write_text(TEMPLATE)
    assert project.run(*KD).status == 0
    assert len(kd_rows(project)) == 4
