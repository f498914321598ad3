"""The identity of a call: pinned digests, and an explanation that cannot drift from them."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_build.engine.manifest import ABSENT, SCHEME, ValueChange, canonical, changes_between, digest

GOLDEN: list[tuple[Any, str]] = [
    (None, "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
    ({}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    ([], "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"),
    (
        {"b": 1, "a": [True, None, 0.5, '体育 \n"\\ \u2028 é']},
        "e67c5ecb243b0bf08fb63137a142ae5e466b8d5edead5d770343c3eece0faaea",
    ),
    (
        {"temperature": 0, "messages": [{"role": "user", "content": "How?"}], "seed": 123456789},
        "984fb24448e5bfd83960272b47fa5a147e9f88495fd5a58eb846e54275d7f0e4",
    ),
]
"""Values and their digests. One that changes here re-asks everything that anybody has in a cache: raise SCHEME."""

leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values: st.SearchStrategy[Any] = st.recursive(
    leaves | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def test_the_scheme_is_the_one_that_these_digests_belong_to() -> None:
    assert SCHEME == 1


@pytest.mark.parametrize(("value", "pinned"), GOLDEN, ids=lambda value: str(value)[:30])
def test_digests_are_pinned(value: Any, pinned: str) -> None:
    assert digest(value) == pinned


@pytest.mark.parametrize("seed", ["0", "1", "424242"])
def test_digests_are_the_same_in_a_process_with_another_hash_seed(seed: str) -> None:
    program = (
        "import json, sys; from distill_build.engine.manifest import digest; "
        "print(json.dumps([digest(value) for value in json.loads(sys.stdin.read())]))"
    )
    root = str(Path(__file__).parents[2])
    finished = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([value for value, _ in GOLDEN]),
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(finished.stdout) == [pinned for _, pinned in GOLDEN]


def test_the_canonical_form_is_sorted_tight_and_not_escaped() -> None:
    assert canonical({"b": [1, {"d": 0, "c": None}], "a": "体育"}) == '{"a":"体育","b":[1,{"c":null,"d":0}]}'.encode()


@given(value=values)
@settings(derandomize=True, deadline=None)
def test_the_canonical_form_reads_back_as_the_value(value: Any) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(value=st.dictionaries(texts, values, max_size=5), data=st.data())
@settings(derandomize=True, deadline=None)
def test_the_order_in_which_keys_were_put_in_does_not_matter(value: dict[str, Any], data: st.DataObject) -> None:
    shuffled = {key: value[key] for key in data.draw(st.permutations(sorted(value)))}
    assert digest(shuffled) == digest(value)
    assert list(changes_between(value, shuffled)) == []


@given(old=values, new=values)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_digests_differ_just_where_explain_finds_something(old: Any, new: Any) -> None:
    assert (digest(old) != digest(new)) is bool(list(changes_between(old, new)))


@st.composite
def edits(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value, and the same with one place changed, so that nearly equal values are tried too."""
    value = draw(st.dictionaries(st.sampled_from("abc"), values, min_size=1, max_size=3))
    changed: dict[str, Any] = json.loads(json.dumps(value))
    changed[draw(st.sampled_from("abcd"))] = draw(values)
    return value, changed


@given(pair=edits())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_digests_of_neighbours_differ_just_where_explain_finds_something(pair: tuple[Any, Any]) -> None:
    old, new = pair
    assert (digest(old) != digest(new)) is bool(list(changes_between(old, new)))
    assert (digest(old) != digest(new)) is bool(list(changes_between(new, old)))


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (0, False), (1, 1.0), (0, None), ("1", 1), ([], {}), ([], None), ({}, None), ("", None), (0.0, -0.0)],
    ids=str,
)
def test_values_that_python_takes_for_equal_or_empty_stay_apart(old: Any, new: Any) -> None:
    assert digest(old) != digest(new)
    assert list(changes_between(old, new)) == [ValueChange("", old, new)]
    assert list(changes_between({"x": [old]}, {"x": [new]})) == [ValueChange("x[0]", old, new)]


def test_a_key_that_is_null_is_not_a_key_that_is_absent() -> None:
    assert digest({"a": None}) != digest({})
    assert list(changes_between({}, {"a": None})) == [ValueChange("a", ABSENT, None)]
    assert list(changes_between({"a": None}, {})) == [ValueChange("a", None, ABSENT)]


def test_an_explanation_names_every_place() -> None:
    old = {"body": {"messages": [{"content": "one"}, {"content": "two"}], "temperature": 0}, "seed": 1}
    new = {"body": {"messages": [{"content": "one"}, {"content": "2"}], "top_p": 1}, "seed": 1}
    assert list(changes_between(old, new)) == [
        ValueChange("body.messages[1].content", "two", "2"),
        ValueChange("body.temperature", 0, ABSENT),
        ValueChange("body.top_p", ABSENT, 1),
    ]


def test_lists_of_different_lengths_are_shown_whole() -> None:
    assert list(changes_between({"a": [1, 2]}, {"a": [1]})) == [ValueChange("a", [1, 2], [1])]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), {"a": [float("nan")]}])
def test_numbers_that_json_cannot_write_are_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest(value)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), datetime.date(2026, 1, 1), {"a": Path()}, {(1,): 2}])
def test_values_that_json_does_not_know_are_an_error(value: Any) -> None:
    with pytest.raises(TypeError):
        digest(value)


def test_a_lone_surrogate_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        digest("\ud800")


@pytest.mark.parametrize("key", [1, 0.5, True, None], ids=repr)
def test_a_key_that_is_no_text_is_an_error_and_not_taken_for_its_spelling(key: Any) -> None:
    with pytest.raises(TypeError):
        digest({key: 1})
