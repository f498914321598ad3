"""A leaf that goes on works through all of its segment once more: what a filter in it says counts once all the same."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, kind_of
from tests.e2e.test_refill import LINE, OneByOne
from tests.server import Body, Fault, ScriptedServer, content

BEFORE_DEDUP = (*LINE, "stages=[tags,questions,answers,filter,dedup]")
RULES = ("filter.min_words=6", "filter.max_words=6")


class AsLong(OneByOne):
    """Its answers have as many words as their questions."""

    def __call__(self, number: int, body: Body) -> Fault | None:
        if kind_of(body) == "answers":
            return content("so " * len(body["messages"][-1]["content"].split()))
        return super().__call__(number, body)


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.plan = AsLong()
    return InProcess(tmp_path, server)


def test_what_was_dropped_and_why_is_what_the_artefact_says(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*BEFORE_DEDUP, *RULES).status == 0
    assert server.kinds == {"tags": 1, "questions": 7, "answers": 7}, "one leaf has gone on"
    why = Counter(reason for row in project.rows("filter") for reason in row["why"])
    shutil.rmtree(project.folder())
    planned = project.run("plan", *BEFORE_DEDUP, *RULES, "--json").document
    assert planned["dropped"] == {"filter": why.total(), "dedup": 1}
    told = ", ".join(f"{reason} ({number})" for reason, number in sorted(why.items()))
    assert f"filter dropped {why.total()} rows: {told}" in project.run(*BEFORE_DEDUP, *RULES).stderr


def test_what_thresholds_would_keep_are_rows_of_the_artefact(project: InProcess) -> None:
    assert project.run(*BEFORE_DEDUP, *RULES).status == 0
    words = [row["words"] for row in project.rows("filter")]
    for _ in range(2):
        yields = project.run("plan", *BEFORE_DEDUP, *RULES, "--json").document["yields"]
        found = {int(value): rows for value, rows in yields["filter.min_words"].items()}
        assert found == {value: sum(value <= each <= 6 for each in words) for value in found}
        assert {found[5], found[6]} == {5, 3}
        shutil.rmtree(project.folder(), ignore_errors=True)  # the second one recalls nothing


def test_what_is_newly_dropped_is_named_once(project: InProcess) -> None:
    assert project.run(*BEFORE_DEDUP, "filter.min_words=1").status == 0
    before = {row["id"] for row in project.rows("filter") if row["kept"]}
    planned = project.run("plan", *BEFORE_DEDUP, *RULES, "--json").document["newly_dropped"]
    told = [row["id"] for row in project.run(*BEFORE_DEDUP, *RULES, "--json").document["newly_dropped"]]
    now = [row["id"] for row in project.rows("filter") if not row["kept"]]
    assert sorted(told) == sorted(before & set(now))
    assert planned == len(told) == 4
