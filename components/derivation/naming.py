r"""Names of what is derived: stable, readable, within AWS's limits, unique ignoring case.

Source: IAM (role name 64 characters, `[\w+=,.@-]`, unique in an account ignoring case).
"""

from __future__ import annotations

import hashlib

from .arn import contains_region

ROLE_NAME_LIMIT = 64
_DIGEST_LENGTH = 8
#: Of a shortened name, before the hyphen and the digest.
_SHORTENED_LENGTH = ROLE_NAME_LIMIT - _DIGEST_LENGTH - 1


def role_name(*, cluster: str, region: str, app: str) -> str:
    """Return the name of an app's role.

    A role is global in its account, a cluster's name is unique in its region: so the region is part of the name.

    >>> role_name(cluster="prod", region="eu-west-1", app="payments")
    'prod-eu-west-1-payments'
    """
    whole = f"{cluster}-{region}-{app}"
    # The parts are joined by a character that they may contain. Where a second split could read the same (a region
    # inside a name), or where only case differs, the digest tells them apart.
    is_whole = len(whole) <= ROLE_NAME_LIMIT and not _is_ambiguous(cluster) and not contains_region(app)
    return whole if is_whole else _shortened(whole, f"{cluster}\n{region}\n{app}")


def role_patterns(*, cluster: str, region: str) -> tuple[str, ...]:
    """Return the IAM patterns of the names of all roles of a cluster: every one is matched, whatever its app.

    One while cluster and region leave room for a digest. Of longer ones the shortened names have a beginning of their
    own, and beside them whole names may fit still.

    >>> role_patterns(cluster="prod", region="eu-west-1")
    ('prod-eu-west-1-*',)
    >>> role_patterns(cluster="c" * 50, region="eu-west-1") == (f"{'c' * 50}-eu-w-????????", f"{'c' * 50}-eu-west-1-*")
    True
    """
    start = f"{cluster}-{region}"
    if len(start) <= _SHORTENED_LENGTH:
        return (f"{start}-*",)
    shortened = f"{start[:_SHORTENED_LENGTH].rstrip('-')}-{'?' * _DIGEST_LENGTH}"
    leaves_room = len(f"{start}-a") <= ROLE_NAME_LIMIT and not _is_ambiguous(cluster)
    return (shortened, f"{start}-*") if leaves_room else (shortened,)


def managed_policy_patterns(*, cluster: str, region: str) -> tuple[str, ...]:
    """Return the IAM patterns of the names of all managed policies of a cluster's roles.

    >>> managed_policy_patterns(cluster="prod", region="eu-west-1")
    ('prod-eu-west-1-*-secrets-*',)
    """
    return tuple(f"{pattern}-secrets-*" for pattern in role_patterns(cluster=cluster, region=region))


def platform_role_name(*, cluster: str, region: str, purpose: str) -> str:
    """Return the name of a role that a cluster or its network needs itself, such as that of its nodes.

    >>> platform_role_name(cluster="prod", region="eu-west-1", purpose="control-plane")
    'prod-eu-west-1-control-plane'
    >>> platform_role_name(cluster="c" * 41, region="eu-west-1", purpose="control-plane")
    'ccccccccccccccccccccccccccccccccccccccccc-eu-west-1-con-e1dac70c'
    """
    whole = f"{cluster}-{region}-{purpose}"
    # Only what IAM would refuse is shortened: another name is another role, and with it another control plane.
    return whole if len(whole) <= ROLE_NAME_LIMIT else _shortened(whole, f"{cluster}\n{region}\n{purpose}")


def deployer_policy_name(*, cluster: str, region: str, number: int) -> str:
    """Return the name of one of the deployer's policies, counted from 1; at most 128 characters.

    It must not begin like the policies that the deployer may change: nobody widens his own leave.
    """
    return f"lockstep-deployer-{f'{cluster}-{region}'[:_SHORTENED_LENGTH].rstrip('-')}-{number}"


def managed_policy_name(role: str, number: int) -> str:
    """Return the name of one of a role's managed policies, counted from 1; at most 128 characters.

    >>> managed_policy_name("prod-eu-west-1-payments", 2)
    'prod-eu-west-1-payments-secrets-2'
    """
    return f"{role}-secrets-{number}"


def _is_ambiguous(cluster: str) -> bool:
    return cluster != cluster.lower() or contains_region(cluster)


def _shortened(whole: str, identity: str) -> str:
    digest = hashlib.sha256(identity.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{whole[:_SHORTENED_LENGTH].rstrip('-')}-{digest}"
