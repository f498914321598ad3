import json
from typing import Any

import pytest

from distill_build.errors import EndpointError, EndpointLimitError
from distill_build.models.base import ModelFailure, ModelSettings
from distill_build.models.refusals import Endpoint, ErrorReply, status_of
from distill_build.models.retry import RetryableError

KEY = "sk-very-secret-0123456789"
MODEL = ModelSettings(
    engine="openai_compatible",
    name="gpt-x",
    api_key_env="OPENAI_API_KEY",
    extra_body={"enable_thinking": False},
)
SENT = {
    "model": "gpt-x",
    "messages": [{"role": "user", "content": "Explain seed and temperature in brewing."}],
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 100,
    "seed": 5,
    "enable_thinking": False,
    "response_format": {"type": "json_schema", "json_schema": {}},
}


def refusal(status: int, body: Any, model: ModelSettings = MODEL, **headers: str) -> Exception:
    endpoint = Endpoint(model, "https://api.example.com/v1", KEY)
    text = body if isinstance(body, str) else json.dumps(body)
    return endpoint.refusal(ErrorReply(status, {k.replace("_", "-"): v for k, v in headers.items()}, text), SENT, 0.0)


def openai(message: str, **fields: Any) -> Any:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 520, 529])
def test_a_server_in_trouble_is_asked_again(status: int) -> None:
    error = refusal(status, "busy", retry_after="4")
    assert isinstance(error, RetryableError)
    assert (error.cause, error.retry_after_s) == ("server_error", 4.0)


def test_a_rate_limit_is_waited_for_even_where_only_its_sentence_says_how_long() -> None:
    error = refusal(429, openai("Rate limit reached. Please try again in 2.5s."))
    assert isinstance(error, RetryableError)
    assert (error.cause, error.retry_after_s) == ("rate_limited", 2.5)


GEMINI_QUOTA = "You exceeded your current quota, please check your plan and billing details."


def gemini(quota: str, retry: str) -> Any:
    violation = {"quotaMetric": "generate_content_free_tier_requests", "quotaId": quota, "quotaValue": "15"}
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry},
    ]
    return [{"error": {"code": 429, "message": GEMINI_QUOTA, "status": "RESOURCE_EXHAUSTED", "details": details}}]


def test_a_limit_of_a_minute_is_waited_for_though_its_sentence_speaks_of_a_used_up_quota() -> None:
    error = refusal(429, gemini("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "2.5s"))
    assert isinstance(error, RetryableError)
    assert (error.cause, error.retry_after_s) == ("rate_limited", 2.5)


GROQ = (
    "Rate limit reached for model in organization on tokens per day (TPD): Limit 100000, Used 99000, Requested 2000. "
    "Please try again in 7m12s."
)


@pytest.mark.parametrize(("headers", "seconds"), [({}, 432.0), ({"retry_after": "1"}, 1.0)])
def test_a_limit_that_rolls_over_a_day_is_waited_for_where_the_wait_is_short(
    headers: dict[str, str], seconds: float
) -> None:
    error = refusal(429, openai(GROQ, code="rate_limit_exceeded"), **headers)
    assert isinstance(error, RetryableError)
    assert (error.cause, error.retry_after_s) == ("rate_limited", seconds)


def test_a_code_of_a_used_up_account_counts_before_a_sentence_about_a_day() -> None:
    assert isinstance(refusal(429, openai("Used up, 50 per day", code="insufficient_quota")), EndpointError)


OPENROUTER = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7200000000000"}


@pytest.mark.parametrize(
    ("body", "headers", "when"),
    [
        (gemini("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "34s"), {}, "at midnight Pacific time."),
        (openai("Daily limit reached"), {}, "when its day ends: it does not say at what time."),
        (
            openai("Rate limit exceeded: free-models-per-day", metadata={"headers": OPENROUTER}),
            {},
            "in 2000000.0 hours",
        ),
        (openai("Too many requests"), {"x_ratelimit_reset": "1000036000"}, "in 277787.8 hours"),
        (openai("Slow down"), {"retry_after": "7200"}, "in 2.0 hours"),
    ],
)
def test_a_limit_of_a_day_says_when_it_ends(body: Any, headers: dict[str, str], when: str) -> None:
    error = refusal(429, body, **headers)
    assert isinstance(error, EndpointLimitError)
    assert f"it goes on {when}" in str(error)
    assert "{" not in str(error)


FATAL = [
    (401, openai("Incorrect API key provided"), "OPENAI_API_KEY"),
    (403, openai("You have no access to this model"), "OPENAI_API_KEY"),
    (400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], "OPENAI_API_KEY"),
    (402, openai("Insufficient Balance"), "account"),
    (429, openai("You exceeded your current quota", code="insufficient_quota"), "account"),
    (404, openai("The model `gpt-x` does not exist", code="model_not_found"), "model.name"),
    (400, openai("gpt-x is not a valid model ID"), "model.name"),
    (400, openai("Model Not Exist"), "model.name"),
    (404, '{"detail":"Not Found"}', "model.base_url"),
    (404, "<html>404</html>", "model.base_url"),
    (405, "", "model.base_url"),
    (400, openai("This response_format type is unavailable now"), "model.structured=json_object or none"),
    (400, openai("'json_schema' is not supported by this model"), "model.structured=json_object or none"),
    (400, openai("Unsupported value", param="temperature"), "model.temperature=null"),
    (400, openai("'temperature' must be 1"), "model.temperature=null"),
    (400, openai("top_p must be in (0, 1)"), "model.top_p=null"),
    (
        400,
        openai("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        "model.max_tokens_field=max_completion_tokens",
    ),
    (400, openai("Unrecognized request argument supplied: `seed`"), "model.send_seed=false"),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, "model.send_seed=false"),
    (400, openai("Unknown name enable_thinking"), "model.extra_body without enable_thinking"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "way_out"), FATAL)
def test_an_endpoint_that_refuses_everything_names_the_way_out(status: int, body: Any, way_out: str) -> None:
    error = refusal(status, body)
    assert isinstance(error, EndpointError)
    assert way_out in str(error)
    assert "https://api.example.com/v1" in str(error)


REJECTED = [
    (413, "too large"),
    (422, openai("unprocessable")),
    (400, openai("This model's maximum context length is 4096 tokens", code="context_length_exceeded")),
    (400, openai("max_tokens is too large: your context length is 4096 and the prompt has 4000 tokens")),
    (400, openai("invalid content", param="messages[0].content")),
    (400, openai("I cannot parse: Explain seed and temperature in brewing.")),
    (418, "teapot"),
]


@pytest.mark.parametrize(("status", "body"), REJECTED)
def test_what_is_wrong_with_one_request_fails_that_item_alone(status: int, body: Any) -> None:
    error = refusal(status, body)
    assert isinstance(error, ModelFailure)
    assert error.cause == "rejected"


FILTERED = [
    (400, openai("The response was filtered", code="content_filter")),
    (400, openai("Content Exists Risk")),
    (400, openai("Input data may contain inappropriate content", code="data_inspection_failed")),
    (403, openai("Your input was flagged", code=403, metadata={"reasons": ["violence"]})),
]


@pytest.mark.parametrize(("status", "body"), FILTERED)
def test_a_content_filter_fails_that_item_alone(status: int, body: Any) -> None:
    error = refusal(status, body)
    assert isinstance(error, ModelFailure)
    assert error.cause == "content_filter"


def test_a_moved_address_is_said_and_not_followed() -> None:
    error = refusal(308, "", location="https://new.example.com/v2/chat/completions")
    assert isinstance(error, EndpointError)
    assert "model.base_url=https://new.example.com/v2" in str(error)


def test_the_key_is_in_no_sentence() -> None:
    padding = "x" * 290  # so that cutting the quotation would leave the key's beginning
    for status in (400, 401, 422, 429, 500):
        assert "sk-very" not in str(refusal(status, f"{padding}{KEY} is wrong"))
    assert "sk-very" not in str(refusal(301, "", location=f"https://x/?key={KEY}"))


def test_without_a_key_variable_the_setting_is_named() -> None:
    model = ModelSettings(engine="openai_compatible", name="m", api_key_required=False)
    assert "model.api_key_env" in str(refusal(401, "who are you?", model))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429}, 429),
        ({"code": "503"}, 503),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"type": "invalid_request_error"}, 400),
        ({"code": 1001}, 500),
        ("overloaded", 500),
    ],
)
def test_an_error_inside_a_200_stands_for_a_status(error: Any, status: int) -> None:
    assert status_of(error) == status
