"""Mistakes in settings: each gets one sentence with the way out."""

from pathlib import Path

import pytest

from distill_build.config import composition as config
from distill_build.errors import ConfigurationError, UsageError
from distill_build.settings import Settings
from tests.config.composed import sentence

MISTAKES = [
    # unknown keys
    ("dept=3", "unknown setting 'dept': did you mean 'depth'?"),
    ("student.temp=1", "unknown setting 'student.temp': did you mean 'student.temperature'?"),
    ("teacher.temprature=1", "unknown setting 'teacher.temprature': did you mean 'teacher.temperature'?"),
    ("+questions_pertag=1", "unknown setting 'questions_pertag': did you mean 'questions_per_tag'?"),
    ("++teacher.limit.rpm=1", "unknown setting 'teacher.limit': did you mean 'teacher.limits'?"),
    ("temperature=1", "did you mean 'model.temperature'?"),
    ("+foo=1", "unknown setting 'foo': distill-build --cfg job lists them all"),
    ("model@teachr=deepseek", "unknown setting 'model@teachr': did you mean 'model@teacher'?"),
    ("~nope", "unknown setting 'nope'"),
    ("~depth", "the configuration has no 'depth'"),
    # config groups
    ("model=gpt5", "unknown model 'gpt5': Known are deepseek, deepseek_reasoner, gemini,"),
    ("model=deepsek", "unknown model 'deepsek': did you mean 'deepseek'?"),
    ("model@teacher=lokal", "unknown model 'lokal': did you mean 'local'?"),
    ("teacher=deepseek", "teacher=deepseek: a role's model is chosen with model@teacher=deepseek"),
    ("+model=deepseek", "model is chosen already"),
    ("model=same", "follows itself"),
    # types
    ("depth=abc", "depth=abc: expected a whole number from 1 to 10"),
    ("depth=11", "depth=11: expected a whole number from 1 to 10"),
    ("depth=", "depth=: expected a whole number from 1 to 10"),
    ("seed=1.5", "seed=1.5: expected a whole number"),
    ("seed=true", "seed=true: expected a whole number"),
    ("breadth=many", "breadth=many: expected a whole number from 1 to 1000000 or a list as in [a,b] of a"),
    ("breadth=[1,0]", "breadth=[1,0]: expected a whole number from 1 to 1000000 or a list"),
    ("breadth=10,5", "breadth=10,5: a list stands in brackets, breadth=[10,5]"),
    ("depth=choice(1,2)", "requires --multirun"),
    ("language=fr", "language=fr: expected one of en, zh"),
    ("formats=[cvs]", "expected a list as in [a,b] of one of alpaca, csv, "),
    ("format.metadata=maybe", "format.metadata=maybe: expected true or false"),
    ("limits=5", "limits=5: expected settings of its own: concurrency, rpm"),
    ("model.temperature=hot", "model.temperature=hot: expected a number or null"),
    ("teacher.stream=maybe", "teacher.stream=maybe: expected true or false"),
    ("teacher.limits.rpm=x", "teacher.limits.rpm=x: expected a whole number or null"),
    ("teacher.structured=xml", "teacher.structured=xml: expected one of json_object, json_schema, none"),
    ("model.extra_body=5", "model.extra_body=5: expected keys and values as in {key: value}"),
    # values that cannot work
    ("teacher.max_tokens_field=messages", "teacher.max_tokens_field=messages: a request's messages is something else"),
    ("model.max_tokens_field=seed", "max_tokens_field=seed: a request's seed is something else"),
    ("model.max_tokens_field=''", "a field has a name; most endpoints take max_tokens"),
    ("breadth=[1,2,3]", "breadth=[1,2,3] has 3 numbers for depth=2"),
    ("limits.concurrency=0", "limits.concurrency=0: expected a number from 1"),
    ("limits.retries=null", "limits.retries=null: the build needs a number"),
    ("limits.timeout_s=0", "limits.timeout_s=0: expected a number above 0"),
    ("limits.timeout_s=inf", "limits.timeout_s=inf: expected a number"),
    ("limits.retries=-1", "limits.retries=-1: expected a number from 0"),
    ("teacher.limits.rpm=0", "teacher.limits.rpm=0: expected a number from 1"),
    ("teacher.temperature=-1", "teacher.temperature=-1: expected a number from 0"),
    ("teacher.temperature=nan", "teacher.temperature=nan: expected a number from 0"),
    ("teacher.top_p=1.5", "teacher.top_p=1.5: expected a number from 0 to 1"),
    ("budget.usd=-1", "budget.usd=-1: expected a number from 0 or null"),
    ("output_dir=", "output_dir is empty"),
    ("name=a/b", "name='a/b' cannot be used"),
    ("name=", "name='' cannot be used"),
    ("objective=uniq", "objective=uniq: did you mean 'unique'? It is one of repeats, unique,"),
    ("objective=[usd,foo]", "objective=foo: It is one of repeats, unique,"),
    # endpoints
    ("model=openai_compatible", "model.base_url is not set, for example: model=openai_compatible model.base_url=http"),
    ("model@student=openai_compatible", "student.base_url is not set"),
    ("model.name=null", "model.name is not set"),
    ("teacher.name=", "teacher.name is not set"),
    # Hydra's grammar
    ("depth=三", "cannot read 'depth=三': a value with more than ASCII letters and digits stands in quotes"),
    ("depth=[1", "cannot read 'depth=[1': [ is not closed; a list is [a,b], and settings are {a: b}"),
    ("model.limits={rpm: 3]", "cannot read 'model.limits={rpm: 3]': ] closes nothing"),
    ("depth=${nope}", "depth is ${nope}, and there is no setting of that name"),
    ("depth=${oc.env:NOT_SET}", "depth is the environment variable NOT_SET, which is not set"),
    ("model.limits=3", "model.limits is a single value: it holds settings of its own, as model.limits.concurrency"),
    ("+depth=3", "An item is already at 'depth'"),
]


@pytest.mark.parametrize(("word", "said"), MISTAKES, ids=[word for word, _ in MISTAKES])
def test_a_mistake_gets_a_sentence(word: str, said: str) -> None:
    assert said in sentence("topic=sports", word)


def test_a_missing_topic_gets_an_example() -> None:
    assert sentence("depth=3") == (
        "the topic is missing: say what the dataset is about, as in distill-build topic=sports depth=2"
    )


def test_a_topic_that_is_not_utf8_gets_a_sentence() -> None:
    assert "not valid UTF-8" in sentence("topic=\udcff")


def test_a_cap_in_dollars_needs_the_prices_of_every_role() -> None:
    said = sentence("topic=a", "budget.usd=1", "model@teacher=qwen")
    assert "budget.usd=1 needs prices: set teacher.prices.prompt and teacher.prices.completion" in said


def test_a_cap_in_dollars_holds_with_prices() -> None:
    priced = ("teacher.prices.prompt=1", "teacher.prices.completion=2")
    assert config.run(["topic=a", "budget.usd=1", "model@teacher=qwen", *priced], lambda _: 0, lambda _: 1) == 0


def test_an_address_without_a_scheme_gets_an_example() -> None:
    said = sentence("topic=a", "model=openai", "model.base_url=api.example.com/v1")
    assert "model.base_url=api.example.com/v1: expected an address with http:// or https://" in said
    said = sentence("topic=a", "model=openai", "model.base_url=http://x:99999/v1")
    assert "model.base_url=http://x:99999/v1: expected a port from 1 to 65535" in said
    said = sentence("topic=a", "model=openai", "model.base_url=http://[::1")
    assert "model.base_url=http://[::1: expected an IPv6 address in brackets, as in http://[::1]:8000/v1" in said


FILES = [
    ("defaults: [base, _self_]\nteacher: {temprature: 1}\n", "did you mean 'teacher.temperature'?"),
    ("defaults: [base, _self_]\nquestion_per_tag: 1\n", "did you mean 'questions_per_tag'?"),
    ("depth: 2\n", "conf/distill.yaml begins with 'defaults: [base, _self_]'"),
    ("defaults: [base, _self_]\ndepth: : 2\n", 'distill.yaml", line 2'),
    ("defaults: [base, nope, _self_]\n", "Could not load 'nope'"),
    ("defaults: [base, _self_]\ndepth: ${nope}\n", "depth is ${nope}, and there is no setting of that name"),
]


@pytest.mark.parametrize(("text", "said"), FILES)
def test_a_mistake_in_a_projects_own_file_gets_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/distill.yaml").write_text(text, encoding="utf-8")
    assert said in sentence("topic=a")


LACKING = "model/mine.yaml, which {} chooses, lacks api_key_env, api_key_required, "
MODEL_FILES = [
    ("", LACKING),
    ("# nothing yet\n", LACKING),
    ("- a\n- b\n", LACKING),
    ("a text\n", LACKING),
    (
        "name: m\nbase_url: http://127.0.0.1:1/v1\n",
        "model/mine.yaml, which {} chooses, lacks api_key_env, api_key_required, assumed_tokens",
    ),
    ("5\n", "conf/model/mine.yaml is one int: settings have names"),
    ("name: m\n\tbase_url: x\n", 'conf/model/mine.yaml", line 2, column 1'),
    ("name: \xff\n", "conf/model/mine.yaml is not UTF-8 text"),
    ("defaults: [openai, mine]\n", "begins with itself"),
    ("defaults: [opneai, _self_]\n", "model/mine.yaml begins with model/opneai, and there is no such file"),
    ("defaults: [openai, _self_]\nname: [m]\n", '{}.name=["m"]: expected text'),
    ("defaults: [openai, _self_]\nname: ${oc.env:NOT_SET}\n", "{}.name is the environment variable NOT_SET"),
]


@pytest.mark.parametrize("group", ["model", "model@teacher"])
@pytest.mark.parametrize(("text", "said"), MODEL_FILES, ids=[text for text, _ in MODEL_FILES])
def test_a_mistake_in_a_model_file_gets_a_sentence(tmp_path: Path, group: str, text: str, said: str) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(text, encoding="latin-1")
    node = group.rpartition("@")[2]
    assert said.format(group if "chooses" in said else node) in sentence("topic=a", f"{group}=mine")


def test_a_merge_conflict_in_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    conflict = "<<<<<<< HEAD\ndepth: 3\n=======\ndepth: 4\n>>>>>>> theirs\n"
    for name, words in (("distill", ()), ("model/mine", ("model=mine",)), ("distill", ("-m", "seed=1,2"))):
        file = tmp_path / f"conf/{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"defaults: [base, _self_]\n{conflict}", encoding="utf-8")
        assert sentence("topic=a", *words) == f"conf/{name}.yaml holds a merge conflict (line 2): resolve it"
        file.unlink()


def test_a_model_file_that_lacks_settings_is_named_in_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").touch()
    said = sentence("-m", "topic=a", "model=local,mine")
    assert said.startswith("model=mine: model/mine.yaml, which model chooses, lacks")


def test_a_number_as_the_topic_of_a_file_asks_for_quotes(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/distill.yaml").write_text("defaults: [base, _self_]\ntopic: 2024\n", encoding="utf-8")
    assert sentence().startswith("topic=2024: expected text; in a YAML file what reads as a number, a time or a truth")


def test_a_list_as_the_topic_of_a_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/distill.yaml").write_text("defaults: [base, _self_]\ntopic: [a]\n", encoding="utf-8")
    assert sentence() == 'topic=["a"]: expected text, not a list'


@pytest.mark.parametrize("line", ["topic: no", "topic: 3.10", "name: 12:30:45", "model: {revision: 3.10}"])
def test_what_yaml_reads_its_own_way_is_not_shown_as_what_to_write(line: str, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/distill.yaml").write_text(f"defaults: [base, _self_]\n{line}\n", encoding="utf-8")
    said = sentence(*["topic=a"] * ("topic" not in line))
    assert ": expected text; in a YAML file what reads as a number, a time or a truth value stands in quotes" in said


def test_a_mistake_in_a_sweep_is_found_before_any_job_runs() -> None:
    assert "unknown setting 'dept'" in sentence("-m", "topic=a,b", "dept=1,2")
    assert "unknown model 'gpt5'" in sentence("-m", "topic=a", "model=local,gpt5")
    for words in ((), ("hydra/launcher=basic",), ("hydra/sweeper=basic",)):
        said = sentence("-m", "topic=a", "teacher.temperature=interval(0,1)", *words)
        assert said.startswith("interval(…) has no end of values to try: list some")
        assert said.endswith("hydra/sweeper=optuna")


@pytest.mark.parametrize("words", [("--cfg=job", "-m"), ("--resolve",), ("--config-dir=nowhere",)])
def test_flags_that_do_not_fit_are_usage_errors(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        config.run(["topic=a", *words], lambda _: 0, lambda _: 0)


def test_a_primary_file_that_is_not_there_is_named() -> None:
    assert "'nowhere'" in sentence("topic=a", "--config-name=nowhere")


def test_the_quotes_that_a_sentence_asks_for_work() -> None:
    said = sentence("topic=a", "teacher.extra_body.x=体")
    assert said.endswith("""inside the shell's: "++teacher.extra_body.x='体'\"""")
    seen: list[object] = []

    def task(settings: Settings) -> int:
        seen.append(settings.models["teacher"].extra_body)
        return 0

    config.run(["topic=a", "model=vllm", "++teacher.extra_body.x='体'"], task, lambda _: 1)
    assert seen == [{"x": "体"}]


def test_the_error_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        config.run(["topic=a", "dept=1"], lambda _: 0, lambda _: 0)
