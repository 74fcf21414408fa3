"""The class parameters that name regions, roles and ages → values. `mount_request` puts them in order.

Every text is untrusted: a pod author can overwrite class parameters. So a role that is named here gains nothing by
itself: STS checks the pod's own token for `roleArn`, and the role's trust policy decides about `assumeRoleArn`.
Sources: contract of the Go provider, section 2.4, for the regions; STS AssumeRole (API reference) for the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.go_flags import parse_duration
from provider_runtime.go_scalars import parse_go_bool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REFRESH_FLOOR_SECONDS = 10.0
"""Shortest `refreshInterval`: below it every republish of every pod would ask AWS."""
REFRESH_CEILING_SECONDS = 24 * 3600.0
"""Longest `refreshInterval`: a revoked right bites at the next check."""
FAILOVER_REGION_LIMIT = 40
"""Failover regions of one class; a partition of AWS has fewer regions."""
EXTERNAL_ID_SHORTEST, EXTERNAL_ID_LONGEST = 2, 1224
"""Characters of an external id (STS)."""

_DURATION_CHARACTERS = 64
# IAM: path and name of a role, ARN at most 2048 characters; account ids have 12 digits.
_ROLE_ARN = re.compile(r"arn:aws[a-z0-9-]{0,30}:iam::[0-9]{12}:role/[\w+=,.@/-]{1,1024}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChain:
    """A second role that the pod's own role assumes, for secrets of another account.

    Args:
        role_arn: Role to assume.
        external_id: What its trust policy may ask for; empty: none is sent. It names a customer relation, so it stays
            out of every repr.
    """

    role_arn: str
    external_id: str = field(default="", repr=False)


def parse_role_arn(text: str, where: str) -> str | None:
    """Read `roleArn`; empty means that the service account's annotation names the role.

    Raises:
        MountError(ROLE_ARN_INVALID): Not the ARN of a role.
    """
    if not text:
        return None
    if not _ROLE_ARN.fullmatch(text):
        raise MountError(
            ErrorCode.ROLE_ARN_INVALID,
            where=f"{where} parameters.roleArn",
            what=f"'{shown(text)}' is not the ARN of an IAM role",
            rule="arn:<partition>:iam::<12 digits>:role/<path and name>",
            fix="write the role's full ARN, or remove roleArn to use the service account's annotation",
        )
    return text


def parse_role_chain(role_text: str, external_id: str, where: str) -> RoleChain | None:
    """Read `assumeRoleArn` and `externalId`; both empty means no chain.

    Raises:
        MountError(ASSUME_ROLE_INVALID): Not the ARN of a role.
        MountError(EXTERNAL_ID_INVALID): Not an external id, or one without a role. The text does not repeat it.
    """
    if not role_text:
        if external_id:
            raise _external_id_error(where, "there is no assumeRoleArn that it belongs to", "add assumeRoleArn")
        return None
    if not _ROLE_ARN.fullmatch(role_text):
        raise MountError(
            ErrorCode.ASSUME_ROLE_INVALID,
            where=f"{where} parameters.assumeRoleArn",
            what=f"'{shown(role_text)}' is not the ARN of an IAM role",
            rule="arn:<partition>:iam::<12 digits>:role/<path and name>",
            fix="write the full ARN of the role that the pod's own role may assume, or remove assumeRoleArn",
        )
    if external_id:
        if not EXTERNAL_ID_SHORTEST <= len(external_id) <= EXTERNAL_ID_LONGEST:
            raise _external_id_error(where, f"it has {len(external_id)} characters", "use the id of the trust policy")
        if not _EXTERNAL_ID.fullmatch(external_id):
            raise _external_id_error(where, "it has a character that STS refuses", "use the id of the trust policy")
    return RoleChain(role_arn=role_text, external_id=external_id)


def parse_refresh_interval(text: str, where: str) -> float | None:
    """Read `refreshInterval` as seconds; `None` when the class leaves it to the daemon's setting.

    Raises:
        MountError(REFRESH_INTERVAL_INVALID): No Go duration, below REFRESH_FLOOR_SECONDS or above
            REFRESH_CEILING_SECONDS.
    """
    if not text:
        return None
    try:
        seconds = parse_duration(text) if len(text) <= _DURATION_CHARACTERS else -1.0
        cause = f"'{shown(text)}' is out of range"
    except ValueError as error:
        seconds, cause = -1.0, f"'{shown(text)}': {shown(str(error))}"
    if REFRESH_FLOOR_SECONDS <= seconds <= REFRESH_CEILING_SECONDS:
        return seconds
    raise MountError(
        ErrorCode.REFRESH_INTERVAL_INVALID,
        where=f"{where} parameters.refreshInterval",
        what=cause,
        rule=f"A duration such as 90s or 5m, from {REFRESH_FLOOR_SECONDS:g}s to {REFRESH_CEILING_SECONDS / 3600:g}h",
        fix="write such a duration, or remove refreshInterval for the daemon's setting",
    ) from None


def parse_share_flag(text: str, where: str) -> bool:
    """Read `shareAcrossPods`, a Go boolean word; empty means false.

    Raises:
        MountError(SHARE_FLAG_INVALID): Another word.
    """
    parsed = parse_go_bool(text) if text else False
    if parsed is None:
        raise MountError(
            ErrorCode.SHARE_FLAG_INVALID,
            where=f"{where} parameters.shareAcrossPods",
            what=f"'{shown(text)}' is neither true nor false",
            rule="1, t, T, TRUE, true, True, 0, f, F, FALSE, false or False",
            fix='write "true" or "false"',
        )
    return parsed


def parse_failover_regions(values: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Read upstream's `failoverRegion` and our `failoverRegions` (comma separated); the single one comes first.

    Raises:
        MountError(FAILOVER_REGION_INVALID): One is listed twice, or there are more than FAILOVER_REGION_LIMIT.
    """
    several = [region.strip() for region in values.get("failoverRegions", "").split(",")]
    single = values.get("failoverRegion", "")
    regions = [region for region in several if region and region != single]
    if len(regions) > FAILOVER_REGION_LIMIT:
        raise _failover_regions_error(where, f"there are {len(regions)} regions", "list the few that hold replicas")
    for position, region in enumerate(regions):
        if region in regions[:position]:
            raise _failover_regions_error(
                where,
                f"{shown(region)} is listed twice",
                "list each region once, in the order in which they are to be asked",
            )
    return (single, *regions) if single else tuple(regions)


def check_failover(region: str, failover_regions: Sequence[str], where: str) -> None:
    """Refuse a primary region that is also a failover region.

    Raises:
        MountError(FAILOVER_REGION_INVALID): It is.
    """
    if region in failover_regions:
        raise MountError(
            ErrorCode.FAILOVER_REGION_INVALID,
            where=f"{where} parameters",
            what=f"{shown(region)}: failover region cannot be the same as the primary region",
            fix="name another region in failoverRegion, or remove it",
        )


def _failover_regions_error(where: str, what: str, fix: str) -> MountError:
    return MountError(
        ErrorCode.FAILOVER_REGION_INVALID, where=f"{where} parameters.failoverRegions", what=what, fix=fix
    )


def _external_id_error(where: str, what: str, fix: str) -> MountError:
    return MountError(
        ErrorCode.EXTERNAL_ID_INVALID,
        where=f"{where} parameters.externalId",
        what=what,
        rule=f"{EXTERNAL_ID_SHORTEST} to {EXTERNAL_ID_LONGEST} characters: letters, digits and _+=,.@:/-",
        fix=fix,
    )
