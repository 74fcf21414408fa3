r"""Names of what is derived: stable, readable, within AWS's limits, unique ignoring case.

Source: IAM (role name 64 characters, `[\w+=,.@-]`, unique in an account ignoring case).
"""

from __future__ import annotations

import hashlib

from .arn import contains_region

ROLE_NAME_LIMIT = 64
_DIGEST_LENGTH = 8


def role_name(*, cluster: str, region: str, app: str) -> str:
    """Return the name of an app's role.

    A role is global in its account, a cluster's name is unique in its region: so the region is part of the name.

    >>> role_name(cluster="prod", region="eu-west-1", app="payments")
    'prod-eu-west-1-payments'
    """
    whole = f"{cluster}-{region}-{app}"
    # The parts are joined by a character that they may contain. Where a second split could read the same (a region
    # inside a name), or where only case differs, the digest tells them apart.
    ambiguous = cluster != cluster.lower() or contains_region(cluster) or contains_region(app)
    ambiguous = ambiguous or len(whole) > ROLE_NAME_LIMIT
    return _shortened(whole, f"{cluster}\n{region}\n{app}") if ambiguous else whole


def role_prefix(*, cluster: str, region: str) -> str:
    """Return what the names of all roles of a cluster begin with.

    >>> role_prefix(cluster="prod", region="eu-west-1")
    'prod-eu-west-1-'
    """
    return f"{f'{cluster}-{region}'[: ROLE_NAME_LIMIT - _DIGEST_LENGTH - 1].rstrip('-')}-"


def deployer_policy_name(*, cluster: str, region: str, number: int) -> str:
    """Return the name of one of the deployer's policies, counted from 1; at most 128 characters.

    It must not begin like the policies that the deployer may change: nobody widens his own leave.
    """
    return f"lockstep-deployer-{role_prefix(cluster=cluster, region=region)}{number}"


def managed_policy_name(role: str, number: int) -> str:
    """Return the name of one of a role's managed policies, counted from 1; at most 128 characters.

    >>> managed_policy_name("prod-eu-west-1-payments", 2)
    'prod-eu-west-1-payments-secrets-2'
    """
    return f"{role}-secrets-{number}"


def _shortened(whole: str, identity: str) -> str:
    digest = hashlib.sha256(identity.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{whole[: ROLE_NAME_LIMIT - _DIGEST_LENGTH - 1].rstrip('-')}-{digest}"
