"""What is known of a stage's columns before there are any."""

from typing import Any

import pytest

from distill_build.prompting.known import ANYTHING, TEXT, Items, Known
from distill_build.stages.kinds.columns import known_fields


@pytest.mark.parametrize(
    ("part", "known"),
    [
        ({"type": "array", "items": {"type": "string"}}, Items(TEXT)),
        ({"type": "array", "items": {"type": "string"}, "prefixItems": [{"type": "object"}]}, ANYTHING),
        ({"type": ["string", "null"]}, ANYTHING),
        ({"anyOf": [{"type": "string"}]}, ANYTHING),
    ],
)
def test_nothing_is_known_of_what_a_schema_says_in_other_ways_than_by_type(part: dict[str, Any], known: Known) -> None:
    assert known_fields({"type": "object", "properties": {"it": part}}) == {"it": known}
