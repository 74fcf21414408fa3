"""When kubelet republishes, which of that the driver lets through, and an hour squeezed into a minute. Pure.

Not done here: sending (`driver_client`).

Driver 1.6 asks the provider at a republish unless the target directory is younger than its poll interval. Files that
the provider writes move that time stamp at every mount. Files that the driver writes move it only when they change,
so after one interval without a change every republish gets through, whatever the interval says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REPUBLISH_SECONDS: Final = 75.0
POLL_INTERVAL_SECONDS: Final = 120.0
HOUR_SECONDS: Final = 3600.0
_RENEW_BEFORE_SECONDS: Final = 120.0
"""The provider exchanges credentials anew when they have this long to live; it is no flag, so it is not scaled."""
_SESSION_SECONDS: Final = 900.0


def list_republishes(*, phase: float, throttle_seconds: float) -> tuple[float, ...]:
    """Return the seconds of one hour at which a volume's republish reaches the provider.

    Args:
        phase: First republish of the hour, 0 <= phase < REPUBLISH_SECONDS.
        throttle_seconds: Age of the target directory below which the driver skips; 0 when the time stamp never moves.
    """
    reached: list[float] = []
    at, last = phase, -throttle_seconds
    while at < HOUR_SECONDS:
        if at - last >= throttle_seconds:
            reached.append(at)
            last = at
        at += REPUBLISH_SECONDS
    return tuple(reached)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An hour in `3600 / factor` seconds: every age that has a setting shrinks by the factor.

    Not scaled are the provider's two constants. A republish within 45 s of the one before counts as asked for and takes
    values of the *first-mount* age only; in scaled time all are, so that age is set to the refresh interval, which is
    what an ordinary republish takes. Credentials are renewed 120 s before their end; so sessions get 120 s plus the
    scaled rest. Latency is not scaled either: 20 ms stand for more, to our disadvantage.
    """

    factor: float

    @property
    def flags(self) -> tuple[str, ...]:
        """Our provider's flags."""
        milliseconds = round(1000 * POLL_INTERVAL_SECONDS / self.factor)
        return (f"--refresh-interval={milliseconds}ms", f"--first-mount-max-age={milliseconds}ms")

    @property
    def session_seconds(self) -> float:
        """Life of a session that the stand-in gives out."""
        return _RENEW_BEFORE_SECONDS + (_SESSION_SECONDS - _RENEW_BEFORE_SECONDS) / self.factor

    def squeeze(self, seconds: float) -> float:
        """Return real seconds for seconds of the hour."""
        return seconds / self.factor
