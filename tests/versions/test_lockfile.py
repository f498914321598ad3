"""distill.lock: its text is pinned, every fact survives it, and what is not as it was written is noticed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from distill_build.dataset.lockfile import HEADING, Lock, facts_of, parse_lock, read_lock
from distill_build.errors import DifferenceError

FEW = settings(max_examples=60, deadline=None)
LOCK = Lock(
    version="ab" * 32,
    name="sports",
    until="dataset",
    stages={"tags": "t: list", "questions": "q: list of tags", "answers": "a: map of questions"},
    counts={"tags": 3, "questions": 2, "answers": 1},
    missing={"answers": 1},
    artefacts={"tags.jsonl": "01" * 32, "questions.jsonl": "02" * 32, "answers.jsonl": "03" * 32},
    exports={"train.messages.jsonl": "04" * 32},
    recipe=facts_of(
        {
            "answers": {
                "model": "teacher-1",
                "revision": None,
                "sampling": {"temperature": 0.0, "max_tokens": 800},
                "extra_body": {"top k": 5, "stop": ["。", '"\n'], "provider": {"order": []}},
                "send_seed": True,
                "prompt": {"en/answers.jinja": "Answer {{ question }}.\n"},
            },
            "tree": {"topic": "体育 “sports”", "depth": 2},
        }
    ),
)
GOLDEN = f"""\
{HEADING}\
scheme = 3
version = "abababababababababababababababababababababababababababababababab"
name = "sports"
until = "dataset"
stages.tags = "t: list"
stages.questions = "q: list of tags"
stages.answers = "a: map of questions"
counts.tags = 3
counts.questions = 2
counts.answers = 1
missing.answers = 1
artefacts."tags.jsonl" = "0101010101010101010101010101010101010101010101010101010101010101"
artefacts."questions.jsonl" = "0202020202020202020202020202020202020202020202020202020202020202"
artefacts."answers.jsonl" = "0303030303030303030303030303030303030303030303030303030303030303"
exports."train.messages.jsonl" = "0404040404040404040404040404040404040404040404040404040404040404"
recipe.answers.extra_body.provider.order = []
recipe.answers.extra_body.stop = ["。", "\\"\\n"]
recipe.answers.extra_body."top k" = 5
recipe.answers.model = "teacher-1"
recipe.answers.prompt."en/answers.jinja" = "sha256:764c031ced6dd6b1e725d6e59eff0d81ffcf0140c1c9a4d74f58035f7aadf210"
recipe.answers.sampling.max_tokens = 800
recipe.answers.sampling.temperature = 0.0
recipe.answers.send_seed = true
recipe.tree.depth = 2
recipe.tree.topic = "体育 “sports”"
digest = "7a05919885fd963216e207786ed19ef85b3856df21a857c9360eddab9a9c40a4"
"""

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "\x7f", "\x00", "\r\n", "\u2028", "=======", '"""', "\\", "a.b", "#"]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=12
)


def test_the_text_of_a_lock_is_pinned() -> None:
    """What is committed to people's repositories may change with the scheme alone."""
    assert LOCK.encode() == GOLDEN
    assert parse_lock(GOLDEN, "it") == LOCK


def test_a_lock_has_one_fact_a_line() -> None:
    facts = LOCK.encode().removeprefix(HEADING).splitlines()
    assert all(re.fullmatch(r'[\w."/ -]+ = \S.*', fact) for fact in facts)
    assert len({fact.partition(" = ")[0] for fact in facts}) == len(facts)


@FEW
@given(st.dictionaries(TEXT, VALUES, max_size=4), TEXT)
def test_every_fact_survives_the_file(extra_body: dict[str, Any], topic: str) -> None:
    recipe = {"answers": {"extra_body": extra_body}, "tree": {"topic": topic}}
    lock = replace(LOCK, name=topic, recipe=facts_of(recipe))
    text = lock.encode()
    assert parse_lock(text, "it") == lock
    assert parse_lock(text, "it").encode() == text


@FEW
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=3), st.randoms())
def test_the_order_in_which_settings_are_written_is_no_fact(extra_body: dict[str, Any], shuffle: Any) -> None:
    keys = list(extra_body)
    shuffle.shuffle(keys)
    other = {key: extra_body[key] for key in keys}
    locks = [replace(LOCK, recipe=facts_of({"answers": {"extra_body": each}})) for each in (extra_body, other)]
    assert locks[0].encode() == locks[1].encode()


@FEW
@given(VALUES, VALUES)
def test_two_values_that_differ_give_two_locks(first: Any, second: Any) -> None:
    """But for null and empty groups, which a request is sent without or does not tell apart from nothing."""
    values = [_without_nothing(value) for value in (first, second)]
    texts = [replace(LOCK, recipe=facts_of({"answers": {"x": value}})).encode() for value in values]
    assert (texts[0] == texts[1]) == (json.dumps(values[0], sort_keys=True) == json.dumps(values[1], sort_keys=True))


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _without_nothing(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each is not None} or None
    return value


def test_long_texts_and_prompts_are_in_a_lock_by_their_digest() -> None:
    long = "a secret recipe " * 1000
    recipe = {
        "answers": {
            "prompt": {"en/answers.jinja": "short"},
            "system_prompt": long,
            "examples": [long],
            "extra_body": {"stop": [long, long], "nested": [[long]]},
        }
    }
    text = replace(LOCK, recipe=facts_of(recipe)).encode()
    assert "secret" not in text
    assert "short" not in text
    assert len(text) < 3000


# What is not as it was written


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("= 800", "= 801"), "edited by hand"),
        (lambda text: text.replace("ababab", "ababac", 1), "edited by hand"),
        (lambda text: text + "recipe.tree.breadth = 3\n", "edited by hand"),
        (lambda text: text.replace("recipe.tree.depth = 2\n", ""), "edited by hand"),
        (
            lambda text: text.replace("the dataset is", "my dataset is", 1).replace("# What", "# Which"),
            "edited by hand",
        ),
        (lambda text: text[: len(text) // 2], "no lock"),
        (lambda text: "".join(text.splitlines(keepends=True)[:12]), "cut off"),
        (lambda _: "", "no lock"),
        (lambda _: "{}", "no lock"),
        (lambda _: "name = 'somebody else’s TOML'\n", "no lock"),
        (lambda text: text.replace("scheme = 3", "scheme = 99"), "scheme 99"),
        (lambda text: text.replace("scheme = 3", "scheme = '3'"), "no lock"),
    ],
)
def test_a_lock_that_is_not_as_it_was_written_is_a_sentence(change: Any, sentence: str) -> None:
    with pytest.raises(DifferenceError, match=sentence) as caught:
        parse_lock(change(LOCK.encode()), "outputs/sports/distill.lock")
    assert "outputs/sports/distill.lock" in str(caught.value)


@FEW
@given(st.data())
def test_any_character_that_changes_is_noticed(data: st.DataObject) -> None:
    text = LOCK.encode()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != text[place]))
    with pytest.raises(DifferenceError):
        parse_lock(text[:place] + other + text[place + 1 :], "it")


@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_a_merge_conflict_is_called_one(style: str) -> None:
    base = "||||||| 1234567\nrecipe.tree.depth = 1\n" if style == "diff3" else ""
    conflict = f"<<<<<<< HEAD\nrecipe.tree.depth = 2\n{base}=======\nrecipe.tree.depth = 3\n>>>>>>> theirs\n"
    text = LOCK.encode().replace("recipe.tree.depth = 2\n", conflict)
    with pytest.raises(DifferenceError, match="merge conflict"):
        parse_lock(text, "it")


def test_what_git_does_to_line_ends_is_no_edit(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(LOCK.encode().replace("\n", "\r\n").encode())
    assert read_lock(tmp_path / "lock") == LOCK


def test_a_lock_that_is_not_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DifferenceError, match="cannot be read"):
        read_lock(tmp_path / "lock")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DifferenceError, match="cannot be read"):
        read_lock(tmp_path / "folder")
    assert read_lock(tmp_path / "nothing") is None
