"""Parts the chain of thought from what follows it, where a model sends both in one text.

Only a block at the start counts: an answer that talks about the `<think>` tag further down stays whole.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from distill_build.records import ReasoningMode

CHANNEL = "<|channel|>"
Marks = tuple[str, str]
"""What opens and what closes a chain of thought."""
USUAL_MARKS: tuple[Marks, ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # Gemini's OpenAI route
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThoughts, Sky-T1
    (f"{CHANNEL}analysis<|message|>", "<|end|>"),  # gpt-oss (harmony), where a server leaves its marks in the text
    (f"{CHANNEL}commentary<|message|>", "<|end|>"),
)
BARE: tuple[Marks, ...] = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""Those of them whose opening mark stands in some prompts, so that a reply has the closing one alone."""
ASKED_MARKS: Marks = ("<working>", "</working>")
"""Those that a prompt asks a model to think in. None of the usual ones: a model's own thought is not what was asked,
and servers that look for one would take them away."""
TURN = "<|start|>assistant"
FINAL = re.compile(
    rf"(?:{re.escape(TURN)})?<\|channel\|>final(?: ?<\|constrain\|>\w+)?<\|message\|>"
    r"|<\|begin_of_solution\|>|<\|START_(?:RESPONSE|TEXT)\|>"
)
BETWEEN = re.compile(rf"\s*(?:{re.escape(TURN)})?(?=<\|channel\|>)")
ENDS = re.compile(r"\s*<\|(?:return|end|end_of_solution|END_RESPONSE|END_TEXT)\|>\s*$")
UNMARKED = re.compile(r"\s*analysis(?P<reasoning>.*?)assistantfinal(?P<answer>.*)", re.DOTALL)
"""harmony from a server that takes the marks away and leaves the words."""
NEXT_UNMARKED = "assistantcommentary"
QUOTES = frozenset("`\"'“”‘’「」")


class Thoughts(msgspec.Struct, frozen=True):
    """How the chain of thought in a model's replies is read: by its own marks, None for the usual ones, and what
    becomes of it."""

    marks: tuple[Marks, ...] | None = None
    mode: ReasoningMode = "native"

    @property
    def asked(self) -> bool:
        """Whether the prompt asks for it, in `ASKED_MARKS`."""
        return self.mode == "prompted"

    @property
    def needed(self) -> bool:
        """Whether a reply without it cannot be used."""
        return self.mode in ("prompted", "required")


NATIVE = Thoughts()


class Split(NamedTuple):
    """Parts of a text, without outer white space. `answer` is None where the reasoning never ended."""

    reasoning: str | None
    answer: str | None


def split_reasoning(text: str, own: tuple[Marks, ...] | None = None) -> Split:
    """The leading reasoning of `text`, and the rest. `own` marks stand in the place of the usual ones."""
    known = USUAL_MARKS if own is None else own
    if own is None and (unmarked := UNMARKED.fullmatch(text)) is not None:
        return Split(thought_in(unmarked["reasoning"].split(NEXT_UNMARKED)), unmarked["answer"].strip())
    if (opened := opened_at(text, 0, known)) is None:
        return split_at_bare_close(text, BARE if own is None else own)
    blocks: list[str] = []
    end = 0
    while opened is not None:
        marks, start = opened
        close, end = closed_at(text, start, marks)
        blocks.append(without_doubled_opening(text[start:close], known))
        if close is None:
            return Split(thought_in(blocks), None)
        opened = opened_at(text, end, known)
    return Split(thought_in(blocks), answer_in(text[end:]).strip())


def thought_in(blocks: Iterable[str]) -> str | None:
    """The chain of thought that came in several blocks; None where all are empty."""
    stripped = (block.strip().removesuffix(TURN).strip() for block in blocks)
    return "\n\n".join(filter(None, stripped)) or None


def opened_at(text: str, place: int, known: tuple[Marks, ...]) -> tuple[Marks, int] | None:
    """The marks of a block that begins at `place`, white space aside, and where its text begins."""
    between = BETWEEN.match(text, place)
    place = between.end() if between is not None else len(text) - len(text[place:].lstrip())
    return next(((marks, place + len(marks[0])) for marks in known if text.startswith(marks[0], place)), None)


def answer_in(text: str) -> str:
    """What follows the reasoning, without the marks that say so."""
    final = FINAL.match(text.lstrip())
    return text if final is None else ENDS.sub("", text.lstrip()[final.end() :])


def closing(text: str, start: int, marks: Marks) -> int | None:
    """Where the block that was opened before `start` is closed: where openings and closings balance.

    Where they never do, the reasoning only mentions the mark, and the first closing counts. So do not those
    in quotes, unless there is no other.
    """
    depth = 1
    first = None
    for mark in re.finditer("|".join(map(re.escape, marks)), text[start:]):
        position = start + mark.start()
        if is_quoted(text, position, start + mark.end()):
            continue
        closes = mark[0] == marks[1]
        if closes and first is None:
            first = position
        depth += -1 if closes else 1
        if depth == 0:
            return position
    if first is not None:
        return first
    any_closing = text.find(marks[1], start)
    return None if any_closing < 0 else any_closing


def closed_at(text: str, start: int, marks: Marks) -> tuple[int | None, int]:
    """Where the block that was opened before `start` is closed, and where what follows begins.

    Some templates leave a channel open: the next one ends it.
    """
    close = closing(text, start, marks)
    channel = text.find(CHANNEL, start) if marks[0].startswith(CHANNEL) else -1
    if channel >= 0 and (close is None or channel < close):
        return channel, channel
    return close, start if close is None else close + len(marks[1])


def without_doubled_opening(reasoning: str, known: tuple[Marks, ...]) -> str:
    """Templates that open the block for a model that opens it too leave a second mark."""
    doubled = opened_at(reasoning, 0, known)
    if doubled is not None and doubled[0][1] not in reasoning:
        return reasoning[doubled[1] :]
    return reasoning


def split_at_bare_close(text: str, known: tuple[Marks, ...]) -> Split:
    """R1 templates open the block in the prompt: a reply has the closing mark alone. JSON has no such mark."""
    if known and text.lstrip()[:1] not in ("{", "["):
        for close in re.finditer("|".join(re.escape(closing) for _, closing in known), text):
            if not is_mention(text, close.start(), close.end(), known):
                return Split(text[: close.start()].strip() or None, answer_in(text[close.end() :]).strip())
    return Split(None, answer_in(text).strip())


def is_mention(text: str, start: int, end: int, known: tuple[Marks, ...]) -> bool:
    """Whether the mark is spoken of, not used: after an opening one, in quotes or code, inside a sentence."""
    before = text[:start]
    if any(opening in before for opening, _ in known) or is_quoted(text, start, end) or before.count("```") % 2:
        return True
    line = before[before.rfind("\n") + 1 :]
    if line.count("`") % 2:
        return True
    return is_inside_sentence(text, start, end)


def is_inside_sentence(text: str, start: int, end: int) -> bool:
    """Whether a mark stands between words of one sentence on its line."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    said = line.rstrip(" ")
    inside = said != "" and said != line and said[-1] not in ".!?。！？…)）*"
    return inside and text[end : end + 1] == " " and text[end + 1 : end + 2].islower()


def is_quoted(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] in QUOTES and text[end : end + 1] in QUOTES
