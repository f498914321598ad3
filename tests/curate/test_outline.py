"""An outline becomes the tree that its reader sees."""

from pathlib import Path

import pytest

from distill_build.curate.outline import read_outline
from distill_build.errors import UsageError
from distill_build.subtree import said_of


def labels(text: str, file: Path = Path("outline.txt")) -> object:
    file.write_text(text, encoding="utf-8")

    def below(said: dict[str, dict[str, object]]) -> object:
        tags = said.get("tags", {})
        return {label: below(each) for label, each in tags.items()}  # type: ignore[arg-type]  # a node has nodes

    return below(said_of(read_outline(file)))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("Golf\nTennis\n", {"Golf": {}, "Tennis": {}}),
        ("Ball games\n  Golf\n  Tennis\nChess\n", {"Ball games": {"Golf": {}, "Tennis": {}}, "Chess": {}}),
        ("Ball games\n\tGolf\n        Putting\nChess\n", {"Ball games": {"Golf": {"Putting": {}}}, "Chess": {}}),
        ("# Sport\n## Ball games\n- Golf\n## Chess\n", {"Ball games": {"Golf": {}}, "Chess": {}}),
        ("1. Ball games ...... 7\n1.1 Golf    9\n2. Chess\t12\n", {"Ball games": {}, "Golf": {}, "Chess": {}}),
        ("* **Golf**:\n+ _Tennis:_\n", {"Golf": {}, "Tennis": {}}),
        ("Golf\n  A\ngolf\n  B\nGo\n", {"Golf": {"A": {}, "B": {}}, "Go": {}}),
        ("# A\n## One\n- x\n# B\n# a\n## ONE\n- y\n", {"A": {"One": {"x": {}, "y": {}}}, "B": {}}),
        ("\ufeff体育\n  足球\n篮球\n", {"体育": {"足球": {}}, "篮球": {}}),
    ],
)
def test_an_outline_is_read_as_it_looks(text: str, tree: object) -> None:
    assert labels(text) == tree


@pytest.mark.parametrize(("text", "told"), [("\n \n", "there is no line in it"), ("\x00\udcff", "no text in UTF-8")])
def test_what_makes_no_tree_is_told(text: str, told: str) -> None:
    Path("outline.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=told):
        read_outline(Path("outline.txt"))
    with pytest.raises(UsageError, match="it cannot be read"):
        read_outline(Path("nowhere.txt"))


def levels(count: int) -> str:
    return "".join(f"{' ' * level}L{level}\n" for level in range(count))


def test_an_outline_has_as_many_levels_as_a_tree_beside_its_title() -> None:
    labels(levels(11))
    labels(levels(10) + "Chess\n")
    for text in (levels(12), levels(11) + "Chess\n", levels(5000)):
        with pytest.raises(UsageError, match=r"^--from outline\.txt, line 1[12]: a tree has 10 levels of tags"):
            labels(text)


def test_what_is_no_label_is_told_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"^--from outline\.txt, line 2: 'x+' is no label: a label has 1 to 120"):
        labels(f"Golf\n{'x' * 121}\n")
