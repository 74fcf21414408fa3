"""Service account tokens as kubelet issues them, unsigned: the provider never checks signatures, STS does."""

from __future__ import annotations

import base64
import json
import time


def make_token(
    namespace: str,
    service_account: str,
    *,
    audience: str = "sts.amazonaws.com",
    issuer: str = "https://oidc.example/id/TEST",
    lifetime_seconds: float = 3600,
    serial: int = 0,
) -> str:
    """Make a token; another `serial` gives another token of the same identity."""
    now = time.time()
    payload = {
        "aud": [audience],
        "exp": now + lifetime_seconds,
        "iat": now,
        "iss": issuer,
        "jti": serial,
        "sub": f"system:serviceaccount:{namespace}:{service_account}",
    }
    return ".".join([_encode({"alg": "RS256"}), _encode(payload), "c2lnbmF0dXJl"])


def _encode(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
