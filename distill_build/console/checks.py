"""What is said of rows that are all there and still show what they should not: a sentence for each check, by its name.

It also says where it is told which rows do: the word of a flag, or the file with their ids.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from distill_build.dataset.layout import CHECKS, CheckCount
from distill_build.export.preference import CLOSE, FEW_RATED
from distill_build.records import number_of, rows_of
from distill_build.stages.checks import APART, FAR, QUOTA, REPEATED, SAME_LABEL
from distill_build.stages.flags import CATCH_ALL, NO_REASONING, REPEATS_QUESTION, SPECIAL_TOKENS
from distill_build.stages.training.checks import (
    ACCEPTED_ALONE,
    ENDS_THOUGHT,
    ENDS_THOUGHT_IN_TEXT,
    MAY_END_THOUGHT,
    TOKEN_IN_TEXT,
    UNLABELLED,
    UNRATED,
)
from distill_build.stages.training.length import OVER_LENGTH, OVER_LENGTH_ESTIMATED, OVER_LENGTH_OF_FILTER
from distill_build.stages.training.soft_rows import NOT_LISTED, NOT_STORED, OF_PEOPLE
from distill_build.stages.training.student_fit import OF_NO_USE


def check_sentences(checks: Sequence[CheckCount]) -> Iterator[str]:
    """A sentence for each of `checks`; one of another version, which has no words here, is told by its name."""
    for found in checks:
        sentence = SENTENCES.get(found.check)
        yield sentence(found) if sentence is not None else f"{_of_all(found)}: {found.check}"


def _of_all(found: CheckCount) -> str:
    return f"{found.rows:,} of {rows_of(found.of, found.stage)}"


def _number(found: CheckCount, one: str, several: str) -> str:
    return f"{_of_all(found)} {one if found.rows == 1 else several}"


def _with_reasoning(found: CheckCount) -> str:
    have = "has" if found.of == 1 else "have"
    return f"{found.of - found.rows:,} of {rows_of(found.of, found.stage)} {have} reasoning"


def _catch_alls(found: CheckCount) -> str:
    labels = _examples(found, [example.label for example in found.examples])
    return _number(found, "is a catch-all", "are catch-alls") + labels


def _parents(found: CheckCount) -> str:
    labels = _examples(found, [f"{example.label} ({example.rows:,})" for example in found.examples])
    stand = "stands" if found.texts == 1 else "stand"
    return f"{number_of(found.texts, 'labels')} {stand} under several parents{labels} ({CHECKS})"


def _apart(found: CheckCount) -> str:
    return f"judges lie {FAR} or more apart on {found.rows:,} of {found.of:,} that several rated ({CHECKS})"


def _no_pair(why: str) -> Callable[[CheckCount], str]:
    """Of questions without a pair of a better and a worse answer."""

    def told(found: CheckCount) -> str:
        have, noun = "has" if found.rows == 1 else "have", f"question{'' if found.of == 1 else 's'}"
        return f"{found.rows:,} of {found.of:,} {noun} {have} no preference pair: {why}{_named(found)}"

    return told


def _without(what: str, where: str) -> Callable[[CheckCount], str]:
    """Of rows that lack what one format is made of."""

    def told(found: CheckCount) -> str:
        return f"{_rows_that(found, 'has', 'have')} no {what}, and {_stand(found)} in no {where}{_named(found)}"

    return told


def _of_trainers(one: str, several: str) -> Callable[[CheckCount], str]:
    """Of rows that a trainer would stumble over."""
    return lambda found: f"{_rows_that(found, one, several)}{_named(found)}"


def _too_long(by: str) -> Callable[[CheckCount], str]:
    return _of_trainers(*(f"{verb} longer than format.max_length, by {by}" for verb in ("is", "are")))


def _ending_thought(what: str) -> Callable[[CheckCount], str]:
    """Of rows with an answer that a chat template may take for the end of a thought."""
    say = "an answer that says </think>, where"
    return _of_trainers(f"has {say} {what}", f"have {say} {what}")


def _stand(found: CheckCount) -> str:
    return "stands" if found.rows == 1 else "stand"


def _examples(found: CheckCount, named: Sequence[str]) -> str:
    more = ", …" if len(named) < found.texts else ""
    return f": {', '.join(named)}{more}" if named else ""


def _no_soft_labels(why: str) -> Callable[[CheckCount], str]:
    """Of rows that a format of soft labels leaves out."""
    return lambda found: f"{_rows_that(found, 'has', 'have')} no soft labels: {why}{_named(found)}"


def _of_no_use(why: str) -> Callable[[CheckCount], str]:
    """Of rows that kd leaves out, though they have soft labels."""
    return lambda found: f"{_rows_that(found, 'is', 'are')} not in the format kd: {why}{_named(found)}"


def _rows_that(found: CheckCount, one: str, several: str) -> str:
    return f"{found.rows:,} of {number_of(found.of, 'rows')} {one if found.rows == 1 else several}"


def _named(found: CheckCount) -> str:
    return _examples(found, [example.label for example in found.examples])


SENTENCES: Mapping[str, Callable[[CheckCount], str]] = {
    NO_REASONING.name: _with_reasoning,
    REPEATS_QUESTION.name: lambda found: f"{_number(found, 'repeats its', 'repeat their')} question{_flag(found)}",
    SPECIAL_TOKENS.name: lambda found: f"{_number(found, 'holds', 'hold')} special tokens{_flag(found)}",
    CATCH_ALL.name: _catch_alls,
    REPEATED: lambda found: f"{_of_all(found)} repeat another ({CHECKS})",
    SAME_LABEL: _parents,
    APART: _apart,
    CLOSE: _no_pair("answers that are rated alike, by format.margin, or say the same"),
    FEW_RATED: _no_pair("fewer than two answers that have a score"),
    OF_PEOPLE: _no_soft_labels("a person wrote them"),
    NOT_STORED: _no_soft_labels("they were asked for without log probabilities"),
    NOT_LISTED: _no_soft_labels(
        "the endpoint does not list all of their tokens (llama.cpp, where one character takes several), or fewer of "
        "the likeliest than were asked for, or numbers that are no log probabilities"
    ),
    TOKEN_IN_TEXT: _of_trainers(
        "holds what a tokenizer takes for a token of the chat template",
        "hold what a tokenizer takes for a token of the chat template",
    ),
    ENDS_THOUGHT: _ending_thought(
        "the student's chat template cuts it: reject such rows in reviews.jsonl, or train with a template that keeps "
        "what the assistant says"
    ),
    ENDS_THOUGHT_IN_TEXT: _ending_thought(
        "the student's chat template cuts it: say format.reasoning=field, or reject such rows in reviews.jsonl"
    ),
    MAY_END_THOUGHT: _ending_thought(
        "some chat templates cut it (DeepSeek's; those of Qwen3 and GLM unless the thought is in a field): look at the "
        "student's (format.student), or reject such rows in reviews.jsonl"
    ),
    OVER_LENGTH: _too_long("kd.tokenizer"),
    OVER_LENGTH_OF_FILTER: _too_long("the tokenizer of the filter"),
    OVER_LENGTH_ESTIMATED: _too_long("estimate (kd.tokenizer and filter.tokenizer count)"),
    ACCEPTED_ALONE: lambda found: (
        f"{number_of(found.rows, 'rows')} {'is' if found.rows == 1 else 'are'} exported: those that somebody accepted "
        "or edited (curate.reviewed=accepted)"
    ),
    UNRATED: _without("score", "pair"),
    UNLABELLED: _without("label", "line of the format labels"),
    **{check: _of_no_use(why) for check, why in OF_NO_USE.items()},
    QUOTA: lambda found: f"{_number(found, 'has', 'have')} another value than the quota says ({CHECKS})",
}


def _flag(found: CheckCount) -> str:
    return f" (flag {found.check})"
