"""What the types of `distill_build.settings` cannot say: well-formed values that cannot work. Pure.

Each check raises ConfigurationError with the setting, its value and the way out.
"""

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from distill_build.config.stage_checks import STAGE_NAME
from distill_build.errors import ConfigurationError, MissingTopicError, UsageError
from distill_build.graph import END, Graph
from distill_build.models.address import address_in_words, split_address
from distill_build.models.base import Limits
from distill_build.settings import Objective, Settings, graph_of

EXAMPLE = "distill-build topic=sports depth=2"
ADDRESS_EXAMPLE = "model=openai_compatible model.base_url=http://127.0.0.1:8000/v1 model.name=my-model"

LOWEST: dict[str, float] = {
    "concurrency": 1, "rpm": 1, "tpm": 1, "retries": 0, "reasks": 0, "max_tokens": 1, "temperature": 0,
    "prompt": 0, "completion": 0,
}  # fmt: skip
"""The lowest value of a limit, a sampling parameter or a price."""


OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

OURS = {
    "messages": "they are made from the prompt templates",
    "model": "set the model's name",
    "n": "set answers_per_question",
    "seed": "set seed; each sample and attempt gets one of its own from it",
    "stream": "set the model's stream",
}
"""Fields of a request's body that extra_body may not take over, each with the setting that reaches it."""
TAKEN = frozenset({*OURS, "temperature", "top_p", "response_format", "stream_options"})
"""Fields of a request's body that hold something else than the limit of tokens."""


def check_topic(topic: Any) -> str:
    """`topic`, where it can be one."""
    if topic is None:
        raise MissingTopicError(f"the topic is missing: say what the dataset is about, as in {EXAMPLE}")
    if not isinstance(topic, str):
        raise not_text("topic", topic)
    if not topic.strip():
        raise ConfigurationError(f"the topic is empty: say what the dataset is about, as in {EXAMPLE}")
    try:
        topic.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("the topic is not valid UTF-8: look at the terminal's encoding") from None
    return topic


def not_text(key: str, value: Any) -> ConfigurationError:
    """The sentence for what a file has in place of text. What it was there is not known: YAML keeps 3.1 of 3.10."""
    if isinstance(value, list):
        return ConfigurationError(f"{key}={json.dumps(value, default=str)}: expected text, not a list")
    return ConfigurationError(
        f"{key}={json.dumps(value, default=str)}: expected text; in a YAML file what reads as a number, a time or a "
        'truth value stands in quotes, as "3.10", "12:30" and "no" do'
    )


def objective_names(setting: Any) -> tuple[Objective, ...]:
    """The names in `setting`, one or a list, where they are those of objectives."""
    names = setting if isinstance(setting, list) else [setting]
    for name in names:
        if name not in OBJECTIVES:
            near = difflib.get_close_matches(str(name), OBJECTIVES, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigurationError(f"objective={name}: {hint}It is one of {', '.join(OBJECTIVES)}, or a list of them")
    return tuple(names)


def check_address(role: str, settings: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """A model has a name, and an HTTP endpoint an address. `model` is the node that roles follow."""
    over_http = settings["engine"] == "openai_compatible"
    follows = settings["engine"] == model["engine"]
    for field in ("base_url", "name") if over_http else ("name",):
        node = "model" if follows and settings[field] == model[field] else role
        if settings[field] in (None, ""):
            raise ConfigurationError(f"{node}.{field} is not set, for example: {ADDRESS_EXAMPLE}")
        if field == "base_url":
            try:
                split_address(address := str(settings[field]).strip())
            except ValueError as error:
                raise ConfigurationError(f"{node}.base_url={address_in_words(address)}: {error}") from None


def check_settings(settings: Settings) -> None:
    """Whether settings of the right types fit together."""
    if isinstance(settings.breadth, list) and len(settings.breadth) != settings.depth:
        typed = ",".join(map(str, settings.breadth))
        raise ConfigurationError(
            f"breadth=[{typed}] has {len(settings.breadth)} numbers for depth={settings.depth}: "
            "say one number a level, or a single number for all"
        )
    for key, value in numbers(settings):
        check_number(key, value)
    for key, text in (("output_dir", settings.output_dir), ("cache.dir", settings.cache.dir)):
        if not text.strip():
            raise ConfigurationError(f"{key} is empty: it is the name of a folder")
    check_build_limits(settings.limits)
    check_prices(settings)
    for role, model in settings.models.items():
        check_extra_body(f"{role}.extra_body", model.extra_body)
        check_max_tokens_field(f"{role}.max_tokens_field", model.max_tokens_field)


def check_extra_body(key: str, extra_body: Mapping[str, Any]) -> None:
    """Whether `extra_body` is JSON, and leaves alone what the program fills in itself for each request."""
    for name in extra_body:
        if (way_out := OURS.get(name)) is not None:
            raise ConfigurationError(f"{key}.{name} cannot be set: {way_out}")
    check_json(key, extra_body)


def check_max_tokens_field(key: str, field: str) -> None:
    """Whether a request has room for the limit of tokens under this name."""
    if field in TAKEN or not field.strip():
        why = f"a request's {field} is something else" if field.strip() else "a field has a name"
        raise ConfigurationError(f"{key}={field}: {why}; most endpoints take max_tokens or max_completion_tokens")


def check_json(key: str, value: Any) -> None:
    """Whether JSON can write `value`: it is sent as it is."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            check_json(f"{key}.{name}", item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            check_json(f"{key}[{place}]", item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"{key}={value}: JSON has no such number")


def numbers(settings: Settings) -> Iterator[tuple[str, float | None]]:
    """The dotted keys and values of limits, sampling parameters and prices."""
    yield from limit_numbers("limits", settings.limits)
    for role, model in settings.models.items():
        yield from limit_numbers(f"{role}.limits", model.limits)
        for field in ("temperature", "top_p", "max_tokens"):
            yield f"{role}.{field}", getattr(model, field)
        for field in ("prompt", "completion"):
            yield f"{role}.prices.{field}", getattr(model.prices, field)


def limit_numbers(prefix: str, limits: Limits) -> Iterator[tuple[str, float | None]]:
    """The dotted keys and values of `limits`."""
    for field in limits.__struct_fields__:
        yield f"{prefix}.{field}", getattr(limits, field)


def check_number(key: str, value: float | None) -> None:
    """Whether a number lies where it means something. None is not set, and passes."""
    if value is None:
        return
    field = key.rpartition(".")[2]
    low = LOWEST.get(field, 0)
    if not math.isfinite(value) or value < low:
        raise ConfigurationError(f"{key}={value:g}: expected a number from {low:g}, or null")
    if field == "timeout_s" and value == 0:
        raise ConfigurationError(f"{key}=0: expected a number above 0, or null")
    if field == "top_p" and value > 1:
        raise ConfigurationError(f"{key}={value:g}: expected a number from 0 to 1, or null")


def check_build_limits(limits: Limits) -> None:
    """A model may leave these to the build, so the build says them."""
    for field in ("timeout_s", "retries", "reasks"):
        if getattr(limits, field) is None:
            raise ConfigurationError(f"limits.{field}=null: the build needs a number; a model's own may be null")


def check_prices(settings: Settings) -> None:
    """A cap in US dollars holds only where every role has prices."""
    if settings.budget.usd is None:
        return
    for role, model in settings.models.items():
        prices = model.prices
        if prices.prompt is None or prices.completion is None:
            raise ConfigurationError(
                f"budget.usd={settings.budget.usd:g} needs prices: set {role}.prices.prompt and "
                f"{role}.prices.completion (US dollars per million tokens; model.prices.* for all roles that "
                "follow model), or cap budget.tokens or budget.calls instead"
            )


def check_until(until: str, settings: Settings) -> None:
    """Whether `until` (--until) is a stage in force, or END. Raises UsageError with the nearest one."""
    known = [*settings.stages, END]
    if until not in known:
        near = difflib.get_close_matches(until, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"--until={until}: {hint}The stages are {', '.join(settings.stages)}, and {END} is the end")


def check_rebuild(words: Sequence[str], until: str, settings: Settings) -> None:
    """Whether each of `words` (--rebuild) that names a stage names one that a build up to `until` asks for.

    Raises UsageError with the stages that can be named.
    """
    graph = graph_of(settings).up_to(until)
    asked = [shape.name for shape in graph if shape.asks]
    for word in words:
        stage, colon, path = word.partition(":")
        if not (path if colon else word):
            raise UsageError(f"--rebuild={word} names no path: {stage}{colon}'*' is all of them")
        if colon and (why := _why_not_asked(stage, path, graph, settings)):
            near = difflib.get_close_matches(stage, asked, n=1)
            hint = f"did you mean '{near[0]}'? " if near and stage not in settings.stages else ""
            raise UsageError(f"--rebuild={word}: {why}: {hint}Those that can be asked again are {', '.join(asked)}")


def _why_not_asked(stage: str, path: str, reached: Graph, settings: Settings) -> str | None:
    """Why what stands before the colon names no stage to ask; None where it does, or belongs to the path.

    Labels may have colons, too: a path begins with the topic, so what looks like a stage's name and is not that stands
    for a mistyped one.
    """
    if stage in reached:
        return None if reached[stage].asks else f"{stage} asks no model, and each build works it out anew"
    if stage in settings.stages:
        return f"--until={reached.names[-1]} does not reach {stage}"
    if STAGE_NAME.fullmatch(stage) is None or settings.topic.startswith(f"{stage}:"):
        return None
    return f"there is no stage {stage} in force (in a path ? stands for a colon: '{stage}?{path}')"
