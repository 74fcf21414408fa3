"""A cluster's token issuer: signs service account tokens as the API server does, and keeps them as kubelet does.

No discovery endpoint is served: the emulated STS reads the key document from a file. Signing key and ids are drawn at
run time. Header and claims follow Kubernetes' pkg/serviceaccount (claims.go, jwt.go), renewal its kubelet
(pkg/kubelet/token/token_manager.go, without its ten seconds of jitter).
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypedDict

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TOKEN_SECONDS: Final = 3600
"""Life of a token when the CSIDriver object asks for no other: the default of the TokenRequest API."""
RENEW_AFTER_SHARE: Final = 0.8
"""kubelet asks for a new token once 80 % of the old one's life have passed."""
_RSA_BITS: Final = 2048
_PUBLIC_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSubject:
    """The pod that a token is bound to, and its service account."""

    namespace: str
    service_account: str
    service_account_uid: str
    pod_name: str
    pod_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountToken:
    """A signed token. Times are seconds since the epoch."""

    text: str = field(repr=False)
    issued_at: int
    expires_at: int


class DriverToken(TypedDict):
    """One value of the driver's token map, named as on the wire."""

    token: str
    expirationTimestamp: str


class OidcIssuer:
    """One issuer with one RSA key.

    Args:
        url: The `iss` of its tokens, as registered in IAM: an https URL without a slash at the end.
        clock: Seconds since the epoch.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = url
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=_RSA_BITS)
        self.key_id = _key_id(self._key.public_key())

    def key_document(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWKS document (RFC 7517), as the cluster serves it at /openid/v1/jwks."""
        numbers = self._key.public_key().public_numbers()
        key = {"use": "sig", "kty": "RSA", "kid": self.key_id, "alg": "RS256"}
        return {"keys": [{**key, "n": _base64_integer(numbers.n), "e": _base64_integer(numbers.e)}]}

    def write_key_document(self, path: Path) -> None:
        """Write the JWKS document; a reader sees the old or the new one, never a part."""
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(self.key_document()), encoding="utf-8")
        partial.replace(path)

    def issue(
        self,
        subject: TokenSubject,
        audience: str,
        *,
        lifetime_seconds: int = TOKEN_SECONDS,
        starts_in_seconds: int = 0,
    ) -> ServiceAccountToken:
        """Sign a token for one audience; "" asks for the issuer's own, as for the API server.

        Args:
            subject: Pod and service account.
            audience: The one entry of `aud`.
            lifetime_seconds: From start to `exp`.
            starts_in_seconds: Moves `iat`, `nbf` and `exp`; negative for a token of the past.
        """
        start = int(self._clock()) + starts_in_seconds
        claims = {
            "aud": [audience or self.url],
            "exp": start + lifetime_seconds,
            "iat": start,
            "iss": self.url,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": subject.namespace,
                "pod": {"name": subject.pod_name, "uid": subject.pod_uid},
                "serviceaccount": {"name": subject.service_account, "uid": subject.service_account_uid},
            },
            "nbf": start,
            "sub": f"system:serviceaccount:{subject.namespace}:{subject.service_account}",
        }
        # The API server's header has no `typ`; PyJWT leaves out an empty one.
        text = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id, "typ": None})
        return ServiceAccountToken(text=text, issued_at=start, expires_at=start + lifetime_seconds)


class TokenCache:
    """kubelet's tokens: one per pod and audience, given out again until 80 % of its life have passed.

    Args:
        issuer: Signs new tokens.
        lifetime_seconds: `expirationSeconds` of the CSIDriver's token request.
        clock: The issuer's clock.
    """

    def __init__(
        self, issuer: OidcIssuer, *, lifetime_seconds: int = TOKEN_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock
        self._tokens: dict[tuple[TokenSubject, str], ServiceAccountToken] = {}

    def token(self, subject: TokenSubject, audience: str) -> ServiceAccountToken:
        """Return the pod's token for an audience, a new one if the old one's time is up."""
        wanted = (subject, audience)
        known = self._tokens.get(wanted)
        if known is None or self._clock() >= _renewal_time(known):
            known = self._issuer.issue(subject, audience, lifetime_seconds=self._lifetime_seconds)
            self._tokens[wanted] = known
        return known

    def driver_tokens(self, subject: TokenSubject, audiences: Sequence[str]) -> dict[str, DriverToken]:
        """Return what the driver passes on: audience as requested ("" stays "") -> token, sorted by audience.

        As JSON text this is the attribute `csi.storage.k8s.io/serviceAccount.tokens`.
        """
        tokens = {audience: self.token(subject, audience) for audience in sorted(audiences)}
        return {
            audience: {"token": token.text, "expirationTimestamp": _rfc3339(token.expires_at)}
            for audience, token in tokens.items()
        }

    def forget(self, pod_uid: str) -> None:
        """Drop a pod's tokens, as kubelet does when the pod is gone."""
        self._tokens = {key: token for key, token in self._tokens.items() if key[0].pod_uid != pod_uid}


def _renewal_time(token: ServiceAccountToken) -> float:
    return token.issued_at + RENEW_AFTER_SHARE * (token.expires_at - token.issued_at)


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key_id(key: rsa.RSAPublicKey) -> str:
    """Name a key as the API server does: the SHA-256 of its DER form, base64url without padding."""
    return _base64(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest())


def _base64_integer(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
