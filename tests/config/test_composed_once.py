"""What end-to-end tests remember of Hydra's composition is what Hydra composes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from distill_build.config.composition import compose, look_for_files
from distill_build.errors import ConfigurationError
from tests.e2e.composed_once import composed_once

OWN_FILE = "defaults: [base, _self_]\nteacher: {temperature: 0.3}\n"


def composed(*words: str) -> Any:
    """All that Hydra comes to for a build, its own node too."""
    look_for_files({}, words)
    found = compose(list(words), {}, multirun=False)
    assert isinstance(found, DictConfig)
    return OmegaConf.to_container(found, resolve=False)


@pytest.mark.parametrize(
    "words",
    [
        ["topic=sports"],
        [
            "model=openai_compatible",
            "breadth=[3,2]",
            "recipe=judged",
            "topic=x",
            "model@judge=deepseek",
            "judge.top_p=1",
        ],
        ["topic=x", "stage.scores.role=[judge,second]", "second.name=x", "recipe=s1"],
        ["+teacher.extra_body={top_k: 3}", "topic=x", "seed=1", "seed=2"],
    ],
)
def test_remembered_or_not_it_is_the_same(words: Sequence[str]) -> None:
    as_ever = composed(*words)
    with composed_once():
        assert [composed(*words), composed(*words)] == [as_ever, as_ever]


def test_other_words_come_to_something_else() -> None:
    with composed_once():
        first, other = composed("topic=x", "depth=1", "model=deepseek"), composed("topic=x", "depth=2", "model=qwen")
    assert (first["depth"], first["model"]["name"]) != (other["depth"], other["model"]["name"])
    assert other == composed("topic=x", "depth=2", "model=qwen")


def test_what_one_command_does_to_its_settings_reaches_no_other() -> None:
    with composed_once():
        before = composed("topic=x", "seed=1")
        composed("topic=x", "+teacher.extra_body.more=1", "seed=3")
        assert composed("topic=x", "seed=1") == before


def test_an_own_file_counts_as_it_is_written_last(tmp_path: Path) -> None:
    file = tmp_path / "conf" / "distill.yaml"
    file.parent.mkdir()
    with composed_once():
        for text in (OWN_FILE, OWN_FILE.replace("0.3", "0.4"), OWN_FILE):
            file.write_text(text, encoding="utf-8")
            assert str(composed("topic=x")["teacher"]["temperature"]) in text


def test_a_mistake_is_told_each_time() -> None:
    with composed_once():
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="nonesuch"):
                composed("topic=x", "model=nonesuch")
