"""Words are counted alike for texts that set them apart and for those that do not."""

import pytest

from distill_build.replies.words import has_words, is_mostly_in, word_count

ENGLISH = "Yeast eats the sugar, well-known since 1857, and gives off CO2: the dough rises."
CHINESE = "酵母分解面团中的糖，放出二氧化碳（CO2）。面筋包住气体，面团因此膨胀。"
FENCED = "先看代码：\n```python\nfor row in rows:\n    print(row)\n```\n这段代码逐行输出。"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("— … !", 0),
        ("3.10", 1),
        ("C++ and C#", 3),
        ("don't re-read it", 3),
        ("- one\n- two", 2),
        ("用 Python 写", 3),
        ("用Python写。", 3),
        ("発酵とは何ですか", 8),
        ("반죽은 왜 부푸나요?", 3),
        (ENGLISH, 14),
        (CHINESE, 28),
    ],
)
def test_what_counts_as_a_word(text: str, count: int) -> None:
    assert (has_words(text, count + 1), count == 0 or has_words(text, count)) == (False, True)
    assert word_count(text) == count


@pytest.mark.parametrize(
    ("language", "text", "holds"),
    [
        ("en", ENGLISH, True),
        ("zh", ENGLISH, False),
        ("zh", CHINESE, True),
        ("en", CHINESE, False),
        ("zh", FENCED, True),
        ("en", FENCED, False),
        ("en", "42", True),
        ("zh", "42", True),
        ("zh", "由 $x^2 + y^2 = r^2$ 得 \\(x = \\sqrt{r^2 - y^2}\\)。", True),
        ("en", "Дрожжи превращают сахар в газ.", False),
        ("zh", "発酵はイーストがおこなう", False),
        ("en", "The word 面团 means dough.", True),
        ("zh", "词语 dough 的意思是面团", True),
    ],
)
def test_the_script_of_a_text_is_that_of_most_of_its_words(language: str, text: str, holds: bool) -> None:
    assert is_mostly_in(language, text) is holds  # type: ignore[arg-type]
