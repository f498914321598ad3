"""Which questions are the same: on pairs as models write them, and against a rule that looks at every pair."""

import importlib.util
import random
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from distill_build.dataset.unit import Verdict
from distill_build.errors import ConfigurationError
from distill_build.graph import Shape
from distill_build.models.base import ModelSettings
from distill_build.replies.labels import normalise
from distill_build.stages.builtin.dedup import ALIKE, EQUAL, Builtin, DedupSettings
from distill_build.stages.likeness.cosine import BLOCK, repeats_by_cosine
from distill_build.stages.likeness.meaning import model_files, repeats_by_meaning
from distill_build.stages.likeness.repeats import Repeat, exactly
from distill_build.stages.likeness.words import repeats_by_words, repeats_of, shingles_of
from tests.made_settings import made_settings

MODEL = ModelSettings(engine="openai_compatible", name="m", base_url="http://localhost/v1")
PAIRS: dict[str, dict[str, list[list[str]]]] = yaml.safe_load(
    (Path(__file__).parent / "alike.yaml").read_text(encoding="utf-8")
)


NUMBERS = ("2", "12", "2.5", "2 12", "12 2", "1,000", "1000")


def same_numbers(one: str, other: str) -> bool:
    """By a plainer rule than the one that is tested: no number in these texts has a comma but one of thousands."""
    first, second = (sorted(re.findall(r"[\d.]*\d", text.replace(",", ""))) for text in (one, other))
    return first == second


def stage_of(**own: Any) -> Builtin:
    settings = DedupSettings(kind="transform", builtin="dedup", after="questions", **own)
    return Builtin(Shape("dedup", "transform", "questions", "dedup"), settings, made_settings(MODEL), {})


def judged_by(stage: Builtin, *questions: str) -> list[Verdict]:
    """What is said of questions in rank order; the id of each is its place."""
    place: Any = None
    return list(stage.verdicts([(str(n), stage.measure(place, {"question": q}, {})) for n, q in enumerate(questions)]))


def judged(*questions: str, **own: Any) -> list[Verdict]:
    return judged_by(stage_of(**own), *questions)


def kept(*questions: str, **own: Any) -> list[bool]:
    return [verdict.kept for verdict in judged(*questions, **own)]


@pytest.mark.parametrize(
    ("language", "kind", "dropped"), [("en", "same", 22), ("en", "other", 1), ("zh", "same", 19), ("zh", "other", 1)]
)
def test_auto_drops_what_docs_say_of_the_measured_pairs(language: str, kind: str, dropped: int) -> None:
    assert [kept(*pair)[1] for pair in PAIRS[language][kind]].count(False) == dropped


@pytest.mark.parametrize(
    "pair",
    [
        ("What is a yellow card?", "What is a red card?"),
        ("什么是黄牌？", "什么是红牌？"),
        ("Who invented the telephone?", "When was the telephone invented?"),
        ("What should I eat before a run?", "What should I eat after a run?"),
        ("How do you convert Celsius to Fahrenheit?", "How do you convert Fahrenheit to Celsius?"),
        ("疫苗如何起作用？", "疫苗为什么起作用？"),
        ("What is C?", "What is C++?"),
        ("What is it for?", "How is it so?"),
    ],
)
def test_neighbours_stay(pair: tuple[str, str]) -> None:
    assert kept(*pair) == [True, True]


@pytest.mark.parametrize(
    "pair",
    [
        ("A car travels 60 km in 2 hours. How fast is it?", "A car travels 80 km in 2 hours. How fast is it?"),
        ("A car travels 60.5 km in 2 hours. How fast is it?", "A car travels 60 km in 2 hours. How fast is it?"),
        ("How do 2 trains of 2 cars each meet on one track?", "How do 2 trains of 3 cars each meet on one track?"),
        ("2022年世界杯冠军是哪个国家？", "2018年世界杯冠军是哪个国家？"),
        ("小明有３个苹果，吃了1个，还剩几个苹果？", "小明有5个苹果，吃了1个，还剩几个苹果？"),
    ],
)
def test_questions_with_other_numbers_stay(pair: tuple[str, str]) -> None:
    assert kept(*pair, near=0.4) == [True, True]


@pytest.mark.parametrize(
    "pair",
    [
        ("Which city of 1,000 people lies 60 km away?", "Which is the city of 1000 people that lies 60 km away?"),
        ("2022年世界杯的冠军是哪个国家？", "２０２２年世界杯冠军是哪个国家呢？"),
        ("In 2018 who beat whom by 4 to 2?", "Who beat whom by 4 to 2 in 2018?"),
    ],
)
def test_the_same_numbers_keep_no_repeat(pair: tuple[str, str]) -> None:
    assert kept(*pair, near=0.5) == [True, False]


def test_what_is_held_out_with_other_numbers_repeats_nothing() -> None:
    trained = ["a car travels 60 km in 2 hours how fast is it", "a car travels 80 km in 2 hours how fast is it"]
    held_out = ["a car travels 70 km in 2 hours how fast is it", "a car travels 80 km in 2 hours so how fast is it"]
    assert {place: repeat.of for place, repeat in repeats_of(trained, held_out, 0.4).items()} == {1: 1}


def test_a_stage_that_judges_again_says_what_one_says_that_judges_first() -> None:
    asked = [
        "How do central banks control inflation?",
        "How do central banks control inflation rates?",
        "What is money?",
    ]
    stage = stage_of()
    for questions in (asked, asked, [*asked, "What is a bank?"], asked[1:], list(reversed(asked)), asked):
        assert judged_by(stage, *questions) == judged(*questions)


def test_what_came_of_each_round_is_remembered_and_no_more_than_that() -> None:
    asked = ["How do central banks control inflation?", "How do central banks control inflation rates?"]
    rounds = [[*asked, *(f"What is money number {number}?" for number in range(more))] for more in range(3)]
    stage = stage_of(refill=2)
    planned = [judged_by(stage, *questions) for questions in rounds]
    by_plan = list(stage.found.values())
    assert [judged_by(stage, *questions) for questions in rounds] == planned
    assert [id(each) for each in stage.found.values()] == [id(each) for each in by_plan], "compared once"
    judged_by(stage, *asked, "What is a bank?")
    assert [id(each) for each in stage.found.values()][:2] == [id(each) for each in by_plan[1:]]
    assert len(stage.found) == 3


def test_a_dropped_one_names_the_one_that_stays_and_how_much_alike_they_are() -> None:
    asked = ["How do central banks control inflation?", "How do central banks control inflation rates?"]
    said = judged(*asked, "HOW do central banks control inflation", "What is money?")
    alike, equal = {"same_as": "0", "likeness": 0.778}, {"same_as": "0", "likeness": 1.0}
    assert [verdict.line("x") for verdict in said[1:3]] == [
        {"id": "x", "kept": False, "why": [ALIKE], **alike},
        {"id": "x", "kept": False, "why": [EQUAL], **equal},
    ]
    assert said[3].line("x") == {"id": "x", "kept": True, "why": [], "same_as": None, "likeness": None}


def test_what_equals_a_dropped_one_repeats_the_one_that_stays() -> None:
    asked = ["How do central banks control inflation?", *["How do central banks control inflation rates?"] * 2]
    assert [verdict.columns["same_as"] for verdict in judged(*asked)] == [None, "0", "0"]


def test_only_those_that_stay_are_compared_with() -> None:
    chain = [" ".join("abcdefghijklmnop"[start : start + 12]) for start in (0, 1, 2, 3)]
    assert kept(*chain) == [True, False, False, True]  # the last one is like the second alone


@pytest.mark.parametrize("near", [None, 1.0])
def test_a_threshold_may_be_so_high_that_only_the_same_words_go(near: float | None) -> None:
    asked = ["How do banks work?", "How do central banks work?", "How do banks work"]
    assert kept(*asked, near=near) == [True, True, False]


def test_null_drops_equal_ones_alone() -> None:
    assert kept("What is recursion?", "What's a recursion?", near=None) == [True, True]
    assert kept("What is recursion?", "What's a recursion?", near=1.0) == [True, False]


@pytest.mark.parametrize("near", [0.2, 0.5, 0.6, 0.7, 0.9, 1.0])
def test_no_pair_is_overlooked(near: float) -> None:
    chance = random.Random(round(near * 10))
    texts = [" ".join(chance.choices("abcdefgh", k=chance.randint(1, 7))) for _ in range(150)]
    texts += ["".join(chance.choices("足球比赛规则", k=chance.randint(1, 9))) for _ in range(150)]
    texts += [f"{text} {chance.choice(NUMBERS)}" for text in texts[::3]]
    texts = list(dict.fromkeys(map(normalise, texts)))
    repeats, least, stay = repeats_by_words(texts, near), exactly(near), list[int]()
    for place, text in enumerate(texts):
        own = shingles_of(text)
        others = (shingles_of(texts[each]) if same_numbers(texts[each], text) else set[str]() for each in stay)
        likenesses = [(len(own & other), len(own | other)) for other in others]
        most = max(likenesses, key=lambda pair: pair[0] / pair[1], default=(0, 1))
        if most[0] * least.denominator >= least.numerator * most[1]:
            assert repeats[place].of == stay[likenesses.index(most)]
            assert repeats[place].likeness == round(most[0] / most[1], 3)
        else:
            assert place not in repeats
            stay.append(place)


needs_model = pytest.mark.skipif(importlib.util.find_spec("wordllama") is None, reason="needs the extra `meaning`")


@needs_model
@pytest.mark.parametrize(
    ("language", "near", "dropped"),
    [("en", "auto", (39, 16)), ("en", 0.95, (28, 5)), ("zh", "auto", (40, 36)), ("zh", 0.95, (27, 9))],
)
def test_by_meaning_it_drops_what_docs_say_of_the_measured_pairs(
    language: str, near: Any, dropped: tuple[int, int]
) -> None:
    kinds = [PAIRS[language][kind] for kind in ("same", "other")]
    found = [[kept(*pair, near=near, likeness="meaning")[1] for pair in pairs].count(False) for pairs in kinds]
    assert tuple(found) == dropped


@needs_model
def test_by_meaning_other_words_are_the_same_question() -> None:
    asked = ("What causes rain?", "Why does it rain?", "What is a yellow card?", "What is a red card?")
    assert kept(*asked, likeness="meaning") == [True, False, True, True]


@needs_model
@pytest.mark.parametrize("near", [0.1, 0.5, 0.8, 1.0])
def test_by_meaning_no_pair_is_overlooked_and_each_is_judged_in_whole_numbers(near: float) -> None:
    import numpy

    chance = numpy.random.default_rng(round(near * 10))
    themes = chance.integers(-50, 50, (1_400, 100))
    vectors = themes[chance.integers(0, len(themes), 1_400)] + chance.integers(-30, 30, (1_400, 100))
    vectors[chance.integers(0, len(vectors), 40)] = vectors[0] * 2
    products = (vectors @ vectors.T).tolist()
    least, stay, expected = exactly(near) ** 2, list[int](), dict[int, Repeat]()
    for place, own in enumerate(products):
        cosines = [Fraction(max(own[each], 0) ** 2, own[place] * products[each][each]) for each in stay]
        most = max(cosines, default=Fraction(0))
        if stay and most >= least:
            expected[place] = Repeat(stay[cosines.index(most)], round(float(most) ** 0.5, 3))
        else:
            stay.append(place)
    for size in (BLOCK, 300):
        blocks = (vectors[start : start + size].astype(numpy.int32) for start in range(0, len(vectors), size))
        assert repeats_by_cosine(blocks, near) == expected
    assert 0 < len(expected) < len(vectors)
    assert near < 0.8 or len(stay) > BLOCK, "some are compared with several pieces"


@needs_model
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_by_meaning_of_two_that_are_as_near_the_first_is_named(threads: int) -> None:
    import numpy

    own = numpy.random.default_rng(1).choice([-1, 1], (2 * BLOCK + 9, 96)).astype(numpy.int32)
    first, second = BLOCK + 1, 2 * BLOCK + 1  # of three pieces: of two threads the first has the later one
    between = own[[first]] + own[[second]]
    blocks = [own[:BLOCK], own[BLOCK : 2 * BLOCK], own[2 * BLOCK :], between]
    likeness = ((96 + int(own[first] @ own[second])) / 192) ** 0.5
    assert repeats_by_cosine(blocks, 0.6, threads) == {len(own): Repeat(first, round(likeness, 3))}


@needs_model
def test_by_meaning_texts_without_a_token_are_like_no_other() -> None:
    assert repeats_by_meaning(["", "what is rain", ""], 0.1) == {}


def test_by_meaning_without_its_model_it_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'distill-build\[meaning\]'"):
        model_files("no_such_package")


@pytest.mark.parametrize("likeness", ["words", pytest.param("meaning", marks=needs_model)])
def test_what_ranks_behind_changes_nothing_of_what_ranks_before(likeness: str) -> None:
    """So a leaf that has all after a round has all after the next one."""
    chance, words = random.Random(1), ["rain", "snow", "banks", "money", "trees", "leaves", "goals", "matches"]
    asked = [f"How do {' '.join(chance.choices(words, k=4))} work?" for _ in range(120)]
    all_of_them = judged(*asked, likeness=likeness)
    for first in range(1, len(asked), 17):
        assert all_of_them[:first] == judged(*asked[:first], likeness=likeness)
    assert {verdict.kept for verdict in all_of_them[60:]} == {True, False}


@needs_model
def test_vectors_that_come_behind_change_nothing_either_wherever_a_piece_ends() -> None:
    import numpy

    chance = numpy.random.default_rng(3)
    themes = chance.integers(-50, 50, (1_000, 80))
    vectors = (themes[chance.integers(0, 1_000, 1_500)] + chance.integers(-30, 30, (1_500, 80))).astype(numpy.int32)

    def found(first: int) -> dict[int, Repeat]:
        return repeats_by_cosine((vectors[start : min(start + BLOCK, first)] for start in range(0, first, BLOCK)), 0.8)

    in_the_end = found(len(vectors))
    for first in (1, 300, BLOCK - 1, BLOCK, BLOCK + 200):
        assert found(first) == {place: each for place, each in in_the_end.items() if place < first}


def test_what_is_held_out_is_compared_with_what_is_trained_on_alone() -> None:
    trained = ["why do leaves turn red in autumn", "what makes leaves turn red in autumn", "how is cheese made"]
    held_out = ["why do leaves turn red in the autumn", "how is a cheese made", "how are cheeses made", "who was first"]
    found = repeats_of(trained, held_out, 0.7)
    assert {place: repeat.of for place, repeat in found.items()} == {0: 0, 1: 2, 2: 2}
