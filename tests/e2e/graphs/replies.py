"""What the endpoint of random graphs answers: a function of the request's text, its temperature and its number alone.

While it is ill it fails for some requests, always for the same ones. Knows nothing of distill_build but how a seed
tells which request is which: were that to change, everything would be asked again.
"""

import hashlib
import json
from typing import Literal

from tests.server import Body, Fault, content, error, raw

TAGS, QUESTIONS = "tags", "questions"
WORDS = ("kites", "boats", "drums", "maps", "ropes", "tents", "lamps", "wheels", "gates", "nets", "bells", "sails")
ASKED = tuple(f"What is the point of {word}?" for word in WORDS)
LABELS = tuple(map(str.title, WORDS))
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}

Flaw = Literal["", "refuses", "raves", "rejects", "repeats"]
"""How a reply fails: it refuses, it is no JSON, the endpoint rejects the request; a list may bring nothing new."""
Reply = list[str] | int


def seed_of(sample: int, attempt: int) -> int:
    """The seed of an attempt of the request for a sample, or of the request with that number in a list."""
    return int.from_bytes(hashlib.sha256(f"0:{sample}:{attempt}".encode()).digest()[:4], "big") >> 1


SEEDS = {seed_of(sample, attempt): sample for sample in range(40) for attempt in range(40)}


def chance(text: str, kinds: int) -> int:
    """A number below `kinds` that follows from a text."""
    return hashlib.sha256(text.encode()).digest()[0] % kinds


def flaw_of(text: str, sample: int, illness: str) -> Flaw:
    """What is wrong with the reply to a request, given the endpoint's illness; nothing while it has none."""
    flaws: tuple[Flaw, ...] = ("refuses", "raves", "rejects")
    if text.startswith((TAGS, QUESTIONS)):
        flaws = (*flaws, "repeats", "", "", "", "")
    chosen = chance(f"{illness}|{text}|{sample}", len(flaws) + 8)
    return flaws[chosen] if illness and chosen < len(flaws) else ""


def reply_to(text: str, temperature: float | None, sample: int) -> Reply:
    """What the endpoint answers when it is well: a list without regard to its number, so that none is lost by one that
    brought nothing new."""
    if not text.startswith((TAGS, QUESTIONS)):
        return chance(f"{text}|{temperature}|{sample}", 5)
    pool = LABELS if text.startswith(TAGS) else ASKED
    start = chance(f"{text}|{temperature}", len(pool))
    listed = [pool[(start + place) % len(pool)] for place in range(chance(text + "!", 3))]
    new = next(item for place in range(len(pool)) if (item := pool[(start + place) % len(pool)]) not in text)
    return [*listed, new]


def already_there(text: str) -> list[str]:
    """The items that a request for a list shows."""
    return [item for item in text.rpartition("|")[2].split(";") if item]


class Endpoint:
    """Replies for a server. `illness` may change meanwhile."""

    def __init__(self) -> None:
        self.illness = ""

    def __call__(self, _: int, body: Body) -> Fault:
        text, temperature, sample = told(body)
        match flaw_of(text, sample, self.illness):
            case "refuses":
                return completion({"content": None, "refusal": "I can't help with that."})
            case "raves":
                return content("I would rather talk of something else.")
            case "rejects":
                return error(400, "The response was filtered", code="content_filter")
            case "repeats":
                found: Reply = already_there(text)
            case _:
                found = reply_to(text, temperature, sample)
        column = text.partition("|")[0] if isinstance(found, list) else "value"
        return completion({"content": json.dumps({column: found})})


def completion(message: dict[str, str | None]) -> Fault:
    """A completion that tells nothing of what was asked: a re-ask has a longer text, and its reply the same tokens."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return raw({"object": "chat.completion", "model": "scripted", "choices": [choice], "usage": USAGE})


def told(body: Body) -> tuple[str, float | None, int]:
    """Text, temperature and number of what a request asks for, whichever attempt it is."""
    return body["messages"][0]["content"], body.get("temperature"), SEEDS[body["seed"]]


def unsteady(body: Body) -> float:
    """Seconds before a reply: up to 4 ms, other ones for each request."""
    return chance(json.dumps(body, sort_keys=True), 5) / 1000
