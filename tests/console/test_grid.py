"""Tables as plain text, as wide as there is room for."""

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


def test_a_long_name_is_cut_before_a_column_goes() -> None:
    grid = Grid(("stage", "made", "cost"), (("name" * 10, "12", "$1"), ("total", "12", "$1")), spare=("cost",))
    assert grid.within(60) == grid
    assert [grid.within(width).width for width in (30, 20)] == [30, 20]
    assert [grid.within(width).heads for width in (30, 20, 16)] == [grid.heads, grid.heads, ("stage", "made")]
