"""The flags about what the provider shows of itself, and their values.

Not done here: the other settings and the reading of flags (`config`), acting on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from provider_runtime.go_flags import Flag, FlagKind, parse_boolean

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]*)):(?P<port>[0-9]{1,5})")
_PORT_LIMIT: Final = 65_535

OBSERVABILITY_FLAGS: Final = (
    Flag(
        name="metrics-address",
        kind=FlagKind.TEXT,
        default=":8989",
        help="host:port of /metrics, /livez and /readyz (plain HTTP, no secrets). Empty: no listener.",
    ),
    Flag(
        name="audit-log",
        kind=FlagKind.TEXT,
        default="all",
        help="all: one line per object and delivery; changes: when a volume gets another version; off: none.",
    ),
    Flag(
        name="tracing",
        kind=FlagKind.BOOLEAN,
        default="false",
        help="OpenTelemetry spans per mount and AWS call, by OTLP as the OTEL_ variables say. Needs the packages.",
    ),
    Flag(
        name="kubernetes-events",
        kind=FlagKind.BOOLEAN,
        default="false",
        help="Tell the pod, by a Kubernetes Event, when a re-mount failed. Needs the right to create events.",
    ),
)


class AuditLog(StrEnum):
    """Which deliveries get an audit line."""

    ALL = "all"
    CHANGES = "changes"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where to listen; an empty host means every address of the pod, IPv4 and IPv6."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilitySettings:
    """See OBSERVABILITY_FLAGS."""

    metrics_address: ListenAddress | None
    audit_log: AuditLog
    is_tracing_on: bool
    are_kubernetes_events_on: bool


def parse_observability(texts: Mapping[str, str], problems: list[str]) -> ObservabilitySettings:
    """Read the four values; what is wrong is appended to `problems` and read as off."""
    return ObservabilitySettings(
        metrics_address=_parse_address(texts, "metrics-address", problems),
        audit_log=_parse_audit_log(texts, "audit-log", problems),
        is_tracing_on=_parse_switch(texts, "tracing", problems),
        are_kubernetes_events_on=_parse_switch(texts, "kubernetes-events", problems),
    )


def _parse_address(texts: Mapping[str, str], name: str, problems: list[str]) -> ListenAddress | None:
    text = texts[name]
    if not text:
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > _PORT_LIMIT:
        problems.append(f'invalid value "{text}" for flag -{name}: use host:port, :port or [IPv6]:port')
        return None
    return ListenAddress(host=found["six"] or found["host"] or "", port=int(found["port"]))


def _parse_audit_log(texts: Mapping[str, str], name: str, problems: list[str]) -> AuditLog:
    try:
        return AuditLog(texts[name])
    except ValueError:
        problems.append(f'invalid value "{texts[name]}" for flag -{name}: must be one of {", ".join(AuditLog)}')
        return AuditLog.OFF


def _parse_switch(texts: Mapping[str, str], name: str, problems: list[str]) -> bool:
    try:
        return parse_boolean(texts[name])
    except ValueError as error:
        problems.append(f'invalid value "{texts[name]}" for flag -{name}: {error}')
        return False
