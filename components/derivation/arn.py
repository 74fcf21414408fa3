"""Amazon Resource Names of secrets, parameters, keys and roles, for every partition.

Strings built from partition, region, account and names only: no lookup, so that all access is known at preview.

Sources: AWS service authorization reference (Secrets Manager, Systems Manager, KMS resource types). Secrets Manager
appends a hyphen and six random characters to a secret's name; `-??????` matches exactly that, while `-*` would also
match every secret whose name begins the same way. A parameter's ARN has no double slash: `/prod/x` is
`parameter/prod/x`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: Partition → suffix of service host names in it.
DNS_SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}

#: Six random characters, unknown until the secret exists.
UNKNOWN_SUFFIX = "-??????"

_FULL_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
_ISOLATED = re.compile(r"iso[a-z]?")
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE_PATH = re.compile(r"/(?:[A-Za-z0-9_+=,.@-]+/)*")
_POLICY = re.compile(r"arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)
_ARN_PARTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """The six parts of an ARN; `resource` keeps its colons."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @staticmethod
    def parse(text: str) -> Arn | None:
        """Split a text that begins with `arn:`; None when it has fewer than six parts."""
        return _parse(text) if text.startswith("arn:") else None

    def in_region(self, region: str) -> Arn:
        """Return the ARN of the replica: Secrets Manager and multi-Region keys keep all but the region."""
        return Arn(
            partition=self.partition, service=self.service, region=region, account=self.account, resource=self.resource
        )

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


@lru_cache(maxsize=65_536)  # a name is asked about many times on the way from spec to access, a resource by others too
def _parse(text: str) -> Arn | None:
    parts = text.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS:
        return None
    return Arn(partition=parts[1], service=parts[2], region=parts[3], account=parts[4], resource=parts[5])


def account_in(text: str) -> str:
    """Return the account of an ARN; "" of any other text. `Arn.parse` for one part of the many ARNs of a fleet."""
    parts = text.split(":", _ARN_PARTS - 1)
    return parts[4] if len(parts) == _ARN_PARTS and parts[0] == "arn" else ""


def is_role_path(text: str) -> bool:
    """Say whether a text is a path of IAM: it begins and ends with a slash."""
    return _ROLE_PATH.fullmatch(text) is not None


def is_policy_arn(text: str) -> bool:
    """Say whether a text has the form of a managed policy's ARN, of an account or of AWS."""
    return _POLICY.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Say whether a text has the form of a region's name."""
    return _REGION.fullmatch(text) is not None


def partition_of(region: str) -> str:
    """Return the partition that a region's name tells: the whole of `DNS_SUFFIXES`, or one that is not known here.

    Source: the pattern of region names of each partition in the AWS SDKs' partitions document.

    >>> partition_of("eu-west-1"), partition_of("cn-north-1"), partition_of("us-iso-east-1")
    ('aws', 'aws-cn', 'aws-iso')
    """
    area, _, rest = region.partition("-")
    zone = rest.partition("-")[0]
    if area == "cn":
        return "aws-cn"
    if zone == "gov":
        return "aws-us-gov"
    if _ISOLATED.fullmatch(zone):
        return f"aws-iso-{zone[-1]}" if len(zone) > len("iso") else "aws-iso"
    return "aws"


def contains_region(text: str) -> bool:
    """Say whether the form of a region's name stands somewhere in a text."""
    return _REGION.search(text) is not None


def is_account(text: str) -> bool:
    """Say whether a text is a 12-digit account id."""
    return _ACCOUNT.fullmatch(text) is not None


def has_random_suffix(arn: Arn) -> bool:
    """Say whether a secret's ARN ends in the hyphen and six characters that Secrets Manager appends."""
    return _FULL_SUFFIX.search(arn.resource) is not None


def secret_pattern(name: str, *, partition: str, region: str, account: str) -> str:
    """Return the IAM resource that matches one secret in one region.

    Args:
        name: Friendly name, full ARN, or ARN without the random suffix. No wildcard.
        partition: For a friendly name.
        region: Of the read; an ARN is moved there.
        account: For a friendly name.
    """
    arn = Arn.parse(name)
    if arn is None:
        return f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}{UNKNOWN_SUFFIX}"
    moved = arn.in_region(region)
    return str(moved) if has_random_suffix(moved) else f"{moved}{UNKNOWN_SUFFIX}"


def absent_secret_arn(pattern: str) -> str:
    """Return the ARN that AWS asks IAM about while no secret of the name exists: the pattern without its suffix.

    "" for a full ARN, which is asked about as it stands.
    """
    return pattern.removesuffix(UNKNOWN_SUFFIX) if pattern.endswith(UNKNOWN_SUFFIX) else ""


def parameter_arn(name: str, *, partition: str, region: str, account: str) -> str:
    """Return the IAM resource of one parameter in one region; `name` is a name or an ARN, without selector."""
    arn = Arn.parse(name)
    if arn is not None:
        return str(arn.in_region(region))
    return f"arn:{partition}:ssm:{region}:{account}:parameter/{name.removeprefix('/')}"


def path_arns(path_arn: str) -> tuple[str, str]:
    """Return the resources of reads by a path: IAM compares the path as the request spells it, so with both ends.

    >>> path_arns("arn:aws:ssm:eu-west-1:111122223333:parameter/prod")[1]
    'arn:aws:ssm:eu-west-1:111122223333:parameter/prod/'
    """
    return (path_arn, f"{path_arn}/")


def below(path_arn: str) -> str:
    """Return the pattern of every parameter below a path, at any depth."""
    return f"{path_arn}/*"


def role_arn(*, partition: str, account: str, path: str, name: str) -> str:
    """Return a role's ARN; `path` begins and ends with a slash."""
    return f"arn:{partition}:iam::{account}:role{path}{name}"


def account_root(*, partition: str, account: str) -> str:
    """Return the principal that stands for a whole account."""
    return f"arn:{partition}:iam::{account}:root"


def policy_arn(*, partition: str, account: str, path: str, name: str) -> str:
    """Return a customer managed policy's ARN; `path` begins and ends with a slash."""
    return f"arn:{partition}:iam::{account}:policy{path}{name}"


def oidc_provider_arn(*, partition: str, account: str, issuer_host: str) -> str:
    """Return the ARN of the IAM OIDC provider of a cluster; `issuer_host` is the issuer URL without its scheme."""
    return f"arn:{partition}:iam::{account}:oidc-provider/{issuer_host}"


def cluster_arn(*, partition: str, region: str, account: str, cluster: str) -> str:
    """Return an EKS cluster's ARN."""
    return f"arn:{partition}:eks:{region}:{account}:cluster/{cluster}"
