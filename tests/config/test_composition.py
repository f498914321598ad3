"""From words to Settings through the real Hydra: defaults, roles, topics, sweeps, a project's own files."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from distill_build.config import composition as config
from distill_build.errors import ConfigurationError, InterruptedBuildError, StorageError
from distill_build.settings import Settings
from distill_build.sweeps.jobs import Variant
from tests.config.composed import all_settings, settings_of

Compose = Callable[..., Settings]


def no_sweep(_: Sequence[Variant]) -> int:
    """For words that ask for one build."""
    pytest.fail("a sweep was run")


# ---- Defaults ----


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = settings_of()
    assert (settings.topic, settings.name, settings.output_dir) == ("sports", "sports", "outputs")
    assert (settings.depth, settings.breadth, settings.questions_per_tag, settings.answers_per_question) == (
        2,
        10,
        10,
        1,
    )
    assert (settings.language, settings.seed, settings.cache.dir, settings.formats) == (
        "en",
        0,
        ".distill-cache",
        ["messages"],
    )
    assert (settings.per_request.tags, settings.per_request.questions) == (5, 5)
    limits = settings.limits
    assert (limits.concurrency, limits.rpm, limits.tpm, limits.timeout_s, limits.retries, limits.reasks) == (
        None, None, None, 600, 6, 2,
    )  # fmt: skip
    assert (settings.budget.usd, settings.budget.tokens, settings.budget.calls) == (None, None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["tagger", "student", "teacher"])
def test_each_role_is_the_embedded_model_by_default(role: str) -> None:
    model = settings_of().models[role]
    assert (model.engine, model.name, model.examples, model.structured, model.limits.concurrency) == (
        "embedded", "smollm2-135m-instruct", True, "json_schema", 4,
    )  # fmt: skip
    assert (model.prices.prompt, model.prices.completion, model.api_key_required) == (0, 0, False)


OPTIONS = sorted(path.stem for path in (config.packed_conf() / "model").glob("*.yaml") if path.stem != "same")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_packed_model_sets_every_role(option: str) -> None:
    address = ("model.base_url=http://127.0.0.1:8000/v1", "model.name=m") if option == "openai_compatible" else ()
    settings = settings_of(f"model={option}", *address)
    assert settings.models["tagger"] == settings.models["student"] == settings.models["teacher"]
    assert settings.models["teacher"].engine == ("embedded" if option == "local" else "openai_compatible")


def test_the_options_of_the_contract_are_packed() -> None:
    assert set(OPTIONS) == {
        "local", "openai", "deepseek", "deepseek_reasoner", "qwen", "openrouter", "siliconflow", "gemini", "ollama",
        "vllm", "llama_server", "openai_compatible", "openai_embeddings",
    }  # fmt: skip


# ---- Roles ----


def test_a_role_follows_the_model_field_by_field() -> None:
    settings = settings_of(
        "model=deepseek", "model.temperature=0.3", "teacher.temperature=0", "student.max_tokens=null"
    )
    assert (settings.models["tagger"].temperature, settings.models["teacher"].temperature) == (0.3, 0)
    assert settings.models["student"].max_tokens is None
    assert settings.models["teacher"].name == "deepseek-chat"


def test_a_role_may_have_a_model_of_its_own_with_changes_on_top() -> None:
    settings = settings_of(
        "model@teacher=deepseek", "teacher.temperature=0", "teacher.limits.concurrency=4", "+teacher.extra_body.x=1"
    )
    assert (settings.models["teacher"].name, settings.models["student"].name) == (
        "deepseek-chat",
        "smollm2-135m-instruct",
    )
    assert (settings.models["teacher"].temperature, settings.models["teacher"].limits.concurrency) == (0, 4)
    assert settings.models["teacher"].extra_body == {"x": 1}


def test_a_follower_adds_to_the_models_extra_body() -> None:
    settings = settings_of(
        "model=vllm", "model.extra_body={a: 1, b: 1}", "teacher.extra_body.b=2", "+student.extra_body.c=3"
    )
    assert settings.models["teacher"].extra_body == {"a": 1, "b": 2}
    assert settings.models["student"].extra_body == {"a": 1, "b": 1, "c": 3}
    assert settings.models["tagger"].extra_body == {"a": 1, "b": 1}


def test_prices_and_limits_follow_by_field() -> None:
    settings = settings_of("model=openai", "teacher.prices.prompt=9", "student.limits.rpm=60", "model.limits.tpm=5")
    assert (settings.models["teacher"].prices.prompt, settings.models["teacher"].prices.completion) == (9, 2)
    assert (
        settings.models["student"].limits.rpm,
        settings.models["student"].limits.tpm,
        settings.models["tagger"].limits.rpm,
    ) == (60, 5, None)


def test_local_path_takes_another_weights_file() -> None:
    assert settings_of("local.path=模型/m.gguf").models["teacher"].path == "模型/m.gguf"


def test_one_format_needs_no_brackets() -> None:
    assert settings_of("formats=csv").formats == ["csv"]


def test_breadth_may_be_one_number_a_level() -> None:
    assert settings_of("depth=3", "breadth=[10,5,3]").breadth == [10, 5, 3]


# ---- Topics ----

TOPICS = [
    "体育与运动", "C++ (basics), part 1", "3.10", "null", "${x}", "[a]", "{a: 1}", "it's", 'say "hi"', "'a' and 'b'",
    "a\\b", "a=b", " spaces ", "\ttab\t", "two\nlines", "😀", "???", "a,b", "choice(a,b)", "x" * 20_000, "\\\\${a}\\\\",
]  # fmt: skip
"""Through the whole of Hydra; `test_free_text` has any text at all through its parser."""


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_arrives_as_typed(topic: str) -> None:
    (settings,) = all_settings(f"topic={topic}")
    assert settings.topic == topic


def test_a_topic_in_quotes_of_its_own_loses_them() -> None:
    assert [all_settings(f"topic={typed}")[0].topic for typed in ("'a, b'", '"it\'s"')] == ["a, b", "it's"]


def test_topics_of_a_sweep_arrive_as_typed_too() -> None:
    typed = [topic for topic in TOPICS if "," not in topic and topic == topic.strip() and len(topic) < 99][:8]
    jobs = all_settings("-m", "topic=" + ",".join(typed))
    assert [settings.topic for settings in jobs] == typed


def test_a_system_prompt_is_literal_and_null_is_none() -> None:
    assert settings_of("system_prompt=Think, then ${answer}: [x]").system_prompt == "Think, then ${answer}: [x]"
    assert settings_of("system_prompt=null").system_prompt is None


def test_a_name_may_be_given() -> None:
    assert settings_of("name=数据 v2").name == "数据 v2"


# ---- Sweeps and exit statuses ----


def test_a_sweep_runs_every_combination_and_leaves_no_folders_about(tmp_path: Path) -> None:
    jobs = all_settings("-m", "topic=网球,游泳", "depth=1,2")
    assert [(job.topic, job.depth) for job in jobs] == [("网球", 1), ("网球", 2), ("游泳", 1), ("游泳", 2)]
    assert list(tmp_path.iterdir()) == []


def test_what_a_sweep_comes_to_is_returned_or_raised_unchanged() -> None:
    assert config.run(["-m", "topic=a", "depth=1,2,3"], lambda _: 0, lambda jobs: len(jobs)) == 3
    for error in (InterruptedBuildError("stop"), ZeroDivisionError("a bug")):

        def sweep(_: Sequence[Variant], error: Exception = error) -> int:
            raise error

        with pytest.raises(type(error)) as raised:
            config.run(["-m", "topic=a", "depth=1,2"], lambda _: 0, sweep)
        assert raised.value is error


@pytest.mark.parametrize("words", [["topic=a"], ["topic=a", "hydra.verbose=false"]])
@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("a bug"), StorageError("disk"), AssertionError()])
def test_what_a_job_raises_comes_out_unchanged(
    words: list[str], error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(_: Settings) -> int:
        raise error

    with pytest.raises(type(error)) as raised:
        config.run(words, task, no_sweep)
    assert raised.value is error
    assert capsys.readouterr() == ("", "")


def test_both_ways_through_hydra_give_the_same_settings() -> None:
    words = ("model@teacher=deepseek", "teacher.extra_body.x=1", "breadth=[3,4]", "limits.rpm=7")
    assert settings_of(*words) == settings_of(*words, "hydra.mode=RUN")


# ---- A project's own files ----


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_projects_own_conf_builds_on_ours(tmp_path: Path) -> None:
    write(
        tmp_path / "conf/distill.yaml",
        "defaults: [base, {override model@teacher: mine}, _self_]\ntopic: 网球\ndepth: 1\nmodel: {temperature: 0.1}\n",
    )
    write(
        tmp_path / "conf/model/mine.yaml",
        "defaults: [openai_compatible, _self_]\nname: m\nbase_url: http://127.0.0.1:1/v1\n",
    )
    write(
        tmp_path / "conf/model/deepseek.yaml",
        "defaults: [openai_compatible, _self_]\nname: ours\nbase_url: http://x\n",
    )
    (settings,) = all_settings("model@student=deepseek")
    assert (settings.topic, settings.depth, settings.models["tagger"].temperature) == ("网球", 1, 0.1)
    assert (settings.models["teacher"].name, settings.models["student"].name) == ("m", "ours")


def test_an_unrelated_conf_disturbs_nothing(tmp_path: Path) -> None:
    usual = settings_of()
    for name in ("config", "base", "model/local", "model/same", "model/openai_compatible"):
        write(tmp_path / f"conf/{name}.yaml", "unrelated: 1\n")
    assert settings_of() == usual


def test_a_model_file_of_a_project_is_found_without_a_distill_yaml(tmp_path: Path) -> None:
    write(tmp_path / "conf/model/mine.yaml", "defaults: [openai_compatible, _self_]\nname: m\nbase_url: http://x\n")
    assert settings_of("model=mine").models["teacher"].name == "m"


def test_config_dir_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "more/distill.yaml", "defaults: [base, _self_]\ndepth: 7\n")
    write(tmp_path / "more/other.yaml", "defaults: [distill, _self_]\nseed: 5\n")
    assert settings_of("--config-dir=more").depth == 7
    assert settings_of("--config-dir=more", "--config-name=other").seed == 5
    assert settings_of("--config-path=more").depth == 7
    assert settings_of().depth == 2


def test_a_stage_in_the_package_of_a_config_path_comes_before_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = msgspec.to_builtins(settings_of().stage["answers"])
    write(tmp_path / "ownconf/__init__.py", "")
    write(tmp_path / "ownconf/distill.yaml", "defaults: [base, _self_]\ndepth: 7\n")
    write(tmp_path / "ownconf/stage/answers.yaml", json.dumps(ours | {"samples": 3}))
    monkeypatch.syspath_prepend(tmp_path)
    settings = settings_of("--config-path=pkg://ownconf")
    assert (settings.depth, settings.stage["answers"].samples) == (7, 3)


def test_a_project_may_ask_hydra_for_more(tmp_path: Path) -> None:
    write(
        tmp_path / "conf/distill.yaml",
        "defaults: [base, _self_]\nhydra: {mode: MULTIRUN, sweeper: {params: {depth: '1,2'}}}\n",
    )
    assert [settings.depth for settings in all_settings("topic=a, b")] == [1, 2]


def test_cfg_runs_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert all_settings("--cfg=job", "depth=3") == []
    assert "depth: 3" in capsys.readouterr().out


def test_every_packed_key_has_a_comment() -> None:
    for path in (config.packed_conf() / "base.yaml", config.packed_conf() / "model/openai_compatible.yaml"):
        lines = path.read_text(encoding="utf-8").partition("\nhydra:")[0].splitlines()
        commented = [index for index, line in enumerate(lines) if line.lstrip().startswith("#")]
        for index, line in enumerate(lines):
            if line and not line.startswith((" ", "#")):
                assert any(index - 4 <= comment <= index + 1 for comment in commented), line


def test_no_setting_of_ours_is_missing_from_conf() -> None:
    with pytest.raises(ConfigurationError, match="the topic is missing"):
        all_settings()


def test_the_environment_may_say_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE_DIR", "elsewhere")
    assert settings_of().cache.dir == "elsewhere"
    assert settings_of("cache.dir=here").cache.dir == "here"
