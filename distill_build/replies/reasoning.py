"""Parts the chain of thought from what follows it, where a model sends both in one text.

Only a block at the start counts: an answer that talks about the `<think>` tag further down stays whole.
"""

import re
from typing import NamedTuple

NAMES = "think|thinking|thought"  # Gemini's OpenAI route says thought
LEADING = re.compile(rf"\s*<({NAMES})>")
BARE_CLOSE = re.compile("</think>")
QUOTES = frozenset("`\"'“”‘’「」")


class Split(NamedTuple):
    """Parts of a text, without outer white space. `answer` is None where the reasoning never ended."""

    reasoning: str | None
    answer: str | None


def split_reasoning(text: str) -> Split:
    """The leading reasoning of `text`, and the rest."""
    leading = LEADING.match(text)
    if leading is None:
        return split_at_bare_close(text)
    end = leading.end()
    name = leading[1]
    while True:
        close = closing(text, end, name)
        if close is None:
            return Split(text[leading.end() :].strip() or None, None)
        end = close + len(name) + 3
        again = LEADING.match(text, end)
        if again is None:
            break
        name, end = again[1], again.end()
    return Split(without_doubled_opening(text[leading.end() : close]), text[end:].strip())


def closing(text: str, start: int, name: str) -> int | None:
    """Where the block that was opened before `start` is closed: where openings and closings balance.

    Where they never do, the reasoning only mentions the tag, and the first closing counts. So do not those
    in quotes, unless there is no other.
    """
    depth = 1
    first = None
    for tag in re.finditer(rf"<(/?){name}>", text[start:]):
        position = start + tag.start()
        if is_quoted(text, position, start + tag.end()):
            continue
        if tag[1] and first is None:
            first = position
        depth += -1 if tag[1] else 1
        if depth == 0:
            return position
    if first is not None:
        return first
    any_closing = text.find(f"</{name}>", start)
    return None if any_closing < 0 else any_closing


def without_doubled_opening(reasoning: str) -> str | None:
    """Templates that open the block for a model that opens it too leave a second tag."""
    doubled = LEADING.match(reasoning)
    if doubled is not None and f"</{doubled[1]}>" not in reasoning:
        reasoning = reasoning[doubled.end() :]
    return reasoning.strip() or None


def split_at_bare_close(text: str) -> Split:
    """R1 templates open the block in the prompt: a reply has the closing tag alone. JSON has no such tag."""
    if text.lstrip()[:1] not in ("{", "["):
        for close in BARE_CLOSE.finditer(text):
            if not is_mention(text, close.start(), close.end()):
                return Split(text[: close.start()].strip() or None, text[close.end() :].strip())
    return Split(None, text.strip())


def is_mention(text: str, start: int, end: int) -> bool:
    """Whether the tag is spoken of, not used: after an opening one, in quotes or code, inside a sentence."""
    before = text[:start]
    if "<think>" in before or is_quoted(text, start, end) or before.count("```") % 2:
        return True
    line = before[before.rfind("\n") + 1 :]
    if line.count("`") % 2:
        return True
    said = line.rstrip(" ")
    inside = said != "" and said != line and said[-1] not in ".!?。！？…)）*"
    return inside and text[end : end + 1] == " " and text[end + 1 : end + 2].islower()


def is_quoted(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] in QUOTES and text[end : end + 1] in QUOTES
