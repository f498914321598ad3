"""Soft labels of the packed model for real: what the file says at a position is what the engine says after the tokens
up to there."""

import asyncio
import json
import math
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from distill_build.models.base import ModelSettings
from distill_build.models.embedded import Engine
from distill_build.models.weights import weights_path
from tests.e2e.workspace import Workspace
from tests.gguf import write_student_of

for needed in ("xllamacpp", "pyarrow", "tokenizers"):
    pytest.importorskip(needed)
K = 20
MODEL = ModelSettings(engine="embedded", name="smollm2-135m")
WORDS = (
    *("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", "per_request={tags: 1, questions: 1}"),
    *("system_prompt=Answer in one short sentence.", "teacher.max_tokens=96", "teacher.temperature=0.2"),
    *("teacher.examples=false", f"teacher.logprobs={K}"),
    *("formats=[soft,kd]", "kd.tokenizer=student"),
)
MOST_BUILDS = 4
Tops = dict[int, float]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of a dataset for which the model itself is the student; a failed answer is asked for again."""
    from pyarrow.parquet import read_table

    workspace = Workspace(tmp_path_factory.mktemp("local"))
    write_student_of(weights_path(MODEL), workspace.root / "student")
    for _ in range(MOST_BUILDS):
        built = workspace.raw(*WORDS)
        assert built.status in (0, 1), built.stderr
        found: list[dict[str, Any]] = read_table(workspace.folder() / "dataset/train.kd.parquet").to_pylist()
        if found:
            return found
    return pytest.fail(built.stderr)


def said_after(address: str, tokens: list[int]) -> Tops:
    """What the engine holds likely after tokens: the likeliest, with their log probabilities."""
    body = {"prompt": tokens, "n_predict": 1, "n_probs": K, "temperature": 1.0, "cache_prompt": False}
    host = urlsplit(address).netloc
    with closing(HTTPConnection(host, timeout=60)) as connection:
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        tops = json.load(connection.getresponse())["completion_probabilities"][0]["top_logprobs"]
    return {top["id"]: top["logprob"] for top in tops}


def divergence(told: Tops, own: Tops) -> float:
    """KL of one from the other in nats, at the least: what `own` does not name has no more than the least it names,
    and all that `told` does not name is taken together."""
    least = min(own.values())
    others = {token: own.get(token, least) for token in told}
    rest, own_rest = (max(1e-9, 1 - sum(map(math.exp, each.values()))) for each in (told, others))
    return sum(math.exp(told[token]) * (told[token] - others[token]) for token in told) + rest * math.log(
        rest / own_rest
    )


def test_the_engine_agrees_with_each_position_and_with_no_other(rows: list[dict[str, Any]]) -> None:
    right, off = asyncio.run(divergences(rows[0]))
    assert sum(right) / len(right) < 0.02
    assert sum(off) / len(off) > 1


async def divergences(row: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Of some positions: what the file says there, and what it says at the next one."""
    first = next(place for place, label in enumerate(row["labels"]) if label >= 0) - 1
    places = range(first, min(first + 8, len(row["input_ids"]) - 2))
    engine = Engine(MODEL, None)
    try:
        address = await engine.address()
        own = [await asyncio.to_thread(said_after, address, row["input_ids"][: place + 1]) for place in places]
    finally:
        await engine.close()
    told = [
        dict(zip(row["token_ids"][place], row["top_values"][place], strict=True)) for place in (*places, places[-1] + 1)
    ]
    return [divergence(*pair) for pair in zip(told[:-1], own, strict=True)], [
        divergence(*pair) for pair in zip(told[1:], own, strict=True)
    ]


def test_a_row_reads_as_the_prompt_and_the_reply_of_the_template(rows: list[dict[str, Any]]) -> None:
    from tokenizers import Tokenizer

    write_student_of(weights_path(MODEL), Path("student"))
    tokenizer = Tokenizer.from_file("student/tokenizer.json")
    for row in rows:
        text = tokenizer.decode(row["input_ids"], skip_special_tokens=False)
        assert text.startswith("<|im_start|>system\n")
        assert "<|im_end|>\n<|im_start|>assistant\n" in text
        assert text.endswith("<|im_end|>")
