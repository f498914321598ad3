"""The digest of a text is one value, whatever the order in which something keeps its columns."""

from distill_build.review import text_digest


def test_the_digest_of_a_text_does_not_go_by_any_order() -> None:
    row = {"score": 4, "by": {"clear": 3, "sound": 4}, "reason": "Good."}
    other = {"by": {"sound": 4, "clear": 3}, "reason": "Good.", "score": 4}
    assert text_digest(row, ("reason", "by", "score")) == text_digest(other, ("by", "reason", "score"))
    assert text_digest(row, ("reason", "by", "score")) != text_digest(row | {"score": 5}, ("reason", "by", "score"))


def test_the_digest_is_what_the_documentation_says() -> None:
    """As `printf '["A.",null]' | sha256sum` has it."""
    assert text_digest({"reasoning": None, "answer": "A."}, ("reasoning", "answer")) == (
        "bc8847046dd115588a11bf58cc5177e95f097a2b08a8b8173f4dd0dce692863b"
    )
