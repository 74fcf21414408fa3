"""Flags and environment → one frozen `RuntimeSettings`; every mistake is reported at once.

Not done here: Go's flag syntax (`go_flags`), acting on a setting.

All of the AWS provider's flags are known with their meaning. One default differs on purpose:
`driver-writes-secrets` is true here, because only then does the provider need no kubelet path, no root and no
capability, and only then is the update of a volume atomic.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from provider_runtime.go_flags import (
    Flag,
    FlagKind,
    parse_boolean,
    parse_duration,
    parse_flags,
    parse_integer,
    render_usage,
)
from provider_runtime.observability_settings import OBSERVABILITY_FLAGS, ObservabilitySettings, parse_observability
from provider_runtime.version import render_app_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_Value = TypeVar("_Value")

PROGRAM: Final = "provider_runtime"
PROVIDER_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,30}")
"""The driver's own rule for `spec.provider` (it would also take an empty name, which names no socket)."""
ENDPOINT_VARIABLES: Final = {
    "sts": "AWS_ENDPOINT_URL_STS",
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "ssm": "AWS_ENDPOINT_URL_SSM",
}
_AGENT_TIMEOUT_WARNING_SECONDS: Final = 30.0

FLAGS: Final = (
    # The AWS provider's flags.
    Flag(
        name="provider-volume",
        kind=FlagKind.TEXT,
        default="/var/run/secrets-store-csi-providers",
        help="Directory of the provider's socket, <provider-volume>/<provider-name>.sock. It must exist.",
    ),
    Flag(
        name="driver-writes-secrets",
        kind=FlagKind.BOOLEAN,
        default="true",
        help="The driver writes the files (atomic, no kubelet path needed). false: this process writes them.",
    ),
    Flag(name="qps", kind=FlagKind.INTEGER, default="5", help="Kubernetes lookups per second (rarely any is made)."),
    Flag(name="burst", kind=FlagKind.INTEGER, default="10", help="Kubernetes lookups that may come at once."),
    Flag(
        name="eks-addon-version",
        kind=FlagKind.TEXT,
        default="",
        help="Replaces the version in the user agent's application id.",
    ),
    Flag(
        name="pod-identity-http-timeout",
        kind=FlagKind.TEXT,
        default="",
        help="Time limit of one request to the EKS Pod Identity agent, as a Go duration. Empty: 5s.",
    ),
    # Ours.
    Flag(name="provider-name", kind=FlagKind.TEXT, default="aws", help="Name of the socket and of `spec.provider`."),
    Flag(
        name="first-mount-max-age",
        kind=FlagKind.DURATION,
        default="10s",
        help="A volume's first mount takes values at most this old without asking AWS.",
    ),
    Flag(
        name="refresh-interval",
        kind=FlagKind.DURATION,
        default="120s",
        help="A republished volume takes values at most this old without asking AWS.",
    ),
    Flag(
        name="max-stale",
        kind=FlagKind.DURATION,
        default="1h",
        help="Last known values bridge an outage of AWS (never a denial) up to this age. 0: off.",
    ),
    Flag(name="cache", kind=FlagKind.TEXT, default="on", help="on or off: keep values in memory between mounts."),
    Flag(
        name="mount-timeout",
        kind=FlagKind.DURATION,
        default="60s",
        help="A mount is answered within this time, and always before the caller's own deadline.",
    ),
    Flag(
        name="max-response-bytes",
        kind=FlagKind.INTEGER,
        default="4194304",
        help="Largest answer; keep it at the driver's --max-call-recv-msg-size.",
    ),
    Flag(name="workers", kind=FlagKind.INTEGER, default="32", help="AWS calls that may run at the same time."),
    Flag(
        name="max-mounts",
        kind=FlagKind.INTEGER,
        default="512",
        help="Mounts that may run at the same time; one more is refused at once, with a final status.",
    ),
    Flag(name="log-format", kind=FlagKind.TEXT, default="text", help="text or json, one line per mount, on stderr."),
    Flag(
        name="shutdown-grace",
        kind=FlagKind.DURATION,
        default="20s",
        help="After SIGTERM, running mounts get this long before they are answered with an error.",
    ),
    Flag(
        name="pod-identity-endpoint-ipv4",
        kind=FlagKind.TEXT,
        default="http://169.254.170.23/v1/credentials",
        help="Address of the EKS Pod Identity agent, IPv4.",
    ),
    Flag(
        name="pod-identity-endpoint-ipv6",
        kind=FlagKind.TEXT,
        default="http://[fd00:ec2::23]/v1/credentials",
        help="Address of the EKS Pod Identity agent, IPv6.",
    ),
    Flag(
        name="kubernetes-api",
        kind=FlagKind.TEXT,
        default="",
        help="Address of the Kubernetes API, for classes without role or region. Empty: from the environment.",
    ),
    *OBSERVABILITY_FLAGS,
)


class LogFormat(StrEnum):
    """How log lines are rendered."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """What decides where AWS calls go. It comes from the environment only, never from a mount's attributes."""

    default_region: str | None
    """`AWS_REGION`: the region of classes that name none."""
    endpoint_urls: Mapping[str, str]
    """Service name → overriding endpoint; services without one are absent."""
    use_fips: bool
    use_dualstack: bool
    max_attempts: int
    """Attempts per call, the first included."""
    app_id: str

    @property
    def is_every_endpoint_overridden(self) -> bool:
        """Whether no call can reach a public endpoint, so that region names need not be real ones."""
        return all(service in self.endpoint_urls for service in ENDPOINT_VARIABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Every setting of the daemon; durations are in seconds."""

    provider_volume: str
    provider_name: str
    driver_writes_secrets: bool
    kubernetes_qps: int
    kubernetes_burst: int
    kubernetes_api: str
    first_mount_max_age_seconds: float
    refresh_interval_seconds: float
    max_stale_seconds: float
    is_cache_on: bool
    mount_timeout_seconds: float
    max_response_bytes: int
    workers: int
    max_mounts: int
    log_format: LogFormat
    shutdown_grace_seconds: float
    pod_identity_timeout_seconds: float | None
    """None: the adapter's own default."""
    pod_identity_endpoints: tuple[str, str]
    """IPv4, IPv6."""
    aws: AwsSettings
    observability: ObservabilitySettings
    warnings: tuple[str, ...] = ()
    """What was read but is probably not meant; the daemon logs it once."""

    @property
    def socket_name(self) -> str:
        """File name of the socket inside `provider_volume`."""
        return f"{self.provider_name}.sock"


class SettingsError(Exception):
    """The command line or the environment is wrong; `problems` lists everything that is."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class HelpRequested(Exception):  # noqa: N818  # it is no error: -h exits 0
    """The user asked for the usage text."""


def render_flag_usage() -> str:
    """Render the usage text that -h and a wrong flag print."""
    return render_usage(PROGRAM, FLAGS)


class _Reader:
    """Reads values by name, notes each problem and goes on."""

    def __init__(self, texts: Mapping[str, str], problems: Sequence[str]) -> None:
        self._texts = texts
        self.problems = list(problems)
        self.warnings: list[str] = []

    def text(self, name: str) -> str:
        return self._texts[name]

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._texts[name]
        if value not in allowed:
            self._note(name, f"must be one of {', '.join(allowed)}")
            return allowed[0]
        return value

    def boolean(self, name: str) -> bool:
        return self._parsed(name, parse_boolean, fallback=False)

    def integer(self, name: str, *, least: int) -> int:
        value = self._parsed(name, parse_integer, fallback=least)
        if value < least:
            self._note(name, f"must be at least {least}")
        return value

    def seconds(self, name: str, *, may_be_zero: bool) -> float:
        value = self._parsed(name, parse_duration, fallback=1.0)
        if value < 0 or (value == 0 and not may_be_zero):
            self._note(name, "must be positive" if not may_be_zero else "must not be negative")
        return value

    def agent_timeout(self, name: str) -> float | None:
        """Read the one upstream value that is never fatal: what cannot be used is said and left out."""
        text = self._texts[name]
        if not text:
            return None
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            self.warnings.append(f"-{name} {text!r} is ignored: {error}; the default applies")
            return None
        if seconds <= 0:
            self.warnings.append(f"-{name} {text!r} is ignored: it must be positive; the default applies")
            return None
        if seconds > _AGENT_TIMEOUT_WARNING_SECONDS:
            self.warnings.append(f"-{name} {text!r} is longer than 30s: a mount may end before the agent answers")
        return seconds

    def address(self, source: str, text: str) -> str:
        parts = urllib.parse.urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            self.problems.append(f"invalid value {text!r} for {source}: not an http(s) address")
        return text

    def _parsed(self, name: str, parse: Callable[[str], _Value], *, fallback: _Value) -> _Value:
        try:
            return parse(self._texts[name])
        except ValueError as error:
            self._note(name, str(error))
            return fallback

    def _note(self, name: str, reason: str) -> None:
        self.problems.append(f'invalid value "{self._texts[name]}" for flag -{name}: {reason}')


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> RuntimeSettings:
    """Read the command line (without the program's name) and the environment.

    Raises:
        HelpRequested: -h, -help or --help was given.
        SettingsError: One or more values are wrong; all of them are listed.
    """
    values = parse_flags(arguments, FLAGS)
    if values.wants_help:
        raise HelpRequested
    read = _Reader(values.texts, values.problems)
    if not PROVIDER_NAME.fullmatch(read.text("provider-name")):
        read.problems.append('invalid value for flag -provider-name: use 1 to 30 of A-Z a-z 0-9 "_" "-"')
    if not read.text("provider-volume"):
        read.problems.append("invalid value for flag -provider-volume: must not be empty")
    settings = RuntimeSettings(
        provider_volume=read.text("provider-volume"),
        provider_name=read.text("provider-name"),
        driver_writes_secrets=read.boolean("driver-writes-secrets"),
        kubernetes_qps=read.integer("qps", least=1),
        kubernetes_burst=read.integer("burst", least=1),
        kubernetes_api=_optional_address(read, "flag -kubernetes-api", read.text("kubernetes-api")),
        first_mount_max_age_seconds=read.seconds("first-mount-max-age", may_be_zero=True),
        refresh_interval_seconds=read.seconds("refresh-interval", may_be_zero=True),
        max_stale_seconds=read.seconds("max-stale", may_be_zero=True),
        is_cache_on=read.choice("cache", ("on", "off")) == "on",
        mount_timeout_seconds=read.seconds("mount-timeout", may_be_zero=False),
        max_response_bytes=read.integer("max-response-bytes", least=4096),
        workers=read.integer("workers", least=1),
        max_mounts=read.integer("max-mounts", least=1),
        log_format=LogFormat(read.choice("log-format", ("text", "json"))),
        shutdown_grace_seconds=read.seconds("shutdown-grace", may_be_zero=True),
        pod_identity_timeout_seconds=read.agent_timeout("pod-identity-http-timeout"),
        pod_identity_endpoints=(
            read.address("flag -pod-identity-endpoint-ipv4", read.text("pod-identity-endpoint-ipv4")),
            read.address("flag -pod-identity-endpoint-ipv6", read.text("pod-identity-endpoint-ipv6")),
        ),
        aws=_parse_aws_settings(read, environment),
        observability=parse_observability(values.texts, read.problems),
        warnings=tuple(read.warnings),
    )
    if read.problems:
        raise SettingsError(read.problems)
    return settings


def _parse_aws_settings(read: _Reader, environment: Mapping[str, str]) -> AwsSettings:
    endpoint_urls = {}
    for service, variable in ENDPOINT_VARIABLES.items():
        source = variable if environment.get(variable) else "AWS_ENDPOINT_URL"
        if url := environment.get(source):
            endpoint_urls[service] = read.address(source, url)
    attempts = environment.get("AWS_MAX_ATTEMPTS", "3")
    if not attempts.isdecimal() or int(attempts) < 1:
        read.problems.append(f"invalid value {attempts!r} for AWS_MAX_ATTEMPTS: must be an integer of at least 1")
        attempts = "3"
    return AwsSettings(
        default_region=environment.get("AWS_REGION") or None,
        endpoint_urls=endpoint_urls,
        use_fips=_parse_switch(read, environment, "AWS_USE_FIPS_ENDPOINT"),
        use_dualstack=_parse_switch(read, environment, "AWS_USE_DUALSTACK_ENDPOINT"),
        max_attempts=int(attempts),
        app_id=render_app_id(read.text("eks-addon-version")),
    )


def _parse_switch(read: _Reader, environment: Mapping[str, str], variable: str) -> bool:
    """Read the SDKs' own switch words: true or false in any case; anything else is a mistake worth stopping for."""
    text = environment.get(variable, "").lower()
    if text not in {"", "true", "false"}:
        read.problems.append(f"invalid value {environment[variable]!r} for {variable}: must be true or false")
    return text == "true"


def _optional_address(read: _Reader, source: str, text: str) -> str:
    return read.address(source, text) if text else ""
