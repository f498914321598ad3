"""card.md: what its front matter says, and what of it is refused."""

import pytest

from distill_build.errors import UsageError
from distill_build.publish.own_words import OwnWords, parse_own_words

FILES = ("train.messages.jsonl", "test.messages.jsonl")


def parsed(text: str) -> OwnWords:
    return parse_own_words(text, "card.md", FILES)


@pytest.mark.parametrize(
    ("text", "keys", "rest"),
    [
        ("", set(), ""),
        ("# Mine\n\n---\n", set(), "# Mine\n\n---\n"),
        ("---\n---\n# Mine", set(), "# Mine"),
        ("---\nlicense: mit\n---", {"license"}, ""),
        ('---\r\n"license": mit\r\n--- \r\n# Mine', {"license"}, "# Mine"),
        ("---\nlanguage: [de]\ntags:\n- a\n---\n", {"language", "tags"}, ""),
    ],
)
def test_a_front_matter_is_told_from_the_text(text: str, keys: set[str], rest: str) -> None:
    assert (parsed(text).keys, parsed(text).text) == (keys, rest)


@pytest.mark.parametrize(
    "data_files",
    [
        "train.messages.jsonl",
        "'*.messages.jsonl'",
        "[./train.messages.jsonl, test.messages.jsonl]",
        "[{split: train, path: train.messages.jsonl}, {split: test, path: [test.messages.jsonl]}]",
        "https://example.org/other.jsonl",
        "other.jsonl\n  data_dir: more",
    ],
)
def test_configs_of_files_that_are_there_are_taken(data_files: str) -> None:
    assert parsed(f"---\nconfigs:\n- config_name: mine\n  data_files: {data_files}\n---\n").keys == {"configs"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("---\nlicense: mit\n\n# Mine\n", "line 1: the front matter has no end"),
        ("---\ntags: [a\n---\n", "line 3: this is no YAML"),
        ("---\ntags:\n- a\ntitle: Sports: all\n---\n", "line 4: this is no YAML"),
        ("---\ndate: 2024-13-45\n---\n", "line 2: this is no YAML"),
        ("---\ntags: a\x07b\n---\n", "line 2: this is no YAML"),
        ("---\njust words\n---\n", "line 2: the front matter has a key a line"),
        ("---\n{license: mit}\n---\n", "line 2: the front matter has a key a line"),
        ("---\n  license: mit\n---\n", "line 2: the front matter has a key a line"),
        ("---\nlicense: mit\ntags: []\nlicense: gpl\n---\n", "line 4: license is said twice"),
        ("---\ndataset_info:\n- splits: []\n  splits: []\n---\n", "line 4: splits is said twice"),
        (f"---\ntags: {'[' * 5000}{']' * 5000}\n---\n", "line 2: this is no YAML (maximum recursion depth"),
        ("---\nconfigs:\n- config_name: a\n  data_files: train.csv\n---\n", "line 4: configs names train.csv"),
        (
            "---\nconfigs:\n- config_name: a\n  data_files:\n  - split: train\n    path: train.messages.jsonl\n"
            "  - split: test\n    path: data/*\n---\n",
            "line 8: configs names data/*",
        ),
    ],
)
def test_what_the_hub_could_not_read_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        parsed(text)
    assert f"card.md, {told}" in str(refused.value)


@pytest.mark.parametrize("licence", ["", "''", "[]", "5", "no", "[mit, '']", "{name: mit}"])
def test_a_licence_that_is_none_is_refused_with_its_line(licence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parsed(f"---\ntags: [a]\nlicense: {licence}\n---\n")
    assert "card.md, line 3: license: it is the name of a licence, or a list of such" in str(refused.value)


@pytest.mark.parametrize(
    "configs",
    [
        "5",
        "",
        "[]",
        "messages",
        "[messages]",
        "{config_name: mine, data_files: train.messages.jsonl}",
        "[{data_files: train.messages.jsonl}]",
        "[{config_name: 5, data_files: train.messages.jsonl}]",
        "[{config_name: mine, data_files: 5}]",
        "[{config_name: mine, data_files: {train: train.messages.jsonl}}]",
        "[{config_name: mine, data_files: [{path: train.messages.jsonl}]}]",
        "[{config_name: mine, data_files: [{split: train, path: train.messages.jsonl, name: a}]}]",
        "[{config_name: mine, 5: 6}, &a [*a]]",
    ],
)
def test_configs_that_nothing_could_load_by_are_refused_with_their_line(configs: str) -> None:
    with pytest.raises(UsageError) as refused:
        parsed(f"---\nlicense: mit\nconfigs: {configs}\n---\n")
    assert "card.md, line 3: configs: it is a list, each with a config_name, and with data_files" in str(refused.value)
