"""IAM policy documents as values with one canonical text.

A document is built from statements, never from dict literals: actions, resources and condition values are sorted and
unique, so that equal access has equal bytes. An Allow without a resource, or with a bare `*`, cannot be built.

Source: IAM JSON policy reference. Limits: see `LIMITS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

PolicyJson = dict[str, object]

_VERSION = "2012-10-17"

#: IAM quotas: characters without white space (inline policies count together), and policies that a role may have.
LIMITS = {
    "role inline policies": 10_240,
    "managed policy": 6_144,
    "managed policies per role": 10,
    "trust policy": 2_048,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One test: `operator` on `key` against sorted, unique `values`."""

    operator: str
    key: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, operator: str, key: str, values: Iterable[str]) -> Condition:
        """Build a condition in canonical order."""
        return cls(operator=operator, key=key, values=tuple(sorted(set(values))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One Allow. `principal` is for trust policies only, `resources` for identity policies only.

    Attributes:
        sid: Stable, letters and digits.
        actions: Sorted, unique, no wildcard.
        resources: Sorted, unique; `?` may stand for the unknown suffix of a secret, `*` is refused.
        principal: Kind and name, such as ("Federated", ARN).
        conditions: Sorted by operator and key.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    principal: tuple[str, str] | None = None
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        """Put everything in order and refuse what no derivation may produce.

        Raises:
            ValueError: A wildcard action or resource, or neither resource nor principal. A bug of ours, not of a spec.
        """
        for name in ("actions", "resources"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        object.__setattr__(self, "conditions", tuple(sorted(self.conditions, key=lambda c: (c.operator, c.key))))
        if any("*" in text for text in (*self.actions, *self.resources)) or not self.actions:
            raise ValueError(f"statement {self.sid}: no action, or a wildcard")
        if bool(self.resources) == bool(self.principal):
            raise ValueError(f"statement {self.sid}: either resources or a principal")

    def to_dict(self) -> PolicyJson:
        """Return the statement with IAM's keys in IAM's customary order."""
        out: PolicyJson = {"Sid": self.sid, "Effect": "Allow"}
        if self.principal:
            out["Principal"] = {self.principal[0]: self.principal[1]}
        out["Action"] = list(self.actions)
        if self.resources:
            out["Resource"] = list(self.resources)
        if self.conditions:
            tests: dict[str, dict[str, str | list[str]]] = {}
            for test in self.conditions:
                value = test.values[0] if len(test.values) == 1 else list(test.values)
                tests.setdefault(test.operator, {})[test.key] = value
            out["Condition"] = tests
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """Statements in a fixed order."""

    statements: tuple[Statement, ...]

    def to_dict(self) -> PolicyJson:
        """Return the document as plain data."""
        return {"Version": _VERSION, "Statement": [statement.to_dict() for statement in self.statements]}

    def to_json(self) -> str:
        """Return the canonical compact text; equal documents have equal bytes."""
        return json.dumps(self.to_dict(), separators=(",", ":"), ensure_ascii=False)

    def size(self) -> int:
        """Return the characters that IAM counts: all but white space."""
        return sum(not char.isspace() for char in self.to_json())


def irsa_trust(*, provider_arn: str, issuer_host: str, namespace: str, service_account: str) -> PolicyDocument:
    """Return the trust of a role for service accounts: exactly one subject, exactly one audience.

    Source: EKS user guide, IAM roles for service accounts (`sub` and `aud` with StringEquals).
    """
    return PolicyDocument(
        statements=(
            Statement(
                sid="AssumeByServiceAccount",
                principal=("Federated", provider_arn),
                actions=("sts:AssumeRoleWithWebIdentity",),
                conditions=(
                    Condition.of("StringEquals", f"{issuer_host}:aud", ["sts.amazonaws.com"]),
                    Condition.of(
                        "StringEquals", f"{issuer_host}:sub", [f"system:serviceaccount:{namespace}:{service_account}"]
                    ),
                ),
            ),
        )
    )


def pod_identity_trust(*, account: str, cluster_arn: str, namespace: str, service_account: str) -> PolicyDocument:
    """Return the trust of a role for EKS Pod Identity, bound to one cluster and one service account.

    The association names the service account as well; the tags hold even when somebody associates the role elsewhere.

    Source: EKS user guide, Pod Identity (`pods.eks.amazonaws.com`, confused deputy, session tags).
    """
    return PolicyDocument(
        statements=(
            Statement(
                sid="AssumeByPodIdentity",
                principal=("Service", "pods.eks.amazonaws.com"),
                actions=("sts:AssumeRole", "sts:TagSession"),
                conditions=(
                    Condition.of("StringEquals", "aws:SourceAccount", [account]),
                    Condition.of("StringEquals", "aws:SourceArn", [cluster_arn]),
                    Condition.of("StringEquals", "aws:RequestTag/kubernetes-namespace", [namespace]),
                    Condition.of("StringEquals", "aws:RequestTag/kubernetes-service-account", [service_account]),
                ),
            ),
        )
    )
