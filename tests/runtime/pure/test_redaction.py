"""A canary value goes through every way of showing a value, and must not come out."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback

import pytest

from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.fetch_plan import ParameterAnswer, ReadResult
from provider_runtime.payload import MountFile
from provider_runtime.redaction import SecretBytes, SecretText
from tests.runtime.pure.samples import CANARY, request

TOKENS = json.dumps({"sts.amazonaws.com": {"token": CANARY, "expirationTimestamp": "x"}, "other": {"token": CANARY}})


def holders() -> list[object]:
    value = SecretBytes(CANARY.encode())
    result = ReadResult(value=value, version="1")
    return [
        value,
        SecretText(CANARY),
        result,
        ParameterAnswer(name="n", arn="a", selector="", result=result),
        MountFile(path="p", mode=0o644, contents=value, object_id="p", version="1"),
        request(tokens=TOKENS),
        [value, {"k": SecretText(CANARY)}],
    ]


@pytest.mark.parametrize("holder", holders(), ids=lambda holder: type(holder).__name__)
def test_showing_a_holder_does_not_show_the_value(holder: object) -> None:
    logged = logging.LogRecord("n", logging.INFO, "p", 1, "%s %r", (holder, holder), None).getMessage()
    shown = [repr(holder), str(holder), f"{holder}", f"{holder!r}", "%s" % (holder,), pprint.pformat(holder), logged]  # noqa: UP031
    assert not [text for text in shown if CANARY in text or CANARY.encode().hex() in text]


@pytest.mark.parametrize("value", [SecretBytes(CANARY.encode()), SecretText(CANARY)])
@pytest.mark.parametrize("spec", ["", ">40", "s", "x"])
def test_a_format_does_not_show_the_value(value: object, spec: str) -> None:
    assert format(value, spec) == "[redacted]"


@pytest.mark.parametrize("value", [SecretBytes(CANARY.encode()), SecretText(CANARY)])
def test_a_value_is_never_serialised(value: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never serialised"):
            pickle.dumps(value, protocol)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(value)
    assert CANARY not in json.dumps(value, default=str)


@pytest.mark.parametrize("value", [SecretBytes(CANARY.encode()), SecretText(CANARY)])
def test_a_value_is_no_key(value: object) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)


def test_a_value_has_no_place_for_other_attributes() -> None:
    assert not hasattr(SecretBytes(b""), "__dict__")
    assert not hasattr(SecretText(""), "__dict__")


def test_copies_are_the_value_itself() -> None:
    value = SecretText(CANARY)
    assert copy.copy(value) is value
    assert copy.deepcopy(value) is value
    result = ReadResult(value=SecretBytes(CANARY.encode()), version="1")
    assert CANARY not in str(dataclasses.asdict(result))


def test_values_are_equal_by_content_and_to_their_own_kind_only() -> None:
    assert SecretBytes(b"a") == SecretBytes(b"a")
    assert SecretBytes(b"a") != SecretBytes(b"b")
    assert SecretText("é\ud800") == SecretText("é\ud800")
    assert SecretText("a") != SecretText("ab")
    assert SecretBytes(b"a") != b"a"
    assert SecretText("a") != "a"
    assert SecretText("a") != SecretBytes(b"a")


def test_reveal_gives_the_value_and_len_its_size() -> None:
    assert SecretBytes(b"ab").reveal() == b"ab"
    assert SecretText("é").reveal() == "é"
    assert (len(SecretBytes("é".encode())), len(SecretText("é"))) == (2, 1)


def test_a_traceback_through_code_that_holds_a_value_does_not_show_it() -> None:
    def fail(held: SecretText) -> None:
        raise MountError(ErrorCode.INTERNAL, where=f"w {held}", what=f"{held!r}", fix=str(held))

    with pytest.raises(MountError) as raised:
        fail(SecretText(CANARY))
    text = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "fail(" in text
    assert CANARY not in text
    assert CANARY not in repr(pickle.dumps(raised.value.args))
