"""The values that JSON in a text means, also as models write it.

What is broken is repaired (json_repair: trailing commas, missing quotes, comments); what could mean two things means
nothing.
"""

import json
from typing import Any

from distill_build.replies.brackets import Span

WRAPPED = 3
"""Objects, one in another, of which the innermost may be all that the others are there for."""


class _SaidTwiceError(Exception):
    """An object has one key with two values."""


def loaded(span: Span) -> Any:
    """The JSON value written in `span`, repaired if need be; None where that fails, and where an object in it has one
    key with two values: nobody said which is meant."""
    for written in dict.fromkeys((span.text, span.requoted)):
        try:
            return json.loads(written, strict=False, object_pairs_hook=_object)
        except (ValueError, RecursionError):
            continue
        except _SaidTwiceError:
            return None
    from json_repair import loads  # 0.05 s to import, for the few replies that need it

    try:
        return loads(span.requoted, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs) and any(made[key] != value for key, value in pairs):
        raise _SaidTwiceError
    return made


def has_key_twice(text: str) -> bool:
    """Whether an object in JSON has one key with two values."""
    try:
        json.loads(text, object_pairs_hook=_object)
    except _SaidTwiceError:
        return True
    except (ValueError, RecursionError):
        return False
    return False
