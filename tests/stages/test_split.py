"""A question stands on one side alone, and a mean of what judges said is exact."""

from fractions import Fraction

from distill_build.stages.builtin.split import Builtin, SplitSettings
from distill_build.stages.classes import class_of
from distill_build.stages.measures.ratings import SCORE


class Splitting(Builtin):
    """The stage as far as verdicts go by measures alone."""

    def __init__(self, near: float | None) -> None:
        self.settings = SplitSettings(kind="transform", near=near)


MEASURED = [
    ("train", "why do leaves turn red in autumn"),
    ("test", "why do leaves turn red in the autumn"),
    ("test", "how is cheese made at home"),
    ("test", "how is the cheese made at home"),
    ("validation", "how is cheese made at home"),
    ("validation", "how is a cheese made at home"),
    ("validation", "who was first on the moon"),
]


def verdicts(near: float | None) -> list[tuple[bool, tuple[str, ...], str | None]]:
    measured = [(f"a_{number}", each) for number, each in enumerate(MEASURED)]
    return [(each.kept, each.why, each.columns["same_as"]) for each in Splitting(near).verdicts(measured)]


def test_what_is_alike_stands_on_one_side() -> None:
    kept, tested = (True, (), None), ("much like a question to test by",)
    assert verdicts(0.7) == [
        kept,
        (False, ("much like a question to train on",), "a_0"),
        kept,
        kept,
        (False, tested, "a_2"),
        (False, tested, "a_2"),
        kept,
    ]
    assert [each[0] for each in verdicts(None)] == [True, True, True, True, False, True, True]


def test_the_stage_is_the_one_that_conf_names() -> None:
    assert class_of("transform", "split") is Builtin


def test_a_mean_is_exact_of_whole_numbers_and_of_others() -> None:
    assert SCORE.mean({"scores": [{"score": 4}, {"score": 5}, {"score": 5}]}) == Fraction(14, 3)
    assert SCORE.mean({"scores": [{"score": 3.5}, {"score": 0.1}]}) == Fraction(9, 5)
    assert SCORE.mean({"scores": []}) is None
