"""What a text shows by itself of having gone wrong: marks that no reader was to see, a question said back, a label that
means no more than "all the rest". Pure, and knows nothing of rows.

Each rule can be told in a sentence, and says nothing where a text only speaks of such a thing: a false alarm may cost
a row.
"""

import re

from distill_build.replies.labels import letters, normalise
from distill_build.replies.reasoning import USUAL_MARKS, is_inside_sentence, is_quoted

TOKENS = re.compile(
    "|".join(
        (
            r"<\|[A-Za-z]\w*\|>",  # <|im_end|>, <|eot_id|>, <|channel|>: ChatML, Llama 3, harmony, Phi, GLM
            r"<｜[^｜<>\s]{1,40}｜>",  # <｜end▁of▁sentence｜>: DeepSeek
            r"\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]|<</?SYS>>",  # Llama 2, Mistral
            r"</?(?:start_of_turn|end_of_turn|tool_call|tool_response|bos|eos|pad|unk)>|<extra_id_\d+>",  # Gemma, Qwen
            *(re.escape(mark) for marks in USUAL_MARKS for mark in marks),
        )
    )
)
BEGINS, ENDS = "<s>", "</s>"
"""The tokens of a sentence, which strike text through in HTML: one that closes nothing, or encloses all, is a token."""
FOLLOWED = re.compile(r"[.,;:!?)，。；：！？、）]|[ \t]*[|–—=→]|[ \t]+-\s")
"""What stands behind one that a sentence, a list or a table speaks of; behind one that was left in stands nothing, or
the text itself."""
IN_LIST = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+")
BOLD = "**"
COMPARED_FIRST = 30
WORD = re.compile(r"\s*([A-PR-Za-pr-z])[A-Za-z]")
"""The first letter of a text that surely begins with a word; one with Q may begin with "Question 1:"."""
CODE = re.compile(r"(?P<fence>```|~~~).*?(?P=fence)|(?P<ticks>`+)[^`\n]+(?P=ticks)", re.DOTALL)
"""What is shown, not said: a fence or a span that is closed."""

MISCELLANEOUS = frozenset({"miscellaneous", "misc", "miscellanea", "uncategorized", "uncategorised", "unclassified"})
"""Words that name all the rest, whatever follows."""
OTHERS = frozenset({"other", "various", "assorted", "sundry"})
"""Words that name it before a plural: "Other sports", not "Other minds problem" or "Other Voices, Other Rooms"."""
REST = MISCELLANEOUS | OTHERS | {"others", "miscellany", "etc"}
"""Words that name it where they are the whole label, or stand behind a mark at its end."""
ANY = OTHERS | {"general", "additional", "further", "more", "related", "special", "remaining"}
VAGUE = frozenset(
    {"topic", "subject", "subtopic", "area", "category", "item", "thing", "issue", "question", "aspect", "theme"}
    | {"matter", "stuff", "information", "discussion"}
)
"""Words that say nothing of what they name: "General topics" is no topic, and "General relativity" is one."""
PHRASES = frozenset(
    {"general", "everything else", "anything else", "all else", "all other", "all others", "the others", "and others"}
    | {"the rest", "all the rest", "and more", "none of the above", "et cetera"}
)
AT_END = re.compile(r"(?:[,:;/|(\[–—]|\s-)\s*(?:and\s+|&\s*)?(?P<word>\w+)[\s.…)\]]*\Z")
REST_ZH = re.compile(
    r"(?:其他|其它|其餘|其余).*"  # 其他运动
    r"|(?:杂项|雜項|杂类|雜類|未分类|未分類|无分类|综合|綜合|一般|通用|各类|各類)(?:类|類|类别|類別|话题|話題|主题|主題|内容|內容|问题|問題|事项|事項)*"
    r"|.*(?:及|和|与|與|、|等|[（(:：/-])(?:其他|其它)[)）]?"  # 球类及其他
    r"|等等"
)


def has_special_token(text: str) -> bool:
    """Whether a token of a chat template, or a mark of reasoning, was left in a text.

    One in code, in quotes, in bold type, before a mark of punctuation or between the words of a sentence is spoken of.
    """
    if TOKENS.search(text) is None and ENDS not in text and BEGINS not in text:
        return False
    said = CODE.sub(" ", text) if "`" in text or "~~~" in text else text
    if not all(_is_spoken_of(said, *token.span()) for token in TOKENS.finditer(said)):
        return True
    before, ends, after = said.partition(ENDS)
    closes_nothing = ends != "" and BEGINS not in before and not _is_spoken_of(said, len(before), len(before + ends))
    return closes_nothing or (before.lstrip().startswith(BEGINS) and not after.strip())


def has_any_token(text: str) -> bool:
    """Whether a token of a chat template stands in a text at all: a tokenizer takes it for the real one in code and in
    quotes too. Marks of reasoning are none here."""
    marks = {mark for pair in USUAL_MARKS for mark in pair}
    return ENDS in text or any(found[0] not in marks for found in TOKENS.finditer(text))


def _is_spoken_of(text: str, start: int, end: int) -> bool:
    return (
        is_quoted(text, start, end)
        or is_inside_sentence(text, start, end)
        or (text.endswith(BOLD, 0, start) and text.startswith(BOLD, end))
        or FOLLOWED.match(text, end) is not None
        or _is_explained(text, start, end)
    )


def _is_explained(text: str, start: int, end: int) -> bool:
    """Whether an item of a list begins with it, and goes on with what it does."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return IN_LIST.fullmatch(line) is not None and text[end : end + 1] == " " and text[end + 1 : end + 2].islower()


def says_back(text: str, question: str) -> bool:
    """Whether a text is the question again, once or several times, and no more: up to case, width and punctuation."""
    begins, begins_asked = WORD.match(text), WORD.match(question)
    if begins and begins_asked and begins[1].lower() != begins_asked[1].lower():  # as nearly always
        return False
    first, asked = letters(text[:COMPARED_FIRST]), letters(question[:COMPARED_FIRST])
    alike = max(0, min(len(first), len(asked)) - 1)  # what was read last may be half of something
    if not first or not asked or first[:alike] != asked[:alike]:
        return False
    said, asked = letters(text), letters(question)
    return said == asked * (len(said) // len(asked))


def is_catch_all(label: str) -> bool:
    """Whether a label names no field, but whatever is left of one: "Miscellaneous", "Other sports", "其他".

    "General relativity", "Other minds problem" and "综合格斗" (mixed martial arts) are fields.
    """
    bare = label.strip(" .…·。")
    if REST_ZH.fullmatch(bare):
        return True
    if (ending := AT_END.search(bare)) is not None and ending["word"].casefold() in REST:
        return True
    key = normalise(bare)
    words = key.split() or [""]
    first, last = words[0], words[-1]
    return (
        key in REST | PHRASES
        or first in MISCELLANEOUS
        or last == "etc"
        or (len(words) > 1 and first in OTHERS and _is_plural(last) and "," not in bare)
        or (len(words) == 2 and first in ANY and _singular(last) in VAGUE)
    )


def _is_plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith("ss")


def _singular(noun: str) -> str:
    return f"{noun.removesuffix('ies')}y" if noun.endswith("ies") else noun.removesuffix("s")
