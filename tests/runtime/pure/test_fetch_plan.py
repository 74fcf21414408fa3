"""Which reads a class costs, and whose answer is whose."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_runtime.errors import Culprit, ErrorCode, StatusName
from provider_runtime.fetch_plan import (
    ParameterAnswer,
    ParameterRead,
    ReadResult,
    SecretRead,
    invalid_parameters_error,
    match_parameters,
    plan_reads,
)
from provider_runtime.redaction import SecretBytes
from provider_runtime.secret_objects import FailoverObject, ObjectType, SecretObject
from tests.runtime.pure.samples import deterministic, objects

ACCOUNT = "123456789012"
ARN = f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/P"


def sm(name: str, *, version: str = "", label: str = "", alias: str = "") -> SecretObject:
    return SecretObject(name=name, type=ObjectType.SECRETS_MANAGER, version=version, version_label=label, alias=alias)


def ps(name: str, *, version: str = "", label: str = "", alias: str = "") -> SecretObject:
    return SecretObject(name=name, type=ObjectType.PARAMETER, version=version, version_label=label, alias=alias)


def answer(name: str, version: str = "1", *, selector: str = "", arn: str = "") -> ParameterAnswer:
    result = ReadResult(value=SecretBytes(f"{name}{selector}@{version}".encode()), version=version)
    return ParameterAnswer(name=name, arn=arn, selector=selector, result=result)


def reads(*names: str) -> tuple[ParameterRead, ...]:
    return tuple(ParameterRead(request_name=name) for name in names)


def matched(names: tuple[str, ...], *answers: ParameterAnswer) -> dict[str, str]:
    found = match_parameters(reads(*names), answers)
    return {read.request_name: result.value.reveal().decode() for read, result in found.items()}


def test_two_files_from_one_secret_cost_one_read() -> None:
    plan = plan_reads((sm("A", alias="one"), sm("B"), sm("A", alias="two")), "r")
    assert plan.secrets == (SecretRead(secret_id="A"), SecretRead(secret_id="B"))
    assert plan.read_of_object == (SecretRead(secret_id="A"), SecretRead(secret_id="B"), SecretRead(secret_id="A"))


def test_another_version_or_stage_is_another_read() -> None:
    plan = plan_reads((sm("A"), sm("A", version="V"), sm("A", label="L"), sm("A", version="V", label="L")), "r")
    assert [(read.version_id, read.version_stage) for read in plan.secrets] == [
        ("", ""),
        ("V", ""),
        ("", "L"),
        ("V", "L"),
    ]


def test_a_secret_and_a_parameter_of_one_name_are_two_reads() -> None:
    plan = plan_reads((sm("A", alias="x"), ps("A")), "r")
    assert (len(plan.secrets), len(plan.batches)) == (1, 1)


def test_parameters_go_in_batches_of_ten_in_list_order() -> None:
    plan = plan_reads(tuple(ps(f"P{n}") for n in range(1, 24)), "r")
    assert [batch.names for batch in plan.batches] == [
        tuple(f"P{n}" for n in range(1, 11)),
        tuple(f"P{n}" for n in range(11, 21)),
        ("P21", "P22", "P23"),
    ]


def test_a_parameter_is_asked_for_with_its_version_or_its_label() -> None:
    plan = plan_reads((ps("P", version="3"), ps("P", label="blue"), ps("P"), ps("P", alias="again")), "r")
    assert plan.batches[0].names == ("P:3", "P:blue", "P")


@deterministic
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["", "1", "2"]), st.booleans()), max_size=40))
def test_every_object_has_exactly_one_read_and_no_read_is_planned_twice(entries: list[tuple[str, str, bool]]) -> None:
    values = tuple((sm if is_secret else ps)(name, version=version) for name, version, is_secret in entries)
    plan = plan_reads(values, "r")
    planned = [*plan.secrets, *(read for batch in plan.batches for read in batch.reads)]
    assert len(set(planned)) == len(planned)
    assert len(plan.read_of_object) == len(values)
    assert set(plan.read_of_object) == set(planned)
    assert all(0 < len(batch.reads) <= 10 for batch in plan.batches)


def test_a_failover_region_is_asked_with_the_failover_objects_fields() -> None:
    value = SecretObject(
        name="P",
        type=ObjectType.PARAMETER,
        alias="f",
        version_label="blue",
        failover=FailoverObject(name="Q", version_label="green"),
    )
    assert [plan_reads((value,), "r", index).batches[0].names for index in range(3)] == [
        ("P:blue",),
        ("Q:green",),
        ("Q:green",),
    ]


def test_x24_a_primary_arn_without_failover_object_is_sent_unchanged() -> None:
    (value,) = objects(f"- objectName: {ARN}", "us-west-2", "us-west-1")
    assert plan_reads((value,), "us-west-1", 1).batches[0].names == (ARN,)


def test_f24_the_failover_name_of_a_pinned_parameter() -> None:
    text = (
        "- {objectName: TestParm15, objectType: ssmparameter, objectVersion: V, objectAlias: TestParm15Alias,"
        " failoverObject: {objectName: TestParm15AnotherRegion, objectVersion: V}}"
    )
    (value,) = objects(text, "fakeRegion", "fakeBackupRegion")
    assert plan_reads((value,), "fakeBackupRegion", 1).batches[0].names == ("TestParm15AnotherRegion:V",)


def test_a11_answers_are_matched_by_name_whatever_their_order() -> None:
    names = ("P1", "P2", "P3")
    expected = {"P1": "P1@1", "P2": "P2@1", "P3": "P3@1"}
    for order in itertools.permutations([answer(name) for name in names]):
        assert matched(names, *order) == expected


def test_an_arn_is_matched_by_the_answers_arn() -> None:
    assert matched((ARN, f"{ARN}2:3"), answer("P2", "3", arn=f"{ARN}2", selector=":3"), answer("P", arn=ARN)) == {
        ARN: "P@1",
        f"{ARN}2:3": "P2:3@3",
    }


def test_a_name_wins_over_an_arn_of_the_same_text() -> None:
    assert matched((ARN,), answer("P", "1", arn=ARN), answer(ARN, "2")) == {ARN: f"{ARN}@2"}


def test_x32_a_name_that_holds_its_selector_works() -> None:
    assert matched(("P:3",), answer("P", "3", selector=":3")) == {"P:3": "P:3@3"}
    assert matched(("P:3",), answer("P", "3")) == {"P:3": "P@3"}
    assert matched(("P:3",), answer("P:3", "3")) == {"P:3": "P:3@3"}


def test_x33_one_parameter_under_two_labels_in_one_batch() -> None:
    one, other = answer("P", "1", selector=":a"), answer("P", "2", selector="b")
    for order in ((one, other), (other, one)):
        assert matched(("P:a", "P:b"), *order) == {"P:a": "P:a@1", "P:b": "Pb@2"}


def test_one_parameter_by_name_and_by_arn_under_two_labels() -> None:
    one, other = answer("P", "1", selector=":a", arn=ARN), answer("P", "2", selector=":b", arn=ARN)
    for order in ((one, other), (other, one)):
        assert matched(("P:a", f"{ARN}:b"), *order) == {"P:a": "P:a@1", f"{ARN}:b": "P:b@2"}


def test_an_answer_without_selector_is_not_guessed_between_two_labels() -> None:
    assert matched(("P:a", "P:b"), answer("P", "1"), answer("P", "2")) == {}
    assert matched(("P:1", "P:2"), answer("P", "2"), answer("P", "1")) == {"P:1": "P@1", "P:2": "P@2"}
    assert matched(("P", "P:a"), answer("P", "1"), answer("P", "2")) == {}
    assert matched(("P", "P:a"), answer("P", "1"), answer("P", "2", selector=":a")) == {"P": "P@1", "P:a": "P:a@2"}


def test_the_answer_of_another_label_is_not_taken() -> None:
    assert matched(("P:a",), answer("P", "1", selector=":b")) == {}
    assert matched(("P",), answer("P", "1", selector=":b")) == {}
    assert matched(("P", "Q"), answer("P")) == {"P": "P@1"}


@given(
    st.lists(st.sampled_from(("P", "P:1", "P:a", ARN, f"{ARN}:a", f"{ARN}:2")), unique=True, max_size=4),
    st.lists(
        st.builds(
            answer,
            st.sampled_from(("P", "P:a", ARN, "")),
            st.sampled_from("123"),
            selector=st.sampled_from(("", ":a", "1")),
            arn=st.sampled_from((ARN, "")),
        ),
        max_size=4,
    ),
)
def test_what_a_batch_asks_beside_a_parameter_changes_nothing_about_it(
    names: list[str], answers: list[ParameterAnswer]
) -> None:
    others = {"Q": "Q@1", "R:9": "R@9"}
    beside = (answer("R", "9"), *answers, answer("Q"))
    assert matched(("R:9", *names, "Q"), *beside) == {**matched(tuple(names), *answers), **others}


@pytest.mark.parametrize(
    ("request_name", "name", "selector"),
    [
        ("P", "P", ""),
        ("/a/P:3", "/a/P", "3"),
        ("P:3:4", "P", "3:4"),
        (ARN, ARN, ""),
        (f"{ARN}:blue", ARN, "blue"),
        ("arn:", "arn:", ""),
    ],
)
def test_a_selector_is_what_follows_the_name(request_name: str, name: str, selector: str) -> None:
    read = ParameterRead(request_name=request_name)
    assert (read.name, read.selector) == (name, selector)


@deterministic
@given(st.text(max_size=20))
def test_splitting_a_name_never_fails(request_name: str) -> None:
    read = ParameterRead(request_name=request_name)
    assert request_name.startswith(read.name)


def test_a21_invalid_parameters_are_said_once_in_their_order() -> None:
    names = ["FailParm2", "FailParm4", "FailParm2", "FailParm4"]
    error = invalid_parameters_error("fakeRegion", names, where="SecretProviderClass fakeNS/fakeClass")
    assert error.what.startswith("400: fakeRegion: invalid parameters: FailParm2, FailParm4")
    assert "400: fakeRegion: invalid parameters: FailParm2, FailParm4. " in error.message
    assert error.code is ErrorCode.PARAMETERS_INVALID
    assert error.culprit is Culprit.NOT_FOUND
    assert error.status is StatusName.NOT_FOUND
    assert not error.failover, "a missing parameter never leads to the next region"
