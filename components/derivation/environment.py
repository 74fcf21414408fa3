"""Where an app runs: the values of one environment that access is derived from. All known at preview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .arn import (
    DNS_SUFFIXES,
    Arn,
    is_account,
    is_policy_arn,
    is_region,
    is_role_path,
    partition_of,
    policy_arn,
    role_arn,
)
from .errors import ProblemList, Spot
from .naming import managed_policy_patterns, role_patterns
from .spec import Identity

_ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._/-]*[A-Za-z0-9_-])?")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_TEST = r"[A-Za-z0-9./_-]+=[A-Za-z0-9._*?-]*"
_SELECTOR = re.compile(rf"([a-z0-9*?-]{{1,63}})(?::({_LABEL_TEST}(?:,{_LABEL_TEST})*))?")
_DEPLOYER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FargateSelector:
    """Which pods a Fargate profile takes: those of a namespace that carry all of the labels.

    Source: EKS user guide, Fargate profiles (namespace and labels may hold the wildcards `*` and `?`).
    """

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> FargateSelector | None:
        """Read `NAMESPACE` or `NAMESPACE:key=value,key=value`; None for another form."""
        found = _SELECTOR.fullmatch(text)
        if found is None:
            return None
        pairs = (pair.split("=", 1) for pair in (found[2] or "").split(",") if pair)
        return cls(namespace=found[1], labels=tuple(sorted((key, value) for key, value in pairs)))

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Say whether a pod with these labels would run on Fargate."""
        return fnmatchcase(namespace, self.namespace) and all(
            key in labels and fnmatchcase(labels[key], value) for key, value in self.labels
        )

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in self.labels)
        return f"{self.namespace}:{labels}" if labels else self.namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One cluster in one account and region.

    Attributes:
        name: Value of `${environment}`, and the overlay that a spec may carry for it.
        partition: aws, aws-cn or aws-us-gov.
        region: Of the cluster; secrets are read here first.
        account: 12 digits; owner of the roles, and of secrets that are named without an ARN.
        cluster: Name of the EKS cluster.
        oidc_issuer: The cluster's issuer URL, as in the tokens of its service accounts.
        default_identity: For apps that name none.
        role_path: IAM path of the roles; begins and ends with a slash.
        permissions_boundary: ARN of a managed policy of this account (or of AWS), or None. Not named like those of the
            apps' roles, which the deployer may change.
        deployer_role: ARN of the role that runs `pulumi up`; None where no secret policy is written. Not named like the
            apps' roles, which it may change.
        fargate_selectors: Of the cluster's Fargate profiles, whose pods the CSI driver cannot serve.
        guard_image: Image of the provider, by digest, for a guard in every pod; None for none. Only a driver that may
            let a pod start with an empty volume needs it.
        creates_oidc_provider: Whether the stack makes the account's OIDC provider for the issuer, where apps use IRSA;
            else it is somebody else's, and the deployer gets no leave over it.
    """

    name: str
    region: str
    account: str
    cluster: str
    oidc_issuer: str
    partition: str = "aws"
    default_identity: Identity = Identity.IRSA
    role_path: str = "/"
    permissions_boundary: str | None = None
    deployer_role: str | None = None
    fargate_selectors: tuple[FargateSelector, ...] = ()
    guard_image: str | None = None
    creates_oidc_provider: bool = True

    def __post_init__(self) -> None:
        """Refuse malformed values, all at once.

        Raises:
            SpecErrors: SPEC026 per value. The place is `environment` and the field's name.
        """
        problems = ProblemList()
        for field, value, fits, rule in self._rules():
            if not fits:
                spot = Spot(source=f"environment {self.name}", line=1, column=1, field=field)
                problems.add(spot, "SPEC026", f"{value!r} does not fit", rule, f"correct {field}")
        problems.raise_if_any()

    def _rules(self) -> list[tuple[str, str, bool, str]]:
        boundary = self.permissions_boundary
        partitions = ", ".join(DNS_SUFFIXES)
        told = partition_of(self.region) if is_region(self.region) else self.partition
        region_rule = f"It is a region of {partitions}" if is_region(self.region) else "It is a region's name"
        return [
            ("name", self.name, _fits(_NAME, self.name), "It is a DNS label"),
            ("partition", self.partition, self.partition in DNS_SUFFIXES, f"It is one of {partitions}"),
            (
                "partition",
                self.partition,
                self.partition == told or not {self.partition, told} <= DNS_SUFFIXES.keys(),
                f"The region {self.region} lies in {told}",
            ),
            (
                "region",
                self.region,
                is_region(self.region) and (told in DNS_SUFFIXES or told == self.partition),
                f"{region_rule}, like eu-west-1",
            ),
            ("account", self.account, is_account(self.account), "It is 12 digits, in quotes"),
            ("cluster", self.cluster, _fits(_CLUSTER, self.cluster), "It is the name of an EKS cluster"),
            (
                "oidcIssuer",
                self.oidc_issuer,
                _fits(_ISSUER, self.oidc_issuer),
                "It is an https URL without a slash at the end",
            ),
            ("rolePath", self.role_path, is_role_path(self.role_path), "It begins and ends with a slash"),
            (
                "permissionsBoundary",
                boundary or "",
                boundary is None or (is_policy_arn(boundary) and self._is_own(boundary, "aws")),
                "It is the ARN of a policy of this account and partition, or of AWS",
            ),
            (
                "deployerRole",
                self.deployer_role or "",
                self.deployer_role is None
                or (_fits(_DEPLOYER, self.deployer_role) and self._is_own(self.deployer_role)),
                "It is the ARN of a role of this account and partition",
            ),
            # Whoever may change these could give himself any leave: a name is all that keeps them apart.
            (
                "permissionsBoundary",
                boundary or "",
                not _is_like(boundary, self.policy_patterns),
                f"The deployer changes every policy like {' or '.join(self.policy_patterns)}, and never the boundary",
            ),
            (
                "deployerRole",
                self.deployer_role or "",
                not _is_like(self.deployer_role, self.role_patterns),
                f"The deployer changes every role like {' or '.join(self.role_patterns)}, and never its own",
            ),
            (
                "guardImage",
                self.guard_image or "",
                self.guard_image is None or _fits(_IMAGE, self.guard_image),
                "It is the provider's image by digest, <repository>@sha256:<64 hex digits>",
            ),
        ]

    def _is_own(self, arn_text: str, *others: str) -> bool:
        arn = Arn.parse(arn_text)
        return arn is not None and arn.partition == self.partition and arn.account in {self.account, *others}

    @property
    def role_patterns(self) -> tuple[str, ...]:
        """IAM resources that match the roles of all apps, those to come included."""
        place = {"partition": self.partition, "account": self.account, "path": self.role_path}
        names = role_patterns(cluster=self.cluster, region=self.region)
        return tuple(role_arn(**place, name=name) for name in names)

    @property
    def policy_patterns(self) -> tuple[str, ...]:
        """IAM resources that match the managed policies of all apps' roles, those to come included."""
        place = {"partition": self.partition, "account": self.account, "path": self.role_path}
        names = managed_policy_patterns(cluster=self.cluster, region=self.region)
        return tuple(policy_arn(**place, name=name) for name in names)

    @property
    def issuer_host(self) -> str:
        """The issuer without its scheme: how IAM names it in ARNs and condition keys."""
        return self.oidc_issuer.removeprefix("https://")

    @property
    def dns_suffix(self) -> str:
        """The suffix of service host names in this partition."""
        return DNS_SUFFIXES[self.partition]

    def variables(self) -> Mapping[str, str]:
        """Return the values of the spec's variables."""
        return {"environment": self.name, "region": self.region, "account": self.account}


def _is_like(arn: str | None, patterns: tuple[str, ...]) -> bool:
    """Say whether IAM would match an ARN; names in IAM that differ in case only are one."""
    return arn is not None and any(fnmatchcase(arn.lower(), pattern.lower()) for pattern in patterns)


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None
