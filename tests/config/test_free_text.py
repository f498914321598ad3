"""Words of a command line → Hydra's words; what arrives is asserted in test_composition.py."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from distill_build.config.free_text import QUOTED, quote, quote_free_text, quote_value, unquote
from distill_build.errors import UsageError

NASTY = st.text(alphabet="ab \\'\"${}?,=[]:()#\t网\n", max_size=12)


def arrives(word: str) -> list[str | None]:
    """The values that Hydra's parser and OmegaConf make of one word: several for a sweep."""
    override = OverridesParser.create().parse_override(word)
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    return [resolved(getattr(value, "text", value)) for value in values]


def resolved(value: object) -> str | None:
    """What a setting with this value is, once interpolations are resolved."""
    value = OmegaConf.create({"setting": value}).setting
    assert value is None or isinstance(value, str)
    return value


@settings(max_examples=400)
@given(NASTY.filter(str.strip))
@example("\\${")
@example("a\\\\${b}\\")
@example("'\\'")
@example("???")
def test_any_literal_text_arrives_as_typed(text: str) -> None:
    assert arrives("topic=" + quote_value("topic", quote(text))) == [text]
    if not QUOTED.fullmatch(text):
        assert arrives(quote_free_text(["topic=" + text], multirun=False)[0]) == [text]


@given(NASTY)
def test_quoting_and_unquoting_are_inverse(text: str) -> None:
    assert QUOTED.fullmatch(quote(text))
    assert unquote(quote(text)) == text


@settings(max_examples=200)
@given(st.lists(NASTY.filter(str.strip), min_size=2, max_size=4))
def test_quoted_parts_of_a_sweep_arrive_as_typed(texts: list[str]) -> None:
    word = "topic=" + ",".join(map(quote, texts))
    assert arrives(quote_free_text([word], multirun=True)[0]) == texts


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("网球,游泳", ["网球", "游泳"]),
        ("board games, chess", ["board games", "chess"]),
        ("it's,what's", ["it's", "what's"]),
        ("'a, b',c", ["a, b", "c"]),
        ('"C++ (basics), part 1",C#', ["C++ (basics), part 1", "C#"]),
        ("null,3.10,[a]", ["null", "3.10", "[a]"]),
        ("just one", ["just one"]),
        ("'just, one'", ["just, one"]),
        ("choice(a,b)", ["a", "b"]),
    ],
)
def test_commas_outside_quotes_separate_topics_of_a_sweep(typed: str, parts: list[str]) -> None:
    assert arrives(quote_free_text([f"topic={typed}"], multirun=True)[0]) == parts


@pytest.mark.parametrize("typed", ["", " ", "\t"])
def test_an_empty_topic_gets_an_example(typed: str) -> None:
    with pytest.raises(UsageError, match="topic=sports"):
        quote_free_text([f"topic={typed}"], multirun=False)


def test_an_empty_part_of_a_sweep_gets_an_example() -> None:
    with pytest.raises(UsageError, match="topic=sports"):
        quote_free_text(["topic=a,,b"], multirun=True)


@pytest.mark.parametrize("key", ["topic", "+topic", "++topic"])
def test_added_topics_are_quoted_too(key: str) -> None:
    assert quote_free_text([f"{key}=体育"], multirun=False) == [f"{key}='体育'"]


@pytest.mark.parametrize(
    "word",
    ["depth=3", "breadth=[1,2]", "~topic", "teacher.temperature=0", "topics=a,b", "x", "+axes.against={a: 1, b: 2}"],
)
def test_other_words_stay_as_they_are(word: str) -> None:
    assert quote_free_text([word], multirun=False) == [word]


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("[C++, {x}, 2, 是]", ["C++", "{x}", "2", "是"]),
        ("[a, C {x: 1}, '{b: c}']", ["a", "C {x: 1}", "{b: c}"]),
        ("[a, {b: c, d: [e]}]", ["a", {"b": "c", "d": ["e"]}]),
        ("[{a: {b: c}}, d]", [{"a": {"b": "c"}}, "d"]),
    ],
)
def test_lists_hold_texts_as_typed_and_keys_in_braces_are_none(typed: str, values: list[object]) -> None:
    for key in ("answer.labels", "stage.answers.labels"):
        (word,) = quote_free_text([f"{key}={typed}"], multirun=False)
        assert OverridesParser.create().parse_override(word).value() == values


def test_null_stays_null_where_a_setting_knows_it() -> None:
    assert arrives(quote_free_text(["name=null"], multirun=False)[0]) == [None]
    assert arrives(quote_free_text(["topic=null"], multirun=False)[0]) == ["null"]


def test_paths_and_model_names_keep_interpolations() -> None:
    assert quote_free_text(["output_dir=${oc.env:HOME}/数据"], multirun=False) == ["output_dir='${oc.env:HOME}/数据'"]
    assert arrives(quote_free_text(["model.revision=3.10"], multirun=False)[0]) == ["3.10"]


def test_a_new_key_of_an_extra_body_needs_no_plus() -> None:
    assert quote_free_text(["teacher.extra_body.top_k=20"], multirun=False) == ["++teacher.extra_body.top_k=20"]
