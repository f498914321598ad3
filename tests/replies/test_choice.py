"""The label that a reply gives: as models write one, and never one that the reply only speaks of."""

import pytest

from distill_build.replies.choice import NoLabel, find_label

LABELS = ("positive", "negative", "a bit of both")
GIVEN = {
    '{"label": "positive"}': "positive",
    '{"label": "Positive."}': "positive",
    '```json\n{"label": "negative"}\n```': "negative",
    '{"reason": "It praises the screen.", "label": "positive"}': "positive",
    '{"sentiment": "negative"}': "negative",
    'First {"label": "negative"}, so the corrected answer is:\n{"label": "positive"}': "positive",
    '{"label": "positive"}\n\nFinal answer: negative': "negative",
    'Draft:\n{"label": "negative"}\nI looked again.\n{"label": "positive"}': "positive",
    'Here is the JSON:\n{"label": "positive"}\n\npositive': "positive",
    "{'label': 'positive',}": "positive",
    '{"label": ["positive"]}': "positive",
    "positive": "positive",
    " **Negative** ": "negative",
    '"a bit of both"': "a bit of both",
    "Label: positive": "positive",
    "**Answer:** A bit of both.": "a bit of both",
    "positive\n\nThe review praises the screen and says that it is not negative.": "positive",
    "The review praises the screen.\n\nLabel: positive\nLabel: positive": "positive",
    "标签：positive": "positive",
    "最终答案是：positive": "positive",
    "### Final answer: negative": "negative",
    "The sentiment is: **negative**": "negative",
    '{"Final label": "negative"}': "negative",
    "Label:\nnegative": "negative",
    "## Final answer\n\nnegative": "negative",
    "The screen is praised, and nothing else is said.\nnegative": "negative",
    "I weigh both:\n- the screen\n- no battery\n\nLabel: positive": "positive",
    "Here is my classification:\n**Label: positive**": "positive",
    '{"result": {"label": "positive"}}': "positive",
    '{\n  "label": [\n    "positive"\n  ]\n}': "positive",
    '["positive"]': "positive",
    "positive\n\nBut the battery is negative, some say.": "positive",
    '{"label": "positive"}\n\nNo complaints at all.': "positive",
    '{"label": "positive"}\nAgain: {"label": "Positive"}': "positive",
    "Options: positive, negative\nLabel: positive": "positive",
    "Options:\n- positive\n- negative\n\nLabel: positive": "positive",
    "Options:\n\n* **positive**\n* negative\n\n**Label:** positive": "positive",
    "1. positive\n2. negative\n\nFinal answer: negative": "negative",
    '- positive\n- negative\n\n{"label": "positive"}': "positive",
    "Label: positive\n\nThe options were:\n- positive\n- negative": "positive",
    "- positive\n- positive": "positive",
    "Is it positive? Yes.\npositive": "positive",
    "Is it negative? No.\npositive": "positive",
    "Is it negative? No. Is it positive? Yes.\npositive": "positive",
    "Is it positive? No doubt.\npositive": "positive",
    "是positive吗？是的。\npositive": "positive",
    'It is not negative. Here is the JSON:\n```json\n{"label": "positive"}\n```': "positive",
}
NONE = [
    "It is good.",
    "not positive",
    "This is positive, I think.",
    "It is neither positive nor negative.",
    "positive\nnegative",
    "It is not: negative",
    "Not the label: negative",
    "The label is not: negative",
    "标签不是：negative",
    "What I would rule out: negative",
    '{"not": "positive"}',
    '{"wrong label": "positive"}',
    '{"label": "not positive"}',
    '{"label": null}',
    '{"first": "positive", "second": "negative"}',
    "mixed",
    "It is not:\nnegative",
    "It is not:\n\n**negative**",
    "It is certainly not\nnegative",
    "It is none of these:\n- negative\n- a bit of both",
    "不是：\nnegative",
    "I am sure that it is not...\nnegative",
    "What it is not:\nLabel: negative",
    '{"not": {"label": "negative"}}',
    '{"not": ["negative"]}',
    '{"not":\n  {"label": "negative"}}',
    '{\n  "not": [\n    "negative"\n  ]\n}',
    '{"label": {"not": "negative"}}',
    'It is not: {"label": "negative"}',
    "Label: positive\nNo wait, it is actually negative.",
    "positive\nActually, no: negative",
    "positive\n\nHmm, not positive.",
    "positive\nOn second thought, it is hard to say.",
    "positive\nI was wrong.",
    "positive\n不对，应该是negative。",
    '{"label": "positive"}\nNo wait, it is actually negative.',
    '{"label": "positive"} or {"label": "negative"}',
    'For example {"label": "negative"}.\nHere: {"label": "positive"}',
    'First {"label": "negative"}, but on reflection:\n{"label": "positive"}',
    '{"label":"positive"}\nIt would be a mistake to say {"label":"negative"}',
    '{"label":"positive"}\n\nnegative',
    '{"label":"positive"} is wrong.\nThe label is:\nnegative',
    'Label: positive\n{"label":"negative"}',
    '{"label":"positive"}\nThat is not correct.',
    '{"label":"positive"} is wrong.',
    '{"label":"positive"}\n{"label":"mixed"}',
    '{"label":"positive"}\n{"label":"negative","label":"mixed"}',
    '{"label":"positive"}\nIt is not: {"label":"negative"}',
    '{"label":"positive"}\nI would rather say\nnegative',
    '{"label":"positive"}\nThat is not the final answer: {"label":"negative"}',
    "Is it positive? No.\npositive",
    "Is it *positive*? No, it is not.\n\nLabel: positive",
    'Is it positive? No!\n{"label": "positive"}',
    "The review is not positive.\npositive",
    "是positive吗？不是。\npositive",
    "- positive\n- negative",
    "Options:\n- positive\n- negative\n\npositive",
    "- positive\n- negative\n\nLabel: positive\nLabel: negative",
    'Example of the format: {"label":"negative"}. I cannot say.',
    'The wrong one would be:\n```json\n{"label": "negative"}\n```',
]


@pytest.mark.parametrize(("text", "label"), GIVEN.items())
def test_a_label_is_found_as_models_write_it(text: str, label: str) -> None:
    assert find_label(text, LABELS) == label


@pytest.mark.parametrize("text", NONE)
def test_what_gives_none_is_told_which_there_are(text: str) -> None:
    found = find_label(text, LABELS)
    assert isinstance(found, NoLabel)
    assert '"positive", "negative", "a bit of both"' in found.detail


def test_a_label_that_may_not_be_whole_is_none() -> None:
    assert find_label('{"label": "positive', LABELS) == NoLabel(
        "The JSON object is not closed: the reply ends in the middle of it."
    )


def test_labels_that_json_has_other_values_for_are_found() -> None:
    assert find_label('{"label": 2}', ("1", "2")) == "2"
    assert find_label('{"label": true}', ("true", "false")) == "true"


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("Is it known? No.\nNo", ("yes", "no"), "no"),
        ("Yes or no? No.\nNo", ("yes", "no"), "no"),
        ("Is it artful? No.\nart", ("art", "science"), "art"),
        ("Is it false? No, it is true.\ntrue", ("true", "false"), "true"),
        ("positive\n\nNot a single complaint.", ("positive", "negative"), "positive"),
        ("False.\nNo, the earth is round.", ("true", "false"), "false"),
        ("No\n\nNo, it does not say so.", ("yes", "no"), "no"),
        ("Wrong.\nNot right, since 2 + 2 is 4.", ("right", "wrong"), "wrong"),
        ("incorrect\nNot correct at all.", ("correct", "incorrect"), "incorrect"),
        ("Wait\nWait, since prices fall.", ("wait", "buy"), "wait"),
    ],
)
def test_words_that_say_why_a_label_stands_do_not_take_it_back(text: str, labels: tuple[str, ...], label: str) -> None:
    assert find_label(text, labels) == label


def test_labels_that_differ_in_signs_alone_stay_apart() -> None:
    assert find_label("C", ("C", "C++", "C#")) == "C"
    assert find_label('{"label": "C#"}', ("C", "C++", "C#")) == "C#"
