"""A model's own chat template, as models come with it."""

import pytest

from distill_build.prompting.chat_template import ChatTemplate, ChatTemplateError

QUESTION = [{"role": "user", "content": "Why is the <sky> blue?"}]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def rendered(source: str) -> str:
    return ChatTemplate(source, TOKENS).render(QUESTION)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}{% for m in messages %}{{ m.content | trim }}{% endfor %}", "<s>Why is the <sky> blue?"),
        ("{% for m in messages %}\n  {{ m['role'] }}\n{% endfor %}", "  user\n"),
        ("{% if add_generation_prompt %}go{% endif %}", "go"),
        ("{% if tools %}tools{% elif messages[0].tool_calls %}calls{% else %}neither{% endif %}", "neither"),
        ("{% if strftime_now is defined %}a date{% else %}none{% endif %}", "none"),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}x{% endfor %}.", "."),
        ("{%- generation -%} a {%- endgeneration -%} b", "ab"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("{{ messages[0].content.split(' ')[-1] }}{{ messages | tojson }}", None),
        ("{% macro one(m) %}[{{ m.content }}]{% endmacro %}{{ one(messages[0]) }}", "[Why is the <sky> blue?]"),
    ],
)
def test_what_templates_are_written_in_is_known(source: str, text: str | None) -> None:
    assert text in (None, rendered(source))


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('only tools') }}",
        "{% for n in range(100000) %}{% for m in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ ''.__class__.__mro__ }}{{ nothing.there }}",
        "{% if %}",
    ],
)
def test_what_makes_no_text_is_told(source: str) -> None:
    with pytest.raises(ChatTemplateError, match="chat template"):
        rendered(source)
