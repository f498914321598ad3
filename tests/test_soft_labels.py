"""Log probabilities of a reply, packed to be stored and read back."""

import json
import math
import struct
from typing import Any

import pytest

from distill_build.soft_labels import LEAST, NoTokenIdsError, SoftLabels, packed, packed_bytes, soft_labels_in
from tests.teacher import completion_tokens, likeliest, listing, prompt_tokens

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]
ASKED: dict[str, Any] = {"messages": MESSAGES, "top_logprobs": 5, "logprobs": True}
MESSAGE = {"role": "assistant", "content": "By scattering, 散射.", "reasoning_content": "Light, air."}
WHOLE: dict[str, Any] = {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}], "usage": {}}


def ids(kept: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(kept) // 4}i", kept))


def numbers(kept: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(kept) // 2}e", kept))


def read(raw: Any) -> SoftLabels:
    found = soft_labels_in(json.loads(json.dumps(packed(raw, 5))))
    assert found is not None
    return found


def with_tokens(*listed: Any) -> Any:
    return {"choices": [{"message": MESSAGE, "finish_reason": "stop", "logprobs": {"content": list(listed)}}]}


@pytest.mark.parametrize("where", ["field", "text"])
def test_what_was_listed_is_read_back_with_the_ids_of_llama_cpp_and_of_vllm(where: Any) -> None:
    found = read(listing(where)(ASKED, WHOLE))
    assert ids(found.token_ids) == completion_tokens(MESSAGE)
    before = prompt_tokens(MESSAGES)
    for place, token in enumerate(completion_tokens(MESSAGE)):
        tops = likeliest(before, 5)
        assert ids(found.top_ids)[5 * place : 5 * place + 5] == [each for each, _ in tops]
        kept = numbers(found.top_logprobs)[5 * place : 5 * place + 5]
        assert kept == pytest.approx([logprob for _, logprob in tops], rel=5e-4)
        before.append(token)


def test_packed_it_is_small_and_a_plan_knows_how_small() -> None:
    raw = listing()({**ASKED, "top_logprobs": 20}, WHOLE)
    tokens = len(completion_tokens(MESSAGE))
    kept = len(json.dumps(packed(raw, 20)["choices"][0]["logprobs"]))
    assert kept == pytest.approx(packed_bytes(tokens, 20), rel=0.05)
    assert kept < len(json.dumps(raw["choices"][0]["logprobs"])) / 5


@pytest.mark.parametrize(
    "raw",
    [
        listing("none")(ASKED, WHOLE),
        WHOLE,
        {"choices": [{**WHOLE["choices"][0], "logprobs": "none"}]},
        with_tokens({"id": 1, "logprob": -1, "top_logprobs": [{"token": "a", "logprob": -1}]}),
        with_tokens({"id": 2**40, "logprob": -1, "top_logprobs": []}),
    ],
)
def test_a_reply_without_ids_is_told_never_guessed(raw: Any) -> None:
    with pytest.raises(NoTokenIdsError):
        packed(raw, 5)


def test_a_reply_without_text_needs_no_tokens() -> None:
    empty = {"choices": [{"message": {"content": ""}, "finish_reason": "stop", "logprobs": None}]}
    assert packed(empty, 5) == empty
    assert soft_labels_in(empty) is None


def test_impossible_tokens_have_the_least_and_the_likeliest_come_first() -> None:
    tops = [{"id": 1, "logprob": None}, {"id": 2, "logprob": -1e30}, {"id": 3, "logprob": -0.5}, {"id": 4}]
    found = read(with_tokens({"id": 3, "logprob": -0.5, "top_logprobs": tops}))
    assert ids(found.top_ids)[0] == 3
    assert numbers(found.top_logprobs) == [-0.5, LEAST, LEAST, LEAST]


def test_places_with_fewer_alternatives_make_all_have_as_few() -> None:
    two, three = ([{"id": each, "logprob": -each} for each in range(number)] for number in (2, 3))
    found = read(with_tokens(*({"id": 0, "logprob": 0, "top_logprobs": each} for each in (three, two))))
    assert (found.width, ids(found.top_ids)) == (2, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("own", "others"),
    [
        (None, [-0.5, -1]),
        (math.nan, [-0.5, -1]),
        ("-0.5", [-0.5, -1]),
        (0.7, [-0.5, -1]),
        (-0.5, [-0.5, 0.7]),
    ],
)
def test_a_place_whose_numbers_are_no_logarithms_of_probabilities_has_no_alternatives(own: Any, others: Any) -> None:
    tops = [{"id": each, "logprob": logprob} for each, logprob in enumerate(others)]
    good = {"id": 0, "logprob": -0.5, "top_logprobs": [{"id": 0, "logprob": -0.5}, {"id": 1, "logprob": -1}]}
    assert read(with_tokens(good)).width == 2
    assert read(with_tokens(good, {"id": 0, "logprob": own, "top_logprobs": tops})).width == 0


def test_a_certain_token_may_come_out_a_little_above_0() -> None:
    found = read(with_tokens({"id": 0, "logprob": 1e-6, "top_logprobs": [{"id": 0, "logprob": 1e-6}]}))
    assert numbers(found.top_logprobs) == [0.0]


def test_an_alternative_counts_once_and_none_beyond_those_that_were_asked_for() -> None:
    tops = [{"id": 7, "logprob": -2}, {"id": 7, "logprob": -1}, {"id": 8, "logprob": -3}]
    assert ids(read(with_tokens({"id": 7, "logprob": -1, "top_logprobs": tops})).top_ids) == [7, 8]
    many = [{"id": each, "logprob": -each} for each in range(8)]
    assert read(with_tokens({"id": 0, "logprob": 0, "top_logprobs": many})).width == 5
