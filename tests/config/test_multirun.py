"""Values put into a composed configuration give what a composition of its own gives."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from distill_build.config import composition as config
from distill_build.config.multirun import ComposedSweep, variants_of
from distill_build.errors import ConfigurationError
from distill_build.sweeps.jobs import Variant
from tests.config.composed import settings_of


def swept(*words: str) -> list[Variant]:
    """The jobs of a sweep, composed together."""
    jobs: list[Variant] = []

    def sweep(variants: Sequence[Variant]) -> int:
        jobs.extend(variants)
        return 0

    assert config.run(["-m", "topic=sports", *words], lambda _: 1, sweep=sweep) == 0
    return jobs


SWEEPS = [
    ["breadth=2,[3,4]", "language=en,zh"],
    ["model.temperature=0,null", "teacher.temperature=0.1,null"],
    ["model=local,vllm,deepseek", "limits.rpm=null"],
    ["model@teacher=same,deepseek", "model.max_tokens=10,20"],
    ["model.extra_body.a=1,2", "teacher.extra_body.b=3,4"],
    ["name=a,b", "teacher.revision=x,${name}"],
    ["per_request.tags=4", "per_request={tags: 2},{questions: 3}"],
    ["system_prompt=null,Be ${brief}"],
    ["output_dir=${hydra:runtime.cwd}/out", "breadth=1,2"],
    ["prompts.dir=${hydra:runtime.choices.model}-${seed}", "seed=1,2", "model=local,vllm"],
]
"""Values alone, values that others follow, groups, both, added keys, references, overlaps, literal text; and what Hydra
says of the process and of groups."""


@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_every_job_is_what_its_own_composition_gives(words: list[str]) -> None:
    jobs = swept(*words)
    fixed = [word for word in words if word.partition("=")[0] not in {choice.key for choice in jobs[0].choices}]
    for job in jobs:
        assert job.settings == settings_of(*fixed, *map(str, job.choices)), job.choices


def test_a_value_stays_with_its_job_where_another_says_less() -> None:
    sweep = config.compose(["topic=sports", "seed=1,2"], {}, multirun=True)
    assert isinstance(sweep, ComposedSweep)
    words = [["topic=sports", "seed=1", "depth=3"], ["topic=sports", "seed=2"], ["topic=sports", "depth=4"]]
    jobs = variants_of(sweep.loader, sweep.master, words, frozenset({"topic=sports"}))
    assert [(job.settings.seed, job.settings.depth) for job in jobs] == [(1, 3), (2, 2), (0, 4)]


def test_what_hydra_says_of_a_job_is_that_jobs(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [base, _self_]\nprompts: {dir: '${hydra:job.override_dirname}'}\n")
    jobs = swept("seed=1,2", f"--config-dir={tmp_path}", "--config-name=mine")
    assert [job.settings.prompts.dir for job in jobs] == ["seed=1,topic='sports'", "seed=2,topic='sports'"]


def test_a_job_has_no_number_to_refer_to() -> None:
    with pytest.raises(ConfigurationError, match=r"^prompts has \$\{hydra:job.num\} in it"):
        swept("seed=1,2", "prompts.dir=a${hydra:job.num}")


def test_the_last_setting_changes_fastest() -> None:
    assert [(job.settings.depth, job.settings.seed) for job in swept("depth=1,2", "seed=3,4")] == [
        (1, 3), (1, 4), (2, 3), (2, 4),
    ]  # fmt: skip


def test_a_sweep_with_one_job_has_no_choices() -> None:
    assert [job.choices for job in swept("depth=1")] == [()]


def test_the_job_with_a_mistake_is_named() -> None:
    for words, said in (
        (["model=local,vllm,gpt5"], "^model=gpt5: unknown model 'gpt5'"),
        (["model=local,gpt5", "depth=1,2"], "^depth=1 model=gpt5: unknown model 'gpt5'"),
        (["model=gpt5,local", "depth=1,2"], "^depth=1 model=gpt5: unknown model 'gpt5'"),
        (["seed=0,1", "depth=1,0"], "^depth=0: expected a whole number"),
        (["breadth=1,[1,2]", "depth=1"], r"^breadth=\[1,2\] has 2 numbers for depth=1"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            swept(*words)


def test_a_mistake_that_nothing_swept_has_made_names_no_job() -> None:
    with pytest.raises(ConfigurationError, match=r"^seed=x: expected"):
        swept("depth=1,2", "seed=x")


@pytest.mark.parametrize("word", ["breadth=range(3,1)", "breadth=glob(*)", "model=glob(nosuch*)"])
@pytest.mark.parametrize("how", [(), ("hydra/launcher=basic",)], ids=" ".join)
def test_a_word_without_values_is_named(word: str, how: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(word)} has no values"):
        swept("seed=1,2", word, *how)


@pytest.mark.parametrize("size", ["-1", "0", "x", "true", "1.5"])
def test_batches_have_a_size(size: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^hydra\.sweeper.max_batch_size=.*: expected a whole number from 1"):
        swept("seed=1,2", f"hydra.sweeper.max_batch_size={size}")
