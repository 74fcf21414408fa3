"""A policy that IAM would refuse is refused with every problem at its place; nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation.evaluator import PolicyErrors, SourceKind, parse_policy
from components.derivation.evaluator.json_places import json_places
from tests.derivation.evaluator.random_policies import Question, identity_questions

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "*"}


def problems(document: str | dict[str, Any], kind: SourceKind = SourceKind.IDENTITY) -> list[str]:
    with pytest.raises(PolicyErrors) as errors:
        parse_policy(document, name="p.json", kind=kind)
    return [str(problem) for problem in errors.value.problems]


def test_every_problem_is_reported_at_its_line() -> None:
    text = """{
  "Version": "2020-01-01",
  "Statement": [
    {"Effect": "allow", "Action": "GetSecretValue", "Resource": ["arn:aws:s3:::x", "mysecret"]},
    {
      "Effect": "Allow",
      "Action": "ssm:GetParameters",
      "NotAction": "ssm:*",
      "Principal": "*"
    }
  ]
}"""
    found = problems(text)
    assert [line.split(" ")[:2] for line in found] == [
        ["p.json:2:14", "Version:"],
        ["p.json:4:16", "Statement[0].Effect:"],
        ["p.json:4:35", "Statement[0].Action:"],
        ["p.json:4:84", "Statement[0].Resource[1]:"],
        ["p.json:5:5", "Statement[1]:"],
        ["p.json:5:5", "Statement[1]:"],
        ["p.json:9:20", "Statement[1].Principal:"],
    ]
    assert [line[-8:] for line in found] == [
        "[POL004]",
        "[POL004]",
        "[POL004]",
        "[POL004]",
        "[POL003]",
        "[POL003]",
        "[POL002]",
    ]


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        ({"Effect": None}, "POL004", "None is no effect"),
        ({"Action": []}, "POL003", "the list is empty"),
        ({"Action": 3}, "POL004", "3 is no text"),
        ({"Resource": "secret/x"}, "POL004", "'secret/x' is no ARN"),
        ({"Conditions": {}}, "POL002", "'Conditions' does not belong here"),
        ({"Condition": []}, "POL004", "a Condition maps operators"),
        ({"Condition": {"Bool": "true"}}, "POL004", "an operator maps keys"),
        ({"Condition": {"Bool": {"aws:SecureTransport": {}}}}, "POL004", "{} is no text"),
        ({"Sid": 7}, "POL004", "7 is no text"),
    ],
)
def test_one_mistake_in_a_statement(change: dict[str, Any], code: str, what: str) -> None:
    (line,) = problems({"Version": "2012-10-17", "Statement": [{**GOOD, **change}]})
    assert line.endswith(f"[{code}]")
    assert what.lower() in line.lower()


@pytest.mark.parametrize(
    ("principal", "what"),
    [
        ("arn:aws:iam::111122223333:role/x", "is no principal"),
        ({"AWS": "arn:aws:iam::111122223333:role/*"}, "holds a wildcard"),
        ({"AWS": "me"}, "is no principal of AWS"),
        ({"Role": "x"}, "is no kind of principal"),
        ({}, "is no principal"),
    ],
)
def test_a_principal_that_iam_refuses(principal: object, what: str) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    assert what in problems({"Statement": statement}, SourceKind.TRUST)[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "this is not JSON"),
        ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "the key 'Version' stands twice"),
        ("[]", "it is no JSON object"),
        ("{}", "there is no statement"),
        ('{"Statement": []}', "there is no statement"),
        ('{"Statement": [3]}', "it is no JSON object"),
        ("[" * 100_000, "p.json:1:"),
    ],
)
def test_a_document_that_is_no_policy(text: str, what: str) -> None:
    assert what in problems(text)[0]


def test_a_sid_stands_once() -> None:
    text = problems({"Statement": [{**GOOD, "Sid": "A"}, {**GOOD, "Sid": "B"}, {**GOOD, "Sid": "A"}]})
    assert "the Sid 'A' stands in statement 1 too" in text[0]
    assert "Statement[2]" in text[0]


def test_a_boolean_or_number_in_a_condition_is_its_json_text() -> None:
    statement = {**GOOD, "Condition": {"Bool": {"aws:SecureTransport": True}, "NumericEquals": {"lab:n": [1, 2.5]}}}
    policy = parse_policy({"Statement": statement}, name="p", kind=SourceKind.IDENTITY)
    assert [test.values for test in policy.statements[0].tests] == [("true",), ("1", "2.5")]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
_KEYS = st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition", "Principal", "Sid", "x"])


@settings(max_examples=60, deadline=None)
@given(data=st.dictionaries(_KEYS, _JSON | st.lists(st.dictionaries(_KEYS, _JSON))), kind=st.sampled_from(SourceKind))
def test_no_input_raises_anything_but_its_own_error(data: dict[str, Any], kind: SourceKind) -> None:
    for document in (data, json.dumps(data)):
        try:
            parse_policy(document, name="p", kind=kind)
        except PolicyErrors as errors:
            assert errors.problems  # noqa: PT017 - either outcome is fine


@settings(max_examples=30, deadline=None)
@given(question=identity_questions(), indent=st.sampled_from([None, 2]))
def test_a_text_and_its_data_are_the_same_policy(question: Question, indent: int | None) -> None:
    for document in question.identity:
        text = json.dumps(document, indent=indent)
        from_text, from_data = (
            parse_policy(either, name="p", kind=SourceKind.IDENTITY).statements for either in (text, document)
        )
        for one, other in zip(from_text, from_data, strict=True):
            assert replace(one, at=other.at) == other


@settings(max_examples=100, deadline=None)
@given(data=_JSON, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_the_place_of_every_value_is_where_its_text_begins(
    data: object, indent: int | None, *, ascii_only: bool
) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    places = json_places(text)
    lines = text.split("\n")
    for path, value in _values(data, ""):
        line, column = places[path]
        assert json.JSONDecoder().raw_decode("\n".join([lines[line - 1][column - 1 :], *lines[line:]]))[0] == value


def _values(data: object, path: str) -> list[tuple[str, object]]:
    """Every value with its path, as `json_places` writes it; where two paths read the same, none of them."""
    found = [(path, data)]
    if isinstance(data, list):
        for index, item in enumerate(data):
            found += _values(item, f"{path}[{index}]")
    if isinstance(data, dict):
        for key, item in data.items():
            found += _values(item, f"{path}.{key}" if path else key)
    names = [name for name, _ in found]
    return [(name, value) for name, value in found if names.count(name) == 1]
