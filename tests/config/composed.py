"""What words of a command line come to: the settings of every job, or the sentence that refuses them."""

from collections.abc import Sequence

import pytest

from distill_build.config import composition as config
from distill_build.errors import DistillError
from distill_build.settings import Settings
from distill_build.sweeps.jobs import Variant


def all_settings(*words: str) -> list[Settings]:
    """The settings of every job that `words` ask for."""
    jobs: list[Settings] = []

    def task(settings: Settings) -> int:
        jobs.append(settings)
        return 0

    def sweep(variants: Sequence[Variant]) -> int:
        jobs.extend(variant.settings for variant in variants)
        return 0

    assert config.run(words, task, sweep) == 0
    return jobs


def settings_of(*words: str) -> Settings:
    """The settings of the one job that `words` ask for."""
    (settings,) = all_settings("topic=sports", *words)
    return settings


def sentence(*words: str) -> str:
    """What is said about `words`, which must not run a job."""
    with pytest.raises(DistillError) as raised:
        config.run(words, lambda _: pytest.fail("a job was run"), lambda _: pytest.fail("a sweep was run"))
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    return str(raised.value)
