# ruff: noqa: SLF001 - MiniStack has no public seam for this; what is used is pinned in emulator_pins.py.
"""Web identity tokens as AWS STS takes them: a known issuer, its signature, the times, the audience.

MiniStack reads the token's claims and evaluates the role's trust policy with them (`sub`, `aud`), but verifies nothing
about the token, and mistakes an audience that is a list. Here the token is checked first; the trust policy stays
MiniStack's. What is accepted is narrower than in
AWS: RS256 only, no tolerance for clocks that differ.

Source: errors of AssumeRoleWithWebIdentity in the AWS STS API reference; texts as AWS answers them, where known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from ministack.core.responses import error_response_json
from ministack.services import iam, sts

_NOT_A_TOKEN = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"  # noqa: S105
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider, "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_REQUIRED_CLAIMS = ("aud", "exp", "iat", "iss", "sub")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An STS error."""

    message: str
    code: str = "InvalidIdentityToken"


def install(key_files: Mapping[str, Path]) -> None:
    """Check each token before the role's trust policy.

    Args:
        key_files: Issuer URL -> its JWKS file. An issuer that is registered in IAM but not here has no keys.
    """
    trust_denied = sts._web_identity_trust_denied

    def token_or_trust_denied(role_arn: str, params: Mapping[str, Any], use_json: bool) -> object:  # noqa: FBT001
        account = role_arn.split(":")[4]
        refusal = check_token(str(sts._p(params, "WebIdentityToken")), account, key_files)
        if refusal is None:
            return trust_denied(role_arn, params, use_json)
        if use_json:
            return error_response_json(refusal.code, refusal.message, 400)
        return sts._error(400, refusal.code, refusal.message, ns="sts")

    sts._web_identity_trust_denied = token_or_trust_denied
    sts._web_identity_principal = _with_single_audience(sts._web_identity_principal)


def check_token(token: str, account: str, key_files: Mapping[str, Path]) -> Refusal | None:
    """Return why STS refuses the token, or None. The issuer is looked for among the account's OIDC providers."""
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError:
        return Refusal(message=_NOT_A_TOKEN)
    provider = _registered_provider(issuer, account)
    if provider is None:
        return Refusal(message=f"No OpenIDConnect provider found in your account for {issuer}")
    key = _verification_key(key_files.get(str(issuer)), key_id)
    if key is None:
        return Refusal(message=_NO_KEY)
    return _check_signed(token, key, str(issuer), provider)


def _with_single_audience(principal: Any) -> Any:  # noqa: ANN401 - MiniStack is untyped
    """Give conditions the audience itself where `aud` is a list of one, as in every token of Kubernetes.

    MiniStack compares the text of the list, "['sts.amazonaws.com']", which no trust policy names. A longer list is left
    as it is, and refused.
    """

    def principal_with_audience(token: str, provider_id: str, role_arn: str) -> tuple[str, dict[str, Any]]:
        provider, conditions = principal(token, provider_id, role_arn)
        unpacked = {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in conditions.items()
        }
        return provider, unpacked

    return principal_with_audience


def _registered_provider(issuer: object, account: str) -> Mapping[str, Any] | None:
    scheme, separator, host = str(issuer).partition("://")
    if (scheme, separator) != ("https", "://"):
        return None
    found: Mapping[str, Any] | None = iam._oidc_providers.get_scoped(
        account, None, f"arn:aws:iam::{account}:oidc-provider/{host}"
    )
    return found


def _verification_key(key_file: Path | None, key_id: object) -> jwt.PyJWK | None:
    """Return the key that the token's header names; unreadable keys are, as for AWS, keys that cannot be retrieved."""
    if key_file is None:
        return None
    try:
        keys = json.loads(key_file.read_text(encoding="utf-8"))["keys"]
        return next((jwt.PyJWK(key, "RS256") for key in keys if key["kid"] == key_id), None)
    except (OSError, ValueError, LookupError, TypeError, jwt.PyJWTError):
        return None


def _check_signed(token: str, key: jwt.PyJWK, issuer: str, provider: Mapping[str, Any]) -> Refusal | None:
    options: jwt.types.Options = {"require": list(_REQUIRED_CLAIMS), "verify_aud": False}
    try:
        claims = jwt.decode(token, key, algorithms=["RS256"], issuer=issuer, options=options)
    except jwt.ExpiredSignatureError:
        expiry = jwt.decode(token, options={"verify_signature": False})["exp"]
        return Refusal(
            code="ExpiredTokenException",
            message=f"Token expired: current date/time {int(time.time())} must be before "
            f"the expiration date/time {int(expiry)}",
        )
    except jwt.PyJWTError as error:
        return Refusal(message=f"The ID Token provided is not valid: {error}")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if not set(audiences) & set(provider["ClientIDList"]):
        return Refusal(message="Incorrect token audience")
    return None
