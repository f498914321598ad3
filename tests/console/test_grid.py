"""Tables as plain text."""

from distill_build.console.grid import Grid


def test_columns_stand_below_each_other_also_after_chinese_names() -> None:
    lines = Grid(("job", "made"), (("topic=网球", "12"), ("topic=chess", "3"), ("together", "15"))).lines()
    assert lines == [
        "job          made",
        "topic=网球     12",
        "topic=chess     3",
        "-----------------",
        "together       15",
    ]
