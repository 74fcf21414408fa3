"""Which services of which regions do not answer at present: a pure state machine, time is an argument.

Not done here: asking, waiting, choosing another region (`value_reads`).

A region that is unreachable costs every mount the time that it waits for it, so one failure to reach a service opens
its circuit: mounts that have another region to go to go there at once. A service that answers with 5xx opens it only
after several failures in a row, because one broken object says little about a region. Any other answer, a denial
included, shows that the service lives and closes the circuit. An open circuit lets one probe through at the end of each
pause; pauses double while probes fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_PAUSE_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 60.0
SERVER_ERRORS_IN_A_ROW: Final = 5
STS: Final = "sts"
"""Services are named as botocore names them."""


class CircuitState(StrEnum):
    """What a mount that has an alternative does with a service of a region."""

    CLOSED = "closed"  # ask it
    OPEN = "open"  # leave it alone
    PROBE = "probe"  # leave it alone, but let one call find out


class Contact(StrEnum):
    """What a call showed about the service that it was made to."""

    NONE = "none"  # it was never sent
    ALIVE = "alive"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"


@dataclass(slots=True, kw_only=True)
class _Circuit:
    server_errors: int = 0
    pause_seconds: float = 0.0
    """0: closed."""
    probe_at: float = 0.0
    is_probed: bool = False
    """A probe was let through and has not come back."""


class CircuitBreaker:
    """Circuits by service and region, for the whole process: that a region is dead concerns every identity."""

    def __init__(self) -> None:
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def judge(self, service: str, region: str, now: float) -> CircuitState:
        """Return the state; PROBE once per pause, to one asker."""
        circuit = self._circuits.get((service, region))
        if circuit is None or not circuit.pause_seconds:
            return CircuitState.CLOSED
        if now < circuit.probe_at:
            return CircuitState.OPEN
        circuit.probe_at = now + circuit.pause_seconds
        circuit.is_probed = True
        return CircuitState.PROBE

    def note(self, service: str, region: str, contact: Contact, now: float) -> None:
        """Record what a call showed."""
        if contact is Contact.NONE:
            return
        if contact is Contact.ALIVE:
            self._circuits.pop((service, region), None)
            return
        circuit = self._circuits.setdefault((service, region), _Circuit())
        circuit.server_errors += contact is Contact.SERVER_ERROR
        if contact is Contact.SERVER_ERROR and circuit.server_errors < SERVER_ERRORS_IN_A_ROW:
            return
        if not circuit.pause_seconds:
            circuit.pause_seconds = FIRST_PAUSE_SECONDS
            circuit.probe_at = now + circuit.pause_seconds
        elif circuit.is_probed:  # else it is a late call that began before the circuit opened, and tells nothing new
            circuit.is_probed = False
            circuit.pause_seconds = min(2 * circuit.pause_seconds, LONGEST_PAUSE_SECONDS)
            circuit.probe_at = now + circuit.pause_seconds

    def open_circuits(self) -> tuple[tuple[str, str], ...]:
        """Return (service, region) of every open circuit, sorted."""
        return tuple(sorted(key for key, circuit in self._circuits.items() if circuit.pause_seconds))
