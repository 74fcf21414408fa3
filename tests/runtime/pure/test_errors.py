"""Errors are final, stable, bounded, and say where, what, rule and fix."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_runtime.errors import (
    MESSAGE_LIMIT_BYTES,
    Culprit,
    ErrorCode,
    MountError,
    StatusName,
    culprit_of,
    join_errors,
    shown,
    shown_list,
)
from tests.runtime.pure.samples import deterministic


def error(code: ErrorCode = ErrorCode.NAME_MISSING, **changed: str) -> MountError:
    texts = {"where": "parameters.objects[1]", "what": "Object name must be specified", "fix": "add it", **changed}
    return MountError(code, **texts)  # type: ignore[arg-type] # all of them are texts


def test_the_text_has_the_shape_of_the_house() -> None:
    found = error(rule="A rule.")
    assert str(found) == ("parameters.objects[1]: Object name must be specified. A rule. Fix: add it. [LSP210]")
    assert found.message == str(found)
    assert str(error()) == "parameters.objects[1]: Object name must be specified. Fix: add it. [LSP210]"


def test_the_drivers_fail_open_codes_cannot_be_said() -> None:
    assert not {"CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "OK"} & set(
        StatusName
    )


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_culprit_and_a_final_status(code: ErrorCode) -> None:
    found = error(code)
    assert found.culprit is culprit_of(code)
    assert found.status in StatusName
    assert re.fullmatch(r"LSP[1-5][0-9]{2}", code)


def test_codes_are_unique() -> None:
    assert len(ErrorCode.__members__) == len(set(ErrorCode))


def test_every_culprit_can_be_named() -> None:
    assert {culprit_of(code) for code in ErrorCode} == set(Culprit)


@pytest.mark.parametrize("code", ErrorCode)
def test_only_throttling_servers_and_the_network_lead_to_the_next_region(code: ErrorCode) -> None:
    assert error(code).failover == (culprit_of(code) in {Culprit.THROTTLED, Culprit.AWS_SERVER, Culprit.NETWORK})


def test_the_culprit_decides_the_status() -> None:
    assert error(ErrorCode.ACCESS_DENIED).status is StatusName.PERMISSION_DENIED
    assert error(ErrorCode.OBJECT_NOT_FOUND).status is StatusName.NOT_FOUND
    assert error(ErrorCode.NAME_MISSING).status is StatusName.INVALID_ARGUMENT
    assert error(ErrorCode.INTERNAL).status is StatusName.INTERNAL


def test_one_error_joined_is_itself() -> None:
    one = error()
    assert join_errors([one]) is one
    assert join_errors([one, error()]).message == one.message, "equal texts are said once"


def test_joined_errors_keep_their_order_and_the_first_decides() -> None:
    first, second, third = error(ErrorCode.ACCESS_DENIED), error(ErrorCode.NETWORK), error(ErrorCode.NAME_MISSING)
    joined = join_errors([join_errors([first, second]), third])
    assert joined.problems == (first, second, third)
    assert joined.message == f"3 problems: (1) {first} (2) {second} (3) {third}"
    assert (joined.code, joined.culprit, joined.status) == (first.code, first.culprit, first.status)


def test_the_next_region_may_be_asked_only_if_every_problem_allows_it() -> None:
    network, throttled, denied = (
        error(code) for code in (ErrorCode.NETWORK, ErrorCode.THROTTLED, ErrorCode.ACCESS_DENIED)
    )
    assert join_errors([network, throttled]).failover
    assert not join_errors([network, denied]).failover


def test_a_long_list_of_problems_says_how_many_it_leaves_out() -> None:
    joined = join_errors([error(where=f"parameters.objects[{n}]") for n in range(1000)])
    assert len(joined.message.encode()) <= MESSAGE_LIMIT_BYTES
    assert joined.message.startswith("1000 problems: (1) parameters.objects[0]: Object name")
    listed, left_out = re.findall(r"\((\d+)\)", joined.message), re.search(r"and (\d+) more problems", joined.message)
    assert left_out is not None
    assert len(listed) + int(left_out[1]) == 1000
    assert len(joined.problems) == 1000


@deterministic
@given(st.text(max_size=5000), st.text(max_size=5000))
def test_no_text_makes_a_message_too_long_or_unencodable(what: str, fix: str) -> None:
    found = error(what=what, fix=fix)
    found.message.encode()
    assert len(found.message.encode()) <= MESSAGE_LIMIT_BYTES + len("… [LSP210]".encode())
    assert found.message.endswith("[LSP210]")


@deterministic
@given(st.text(max_size=500))
def test_a_shown_value_is_one_printable_line(text: str) -> None:
    assert "".join(shown(text).split(" ")).isprintable()
    assert len(shown(text)) <= 200 * len("\\U00000000") + 30


def test_a_shown_value_keeps_what_is_printable_and_says_what_it_cut() -> None:
    assert shown("0900") == "0900"
    assert shown("a\nb\x00\ud800") == "a\\nb\\x00\\ud800"
    assert shown("x" * 300) == "x" * 200 + "… (300 characters)"
    assert shown_list(["a", "b"]) == "a, b"
