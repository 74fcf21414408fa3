"""Limits of AWS and of the driver, as data with their sources.

Not done here: holding them (packing.py, derive.py, secret_policies.py, resolve.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit.

    Attributes:
        subject: What is counted.
        amount: The most that is taken.
        unit: Of the amount.
        source: The document that says so.
    """

    subject: str
    amount: int
    unit: str
    source: str


_QUOTAS = "IAM user guide, IAM and STS quotas"
_CHARACTERS = "characters without white space"

ROLE_INLINE: Final = Limit(subject="role inline policies", amount=10_240, unit=_CHARACTERS, source=_QUOTAS)
MANAGED_POLICY: Final = Limit(subject="managed policy", amount=6_144, unit=_CHARACTERS, source=_QUOTAS)
MANAGED_PER_ROLE: Final = Limit(subject="managed policies per role", amount=10, unit="policies", source=_QUOTAS)
TRUST_POLICY: Final = Limit(subject="trust policy", amount=2_048, unit=_CHARACTERS, source=_QUOTAS)
SESSION_POLICY: Final = Limit(
    subject="session policy", amount=2_048, unit="characters", source="STS API reference, AssumeRole (Policy)"
)
SECRET_POLICY: Final = Limit(
    subject="secret resource policy",
    amount=20_480,
    unit="characters",
    source="Secrets Manager API reference, PutResourcePolicy",
)
SECRET_VALUE: Final = Limit(
    subject="secret value", amount=65_536, unit="bytes", source="Secrets Manager API reference, PutSecretValue"
)
PARAMETER_VALUE: Final = Limit(
    subject="parameter value", amount=8_192, unit="bytes", source="Systems Manager user guide, advanced parameters"
)
DRIVER_MESSAGE: Final = Limit(
    subject="answer of the provider",
    amount=4 * 1024 * 1024,
    unit="bytes",
    source="Secrets Store CSI driver, --max-call-recv-msg-size",
)
SYNCED_SECRET: Final = Limit(
    subject="Kubernetes Secret",
    amount=1024 * 1024,
    unit="bytes of data",
    source="Kubernetes API reference, Secret (data)",
)

#: Every limit, for documentation and reports.
ALL_LIMITS: Final = (
    ROLE_INLINE,
    MANAGED_POLICY,
    MANAGED_PER_ROLE,
    TRUST_POLICY,
    SESSION_POLICY,
    SECRET_POLICY,
    SECRET_VALUE,
    PARAMETER_VALUE,
    DRIVER_MESSAGE,
    SYNCED_SECRET,
)
