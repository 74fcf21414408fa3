"""The question: who asks for which action on what, in what context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from ..arn import Arn
from .conditions import Asked


class PrincipalKind(StrEnum):
    """The kinds that a Principal element names."""

    AWS = "AWS"
    SERVICE = "Service"
    FEDERATED = "Federated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks.

    Attributes:
        kind: A role or user, a service, or an identity provider.
        name: ARN of the role or user, the service's name, or the provider's ARN.
        account: 12 digits of the role's or user's account; "" for the others.
        session: ARN of the role's session, or "" where none is named.
    """

    kind: PrincipalKind
    name: str
    account: str = ""
    session: str = ""

    @classmethod
    def role(cls, arn: str, *, session_name: str = "") -> Principal:
        """Return a role, and one of its sessions if a name is given.

        Raises:
            ValueError: The text is not the ARN of a role.
        """
        parsed = Arn.parse(arn)
        if parsed is None or not parsed.resource.startswith("role/"):
            raise ValueError(f"{arn!r} is not the ARN of a role")
        name = parsed.resource.rpartition("/")[2]
        session = f"arn:{parsed.partition}:sts::{parsed.account}:assumed-role/{name}/{session_name}"
        return cls(kind=PrincipalKind.AWS, name=arn, account=parsed.account, session=session if session_name else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question.

    Attributes:
        principal: Who asks.
        action: `service:Name`; case does not matter.
        resource: ARN, without wildcards; for a trust policy the role's.
        resource_account: Owner of the resource, 12 digits.
        context: Condition keys and values; a tuple for a multi-valued key. Case of keys does not matter. What follows
            from the principal (`aws:PrincipalArn`, `aws:PrincipalAccount`) need not be given.
        open_keys: Keys whose values are not known; a name that ends in `/` or `:` stands for all that begin so. Every
            other key that the context lacks is one that the request does not carry.
    """

    principal: Principal
    action: str
    resource: str
    resource_account: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    open_keys: frozenset[str] = frozenset()

    def asked(self) -> Asked:
        """Return the context with lower-case keys and with what follows from the principal."""
        known: dict[str, str | tuple[str, ...]] = {}
        if self.principal.kind is PrincipalKind.AWS:
            known["aws:principalarn"] = self.principal.name
            known["aws:principalaccount"] = self.principal.account
        known |= {key.lower(): value for key, value in self.context.items()}
        return Asked(context=known, open_keys=frozenset(key.lower() for key in self.open_keys))
