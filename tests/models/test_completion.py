from distill_build.models.completion import booked_tokens, estimated_tokens


def test_a_message_is_estimated_by_its_characters() -> None:
    assert estimated_tokens([{"content": "x" * 400}]) == 104
    assert estimated_tokens([{"content": "体" * 300}, {"content": ""}]) == 208


def test_what_the_gate_books_is_the_estimate_of_a_plan_and_all_that_the_completion_may_have() -> None:
    body = {"messages": [{"content": "x" * 400}]}
    assert booked_tokens(body, "max_tokens") == 104 + 1000
    assert booked_tokens({**body, "max_tokens": 7}, "max_tokens") == 104 + 7
    assert booked_tokens({**body, "max_new_tokens": 7}, "max_new_tokens") == 104 + 7
