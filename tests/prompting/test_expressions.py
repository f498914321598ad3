"""What users write into stage files is read as jinja2's expressions, on data alone: it runs nothing and ends soon."""

import json
import sys
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill_build.errors import ConfigurationError
from distill_build.prompting.expressions import EvaluationError, compile_expression, conditions
from distill_build.prompting.known import TEXT, Fields

ROW = {
    "id": "answers_1",
    "score": 4,
    "items": "a field",
    "text": "Ask the coach",
    "marks": [3, 1, 2],
    "reason": None,
    "nested": {"keys": "another field", "list": [{"label": "a", "share": 0.5}, {"label": "b"}]},
}
ROWS = {
    "scores": {"score": 5, "by": {"style": 3}},
    "answers": {"answer": "Serve.", "reasoning": "Because."},
    "votes": [{"label": "a", "n": 2}, {"label": "b", "n": 1}, {"label": "a", "n": None}],
}


def value(source: str) -> Any:
    return compile_expression(source, "stage.good.where", ROWS, "good").evaluate(ROW, ROWS, "Sports", ("Sports", "Net"))


def refusal(source: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        compile_expression(source, "stage.good.where", ROWS, "good")
    return str(error.value)


def failure(source: str) -> str:
    with pytest.raises(EvaluationError) as error:
        value(source)
    return str(error.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rows.scores.score >= 4 and rows.answers.reasoning", "Because."),
        ("rows['scores'].by['style']", 3),
        ("row.score", 4),
        ("row.score * 2 + 1", 9),
        ("[row.score // 3, row.score % 3, -row.score / 2]", [1, 1, -2.0]),
        ("1 < row.score <= 4", True),
        ("1 < row.score < 4", False),
        ("row.score not in row.marks", True),
        ("'coach' in row.text", True),
        ("topic ~ ': ' ~ row.score", "Sports: 4"),
        ("'a' + 'b'", "ab"),
        ("path[-1]", "Net"),
        ("path[:1]", ["Sports"]),
        ("row.marks | sort | first", 1),
        ("row.marks | sort(reverse=true)", [3, 2, 1]),
        ("row.marks | sum / row.marks | length", 2.0),
        ("rows.votes | map(attribute='label') | unique | list", ["a", "b"]),
        ("rows.votes | map(attribute='share', default='-') | unique", ["-"]),
        ("rows.votes[:2] | sort(attribute='label,n', reverse=true) | map(attribute='label') | join", "ba"),
        ("rows.votes | selectattr('n') | map(attribute='n') | max", 2),
        ("rows.votes | selectattr('label', 'eq', 'a') | length", 2),
        ("rows.votes | rejectattr('n', 'none') | map(attribute='n') | sum", 3),
        ("row.nested.list | selectattr('share', 'defined') | length", 1),
        ("row.marks | select('>=', 2)", [3, 2]),
        ("row.marks | map('string') | join('-')", "3-1-2"),
        ("row.text | replace('coach', 'umpire')", "Ask the umpire"),
        ("row.text | wordcount > 2", True),
        ("'yes' if row.score > 3 else 'no'", "yes"),
        ("{'score': row.score, 'by': (1, 2)}", {"score": 4, "by": [1, 2]}),
        ("row.reason is none", True),
        ("row.reason | default('none', true)", "none"),
        ("row.missing | default('none')", "none"),
        ("row.missing is defined", False),
        ("row.missing.more is defined", False),
        ("row.score is defined and row.score is number", True),
        ("row.items", "a field"),
        ("row.nested.keys", "another field"),
        ("row.items is defined", True),
        ("row.keys is defined", False),
        ("row", ROW),
    ],
)  # fmt: skip
def test_an_expression_has_its_value(source: str, expected: Any) -> None:
    found = value(source)
    assert found == expected
    assert json.loads(json.dumps(found)) == expected


def test_what_comes_out_belongs_to_nobody_else() -> None:
    value("row").clear()
    value("rows.votes").clear()
    assert ROW["score"] == 4
    assert len(ROWS["votes"]) == 3


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("rowz.score", "there is no variable rowz: is it meant to be row?"),
        ("rows.score.score", "there is no stage score in rows: is it meant to be scores?"),
        ("rows.good.score", "the row at hand is row"),
        ("rows", "written out, as in rows.NAME"),
        ("rows[row.text].score", "written out, as in rows.NAME"),
        ("rows | length", "written out, as in rows.NAME"),
        ("row.text | lenght", "there is no filter lenght: is it meant to be length?"),
        ("row.text is strin", "there is no test strin: is it meant to be string?"),
        ("row.marks | map('lenght')", "is it meant to be length?"),
        ("row.marks | map(row.text)", "written out in quotes"),
        ("row.marks | select('strin')", "is it meant to be string?"),
        ("row.marks | sort(revers=true)", "unexpected keyword argument 'revers'"),
        ("row.marks | join(1, 2, 3)", "too many positional arguments"),
        ("row.text.upper()", "write … | upper"),
        ("row.get('text')", "a field is row.NAME, or row.NAME | default(…) where it may be missing"),
        ("row.nested.items()", "its pairs are row.nested | items"),
        ("'score {}'.format(row.score)", "texts are put together by ~, as in 'score ' ~ row.score"),
        ("range(3)", "nothing is called"),
        ("row['text'](1)", "nothing is called"),
        ("(row | first)()", "nothing is called"),
        ("row.__class__", "no name begins with an underscore"),
        ("row['__class__']", "no name begins with an underscore"),
        ("row._text", "no name begins with an underscore"),
        ("_", "no variable _"),
        ("rows.votes | map(attribute='label.__class__')", "no name begins with an underscore"),
        ("rows.votes | selectattr('__class__')", "no name begins with an underscore"),
        ("row | attr('text')", "there is no filter attr"),
        ("'%s' | format(row)", "there is no filter format"),
        ("row.text | center(1000000000)", "there is no filter center"),
        ("row.text | random", "there is no filter random"),
        ("'a' * 1000", "* is for numbers"),
        ("'%s' % row.text", "% is for numbers"),
        ("[row] * 1000", "* is for numbers"),
        ("10 ** 10", "write x * x"),
        ("1 if row.score", "an if without an else"),
        ("9" * 30, "too large"),
        ("1e999", "too large"),
        ("", "it is empty"),
        ("row.score >=", "unexpected"),
        ("row.score = 4", ": write == in place of ="),
        ("(row.score = 4)", ": write == in place of ="),
        ("row.score === 4", ": write == in place of ==="),
        ("row.score != 4 && row.text", ": write and in place of &&"),
        ("row.score or row.text || topic", ": write or in place of ||"),
        ("!row.text", ": write not in place of !"),
        ("row.score => 4", ": write >= in place of =>"),
        ("row.score =< 4", ": write <= in place of =<"),
        ("row.score <> 4", ": write != in place of <>"),
        ("row.score !== 4", ": write != in place of !=="),
        ("row.score > 4 & row.text", ": write and in place of &"),
        ("row.score > 4 AND row.text", ": write and in place of AND"),
        ("NOT row.text", ": write not in place of NOT"),
        ("row.text =~ 'a'", "one expression has to stand there"),
        ("row.text == '&&' row.score", "one expression has to stand there"),
        ("row.score row.text", "behind its end"),
        ("row.score }} {% include 'x' %}", "behind its end"),
        ("(" * 1000 + ")" * 1000, "nested too deeply"),
        ("+".join("1" * 500), "lie inside each other"),
        ("row.score == 1 or " * 400 + "1", "4,000 is the most"),
    ],
)  # fmt: skip
def test_what_may_not_stand_in_an_expression_is_told_with_the_way_out(source: str, told: str) -> None:
    sentence = refusal(source)
    assert sentence.startswith("stage.good.where: ")
    assert told in sentence
    assert "\n" not in sentence


def test_what_fails_whatever_a_row_holds_is_told_before_there_are_rows() -> None:
    with pytest.raises(ConfigurationError, match=r"stage\.good\.where: 1 / 0: division by zero"):
        compile_expression("1 / 0", "stage.good.where", ROWS)


def test_an_arguments_own_sign_is_no_mistake() -> None:
    assert refusal("rows.votes | map(attribute='label') | join(").endswith("end of the expression'")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("row.scroe >= 4", "row has no field scroe; it has id, score, items"),
        ("rows.scores.by.tone", "rows.scores.by has no field tone; it has style"),
        ("row.reason.text", "row.reason is null and has no field text"),
        ("row.marks[7]", "row.marks has no item 7, but 3 in all"),
        ("row.keys", "row has no field keys"),
        ("row.text.upper", "row.text is a text and has no field upper"),
        ("row['te' ~ 'xxt']", "row has no field texxt"),
        ("rows.votes | map(attribute='share')", "an item has no field share; it has label, n"),
        ("row.reason >= 4", "null and a number cannot be compared"),
        ("row.text * 3", "* is for numbers, and a text stands there"),
        ("row.text % 3", "% is for numbers"),
        ("row.marks * 3", "a list stands there"),
        ("row.score + row.text", "a text stands there"),
        ("row.reason ~ '!'", "null is no text"),
        ("row.marks ~ '!'", "a list is no text"),
        ("1 / (row.score - 4)", "division by zero"),
        ("row.score * 1e308 * 1e308", "too large"),
        ("row.none | default([]) | max", "the list is empty"),
    ],
)  # fmt: skip
def test_a_row_without_a_value_is_told_what_it_lacks(source: str, told: str) -> None:
    sentence = failure(source)
    assert sentence.startswith(f"stage.good.where: {source}: ")
    assert told in sentence


def test_a_row_that_is_not_there_is_no_value() -> None:
    expression = compile_expression("rows.scores.score > 1", "stage.good.where", ROWS)
    with pytest.raises(EvaluationError, match="there is no row of scores here"):
        expression.evaluate(ROW, {}, "Sports", ("Sports",))
    asked = compile_expression("rows.scores is defined", "stage.good.where", ROWS)
    assert asked.evaluate(ROW, {}, "Sports", ("Sports",)) is False


@pytest.mark.parametrize("source", ["row.lang is defined", "row.lang | default('en')", "row.lang | d('en') == 'en'"])
def test_what_is_asked_for_may_be_missing_as_a_whole_expression_too(source: str) -> None:
    known = {"row": Fields({"answer": TEXT}, closed=True, is_row=True)}
    assert compile_expression(source, "stage.good.where", ROWS, known=known).source == source


def test_an_expression_knows_the_stages_that_it_reads() -> None:
    assert compile_expression("row.x", "w", ROWS).rows == frozenset()
    found = compile_expression("rows.scores.x > 1 and (rows['votes'] | map('default', rows.answers.x))", "w", ROWS)
    assert found.rows == {"scores", "votes", "answers"}


@pytest.mark.parametrize(
    "source",
    [
        "row.big | list | map('replace', 'a', row.big)",
        "row.big | list | join(row.big)",
        "row.big | replace('', row.big)",
        "row.big ~ row.big ~ row.big ~ row.big ~ row.big ~ row.big",
        "[row.big] + [row.big | replace('a', 'aaaaaaaaaa')]",
        "row.many | select('in', row.many)",
        "row.many | map('string') | map('join', row.big)",
    ],
)  # fmt: skip
def test_an_expression_that_would_make_too_much_of_a_row_is_stopped(source: str) -> None:
    row = {"big": "a" * 1_000_000, "many": list(range(100_000))}
    began = time.perf_counter()
    with pytest.raises(EvaluationError, match="more than 5,000,000"):
        compile_expression(source, "w", (), None).evaluate(row, {}, "t", ())
    assert time.perf_counter() - began < 5


RUNS = frozenset({"open", "exec", "import", "os.system", "subprocess.Popen", "socket.connect"})


class Watch:
    """Python's own account (audit events) of what is done while `events` are looked for."""

    def __init__(self) -> None:
        self.events: frozenset[str] = frozenset()
        self.seen: list[str] = []
        sys.addaudithook(self._note)  # cannot be taken back

    def _note(self, event: str, _: Any) -> None:
        if event in self.events:
            self.seen.append(event)


watch = Watch()

names = st.sampled_from(
    ["row", "rows", "topic", "path", "rows.scores", "rows.votes", "row.text", "row.marks", "row.nested", "row.reason",
     "row.score", "''", "'%s'", "'a'", "1", "0.5", "9999999999", "[]", "{}", "true", "none", "self", "range", "lipsum"]
)  # fmt: skip
fields = st.sampled_from(
    ["items", "keys", "score", "__class__", "format", "format_map", "upper", "label", "0", "_x", "mro", "gi_frame", "n"]
)
filters = st.sampled_from(
    ["length", "list", "map('length')", "map(attribute='label')", "join(row.text)", "replace('', row.text)", "string",
     "attr('__class__')", "format(row)", "center(99999999)", "round(99999999)", "default(row)", "sum", "max", "unique",
     "select('in', row.text)", "selectattr('n', 'defined')", "items", "float", "int", "first", "reverse", "truncate(3)",
     "map('replace', 'a', row.text)", "indent(99999999)", "tojson", "wordwrap(1)", "sort", "upper", "random", "d('x')"]
)  # fmt: skip
signs = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "in", "not in", "and", "or"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, fields).map(lambda pair: f"{pair[0]}.{pair[1]}"),
        st.tuples(inner, fields).map(lambda pair: f"{pair[0]}['{pair[1]}']"),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}[{pair[1]}]"),
        st.tuples(inner, filters).map(lambda pair: f"({pair[0]} | {pair[1]})"),
        st.tuples(inner, signs, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
    )


expressions = st.recursive(names, larger, max_leaves=25)
scraps = st.lists(
    st.sampled_from(
        ["row", ".", "|", "(", ")", "[", "]", "{", "}", "}}", "{%", "%}", "'", "~", "*", "__", " ", ",", "1"]
    )
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@settings(max_examples=250, deadline=2000)
@given(expressions | scraps)
@example("''.__class__.__mro__[1].__subclasses__()")
@example("'{0.__class__.__init__.__globals__}'.format(row)")
@example("(row | attr('items'))()")
@example("row.text | list | map('replace', '', row.text) | map('replace', '', row.text) | join(row.text)")
def test_no_expression_runs_code_or_grows(source: str) -> None:
    found = None
    watch.seen = []
    tracemalloc.start()
    try:
        watch.events = RUNS
        found = value(source)
    except (ConfigurationError, EvaluationError):
        pass
    finally:
        watch.events = frozenset()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert watch.seen == []
    assert peak < 100_000_000
    json.dumps(found, allow_nan=False).encode()


def test_equal_rows_give_equal_values() -> None:
    source = "rows.votes | map(attribute='label') | unique | join(',')"
    assert [value(source) for _ in range(3)] == ["a,b"] * 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("row.score >= 4", ["row.score >= 4"]),
        ("row.score >= 4 and row.reason", ["row.score >= 4", "row.reason"]),
        ("not row.a and\n  (row.b and row.c)", ["not row.a", "(row.b and row.c)"]),
        ("row.a and 'x and y' in row.text", ["row.a", "'x and y' in row.text"]),
        ("row.a and row.b or row.c", ["row.a and row.b or row.c"]),
        ("row.a and (row.b or row.c)", ["row.a", "(row.b or row.c)"]),
        ("1 if row.a and row.b else row.c", ["1 if row.a and row.b else row.c"]),
        ("row.a and 1 if row.b else row.c", ["row.a and 1 if row.b else row.c"]),
        ("row.and > 3", ["row.and > 3"]),
        ("[row.a and row.b] | length", ["[row.a and row.b] | length"]),
    ],
)
def test_conditions_are_what_and_joins_at_the_outside(source: str, expected: list[str]) -> None:
    assert conditions(source) == expected
