"""jmesPath on values: the Go provider's errors, Go's results, and a budget that no class can exceed."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_runtime.errors import Culprit, ErrorCode, MountError
from provider_runtime.jmespath_dialect import EXPRESSION_LIMIT, StepBudget
from provider_runtime.json_paths import extract_texts, json_path_problem
from provider_runtime.payload import MOUNT_STEP_LIMIT
from provider_runtime.redaction import SecretBytes
from provider_runtime.secret_objects import JsonKey
from tests.runtime.pure.samples import CANARY, deterministic


def extract(value: bytes | str, path: str) -> str | MountError:
    data = value.encode() if isinstance(value, str) else value
    (found,) = extract_texts(
        SecretBytes(data),
        (JsonKey(path=path, alias="child"),),
        StepBudget(MOUNT_STEP_LIMIT),
        object_name="TestSecret1",
        where="parameters.objects[0]",
    )
    return found if isinstance(found, MountError) else found.reveal().decode()


def refusal(value: bytes | str, path: str) -> MountError:
    found = extract(value, path)
    assert isinstance(found, MountError)
    return found


REFUSED = {
    "J01": ("NotValidJson", "username", ErrorCode.VALUE_NOT_JSON, "Invalid JSON used with jmesPath in secret: TestS"),
    "J01 empty": ("", "username", ErrorCode.VALUE_NOT_JSON, "Invalid JSON used with jmesPath"),
    "J02": ('{"a": "b"}', "testpath", ErrorCode.JMES_PATH_EMPTY, "JMES Path - testpath for object alias - child does"),
    "J03": ('{"a": "b"}', ".testpath", ErrorCode.JMES_PATH_INVALID, "Invalid JMES Path: .testpath"),
    "J04": ('{"username": 3}', "username", ErrorCode.JMES_RESULT_NOT_TEXT, "Only string is allowed"),
    "J05 array": ('{"arr": ["a"]}', "arr", ErrorCode.JMES_RESULT_NOT_TEXT, "search result type for path:arr. Only str"),
    "J05 missing": ("{}", "missing", ErrorCode.JMES_PATH_EMPTY, "does not point to a valid object"),
    "J05 empty path": ("{}", "", ErrorCode.JMES_PATH_INVALID, "Invalid JMES Path"),
    "X34 null": ('{"a": null}', "a", ErrorCode.JMES_PATH_EMPTY, "does not point to a valid object"),
    "bool": ('{"a": true}', "a", ErrorCode.JMES_RESULT_NOT_TEXT, "Only string is allowed"),
    "object": ('{"a": {}}', "a", ErrorCode.JMES_RESULT_NOT_TEXT, "Only string is allowed"),
    "unknown function": ('{"a": "b"}', "no_such(a)", ErrorCode.JMES_PATH_INVALID, "Unknown function: no_such()"),
    "wrong type": ('{"a": "b"}', "abs(a)", ErrorCode.JMES_PATH_INVALID, "abs() does not take a value of type string"),
    "arity": ('{"a": "b"}', "abs()", ErrorCode.JMES_PATH_INVALID, "Invalid JMES Path"),
    "step zero": ('{"a": ["b"]}', "a[::0]", ErrorCode.JMES_PATH_INVALID, "it does not fit the value"),
    "reference": ('{"a": "b"}', "to_string(&a)", ErrorCode.JMES_PATH_INVALID, "it does not fit the value"),
    "not a number": ('{"a": []}', "to_string(avg(a))", ErrorCode.JMES_PATH_INVALID, "it does not fit the value"),
    "legacy literal": ('{"a": "b"}', "`b`", ErrorCode.JMES_PATH_INVALID, "Invalid JMES Path: `b`"),
    "literal NaN": ("{}", "to_string(`NaN`)", ErrorCode.JMES_PATH_INVALID, "Invalid JMES Path"),
    "cut short": ("{}", "a.", ErrorCode.JMES_PATH_INVALID, "it ends too early"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_gives_no_text_is_refused_with_the_go_providers_words(case: str) -> None:
    value, path, code, fragment = REFUSED[case]
    error = refusal(value, path)
    assert error.code is code
    assert error.culprit is Culprit.VALUE
    assert fragment in error.message


FOUND = {
    "J05 nested": ('{"nested": {"key": "x"}}', "nested.key", "x"),
    "X34 empty": ('{"a": ""}', "a", ""),
    "X34 number": ('{"port": 5432}', "to_string(port)", "5432"),
    "float of an integer": ('{"port": 5432.0}', "to_string(port)", "5432"),
    "fraction": ('{"a": 0.10}', "to_string(a)", "0.1"),
    "big integer": ('{"a": 12345678901234567890}', "to_string(a)", "12345678901234567000"),
    "exponent": ('{"a": 1e21}', "to_string(a)", "1e+21"),
    "small": ('{"a": 0.0000001}', "to_string(a)", "1e-7"),
    "bool": ('{"a": true}', "to_string(a)", "true"),
    "null": ('{"a": null}', "to_string(a)", "null"),
    "object": ('{"a": {"z": 1, "b": [true, null, "x", {}, []]}}', "to_string(a)", '{"b":[true,null,"x",{},[]],"z":1}'),
    "html": ('{"a": ["<b>&\\u2028"]}', "to_string(a)", '["\\u003cb\\u003e\\u0026\\u2028"]'),
    "controls": ('{"a": ["\\b\\n\\u0001\\"\\\\é"]}', "to_string(a)", '["\\b\\n\\u0001\\"\\\\é"]'),
    "length": ('{"a": "äöü"}', "to_string(length(a))", "3"),
    "sum": ('{"a": [1, 2]}', "to_string(sum(a))", "3"),
    "sum of none": ('{"a": []}', "to_string(sum(a))", "0"),
    "avg": ('{"a": [1, 2]}', "to_string(avg(a))", "1.5"),
    "ceil": ('{"a": 1.2}', "to_string(ceil(a))", "2"),
    "floor": ('{"a": 1.8}', "to_string(floor(a))", "1"),
    "to_number": ('{"a": "1.50"}', "to_string(to_number(a))", "1.5"),
    "to_number underscore": ('{"a": "1_0"}', "to_string(to_number(a))", "null"),
    "texts are not ordered": ('{"a": "x", "b": "y"}', "to_string(a < b)", "null"),
    "numbers are ordered": ('{"a": 1, "b": 2}', "to_string(a < b)", "true"),
    "true is not one": ('{"a": true, "b": 1}', "to_string(a == b)", "false"),
    "nor inside": ('{"a": [true], "b": [1]}', "to_string(a != b)", "true"),
    "deep equality": ('{"a": [{"x": 1}], "b": [{"x": 1.0}]}', "to_string(a == b)", "true"),
    "contains text": ('{"a": "abc"}', "to_string(contains(a, 'b'))", "true"),
    "contains another type": ('{"a": "abc", "b": 1}', "to_string(contains(a, b))", "false"),
    "contains no bool": ('{"a": [1]}', "to_string(contains(a, `true`))", "false"),
    "flatten": ('{"a": [["x"], "y", ["z"]]}', "join(',', a[])", "x,y,z"),
    "slice": ('{"a": ["x", "y", "z"]}', "join(',', a[::-1])", "z,y,x"),
    "filter": ('{"a": [{"k": "u", "v": "1"}, {"k": "p", "v": "2"}]}', "a[?k=='p'].v | [0]", "2"),
    "map": ('{"a": [{"k": "u"}]}', "map(&k, a)[0]", "u"),
    "hyphen": ('{"user-name": "x"}', '"user-name"', "x"),
    "lone surrogate": ('{"a": "x\\ud800y"}', "a", "x\ufffdy"),
    "surrogate pair": ('{"a": "\\ud83d\\ude00"}', "a", "😀"),
    "surrogate key": ('{"\\ud800": "x"}', '"\\ud800"', "x"),
    "last of duplicate keys": ('{"a": "x", "a": "y"}', "a", "y"),
    "a left side that fails is null": ('{"a": "x"}', "abs(a)[] || abs(a)[?b] || abs(a).* || 'none'", "none"),
    "the key of only one element": ('{"a": ["x"]}', "sort_by(a, &abs(@))[0] || 'none'", "x"),
    "the smallest of one": ('{"a": [{"k": "x"}]}', "min_by(a, &abs(@)).k", "x"),
    "the greatest of one": ('{"a": [{"k": "x"}]}', "max_by(a, &abs(@)).k", "x"),
    "index beyond": ('{"a": []}', "a[99999999999999999999] || 'none'", "none"),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_text_is_the_one_that_go_gives(case: str) -> None:
    value, path, text = FOUND[case]
    assert extract(value, path) == text


@pytest.mark.parametrize(
    "value",
    [
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
        '{"a": ' + "9" * 400 + "}",
        '{"a": "x"} trailing',
        "\ufeff{}",
        '{"a": "\x01"}',
        "{'a': 1}",
        "[" * 200_000,
        '{"a":' * 100_000,
    ],
)
def test_what_go_does_not_read_as_json_is_no_json(value: str) -> None:
    assert refusal(value, "a").code is ErrorCode.VALUE_NOT_JSON


@pytest.mark.parametrize(
    ("data", "text"), [(b"\xff", "\ufffd"), (b"\xe2\x82", "\ufffd\ufffd"), (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd")]
)
def test_invalid_utf8_inside_a_text_is_replaced_byte_by_byte(data: bytes, text: str) -> None:
    assert extract(b'{"a": "x' + data + b'y"}', "a") == f"x{text}y"


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("user-name", '"user-name"'),
        ("db.user-name.x", 'db."user-name".x'),
        ('"a-b".c-d', '"a-b"."c-d"'),
    ],
)
def test_an_unquoted_hyphen_is_explained(path: str, suggestion: str) -> None:
    error = refusal("{}", path)
    assert f"put names with a hyphen in double quotes inside the path: '{suggestion}'" in error.message


def test_other_syntax_errors_do_not_talk_about_hyphens() -> None:
    assert "hyphen" not in refusal("{}", "a..b").message


def test_an_expression_is_checked_before_there_is_a_value() -> None:
    assert json_path_problem("a.b", where="x") is None
    problem = json_path_problem("a-b", where="parameters.objects[0].jmesPath[0]")
    assert problem is not None
    assert problem.message.startswith("parameters.objects[0].jmesPath[0]: Invalid JMES Path: a-b")


def test_the_keys_of_a_value_fail_and_succeed_by_themselves() -> None:
    keys = tuple(JsonKey(path=path, alias=path) for path in ("a", "b", "c"))
    texts = extract_texts(
        SecretBytes(b'{"a": "x", "c": "z"}'), keys, StepBudget(100), object_name="n", where="parameters.objects[4]"
    )
    assert [isinstance(text, MountError) for text in texts] == [False, True, False]
    assert isinstance(texts[1], MountError)
    assert texts[1].where == "parameters.objects[4].jmesPath[1]"


def test_without_keys_the_value_need_not_be_json() -> None:
    assert extract_texts(SecretBytes(b"\xff"), (), StepBudget(0), object_name="n", where="w") == ()


DOUBLING = "[@,@]|" * 22 + "@"
GREEDY = {
    "8.4 million elements in 225 characters": "[a,a][]|" + "[@,@][]|" * 27 + "[0]",
    "shared lists written out": DOUBLING + "|to_string(@)",
    "shared lists compared": f"[{DOUBLING}, {DOUBLING}] | to_string([0] == [1])",
    "joined texts": "join(a,[" + ",".join(["a"] * 200) + "])|" + "join(@,[" + ",".join(["@"] * 200) + "])",
    "lists of every element": "b[*][*][*].[" + ",".join(["@"] * 26) + "]",
    "maps in maps": "map(&map(&map(&map(&map(&map(&[@,@],$$),$$),$$),$$),$$),b)".replace(
        "$$", "[`1`,`2`,`3`,`4`,`5`,`6`]"
    ),
}


@pytest.mark.parametrize("case", GREEDY)
def test_an_expression_that_asks_for_too_much_is_refused_quickly(case: str) -> None:
    value = json.dumps({"a": "x" * 60_000, "b": [[["y"] * 20] * 20] * 20})
    started = time.process_time()
    error = refusal(value, GREEDY[case])
    assert error.code is ErrorCode.JMES_BUDGET
    assert error.culprit is Culprit.VALUE
    assert time.process_time() - started < 2, "CPU seconds; measured 0.1 to 0.3"


@pytest.mark.parametrize(
    "path",
    [
        "a" * (EXPRESSION_LIMIT + 1),
        "(" * 500 + "a" + ")" * 500,
        "[" * 500 + "a" + "]" * 500,
        "!" * 1000 + "a",
        "& " * 500 + "a",
        "a" + "|a" * 500,
        "a" + "[*]" * 340,
        "a" + "&&a" * 300,
        "*" + ".*" * 500,
        "f(" * 340 + ")" * 340,
        "{a:" * 340 + "b" + "}" * 340,
        "a" + "[?a" * 200 + "]" * 200,
    ],
)
def test_an_expression_that_is_too_long_or_too_deep_is_refused(path: str) -> None:
    error = refusal("{}", path)
    assert error.code is ErrorCode.JMES_BUDGET


def test_the_budget_of_a_mount_is_shared_by_its_expressions() -> None:
    keys = tuple(JsonKey(path="length(a) && b", alias=str(n)) for n in range(10))
    value = SecretBytes(json.dumps({"a": [1] * 100, "b": "x"}).encode())
    texts = extract_texts(value, keys, StepBudget(350), object_name="n", where="w")
    assert [isinstance(text, MountError) for text in texts] == [False] * 3 + [True] * 7


def test_reading_every_field_of_a_full_secret_stays_far_below_the_budget() -> None:
    fields = {f"field{n}": "x" * 40 for n in range(1150)}
    assert 60_000 < len(json.dumps(fields)) < 65_536
    assert isinstance(extract(json.dumps(fields), "join(',', values(@))"), str)
    assert isinstance(extract(json.dumps(fields), "to_string(@)"), str)


def test_nothing_is_kept_between_expressions() -> None:
    from jmespath.parser import Parser  # noqa: PLC0415 - the class whose cache must stay empty

    before = dict(Parser._CACHE)
    extract("{}", "some.new.path")
    assert before == Parser._CACHE


@pytest.mark.parametrize(
    "path", ["abs(a)", "a-b", "a", "missing", "to_number(a).b", "sort_by(@, &a)", "map(&a, a)", "a[::0]"]
)
def test_no_error_repeats_a_value(path: str) -> None:
    for value in (f'{{"a": "{CANARY}"}}', f'{{"a": ["{CANARY}"]}}', f'["{CANARY}", 1]', CANARY, f'{{"a": {CANARY}}}'):
        found = extract(value, path)
        if isinstance(found, MountError):
            assert CANARY not in repr(found) + str(found) + repr(vars(found))
            assert found.__context__ is None
            assert found.__cause__ is None


_WORDS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "[",
        "]",
        "*",
        "|",
        "||",
        "&",
        "&&",
        "!",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "@",
        "'",
        '"',
        "`",
        "-",
        "1",
        "[?",
        "==",
        "<",
        "length(",
        "join(",
        "to_string(",
        "sort_by(",
        "map(",
        "`1`",
        "'x'",
        '"a"',
        "[]",
        "[0]",
        " ",
        "\\",
        "\ud800",
    ]
)
_JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@deterministic
@given(_JSON, st.lists(_WORDS, max_size=12).map("".join))
def test_no_expression_on_no_value_raises(value: object, path: str) -> None:
    extract(json.dumps(value), path)


@deterministic
@given(st.binary(max_size=60), st.text(max_size=20))
def test_no_bytes_and_no_text_raise(value: bytes, path: str) -> None:
    extract(value, path)
