"""Who a mount speaks for: the pod's service account as its token states it, and the role that it asks for.

Not done here: checking the token's signature (STS and the Pod Identity agent do that), network, caching.

The result is the key under which credentials and values are shared, so it holds everything that an authorisation may
depend on, and nothing that changes while the authorisation stays: a rotated token of the same service account gives an
equal identity. A token that is no readable JWT is shared with nobody: its digest is part of the identity.

A request that would be a cache hit is checked here as strictly as one that goes to AWS, short of AWS itself: audience,
expiry, and `sub` equal to the service account that the driver named. Below that, authenticity rests on the socket,
which only root's driver can dial. Endpoints are settings of the process, so they are no part of the key.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from provider_runtime.errors import ErrorCode, MountError, shown

if TYPE_CHECKING:
    from provider_runtime.redaction import SecretText

_PAYLOAD_LIMIT_CHARACTERS: Final = 16_384
_JWT_PARTS: Final = 3


class IdentityKind(StrEnum):
    """The two ways from a service account to AWS credentials; the value is the token's audience."""

    IRSA = "sts.amazonaws.com"
    POD_IDENTITY = "pods.eks.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """What is authorised, and therefore what may share credentials and values."""

    kind: IdentityKind
    namespace: str
    service_account: str
    role_arn: str
    """Empty for Pod Identity: the agent decides the role."""
    issuer: str
    """Issuer of the token; empty when the token cannot be read."""
    token_digest: str
    """Empty for a readable token; else SHA-256 of the token, so that nobody shares it."""
    pod_uid: str
    """Set for Pod Identity, whose session tags may name the pod, unless the class says that pods share; else empty."""
    assumed_role_arn: str = ""
    """Second role of a chain, assumed with the session of the first; empty: no chain."""
    external_id: str = field(default="", repr=False)
    """What the second role's trust asks for; empty: nothing is sent."""

    @property
    def subject(self) -> str:
        """The `sub` claim that Kubernetes gives this service account."""
        return f"system:serviceaccount:{self.namespace}:{self.service_account}"

    @property
    def described(self) -> str:
        """For error texts: the role, or the service account whose association decides it; both roles of a chain."""
        first = f"role {self.role_arn}" if self.role_arn else f"service account {self.namespace}/{self.service_account}"
        return f"role {self.assumed_role_arn} (assumed by {first})" if self.assumed_role_arn else first

    @property
    def needs_sts(self) -> bool:
        """Whether credentials come from STS, all or in part; else from the node's agent alone."""
        return bool(self.role_arn or self.assumed_role_arn)

    @property
    def first(self) -> CallerIdentity:
        """The identity without the second role of its chain."""
        return replace(self, assumed_role_arn="", external_id="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claims:
    issuer: str
    subject: str
    audiences: tuple[str, ...]
    expires_at: float


def parse_identity(
    token: SecretText,
    *,
    kind: IdentityKind,
    namespace: str,
    service_account: str,
    role_arn: str,
    pod_uid: str,
    now: float,
    assumed_role_arn: str = "",
    external_id: str = "",
    is_shared_by_pods: bool = False,
) -> CallerIdentity:
    """Read the identity from a token and what the driver says about the pod.

    Args:
        token: The token of the audience that `kind` names.
        kind: IRSA or Pod Identity.
        namespace: Of the pod.
        service_account: Of the pod.
        role_arn: Role to assume; ignored for Pod Identity.
        pod_uid: Part of a Pod Identity only.
        now: Seconds since 1970.
        assumed_role_arn: Second role of a chain; may be empty.
        external_id: For the second role; may be empty.
        is_shared_by_pods: The class says that no session tag decides, so that pods of one account are one identity.

    Raises:
        MountError: The token is expired, of another audience, or another service account's.
    """
    claims = _parse_claims(token.reveal())
    where = f"service account token of {shown(namespace)}/{shown(service_account)}"
    expected = f"system:serviceaccount:{namespace}:{service_account}"
    if claims is not None:
        _check_claims(claims, where=where, audience=kind.value, subject=expected, now=now)
    return CallerIdentity(
        kind=kind,
        namespace=namespace,
        service_account=service_account,
        role_arn=role_arn if kind is IdentityKind.IRSA else "",
        issuer=claims.issuer if claims else "",
        token_digest="" if claims else hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).hexdigest(),
        pod_uid=pod_uid if kind is IdentityKind.POD_IDENTITY and not is_shared_by_pods else "",
        assumed_role_arn=assumed_role_arn,
        external_id=external_id if assumed_role_arn else "",
    )


def _check_claims(claims: _Claims, *, where: str, audience: str, subject: str, now: float) -> None:
    if audience not in claims.audiences:
        raise MountError(
            ErrorCode.TOKEN_REFUSED,
            where=where,
            what=f"its audience is {shown(', '.join(claims.audiences))}, not {audience}",
            fix=f"list {audience} in the CSIDriver's tokenRequests",
        )
    if claims.subject != subject:
        raise MountError(
            ErrorCode.TOKEN_REFUSED,
            where=where,
            what=f"it belongs to {shown(claims.subject)}",
            rule="A mount may use its own pod's token only",
            fix="let kubelet supply the tokens (CSIDriver tokenRequests, podInfoOnMount), not the class or the pod",
        )
    if not claims.expires_at > now:  # NaN counts as expired
        raise MountError(
            ErrorCode.TOKEN_REFUSED,
            where=where,
            what=f"it expired at {_render_time(claims.expires_at)}",
            fix="none for a moment, kubelet renews tokens by itself; if it lasts, compare the node's clock",
        )


def _parse_claims(token: str) -> _Claims | None:
    """Return the claims that matter, or None if the token is no JWT that carries all of them."""
    parts = token.split(".")
    if len(parts) != _JWT_PARTS or len(parts[1]) > _PAYLOAD_LIMIT_CHARACTERS:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    issuer, subject, expiry = payload.get("iss"), payload.get("sub"), payload.get("exp")
    audience: object = payload.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    audiences = tuple(one for one in several if isinstance(one, str))
    if not (isinstance(issuer, str) and issuer and isinstance(subject, str) and isinstance(expiry, int | float)):
        return None
    return _Claims(issuer=issuer, subject=subject, audiences=audiences, expires_at=expiry)


def _render_time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "an unreadable time"
