"""Flags as Go reads them, settings with every mistake at once, and what the process prints."""

from __future__ import annotations

import subprocess
import sys

import pytest

from provider_runtime.config import FLAGS, HelpRequested, LogFormat, SettingsError, parse_settings
from provider_runtime.go_flags import Flag, FlagKind, parse_boolean, parse_duration, parse_flags, parse_integer
from tests.fakes.daemons import REPOSITORY
from tests.fakes.patience import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1m30s", 90),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1),
        ("300ms", 0.3),
        ("1h2m3s4ms5us6ns", 3723.004005006),
        ("7\u00b5s", 7e-6),
        ("7\u03bcs", 7e-6),
        ("-1.5h", -5400),
        ("+2s", 2),
        ("-0", 0),
    ],
)
def test_a_go_duration_is_read_exactly(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "3 s", "s", ".s", "-", "+", "1d", "1m30", "x", "1s ", "1e3s", "9999999999h"])
def test_what_is_no_go_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_go_words_for_true(text: str) -> None:
    assert parse_boolean(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_go_words_for_false(text: str) -> None:
    assert parse_boolean(text) is False


@pytest.mark.parametrize("text", ["yes", "TrUe", " true", "", "on"])
def test_other_words_are_no_booleans(text: str) -> None:
    with pytest.raises(ValueError, match="boolean"):
        parse_boolean(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-5", -5), ("+5", 5), ("0x10", 16), ("0b11", 3), ("0o17", 15), ("017", 15), ("1_000", 1000), ("0", 0)],
)
def test_a_go_integer_has_prefixes_and_underscores(text: str, number: int) -> None:
    assert parse_integer(text) == number


@pytest.mark.parametrize("text", ["", "5.0", "08", "1__0", "_1", "0x", "9223372036854775808", "five", "\u0665"])
def test_what_is_no_go_integer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="integer"):
        parse_integer(text)


_TWO = (
    Flag(name="on", kind=FlagKind.BOOLEAN, default="false", help=""),
    Flag(name="text", kind=FlagKind.TEXT, default="d", help=""),
)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ([], {"on": "false", "text": "d"}),
        (["-on", "--text=a=b"], {"on": "true", "text": "a=b"}),
        (["--on=f", "-text", "-x"], {"on": "f", "text": "-x"}),
        (["-text=", "--", "-on"], None),
        (["-on", "true"], None),
        (["-text"], None),
        (["---on"], None),
        (["-=1"], None),
        (["-other"], None),
        (["-"], None),
    ],
)
def test_one_dash_or_two_and_a_value_with_or_without_equals(words: list[str], texts: dict[str, str] | None) -> None:
    values = parse_flags(words, _TWO)
    assert bool(values.problems) is (texts is None)
    assert texts is None or values.texts == texts


def test_every_upstream_flag_is_known_and_one_default_differs_on_purpose() -> None:
    upstream = {
        "provider-volume": "/var/run/secrets-store-csi-providers",
        "driver-writes-secrets": "false",
        "qps": "5",
        "burst": "10",
        "eks-addon-version": "",
        "pod-identity-http-timeout": "",
    }
    ours = {flag.name: flag.default for flag in FLAGS}
    differing = {name for name, default in upstream.items() if ours[name] != default}
    assert differing == {"driver-writes-secrets"}


def test_the_defaults_are_the_documented_ages_and_limits() -> None:
    settings = parse_settings([], {})
    assert settings.socket_name == "aws.sock"
    assert settings.driver_writes_secrets
    assert settings.is_cache_on
    ages = (settings.first_mount_max_age_seconds, settings.refresh_interval_seconds, settings.max_stale_seconds)
    assert ages == (10.0, 120.0, 3600.0)
    assert settings.max_response_bytes == 4 * 1024 * 1024
    assert settings.log_format is LogFormat.TEXT
    assert settings.mount_timeout_seconds < 120, "kubelet gives up after two minutes"


def test_every_mistake_is_reported_at_once() -> None:
    words = ["--refresh-interval=10", "--cache=maybe", "--workers=0", "--unknown=1", "--driver-writes-secrets=yes"]
    environment = {"AWS_MAX_ATTEMPTS": "none", "AWS_USE_FIPS_ENDPOINT": "y", "AWS_ENDPOINT_URL": "localhost:4566"}
    with pytest.raises(SettingsError) as caught:
        parse_settings(words, environment)
    named = {word.removeprefix("--").partition("=")[0] for word in words} | set(environment)
    assert len(caught.value.problems) == 10, caught.value.problems  # the endpoint is wrong for three services
    assert all(any(name in problem for problem in caught.value.problems) for name in named)


@pytest.mark.parametrize("word", ["-h", "--help", "-help"])
def test_help_is_no_error(word: str) -> None:
    with pytest.raises(HelpRequested):
        parse_settings([word], {})


@pytest.mark.parametrize(
    ("text", "seconds", "warns"),
    [
        ("100ms", 0.1, False),
        ("2s", 2, False),
        ("35s", 35, True),
        ("30s", 30, False),
        ("30001ms", 30.001, True),
        ("", None, False),
        ("invalid", None, True),
        ("0s", None, True),
        ("-100ms", None, True),
    ],
)
def test_the_agents_timeout_is_never_fatal(text: str, seconds: float | None, warns: bool) -> None:  # noqa: FBT001
    """Vectors H01 to H10."""
    settings = parse_settings([f"--pod-identity-http-timeout={text}"], {})
    assert settings.pod_identity_timeout_seconds == seconds
    assert bool(settings.warnings) is warns


def test_endpoints_come_from_the_environment_and_the_specific_one_wins() -> None:
    environment = {"AWS_ENDPOINT_URL": "http://one:1", "AWS_ENDPOINT_URL_SSM": "http://two:2"}
    aws = parse_settings([], environment).aws
    assert aws.endpoint_urls == {"sts": "http://one:1", "secretsmanager": "http://one:1", "ssm": "http://two:2"}
    assert aws.is_every_endpoint_overridden
    assert not parse_settings([], {"AWS_ENDPOINT_URL_SSM": "http://two:2"}).aws.is_every_endpoint_overridden


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 31])
def test_a_provider_name_that_the_driver_would_refuse(name: str) -> None:
    with pytest.raises(SettingsError, match="provider-name"):
        parse_settings([f"--provider-name={name}"], {})


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "provider_runtime", *words]
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, cwd=REPOSITORY, timeout=PATIENCE_SECONDS, check=False
    )


def test_the_command_answers_a_wrong_flag_with_usage_and_2_and_help_with_0() -> None:
    wrong = _run("--refresh=1s")
    assert wrong.returncode == 2
    assert "flag provided but not defined: -refresh" in wrong.stderr
    assert "-refresh-interval duration" in wrong.stderr
    helped = _run("-h")
    assert helped.returncode == 0
    assert all(f"-{flag.name}" in helped.stderr for flag in FLAGS)


def test_a_missing_socket_directory_is_one_clear_line_and_no_traceback() -> None:
    answer = _run("--provider-volume=/nowhere/at/all")
    assert answer.returncode == 1
    assert "/nowhere/at/all: does not exist" in answer.stderr
    assert "Fix: " in answer.stderr
    assert "Traceback" not in answer.stderr
