"""tree.yaml: tags by hand stand beside a model's, and what a person says of a tag asks for nothing beside it."""

import json
import re
import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from distill_build.curate.tree_changes import Exclude, Include
from distill_build.curate.writing import amend_tree
from tests.e2e.test_only_what_is_affected import InProcess, kind_of, place_of
from tests.server import Body, Fault, ScriptedServer, content

WORDS = ("Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel")
SMALL = (
    "topic=sports",
    "depth=2",
    "breadth=3",
    "questions_per_tag=2",
    "per_request.tags=2",
    "per_request.questions=2",
    "stages=[tags,questions,answers]",
)
LEVEL_1 = ["Alpha sports", "Bravo sports", "Charlie sports"]
Asked = list[tuple[str, str]]


def by_place(_: int, body: Body) -> Fault | None:
    """The next items of a list that is another one at each place."""
    kind, place = kind_of(body), place_of(body)
    if kind == "answers":
        return None
    text = body["messages"][-1]["content"]
    there = len(re.findall(r"^- ", text, re.MULTILINE))
    shown = re.search(r"^Already there: (.+)$", text, re.MULTILINE)
    there += len(shown[1].split("; ")) if shown else 0
    parent = place.split(" > ")[-1]
    what = "{} {}" if kind == "tags" else "What is the {} thing of {}?"
    return content(json.dumps({kind: [what.format(word, parent) for word in WORDS[there : there + 2]]}))


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.plan = by_place
    return InProcess(tmp_path, server)


def says(project: InProcess, text: str, place: str = "tree.yaml") -> None:
    file = project.root / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def built(project: InProcess, *words: str) -> Asked:
    """Builds, and returns kind and place of each request: as many as the plan said, where it was sure."""
    plan = project.run("plan", "--json", *SMALL, *words).document
    assert project.server is not None
    project.server.reset()
    project.server.plan = by_place
    finished = project.run(*SMALL, *words)
    assert finished.status == 0, finished.stderr
    asked = [(kind_of(request.body), place_of(request.body)) for request in project.server.requests]
    assert len(asked) == plan["calls"] or not plan["exact"]
    return asked


def paths(project: InProcess, artefact: str = "tags") -> list[str]:
    return ["/".join(row["path"][1:]) for row in project.rows(artefact)]


def level_1(project: InProcess) -> list[str]:
    return [row["label"] for row in project.rows("tags") if row["level"] == 1]


def below(asked: Asked, kind: str, label: str) -> Asked:
    return [each for each in asked if each[0] == kind and label in each[1]]


def test_a_renamed_tag_keeps_all_below_and_asks_nothing(project: InProcess) -> None:
    built(project)
    before = {name: project.rows(name) for name in ("tags", "questions", "answers")}
    bytes_before = project.data()
    says(project, "rename: {Bravo sports: Team games}\n")
    assert built(project) == []
    for name, rows in before.items():
        now = project.rows(name)
        assert [row["id"] for row in now] == [row["id"] for row in rows]
        for row, old in zip(now, rows, strict=True):
            assert row["path"] == ["Team games" if label == "Bravo sports" else label for label in old["path"]]
    renamed = {row["label"]: row["renamed_from"] for row in project.rows("tags") if row["renamed_from"]}
    assert renamed == {"Team games": "Bravo sports"}
    exported = (project.folder() / "dataset" / "train.messages.jsonl").read_text(encoding="utf-8")
    assert "Team games" in exported
    says(project, "rename: {}\n")
    assert built(project) == []
    assert project.data() == bytes_before


def test_a_rename_is_of_a_label_in_any_case_and_may_change_case_alone_or_swap_two(
    project: InProcess,
) -> None:
    built(project)
    for text, shown in (
        ("rename: {bravo SPORTS: Team games}\n", ["Alpha sports", "Team games", "Charlie sports"]),
        ("rename: {Bravo sports: BRAVO SPORTS}\n", ["Alpha sports", "BRAVO SPORTS", "Charlie sports"]),
        ("rename: {Bravo sports: Alpha sports, Alpha sports: Bravo sports}\n", ["Bravo sports", "Alpha sports"]),
    ):
        says(project, text)
        assert built(project) == []
        assert level_1(project)[: len(shown)] == shown
        assert len(level_1(project)) == 3


def test_what_grows_below_a_renamed_tag_is_asked_for_by_the_models_own_label(project: InProcess) -> None:
    built(project)
    says(project, "rename: {Bravo sports: Team games}\n")
    asked = built(project, "questions_per_tag=3")
    assert {kind for kind, _ in asked} == {"questions", "answers"}
    assert len(below(asked, "questions", "Bravo sports")) == 3
    assert below(asked, "questions", "Team games") == []


def test_an_excluded_branch_is_gone_and_comes_back_for_nothing(project: InProcess) -> None:
    built(project)
    before = project.data()
    says(project, "exclude: [bravo SPORTS]\n")
    assert built(project) == []
    assert level_1(project) == ["Alpha sports", "Charlie sports"]
    assert len(project.rows("answers")) == 2 * 3 * 2
    (project.root / "tree.yaml").unlink()
    assert built(project) == []
    assert project.data() == before


def test_an_excluded_tag_keeps_its_place_in_breadth_and_costs_nothing_from_the_start(project: InProcess) -> None:
    says(project, "exclude: [Bravo sports]\n")
    asked = built(project)
    assert below(asked, "questions", "Bravo sports") == []
    assert level_1(project) == ["Alpha sports", "Charlie sports"]
    (project.root / "tree.yaml").unlink()
    assert {place for kind, place in built(project) if kind == "tags"} == {"sports > Bravo sports"}


BY_HAND = "tags: {Golf: {questions_per_tag: 3, tags: [Putting]}, Chess: {}}\n"


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        (BY_HAND, ("golf",)),
        (BY_HAND, ("Golf", "Putting")),
        ("only: true\n" + BY_HAND, ("Chess",)),
        ("tags: [Golf, Chess, Alpha sports]\n", ("Golf",)),
        ("tags: {Golf: {only: true, tags: [Putting]}}\n", ("Golf", "Putting")),
        ("about: {Alpha sports: {tags: [Golf]}}\n", ("Alpha sports", "Golf")),
    ],
)
def test_a_tag_by_hand_that_is_thrown_out_keeps_its_place_and_comes_back_for_nothing(
    project: InProcess, tree: str, path: tuple[str, ...]
) -> None:
    says(project, tree)
    built(project)
    before, tags = project.data(), project.rows("tags")
    gone = [row["id"] for row in tags if " > ".join(row["path"][1:]).casefold().startswith(" > ".join(path).casefold())]
    assert gone
    with chdir(project.root):
        amend_tree("sports", "sports", [Exclude(path)])
    assert built(project) == []
    assert [row for row in project.rows("tags") if row["id"] in gone] == []
    assert project.rows("tags") == [row for row in tags if row["id"] not in gone], "the others keep their numbers"
    assert project.run("--json", *SMALL).document["missing"] == {"tags": 0, "questions": 0, "answers": 0}
    assert project.raw("verify", "sports").status == 0
    with chdir(project.root):
        amend_tree("sports", "sports", [Include(path)])
    assert built(project) == []
    assert project.data() == before


def test_a_tag_by_hand_that_is_excluded_costs_nothing_from_the_start(project: InProcess) -> None:
    says(project, BY_HAND + "exclude: [Golf]\n")
    assert not any("Golf" in place for _, place in built(project))
    assert level_1(project) == ["Chess", "Alpha sports"]
    assert project.run("--json", *SMALL).document["missing"] == {"tags": 0, "questions": 0, "answers": 0}


def test_ones_own_questions_below_a_tag_by_hand_that_is_excluded_are_told(project: InProcess) -> None:
    says(project, BY_HAND + "exclude: [Golf]\n")
    says(project, '{"question": "Who?", "path": "Golf/Putting"}\n', "questions.jsonl")
    told = project.run("--json", *SMALL).document["unmatched"]
    assert [sentence.partition(":")[2].partition(":")[0] for sentence in told] == [
        " exclude Golf leaves out 1 question of your own below sports / Golf"
    ]
    assert "Golf" not in level_1(project)


def test_what_would_leave_nothing_is_refused_by_edit_before_it_writes(project: InProcess) -> None:
    tree = "only: true\ntags: {Golf: {only: true, tags: [Putting]}}\n"
    says(project, tree)
    built(project)
    tags = project.folder() / "tags.jsonl"
    tags.write_text(tags.read_text().splitlines(keepends=True)[0])
    refused = project.raw("edit")
    assert refused.status == 2
    assert "nothing would be left below sports: keep a tag, or add a question of your own first" in refused.stderr
    assert (project.root / "tree.yaml").read_text() == tree
    with (project.folder() / "questions.jsonl").open("a") as file:
        file.write('{"question": "What is sport?"}\n')
    assert project.raw("edit").status == 0
    assert built(project) == [("answers", "What is sport?")]


def test_tags_by_hand_come_first_count_towards_breadth_and_ask_for_what_is_below_them_alone(project: InProcess) -> None:
    built(project)
    rows = project.rows("questions")
    says(project, "tags: {Ball games: {tags: {Tennis: {}}}}\n")
    asked = built(project)
    assert level_1(project) == ["Ball games", "Alpha sports", "Bravo sports"]
    assert paths(project)[:4] == [
        "Ball games",
        "Ball games/Tennis",
        "Ball games/Alpha Ball games",
        "Ball games/Bravo Ball games",
    ]
    assert all("Ball games" in place for kind, place in asked if kind != "answers")
    kept = [row for row in rows if "Charlie sports" not in row["path"]]
    assert project.rows("questions")[-len(kept) :] == kept


def test_a_models_own_tag_by_hand_asks_for_what_a_person_says_of_it_alone(project: InProcess) -> None:
    built(project)
    says(project, "tags: {Charlie sports: {questions_per_tag: 3}}\n")
    asked = built(project)
    assert level_1(project) == ["Charlie sports", "Alpha sports", "Bravo sports"]
    assert {kind for kind, _ in asked} == {"questions", "answers"}
    assert len(asked) == len(below(asked, "questions", "Charlie sports")) + 3 == 6
    assert len(project.rows("questions")) == 3 * 3 * 2 + 3


def test_what_is_said_about_a_models_tag_leaves_it_where_it_is(project: InProcess) -> None:
    """Though every one of them is spoken of, and a repeat below an earlier one is dropped."""
    words = ("stages=[tags,questions,dedup,answers]", "dedup.near=0.3", "dedup.refill=0")
    built(project, *words)
    tags, questions, kept = paths(project), project.rows("questions"), project.rows("dedup")
    below = {label: {"rename": {f"Bravo {label}": f"Second {label}"}} for label in LEVEL_1}
    says(project, json.dumps({"about": below}))
    assert built(project, *words) == []
    assert paths(project) == [path.replace("/Bravo", "/Second") for path in tags]
    assert [row["id"] for row in project.rows("questions")] == [row["id"] for row in questions]
    assert project.rows("dedup") == kept
    assert {row["kept"] for row in kept} == {True, False}


def test_what_is_said_about_a_models_tag_holds_below_it(project: InProcess) -> None:
    built(project)
    before = project.rows("questions")
    says(project, "about: {charlie SPORTS: {questions_per_tag: 3, exclude: [Alpha Charlie sports], breadth: 4}}\n")
    asked = built(project)
    assert level_1(project) == LEVEL_1
    assert {kind for kind, _ in asked} == {"questions", "answers"}
    assert all("Charlie sports" in place for kind, place in asked if kind != "answers")
    assert len(project.rows("questions")) == 2 * 3 * 2 + 3 * 3
    assert project.rows("questions")[: 2 * 3 * 2] == before[: 2 * 3 * 2]
    assert project.raw("verify", "sports").status == 0
    assert project.run("--locked", *SMALL).status == 0


def test_what_is_said_about_a_tag_that_is_not_there_is_told(project: InProcess) -> None:
    says(project, "about: {Chess: {exclude: [Openings]}}\n")
    finished = project.run("--json", *SMALL)
    assert finished.status == 0
    assert finished.document["unmatched"] == ["tree.yaml: about Chess: sports has no such tag"]


def test_what_is_said_of_children_of_a_leaf_is_told(project: InProcess) -> None:
    says(project, "tags: {Golf: {depth: 0, exclude: [Putting], about: {Holes: {}}}}\n")
    assert project.run("--json", *SMALL).document["unmatched"] == [
        "tree.yaml: exclude Putting: sports / Golf has no such tag",
        "tree.yaml: about Holes: sports / Golf has no such tag",
    ]


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ("only: true\ntags: [Golf, Chess]\nexclude: [golf, Chess]\n", 3),
        ("only: true\ntags: {Golf: {only: true, tags: [Putting], exclude: [Putting]}}\n", 2),
    ],
)
def test_a_tree_of_which_all_is_excluded_is_refused_with_its_line(project: InProcess, tree: str, line: int) -> None:
    says(project, tree)
    refused = project.run("plan", *SMALL)
    assert refused.status == 2
    assert f"tree.yaml, line {line}: exclude leaves nothing below sports: take a label out of it" in refused.stderr


@pytest.mark.parametrize("key", ["only: true", "depth: 0"])
def test_a_tree_with_nothing_in_it_is_refused_with_its_line(project: InProcess, key: str) -> None:
    says(project, f"# ours\n{key}\nexclude: [Chess]\n")
    for words in (("plan",), ()):
        refused = project.run(*words, *SMALL)
        assert refused.status == 2
        assert f"tree.yaml, line 2: `{key}` leaves nothing below sports: name its tags" in refused.stderr
    assert not project.folder().exists()


def test_a_branch_that_has_no_place_any_more_is_named_before_it_goes(project: InProcess) -> None:
    built(project)
    says(project, "tags: [Golf]\nabout: {Alpha sports: {breadth: 2}}\n")
    planned, document = project.run("plan", *SMALL), project.run("plan", "--json", *SMALL).document
    assert "gone with all below: Alpha sports / Charlie Alpha sports; Charlie sports; " in planned.stderr
    assert document["leaving"] == [
        ["sports", "Alpha sports", "Charlie Alpha sports"],
        ["sports", "Charlie sports"],
    ]
    finished = project.run(*SMALL)
    assert "gone with all below: Alpha sports / Charlie Alpha sports; Charlie sports; " in finished.stderr
    assert "Charlie sports" not in level_1(project)


def test_no_branch_is_said_to_go_that_may_come_again(project: InProcess) -> None:
    built(project)
    assert project.run("plan", "--json", *SMALL, "tagger.temperature=0.9").document["leaving"] == []
    assert project.run("plan", "--json", *SMALL, "questions_per_tag=1").document["leaving"] == []


def test_with_only_there_are_no_tags_but_those_by_hand(project: InProcess) -> None:
    says(project, "only: true\ntags: [Tennis, Golf]\n")
    asked = built(project)
    assert level_1(project) == ["Tennis", "Golf"]
    assert ("tags", "sports") not in asked
    assert len(project.rows("tags")) == 2 + 2 * 3


def test_a_tag_by_hand_below_the_depth_is_a_leaf_of_its_own(project: InProcess) -> None:
    says(project, "only: true\ntags: {Tennis: {only: true, tags: {Serve: {tags: [Ace]}}}, Golf: {depth: 0}}\n")
    built(project)
    assert paths(project) == ["Tennis", "Tennis/Serve", "Tennis/Serve/Ace", "Golf"]
    assert [row["leaf"] for row in project.rows("tags")] == [False, False, True, True]
    assert sorted(set(paths(project, "questions"))) == ["Golf", "Tennis/Serve/Ace"]


def test_breadth_depth_and_description_hold_for_a_part_of_the_tree(project: InProcess) -> None:
    text = "tags: {Golf: {depth: 2, breadth: [2, 1], description: played on grass}}\n"
    says(project, "only: true\n" + text)
    built(project)
    assert paths(project) == [
        "Golf",
        "Golf/Alpha Golf",
        "Golf/Alpha Golf/Alpha Alpha Golf",
        "Golf/Bravo Golf",
        "Golf/Bravo Golf/Alpha Bravo Golf",
    ]
    assert project.server is not None
    lists = [str(request.body) for request in project.server.requests if kind_of(request.body) != "answers"]
    assert lists
    assert all("played on grass" in text for text in lists)


def test_growth_keeps_what_is_beside_tags_by_hand(project: InProcess) -> None:
    says(project, "tags: {Golf: {}}\nrename: {Alpha sports: First}\nexclude: [Bravo sports]\n")
    built(project)
    before = project.data()
    ids = {row["id"] for name in ("tags", "questions", "answers") for row in project.rows(name)}
    asked = built(project, "breadth=5")
    assert all("Alpha sports" not in place for kind, place in asked if kind == "tags" and place.count(" > ") > 1)
    assert ids <= {row["id"] for name in ("tags", "questions", "answers") for row in project.rows(name)}
    assert level_1(project) == ["Golf", "First", "Charlie sports", "Delta sports"]
    assert built(project) == []
    assert project.data() == before


def test_no_other_tag_has_the_name_that_a_person_gave_one(project: InProcess) -> None:
    says(project, "rename: {Alpha sports: Charlie sports}\n")
    built(project)
    assert level_1(project) == ["Charlie sports", "Bravo sports"]


def test_a_file_for_another_topic_is_another_datasets(project: InProcess) -> None:
    says(project, "topic: chess\nonly: true\ntags: [Openings]\n")
    built(project)
    assert level_1(project) == LEVEL_1


def test_the_datasets_own_folder_comes_before_the_root(project: InProcess) -> None:
    says(project, "only: true\ntags: [Golf]\n")
    says(project, "only: true\ntags: [Tennis]\n", "curate/sports/tree.yaml")
    built(project)
    assert level_1(project) == ["Tennis"]


def test_a_changed_tree_is_told_as_the_cause_and_refused_by_locked(project: InProcess) -> None:
    built(project)
    built(project)
    says(project, "# what we do not want\nexclude: [Bravo sports]\n")
    assert "tree.yaml" in project.run("explain", *SMALL).stdout
    refused = project.run("--locked", *SMALL)
    assert refused.status == 4
    built(project)
    assert project.run("--locked", *SMALL).status == 0
    lock = (project.folder() / "distill.lock").read_text(encoding="utf-8")
    assert "tree.yaml" in lock
    says(project, "exclude: [Bravo sports]  # for they are dull\n")
    again = project.run("--locked", *SMALL)
    assert again.status == 0


def test_the_files_of_another_machine_give_the_same_bytes(project: InProcess) -> None:
    says(project, "tags: {Golf: {}}\nrename: {Alpha sports: First}\nexclude: [Bravo sports]\n")
    built(project)
    before = project.data()
    shutil.rmtree(project.folder())
    assert built(project, "limits.concurrency=1") == []
    assert project.data() == before


def test_a_list_that_has_no_more_to_give_is_not_asked_again_where_nothing_is_lacking(project: InProcess) -> None:
    says(project, "tags: {Golf: {}}\n")
    assert project.server is not None

    def two_of_each(number: int, body: Body) -> Fault | None:
        kind, text = kind_of(body), body["messages"][-1]["content"]
        return content('{"tags": ["Alpha", "Bravo"]}') if kind == "tags" and "Alpha" in text else by_place(number, body)

    project.server.plan = two_of_each
    assert project.run(*SMALL, "depth=1").status == 0
    assert level_1(project) == ["Golf", "Alpha sports", "Bravo sports"]
    project.server.reset()
    shutil.rmtree(project.folder() / "runs")
    assert project.run(*SMALL, "depth=1").status == 0
    assert project.server.requests == []


def test_names_that_match_nothing_are_told_by_plan_and_by_every_build(project: InProcess) -> None:
    built(project)
    says(project, "exclude: [Chess, Bravo sports]\ntags: {Golf: {rename: {Putting: The putt}}}\n")
    told = {
        "tree.yaml: exclude Chess: sports has no such tag",
        "tree.yaml: rename Putting: sports / Golf has no such tag",
    }
    for _ in range(2):  # the second one has nothing to do
        finished = project.run("--json", *SMALL)
        assert finished.status == 0
        assert set(finished.document["unmatched"]) == told
        assert all(sentence in " ".join(finished.stderr.split()) for sentence in told)
    assert set(project.run("plan", "--json", *SMALL).document["unmatched"]) == told


SHAPES = {
    "nothing by hand": "",
    "excluded in between": "exclude: [Bravo sports]\n",
    "renamed to what a model has": "rename: {bravo SPORTS: Charlie sports, Alpha sports: '2024: games'}\n",
    "said about a model's": "about: {charlie SPORTS: {exclude: [Alpha Charlie sports]}, Chess: {depth: 0}}\n",
    "beside a model's": "tags: {Golf: {}, Charlie sports: {tags: [Fencing]}}\nabout: {Alpha sports: {depth: 0}}\n",
    "in the place of all": "tags: [Golf, Tennis, Chess, Rugby]\n",
    "by hand and excluded": "tags: {Golf: {tags: [Holes]}, Chess: {}, Go: {}}\nexclude: [chess, Delta sports]\n",
    "by hand, and the last one excluded": "only: true\ntags: {Alpha: {}, Golf: {depth: 0}}\nexclude: [Golf]\n",
    "only": "only: true\ntags: {Golf: {only: true, tags: [Holes]}, Tennis: {description: 'Two\\n\\nlines: of it'}}\n",
    "of another size": "breadth: [2, 1]\nquestions_per_tag: 1\nabout: {Alpha sports: {breadth: 3, depth: 2}}\n",
}
OWN = """\
{"question": "What is sport?"}
{"question": "Who wins?", "path": "Board games/Go"}
{"question": "What is a rule?", "path": "Alpha sports/Alpha Alpha sports/Rules"}
{"question": "What is a hole?", "path": "Golf"}
{"question": "Who is Bravo?", "path": "Bravo sports"}
"""


@pytest.mark.parametrize("own", [pytest.param("", id="without questions"), pytest.param(OWN, id="with questions")])
@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_a_tree_that_was_printed_asks_nothing_and_changes_nothing(project: InProcess, text: str, own: str) -> None:
    says(project, text)
    says(project, own, "questions.jsonl")
    built(project)
    before = project.data()
    says(project, "")  # as a shell leaves the file to which it sends the output
    printed = project.raw("tree", "sports", "--yaml").stdout
    says(project, printed)
    assert built(project) == []
    assert lines_of(project.data()) == lines_of(before)
    assert project.raw("tree", "sports", "--yaml").stdout == printed
    says(project, "exclude: [Openings]\n", "curate/chess/tree.yaml")
    built(project, "topic=chess")
    assert "Alpha chess" in (project.root / "outputs/chess/tags.jsonl").read_text(encoding="utf-8")


def lines_of(data: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in data.items() if name.endswith(".jsonl")}


def test_a_tree_is_printed_as_it_was_made_and_what_differs_is_told(project: InProcess) -> None:
    says(project, "exclude: [Bravo sports]\n")
    built(project)
    says(project, "exclude: [Alpha sports]\n")
    printed = project.raw("tree", "sports", "--yaml")
    assert "exclude:\n- Bravo sports\n" in printed.stdout
    assert "tree.yaml says something else by now" in printed.stderr
    for file in ("runs/state.json", "distill.lock"):  # rows that were sent alone
        (project.folder() / file).unlink()
        assert "exclude:\n- Alpha sports\n" in project.raw("tree", "sports", "--yaml").stdout


CONTENTS = """\
# Sport and play

1. Ball games ......... 12
   1.1 Tennis           14
   1.2 **Football**     20
2. Swimming: ......... 31

## Board games
- Chess
  - Openings
- Go
"""


def test_a_books_contents_make_a_tree(project: InProcess) -> None:
    (project.root / "contents.md").write_text(CONTENTS, encoding="utf-8")
    printed = project.raw("tree", "--from", "contents.md")
    assert printed.status == 0, printed.stderr
    says(project, printed.stdout)
    built(project, "depth=1", "questions_per_tag=1")
    assert paths(project) == [
        "Ball games",
        "Ball games/Tennis",
        "Ball games/Football",
        "Swimming",
        "Board games",
        "Board games/Chess",
        "Board games/Chess/Openings",
        "Board games/Go",
    ]
    assert project.server is not None
    assert all(kind_of(request.body) != "tags" for request in project.server.requests)


def test_what_makes_no_tree_is_told(project: InProcess) -> None:
    (project.root / "empty.md").write_text("\n", encoding="utf-8")
    assert "there is no line in it" in project.raw("tree", "--from", "empty.md").stderr
    assert "cannot be read" in project.raw("tree", "--from", "nowhere.md").stderr


def test_a_tag_that_is_added_or_moved_is_the_cause_that_is_named(project: InProcess) -> None:
    built(project)
    says(project, "tags: [Golf]\n")
    told = " ".join(project.run("plan", *SMALL).stderr.split())
    assert "tree.yaml" in told
    assert "not in the cache" not in told
    refused = project.run("--locked", *SMALL)
    assert refused.status == 4
    assert "No setting" not in refused.stderr
    says(project, "tags: [Golf, Tennis]\n")
    built(project)
    says(project, "tags: [Tennis, Golf]\n")
    built(project)
    assert level_1(project)[:2] == ["Tennis", "Golf"]


def test_a_change_beside_a_label_that_yaml_takes_for_nothing_leaves_that_as_it_was_typed(project: InProcess) -> None:
    says(project, "tags: {Null: {}, ~: {}}\n")
    built(project)
    with chdir(project.root):
        amend_tree("sports", "sports", [Exclude(("Alpha sports",))])
    assert built(project) == []
    assert level_1(project) == ["Null", "~"]


def test_a_review_of_a_tag_says_where_tags_are_spoken_of(project: InProcess) -> None:
    built(project)
    says(project, json.dumps({"id": project.rows("tags")[0]["id"], "verdict": "reject"}) + "\n", "reviews.jsonl")
    assert "is a tag: say of it in tree.yaml" in " ".join(project.run(*SMALL).stderr.split())
