"""Flags of a text by itself, on what models have written, and on what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.replies.flags import has_special_token, is_catch_all, says_back
from distill_build.replies.labels import beginning, normalise

LEFT_IN = [
    "The net is 91 cm high.<|im_end|>",
    "<|start_header_id|>assistant<|end_header_id|>\n\nA rally ends when the ball bounces twice.",
    "[/INST] Sure, here is the answer.",
    "Sure. </s>",
    "<s> Sure. </s>",
    "<s> A match has five sets.",
    "Yes.<end_of_turn>\n<start_of_turn>user",
    "网球比赛采用三盘两胜制。<｜end▁of▁sentence｜>",
    "<think>\nFirst, the rules.",
    "It is 4.\n</think>\n\nThe answer is 4.",
    "◁think▷ Let me see.",
    "It is 4.</seed:think>The answer is 4.",
    "It is 4.\n<channel|>The answer is 4.",
    "Yes.<|END_RESPONSE|>",
    '<tool_call>\n{"name": "search"}\n</tool_call>',
    "```python\nprint(1)\n<|endoftext|>",
    "It prints `1`. <|endoftext|>",
    "**It is 4.<|im_end|>**",
    "1. Serve\n2. Rally\n3. <|im_end|>",
    "Sure <eos>",
]
SPOKEN_OF = [
    "ChatML ends a turn with `<|im_end|>`.",
    "“<|eot_id|>” ends a turn of Llama 3.",
    "Reasoning models put it into the <think> tag of their reply.",
    "A template:\n\n```\n<|im_start|>user\n{{ prompt }}<|im_end|>\n```\n\nThat is all.",
    "~~~\n[INST] hello [/INST]\n~~~\nis Llama 2's.",
    "<s>39 €</s> 29 € until Sunday.",
    "It was <s>39 €</s>",
    "xs |> List.map f <| 3, a < b and c[0] > 1",
    "<script>alert(1)</script> and <strong>bold</strong>, [INSTALL], [1], (3 < 5)",
    "the tokens are <bos>, <eos>, and <pad>.",
    "Its template has three marks (<start_of_turn>, <end_of_turn> and <bos>).",
    "- <bos>: begins a sequence\n- <eos> – Ends it\n- <pad> fills it up",
    "1. <|im_start|> opens a turn\n2. <|im_end|> closes it",
    "* <|im_start|> opens a turn",
    "| Token | Meaning |\n| --- | --- |\n| <bos> | begins |\n| ends | <eos> |",
    "**<eos>** ends a text, and **[INST]**: an instruction.",
    "A text of Llama 2 ends with </s>.",
    "特殊标记有 <bos>、<eos>、<pad>。",
    "DeepSeek 用 `<｜end▁of▁sentence｜>` 结束一句话。",
]


@pytest.mark.parametrize("text", LEFT_IN)
def test_a_token_that_was_left_in_a_text_is_seen(text: str) -> None:
    assert has_special_token(text)


@pytest.mark.parametrize("text", SPOKEN_OF)
def test_a_token_that_a_text_speaks_of_is_not_taken_for_one(text: str) -> None:
    assert not has_special_token(text)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("How high is the net?", "How high is the net?"),
        ("**how high is the net**", "How high is the net?"),
        ("How high is the net?\n\nHow high is the net?\nHow high is the net?", "How high is the net?"),
        ("1. How high is the net", "How high is the net?"),
        ("网球网有多高", "网球网有多高？"),
    ],
)
def test_a_question_that_is_said_back_is_seen(text: str, question: str) -> None:
    assert says_back(text, question)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("How high is the net? 91 cm.", "How high is the net?"),
        ("How high is the net at the posts?", "How high is the net?"),
        ("91 cm", "How high is the net?"),
        ("网球网有多高？中间高0.914米。", "网球网有多高？"),
        ("", "How high is the net?"),
        ("No.", "？"),
    ],
)
def test_an_answer_that_begins_with_its_question_is_one(text: str, question: str) -> None:
    assert not says_back(text, question)


CATCH_ALLS = [
    *("Miscellaneous", "Miscellaneous games", "Misc.", "Other", "Others…", "Other sports", "Other Racket Sports"),
    *("General", "General topics", "General Information", "Additional topics", "Various", "Various aspects", "Etc."),
    *("Golf, darts, etc.", "Sports: Other", "Ball games (misc.)", "Ball games - Miscellaneous", "Everything Else"),
    *("None of the above", "The rest", "Uncategorized"),
    *(
        "其他",
        "其它",
        "其他运动",
        "其它……",
        "杂项",
        "综合",
        "综合类",
        "未分类",
        "球类及其他",
        "球类（其他）",
        "一般问题",
        "等等",
    ),
]
FIELDS = [
    *("General relativity", "General Motors", "General topology", "General knowledge", "Special relativity"),
    *("Other minds problem", "Otherness", "Others' rights", "Significant other", "The Others (film)"),
    *("Variety shows", "Various artist", "Etching", "Rest and recovery", "Related rates", "Additional Protocol I"),
    "Other Voices, Other Rooms",
    *("Mixed martial arts", "Attorney general", "Misconceptions", "Motherboards", "More, Thomas"),
    *(
        "综合格斗",
        "综合国力",
        "一般相对论",
        "通用人工智能",
        "杂技",
        "他项权利",
        "其间",
        "各类税收优惠",
        "等等力陆上竞技场",
    ),
]


@pytest.mark.parametrize("label", CATCH_ALLS)
def test_a_label_for_all_the_rest_is_seen(label: str) -> None:
    assert is_catch_all(label)


@pytest.mark.parametrize("label", FIELDS)
def test_a_field_with_such_a_word_in_its_name_is_none(label: str) -> None:
    assert not is_catch_all(label)


@given(st.text(max_size=600), st.text(st.characters(categories=("P", "Z")), max_size=5))
def test_texts_that_are_the_same_begin_alike(text: str, marks: str) -> None:
    other = f"{text.upper()}{marks}"
    if normalise(text) == normalise(other):
        assert beginning(text) == beginning(other)
