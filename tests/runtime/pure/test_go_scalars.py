"""Scalars as Go reads and writes them."""

from __future__ import annotations

import math
import struct

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provider_runtime.go_scalars import (
    dump_yaml_text,
    format_float32,
    format_json_number,
    parse_go_bool,
    parse_go_float,
    resolve_plain_scalar,
)
from tests.runtime.pure.samples import deterministic


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("3", "3"),
        ("010", "8"),
        ("0600", "384"),
        ("08", "8"),  # no octal digit, so Go reads a float
        ("0900", "900"),
        ("0o644", "420"),
        ("0x1F", "31"),
        ("-0x1f", "-31"),
        ("0b101", "5"),
        ("+5", "5"),
        ("-0", "0"),
        ("1_000", "1000"),
        ("0_7", "7"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744e+19"),
        ("y", "true"),
        ("Yes", "true"),
        ("on", "true"),
        ("TRUE", "true"),
        ("n", "false"),
        ("Off", "false"),
        ("yEs", "yEs"),
        ("tRUE", "tRUE"),
        ("2024-05-01", "2024-05-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("1:30", "1:30"),
        ("1e3", "1000"),
        ("1e6", "1e+06"),
        ("1.10", "1.1"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-1.5", "-1.5"),
        ("0.00001", "1e-05"),
        ("3.14159265358979", "3.1415927"),
        ("1e1000", "1e1000"),
        ("1e39", "+Inf"),
        (".inf", "+Inf"),
        ("-.Inf", "-Inf"),
        (".NaN", "NaN"),
        ("._5", "._5"),
        ("_1", "_1"),
        ("-", "-"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("123abc", "123abc"),
        ("\u0663", "\u0663"),  # a digit, but not one of Go's
        ("prod/db", "prod/db"),
    ],
)
def test_an_unquoted_scalar_becomes_the_text_that_go_makes_of_it(source: str, text: str) -> None:
    assert resolve_plain_scalar(source) == text


@pytest.mark.parametrize("source", ["", "~", "null", "Null", "NULL"])
def test_null_words_are_null(source: str) -> None:
    assert resolve_plain_scalar(source) is None


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_gos_words_for_true(word: str) -> None:
    assert parse_go_bool(word) is True


@pytest.mark.parametrize("word", ["0", "f", "F", "FALSE", "false", "False"])
def test_gos_words_for_false(word: str) -> None:
    assert parse_go_bool(word) is False


@pytest.mark.parametrize("word", ["yes", "TrUe", " true", "true ", "on", "2", ""])
def test_no_other_word_is_a_bool(word: str) -> None:
    assert parse_go_bool(word) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5432.0, "5432"),
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (1e20, "100000000000000000000"),
        (12345678901234567890.0, "12345678901234567000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (1.5e-5, "0.000015"),
        (1e-7, "1e-7"),
        (1.25e-10, "1.25e-10"),
        (5e-324, "5e-324"),
    ],
)
def test_a_json_number_is_written_as_go_writes_it(number: float, text: str) -> None:
    assert format_json_number(number) == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_has_no_text_for_what_is_no_number(number: float) -> None:
    with pytest.raises(ValueError, match="not a JSON number"):
        format_json_number(number)


@pytest.mark.parametrize("text", ["inf", "nan", "1_0", " 1", "1 ", "0x1p2", "", "+", "1e", "\u0661"])
def test_python_reads_floats_that_go_does_not(text: str) -> None:
    assert parse_go_float(text) is None


@deterministic
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_json_number_reads_back_as_the_same_float(number: float) -> None:
    assert float(format_json_number(number)) == number


@deterministic
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_text_reads_back_as_the_same_float32(number: float) -> None:
    assert struct.pack("<f", float(format_float32(number))) == struct.pack("<f", number)


@deterministic
@given(st.text())
def test_resolving_never_fails(source: str) -> None:
    resolve_plain_scalar(source)


@pytest.mark.parametrize(
    "word", ["no", "Y", "NULL", "on", "~", "2024-05-01", "0600", "1:30", "1e3", ".5", "<<", "=", ""]
)
def test_what_a_yaml_reader_could_take_for_another_type_is_quoted(word: str) -> None:
    assert dump_yaml_text(word) == f'"{word}"'


@pytest.mark.parametrize("word", ["prod/payments/db", "/flags", "AWSCURRENT", "arn:aws:ssm:eu-west-1:1:parameter/a"])
def test_plain_names_stay_plain(word: str) -> None:
    assert dump_yaml_text(word) == word


@deterministic
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_dumped_text_reads_back_in_a_yaml_1_1_reader(text: str) -> None:
    dumped = dump_yaml_text(text)
    assert dumped.isascii()
    assert yaml.load(f"- {dumped}\n", Loader=yaml.CSafeLoader) == [text]
