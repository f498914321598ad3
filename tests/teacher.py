"""A made teacher: what it holds likely next is a known function of all tokens before, so files can be held against it.

A byte is a token, and two special ones open and close a turn. Replies are those of the scripted server; their tokens
are listed as llama.cpp's server or vLLM does.
"""

import hashlib
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tests.server import Body, Tokens

OPEN, CLOSE = 256, 257
VOCABULARY = 258
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The chat template of `prompt_tokens`."""


def prompt_tokens(messages: Sequence[dict[str, Any]]) -> list[int]:
    """The tokens of the messages, and of the beginning of an answer."""
    turns = [[OPEN, *f"{each['role']}\n{each['content']}".encode(), CLOSE, *b"\n"] for each in messages]
    return [token for turn in turns for token in turn] + [OPEN, *b"assistant\n"]


def completion_tokens(message: dict[str, Any], finish_reason: str = "stop") -> list[int]:
    """The tokens that made a message: its reasoning in marks, its text, and the end of the turn."""
    thought = f"<think>\n{message['reasoning_content']}\n</think>\n\n" if message.get("reasoning_content") else ""
    return [*f"{thought}{message['content']}".encode(), *([CLOSE] if finish_reason == "stop" else [])]


def distribution(before: Sequence[int]) -> list[float]:
    """The log probability of each token after those before."""
    chance = random.Random(hashlib.sha256(repr(list(before)).encode()).digest())
    logits = [4 * chance.gauss(0, 1) for _ in range(VOCABULARY)]
    total = math.log(sum(map(math.exp, logits)))
    return [each - total for each in logits]


def likeliest(before: Sequence[int], number: int) -> list[tuple[int, float]]:
    """So many tokens after those before, the likeliest first, with their log probabilities."""
    found = distribution(before)
    return [(token, found[token]) for token in sorted(range(VOCABULARY), key=lambda token: -found[token])[:number]]


def listing(ids: Literal["field", "text", "none"] = "field", lost: int = 0) -> Tokens:
    """Lists tokens with their `ids`: in a field (llama.cpp), as their text (vLLM), or not at all (OpenAI). `lost` says
    how many are left out at the beginning, as llama.cpp does with the pieces of one character."""

    def entry(token: int, logprob: float) -> Body:
        text = "" if token >= OPEN else bytes([token]).decode("latin-1")
        if ids == "text":
            return {"token": f"token_id:{token}", "logprob": logprob}
        return {"token": text, "logprob": logprob} | ({"id": token} if ids == "field" else {})

    def tokens(body: Body, whole: Body) -> Body:
        choice = whole["choices"][0]
        before = prompt_tokens(body["messages"])
        own = completion_tokens(choice["message"], choice["finish_reason"])
        usage = {**whole["usage"], "prompt_tokens": len(before), "completion_tokens": len(own)}
        listed = []
        for token in own:
            tops = [entry(*each) for each in likeliest(before, body.get("top_logprobs", 0))]
            listed.append({**entry(token, distribution(before)[token]), "top_logprobs": tops})
            before.append(token)
        return {**whole, "usage": usage, "choices": [{**choice, "logprobs": {"content": listed[lost:]}}]}

    return tokens


def letters() -> list[str]:
    """What stands for each byte in a tokenizer that works on bytes: GPT-2's own letters."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = (byte for byte in range(256) if byte not in shown)
    others = {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return [others.get(byte, chr(byte)) for byte in range(256)]


def write_student(folder: Path, template: str = TEMPLATE) -> Path:
    """The files of a model that has the teacher's tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(vocab={letter: byte for byte, letter in enumerate(letters())}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in ("<|im_start|>", "<|im_end|>")])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    return folder
