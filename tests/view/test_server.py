"""Who may ask the server of a page, and what becomes of its files."""

import itertools
import json
import re
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from distill_build.curate.tree_file import read_tree
from tests.e2e.mounts import read_only
from tests.e2e.workspace import Workspace, start
from tests.report.browser import Browser
from tests.report.datasets import LINE, build
from tests.report.test_hostile import HOSTILE, TOPIC
from tests.report.test_hostile import reply as hostile_reply
from tests.server import ScriptedServer, classify, content
from tests.view.serving import Answer, Served, served

READ = ("/", "/facts/0", "/whole/0", "/found/0", "/said")
RULE = "filter.min_score=3"
ROUNDS = 8
LONG = 500_000
"""Of a server that is killed at some moment of its writing, and characters of what is written."""
WRITE = ("/review", "/tag", "/include", "/item", "/undo")


def undo(view: Served, step: int) -> Answer:
    return view.ask("/undo", body=json.dumps({"step": step}).encode())


def test_the_first_line_is_the_whole_address(view: Served) -> None:
    assert len(view.token) >= 30
    answer = view.ask("/")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert b"connect-src 'self'" in answer.body
    assert view.ask("/facts/0", of=view.snapshot()).status == 200


@pytest.mark.parametrize("place", [*READ, *WRITE, "/nothing"])
def test_without_the_token_nothing_is_answered(view: Served, place: str) -> None:
    body = b"{}" if place in WRITE else None
    for token in ("", "x", view.token[:-1], view.token + "x", "%C3%A9", "%FF%ED%A0%80"):
        assert view.ask(place, body=body, token=token).status == 403


@pytest.mark.parametrize("place", ["/", "/said", "/review"])
def test_under_another_name_nothing_is_answered(view: Served, place: str) -> None:
    body = b"{}" if place in WRITE else None
    port = view.host.partition(":")[2]
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"[::1]:{port}",
        f"0.0.0.0:{port}",
    ):
        assert view.ask(place, {"Host": host}, body).status == 403
    assert view.ask("/", {"Host": f"localhost:{port}"}).status == 200


@pytest.mark.parametrize("place", WRITE)
def test_only_its_own_page_may_write(view: Served, project: Workspace, place: str) -> None:
    port = view.host.partition(":")[2]
    for origin in ("", "null", "http://evil.example", f"http://evil.example:{port}", f"https://127.0.0.1:{port}"):
        assert view.say(place, {"Origin": origin}, id="a_1", verdict="reject").status == 403
    assert view.say(place, {"Content-Type": "text/plain"}, id="a_1").status == 415
    assert not (project.root / "curate").exists()


def test_requests_have_a_bound_and_a_form(view: Served, project: Workspace) -> None:
    key = project.rows("answers")[0]["id"]
    assert view.say("/review", id=key, note="x" * (1 << 20)).status == 413
    for what in ({"id": key, "rating": 6}, {"id": key, "verdict": "perhaps"}, {"id": key, "unknown": 1}, {"id": "a_0"}):
        assert view.say("/review", **what).status == 409
    assert view.say("/review", id=project.rows("filter")[0]["id"], text={"kept": True}).status == 409
    assert view.say("/review", id=key, text={"answer": " "}).status == 409
    assert view.say("/review", id=project.rows("scores")[0]["id"], text={"score": 9}).status == 409
    assert view.ask("/review", body=b"{").status == 409
    assert view.ask("/nothing").status == 404
    assert view.ask("/whole/7", of=view.snapshot()).status == 409
    assert not (project.root / "curate").exists()


def test_it_listens_on_loopback_alone(view: Served) -> None:
    port = int(view.host.partition(":")[2])
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert [each for each in listening if each.endswith(f":{port:04X}") and each.startswith("00000000")] == []
    assert f"0100007F:{port:04X}" in listening
    others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "::1"}
    for address in others:
        with pytest.raises(ConnectionError), socket.create_connection((address, port), timeout=5):
            pass


def test_the_token_stands_in_no_command_line(browser: Browser, project: Workspace) -> None:
    """Other users see these. What a browser is given is a file that they cannot read, which is gone at the end."""
    told, script = project.root / "told", project.root / "browser"
    script.write_text(f'#!/bin/sh\necho "$@" > {told}.part\nmv {told}.part {told}\n')
    script.chmod(0o755)
    with project.start("view", "sports", environment={"BROWSER": f"{script} %s"}) as process:
        assert process.stdout is not None
        view = Served(process, process.stdout.readline().strip())
        while not told.exists():
            assert view.ask("/said").status == 200
        place = told.read_text().strip()
        file = Path(url2pathname(urlsplit(place).path))
        assert view.token not in place
        assert stat.filemode(file.stat().st_mode) == "-rw-------"
        with browser.visit(place) as opened:
            opened.tab.wait_for_selector("#hands")
            assert opened.tab.url.startswith(view.address)
            opened.tab.goto("about:blank")
            opened.asked.clear()  # the file, and the page that it leads to
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert (process.returncode, file.exists()) == (0, False)


def test_on_the_port_of_http_browsers_leave_it_out(project: Workspace) -> None:
    with project.start("view", "sports", "--no-browser", "--port", "80") as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            pytest.skip(f"not here: {process.communicate()[1]}")
        view = Served(process, address)
        plain = {"Host": "127.0.0.1", "Origin": "http://127.0.0.1"}
        assert view.ask("/", plain).status == 200
        assert view.say("/review", plain, id=project.rows("answers")[0]["id"], note="so").status == 200
        assert view.ask("/", {"Host": "127.0.0.1:81"}).status == 403
        process.kill()


def test_ctrl_c_ends_it_well_and_a_taken_port_is_a_sentence(view: Served, project: Workspace) -> None:
    port = view.host.partition(":")[2]
    done = project.raw("view", "sports", "--port", port, "--no-browser")
    assert (done.status, done.stdout) == (2, "")
    assert f"port {port} cannot be had" in done.stderr
    assert project.raw("view", "--port", "99999", "--no-browser").status == 2
    assert project.raw("view", "nothing").status == 2
    (project.root / "outputs/alone").mkdir()
    shutil.copy(project.folder() / "tags.jsonl", project.root / "outputs/alone")
    alone = project.raw("view", "alone", "--no-browser")
    assert (alone.status, "does not say what its rows were made with" in alone.stderr) == (2, True)
    view.process.send_signal(signal.SIGINT)
    stdout, stderr = view.process.communicate(timeout=60)
    assert (view.process.returncode, stdout) == (0, "")
    assert "until Ctrl-C" in stderr


def test_a_server_that_is_killed_while_it_writes_leaves_whole_files(project: Workspace) -> None:
    answered = set[str]()
    for number in range(ROUNDS):
        answered |= _answered_until_killed(project, number)
    folder = project.root / "curate/sports"
    text = (folder / "reviews.jsonl").read_text()
    assert text.endswith("\n")
    notes = [json.loads(line)["note"] for line in text.splitlines()]
    assert {len(note.partition("x")[2]) for note in notes} == {LONG}
    assert answered <= {note.partition(" ")[0] for note in notes}
    tree = read_tree(folder / "tree.yaml", "sports")
    assert tree is not None
    assert all(shown.startswith("Name ") for shown in tree.rename.values())


def _answered_until_killed(project: Workspace, number: int) -> set[str]:
    """What was said of a row, and answered, until a server was killed at some moment of its work."""
    key, tag = project.rows("answers")[0]["id"], project.rows("tags")[0]["id"]
    with served(project, "sports") as view, ThreadPoolExecutor(2) as writers:
        of, begun = view.snapshot(), (Event(), Event())

        def say_until_killed(place: str, about: str, is_begun: Event, what: Callable[[int], dict[str, str]]) -> int:
            for done in itertools.count():
                body = {"id": about, "of": of} | what(done)
                try:
                    assert view.ask(place, body=json.dumps(body).encode()).status == 200
                except (OSError, HTTPException):
                    return done
                is_begun.set()
            raise AssertionError

        notes = writers.submit(
            say_until_killed, "/review", key, begun[0], lambda done: {"note": f"{number}.{done} x{'-' * LONG}"}
        )
        names = writers.submit(say_until_killed, "/tag", tag, begun[1], lambda done: {"rename": f"Name {done}"})
        assert all(each.wait(timeout=60) for each in begun), (notes, names)
        view.process.kill()
        assert names.result(timeout=60) > 0
        return {f"{number}.{done}" for done in range(notes.result(timeout=60))}


def test_the_rows_of_a_build_at_work_are_shown_and_reviewed(project: Workspace) -> None:
    assert project.server is not None
    with served(project) as view:
        key, of = project.rows("answers")[0]["id"], view.snapshot()
        assert view.ask("/said", of=of).document["building"] is False
        project.server.hold_from(project.server.count)
        with start(project, *LINE, "questions_per_tag=5") as process:
            project.server.wait_for(project.server.count + 1)
            told = view.ask("/said", of=of).document
            assert (told["building"], told["old"]) == (True, False)
            assert view.say("/review", id=key, verdict="reject").status == 200
            project.server.release()
            process.communicate(timeout=60)
        told = view.ask("/said", of=of).document
        assert (told["building"], told["old"], told["waiting"]) == (False, True, 1)


def test_what_is_said_of_a_sweeps_job_is_said_of_its_dataset(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        project = Workspace(tmp_path, server)
        line = ("topic=sports", "depth=1", "breadth=1,2", "questions_per_tag=2", "-m", "-q")
        assert project.run(*line).status == 0
        (job,) = project.folder().glob("sweeps/*/*breadth=2*")
        key = json.loads((job / "answers.jsonl").read_text().splitlines()[0])["id"]
        with served(project, "-o", str(job.relative_to(project.root))) as view:
            assert view.say("/review", id=key, verdict="reject").status == 200
        assert (project.root / "curate/sports/reviews.jsonl").exists()
        assert project.run(*line).status == 0
    jobs = project.folder().glob("sweeps/*/*breadth=2*/answers.jsonl")
    rows = [json.loads(line) for rows in jobs for line in rows.read_text().splitlines()]
    assert [row["id"] for row in rows if row.get("review") == "reject"] == [key], "a sweep of these is another one"


def test_comments_in_a_tree_stay_and_come_back(view: Served, project: Workspace) -> None:
    file, tags = project.root / "tree.yaml", project.rows("tags")
    before = "# mine\nrename:  # labels\n  Nothing: Something  # so\n"
    file.write_text(before)
    step = view.say("/tag", id=tags[0]["id"], exclude=True).document["step"]
    assert "# mine" in file.read_text()
    assert tags[0]["label"] in file.read_text()
    assert view.say("/undo", step=step).status == 409, "it takes a step and nothing else"
    assert view.ask("/undo", body=json.dumps({"step": step}).encode()).status == 200
    assert file.read_text() == before
    step = view.say("/tag", id=tags[0]["id"], exclude=True).document["step"]
    file.write_text(file.read_text() + "breadth: 9  # mine, too\n")
    assert undo(view, step).status == 200
    assert file.read_text() == before + "breadth: 9  # mine, too\n", "what was said since stays"


def test_a_step_is_undone_though_another_tab_changed_another_tag(view: Served, project: Workspace) -> None:
    first, second = (row for row in project.rows("tags") if not row["leaf"])
    one = view.say("/tag", id=first["id"], exclude=True).document["step"]
    other = view.say("/tag", id=second["id"], rename="Team games").document["step"]
    assert undo(view, one).status == 200
    tree = read_tree(project.root / "curate/sports/tree.yaml", first["path"][0])
    assert tree is not None
    assert (tree.exclude, tree.rename) == ((), {second["label"]: "Team games"})
    gone = undo(view, one)
    assert (gone.status, b"there is nothing to undo" in gone.body) == (410, True)
    last = view.say("/tag", id=second["id"], rename="Sport in teams").document["step"]
    since = undo(view, other)
    assert (since.status, b"something else has been said of it since" in since.body) == (410, True)
    assert [undo(view, step).status for step in (last, other)] == [200, 200], "its turn has come"
    assert (project.root / "curate/sports/tree.yaml").read_text() == ""


def test_a_step_that_cannot_be_taken_back_now_can_be_later(view: Served, project: Workspace) -> None:
    steps = [
        view.say("/tag", id=project.rows("tags")[0]["id"], rename="Ball sports").document["step"],
        view.say("/item", stage="questions", tag=project.rows("tags")[1]["id"], text="Mine?").document["step"],
        view.say("/review", id=project.rows("answers")[0]["id"], verdict="reject").document["step"],
    ]
    with read_only(project.root / "curate"):
        assert [undo(view, step).status for step in steps] == [503, 503, 503]
    assert [undo(view, step).status for step in steps] == [200, 200, 200]
    assert view.ask("/said", of=view.snapshot()).document["waiting"] == 0


def test_what_is_said_of_an_edited_row_whose_review_is_gone_applies(view: Served, project: Workspace) -> None:
    """What the model wrote is no longer known here, so it is said of whatever it wrote."""
    first, second = (row["id"] for row in project.rows("answers")[:2])
    for key in (first, second):
        assert view.say("/review", id=key, text={"answer": "Mine."}).status == 200
    assert build(project, RULE) == 1
    (project.root / "curate/sports/reviews.jsonl").unlink()
    assert view.say("/review", id=first, verdict="accept").status == 200
    assert view.say("/review", id=second, text={"reasoning": "Since."}).status == 200
    assert build(project, RULE) == 1
    assert [row["answer"] for row in project.rows("answers")[:2]] == ["Mine.", "Mine."]
    assert project.rows("answers")[1]["reasoning"] == "Since."


def test_what_no_build_would_take_beside_a_question_is_refused(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        project = Workspace(tmp_path, server)
        line = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "answer.kind=label", "-q")
        labels = "answer.labels=[yes,no]"
        project.run(*line, labels)
        with served(project) as view:
            tag = project.rows("tags")[0]["id"]
            for given, told in (
                ({"answer": "perhaps"}, "answer is one of yes, no, not 'perhaps'"),
                ({"reasoning": "So."}, "reasoning goes with an answer"),
                ({"text": " "}, "each line has a text question"),
            ):
                refused = view.say("/item", **{"stage": "questions", "tag": tag, "text": "Is it?"} | given)
                assert (refused.status, told in refused.body.decode()) == (409, True)
            assert not (project.root / "curate").exists()
            assert view.say("/item", stage="questions", tag=tag, text="Is it?", answer="yes").status == 200
        assert project.run("plan", *line, labels).status == 0


def test_what_is_said_is_held_to_what_holds_at_its_tag(tmp_path: Path) -> None:
    with ScriptedServer(plan=lambda _, body: content("no") if classify(body) == "answers" else None) as server:
        project = Workspace(tmp_path, server)
        line = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "answer.kind=label", "-q")
        labels = "answer.labels=[yes,no,maybe]"
        project.run(*line, labels)
        first, second = project.rows("tags")
        tree = {"about": {first["label"]: {"answer": {"labels": ["yes", "no"]}}}, "rename": {first["label"]: "First"}}
        (tmp_path / "tree.yaml").write_text(json.dumps(tree))
        assert project.run(*line, labels).status == 0
        rows = {row["tag"]: row["id"] for row in project.rows("answers")}
        with served(project) as view:
            for tag, status in ((first["id"], 409), (second["id"], 200)):
                item = view.say("/item", stage="questions", tag=tag, text="Is it?", answer="maybe")
                edit = view.say("/review", id=rows[tag], text={"answer": "maybe"})
                assert (item.status, edit.status) == (status, status)
                assert status == 200 or b"answer is one of yes, no, not" in item.body
        assert project.run(*line, labels).status == 0


def test_before_there_is_a_version_the_rows_so_far_are_shown(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        project = Workspace(tmp_path, server)
        server.hold_from(3 + 2)  # the lists, and two answers
        line = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
        with start(project, *line, "limits.concurrency=1") as process:
            server.wait_for(3 + 3)
            with served(project) as view:
                of, page = view.snapshot(), view.ask("/").body.decode()
                assert "which has not come to its end" in page
                key = re.findall(rb'"(a_[0-9a-f]+)"', view.ask("/facts/0", of=of).body)[0].decode()
                assert view.say("/review", id=key, verdict="reject").status == 200
            server.release()
            process.communicate(timeout=60)
        assert project.run(*line, "-q").status == 0
        assert [row["id"] for row in project.rows("answers") if row.get("review") == "reject"] == [key]


def test_what_a_model_or_a_person_wrote_runs_in_no_page_with_hands(browser: Browser, tmp_path: Path) -> None:
    with ScriptedServer(plan=hostile_reply) as server:
        project = Workspace(tmp_path, server)
        done = project.run(f"topic={TOPIC}", "name=hostile", "depth=1", "breadth=3", "questions_per_tag=6", "-q")
        assert done.status == 0, done.stderr
    text = "\n".join(each.replace("\x00", "") for each in HOSTILE)
    with served(project) as view:
        lines = (project.folder("hostile") / "answers.jsonl").read_text().rstrip("\n").split("\n")
        tags = project.rows("tags", "hostile")
        key = json.loads(lines[0])["id"]
        assert view.say("/review", id=key, note=text, tags=[text], text={"answer": text}).status == 200
        assert view.say("/item", stage="questions", tag=tags[0]["id"], text=text + "x" * 300).status == 200
        assert view.say("/tag", id=tags[0]["id"], rename=HOSTILE[0]).status == 200
        assert view.say("/tag", id=tags[1]["id"], exclude=True).status == 200
        with browser.visit(view.address, key) as opened:
            opened.tab.evaluate("() => { window.ran = (how) => { window.wasRun = how; }; }")
            opened.tab.wait_for_selector("#panel .note")
            opened.tab.click(f"#panel .row-card[data-id='{key}'] [data-do=text]")
            assert opened.tab.input_value("#panel textarea[name=answer]") == text
            opened.tab.keyboard.press("Escape")
            opened.tab.keyboard.press("Escape")
            opened.show("tree")
            opened.tab.wait_for_selector("#own-items li")
            assert not opened.is_wider_than_its_window
            assert opened.tab.evaluate("() => window.wasRun") is None
            assert opened.tab.query_selector_all("img, iframe, svg, [srcdoc], [onerror], [onload], [onclick]") == []
