"""Prices and request quotas of AWS, as data with their source and the date when it was read.

List prices of us-east-1 in US dollars, without free tiers and discounts; default quotas of one account in one region.
Other regions and accounts differ, and AWS changes both: the numbers are for comparing, the bill is AWS's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Seconds of a month: 730 hours, as AWS's pricing pages count.
MONTH_SECONDS = 730 * 3600


class Call(StrEnum):
    """Kinds of calls that are counted."""

    GET_SECRET_VALUE = "GetSecretValue"  # noqa: S105 - the name of a call
    GET_PARAMETERS = "GetParameters"
    DECRYPT = "KMS Decrypt"
    ASSUME_ROLE = "AssumeRoleWithWebIdentity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for 10,000 calls."""

    call: Call
    usd_per_10_000: float
    source: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Calls per second that an account may make in a region by default."""

    call: Call
    per_second: int
    source: str
    read: str
    note: str = ""


PRICES = (
    Price(
        call=Call.GET_SECRET_VALUE,
        usd_per_10_000=0.05,
        source="https://aws.amazon.com/secrets-manager/pricing/",
        read="2026-11",
    ),
    Price(call=Call.DECRYPT, usd_per_10_000=0.03, source="https://aws.amazon.com/kms/pricing/", read="2026-11"),
    Price(
        call=Call.GET_PARAMETERS,
        usd_per_10_000=0.0,
        source="https://aws.amazon.com/systems-manager/pricing/ (standard throughput)",
        read="2026-11",
    ),
    Price(
        call=Call.ASSUME_ROLE, usd_per_10_000=0.0, source="https://aws.amazon.com/iam/faqs/ (no charge)", read="2026-11"
    ),
)

#: Parameter Store with higher throughput, a setting of account and region, is billed for each call.
HIGHER_THROUGHPUT = Price(
    call=Call.GET_PARAMETERS,
    usd_per_10_000=0.05,
    source="https://aws.amazon.com/systems-manager/pricing/ (higher throughput)",
    read="2026-11",
)

#: US dollars for one stored secret and month; a replica counts as a secret.
STORED_SECRET_USD = 0.40

QUOTAS = (
    Quota(
        call=Call.GET_SECRET_VALUE,
        per_second=10_000,
        source="Secrets Manager user guide, quotas (GetSecretValue)",
        read="2026-11",
        note="calls across accounts count for the caller",
    ),
    Quota(
        call=Call.GET_PARAMETERS,
        per_second=40,
        source="Systems Manager endpoints and quotas (transactions per second, default)",
        read="2026-11",
        note="shared by GetParameter, GetParameters and GetParametersByPath",
    ),
    Quota(
        call=Call.DECRYPT,
        per_second=10_000,
        source="KMS developer guide, request quotas (cryptographic operations, symmetric)",
        read="2026-11",
        note="differs by region; a low default is taken",
    ),
    Quota(
        call=Call.ASSUME_ROLE,
        per_second=600,
        source="IAM user guide, IAM and STS quotas (STS requests per second)",
        read="2026-11",
        note="whether web identity calls share it is not documented",
    ),
)

HIGHER_THROUGHPUT_QUOTA = Quota(
    call=Call.GET_PARAMETERS,
    per_second=3_000,
    source="Systems Manager endpoints and quotas (higher throughput)",
    read="2026-11",
    note="later raised in some regions",
)
