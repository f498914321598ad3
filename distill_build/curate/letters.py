"""Text in JSON that no file in UTF-8 can hold: an escape may stand for half of a letter."""

import json
from typing import Any

HALF_A_LETTER = "it has half of a letter, as \\ud800 without what belongs behind it: type the letter itself"


def whole_letters(value: Any) -> bool:
    """Whether all texts in a value can be written."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
