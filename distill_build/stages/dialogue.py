"""Dialogues as stages: the student asks on, the teacher answers, turn by turn, each a map after the one before.

Every turn has stages of its own, so a turn is rows, calls and an artefact like all others, and one turn more is two
stages more behind those that are there. The second turn's are named in files; further ones are made after these.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill_build.errors import ConfigurationError
from distill_build.records import HISTORY
from distill_build.settings import Settings

TURNS, FOLLOW_UPS = "turns", "follow_ups"
"""What carries out an answer of the teacher, and what a question of the student, from the second turn on."""
FOLLOW_UP = "follow_up"
"""The column of the latter."""
SECOND = 2
OF_TURN = ("id", "question", "reasoning", "answer", "model", "call")
"""The columns of a row that is a turn."""


def with_turns(stages: Any, nodes: Any) -> Any:
    """`stages` with the student's question before the answer to it, and without both where dialogues have one turn.

    `nodes` are the settings of all stages that there are, as far as they are as they should be.
    """
    if not isinstance(stages, list) or not isinstance(nodes, dict):
        return stages
    found: list[Any] = []
    for name in stages:
        node = _answering(name, nodes)
        if node is None:
            found.append(name)
        elif node.get(TURNS) != 1:
            above = node.get("after")
            found += [above] if above in nodes and above not in stages and above not in found else []
            found.append(name)
    return found


def unrolled(stages: Any, nodes: Any) -> tuple[Any, Any]:
    """`stages` and `nodes` with those of each further turn, made after those of the second one; what is exported of
    each has the turns before it.

    Raises ConfigurationError where a stage of somebody's own has the name of one.
    """
    if not isinstance(stages, list) or not isinstance(nodes, dict):
        return stages, nodes
    names: list[Any] = []
    made: dict[str, Any] = {}
    for name in stages:
        names.append(name)
        if (node := _answering(name, nodes)) is not None:
            of_turns = dict(_of_turns(name, node, nodes))
            names += [each for each in of_turns if each != name]
            made |= of_turns
    return names, nodes | made


def _answering(name: Any, nodes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings of a stage that answers a follow-up; None for any other."""
    node = nodes.get(name) if isinstance(name, str) else None
    return node if isinstance(node, dict) and node.get("builtin") == TURNS else None


def _of_turns(name: str, node: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings of the stages of each turn from the second on, but for its follow-up."""
    asking, turns = node.get("after"), node.get(TURNS)
    own = nodes.get(asking) if isinstance(asking, str) else None
    if not isinstance(own, dict) or not isinstance(turns, int):
        return
    before = [str(own.get("after"))]
    yield name, _with_history(node, before)
    for turn in range(SECOND + 1, turns + 1):
        before.append(name if turn == SECOND + 1 else f"{name}_{turn - 1}")
        asks, answers = f"{asking}_{turn}", f"{name}_{turn}"
        for taken in {asks, answers} & nodes.keys():
            raise ConfigurationError(
                f"conf/stage/{taken}.yaml: a dialogue of {turns} turns has a stage of this name: give yours another one"
            )
        yield asks, {**own, "after": before[-1]}
        yield answers, {**_with_history(node, before), "after": asks}


def _with_history(node: Mapping[str, Any], before: Sequence[str]) -> dict[str, Any]:
    """The settings of a stage that exports what was said in the stages `before` with each of its rows."""
    export = node.get("export")
    if not isinstance(export, dict):
        return dict(node)
    told = (", ".join(f"'{column}': rows.{name}.{column}" for column in OF_TURN) for name in before)
    return {**node, "export": {**export, HISTORY: "[" + ", ".join(f"{{{each}}}" for each in told) + "]"}}


def answered_before(stage: str, settings: Settings) -> tuple[str, ...]:
    """The stages with the answers of the turns before one of `stage`, the first turn first."""
    found: list[str] = []
    here = settings.stage[stage].after
    while here is not None:
        own = settings.stage[here]
        if own.builtin != FOLLOW_UPS:
            found.insert(0, here)
            if own.builtin != TURNS:
                break
        here = own.after
    return tuple(found)
