"""Service account tokens as the API server signs them and kubelet keeps them."""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from local.oidc_issuer import OidcIssuer, TokenCache, TokenSubject

URL = "https://oidc.local.lockstep.example/id/LOCAL"
STS = "sts.amazonaws.com"
POD = TokenSubject(
    namespace="payments",
    service_account="payments-api",
    service_account_uid="0c9de2a2-6f3a-4d05-9a40-0d1c5a1f1a11",
    pod_name="payments-0",
    pod_uid="5e3d0f4c-1b2a-4c3d-8e9f-0a1b2c3d4e5f",
)


@dataclass
class Clock:
    """A clock that stands still until told otherwise."""

    now: float = 1_700_000_000.5

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> OidcIssuer:
    return OidcIssuer(URL, clock=clock)


def test_header_and_claims_are_those_of_the_api_server(issuer: OidcIssuer) -> None:
    token = issuer.issue(POD, STS).text
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": issuer.key_id}
    assert len(claims.pop("jti")) == 36
    assert claims == {
        "aud": [STS],
        "exp": 1_700_003_600,
        "iat": 1_700_000_000,
        "iss": URL,
        "kubernetes.io": {
            "namespace": "payments",
            "pod": {"name": "payments-0", "uid": POD.pod_uid},
            "serviceaccount": {"name": "payments-api", "uid": POD.service_account_uid},
        },
        "nbf": 1_700_000_000,
        "sub": "system:serviceaccount:payments:payments-api",
    }


def test_the_key_document_verifies_its_own_tokens_and_no_others(issuer: OidcIssuer, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    issuer.write_key_document(path)
    (key,) = json.loads(path.read_text())["keys"]
    assert {name: key[name] for name in ("use", "kty", "kid", "alg", "e")} == {
        "use": "sig",
        "kty": "RSA",
        "kid": issuer.key_id,
        "alg": "RS256",
        "e": "AQAB",
    }
    assert list(tmp_path.iterdir()) == [path]
    options: jwt.types.Options = {"verify_aud": False, "verify_exp": False}
    jwt.decode(issuer.issue(POD, STS).text, jwt.PyJWK(key), algorithms=["RS256"], options=options)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(OidcIssuer(URL).issue(POD, STS).text, jwt.PyJWK(key), algorithms=["RS256"], options=options)


def test_the_key_id_is_the_digest_of_the_public_key(issuer: OidcIssuer) -> None:
    assert len(base64.urlsafe_b64decode(issuer.key_id + "=")) == 32


def test_a_token_is_given_out_again_until_80_percent_of_its_life(issuer: OidcIssuer, clock: Clock) -> None:
    cache = TokenCache(issuer, lifetime_seconds=1000, clock=clock)
    first = cache.token(POD, STS)
    clock.now += 799
    assert cache.token(POD, STS) is first
    clock.now += 1
    second = cache.token(POD, STS)
    assert second.text != first.text
    assert second.expires_at == first.expires_at + 800


def test_no_token_is_shared_between_pods_or_audiences(issuer: OidcIssuer, clock: Clock) -> None:
    cache = TokenCache(issuer, clock=clock)
    other_pod = dataclasses.replace(POD, pod_uid="another")
    texts = [cache.token(POD, STS).text, cache.token(POD, "vault").text, cache.token(other_pod, STS).text]
    assert len(set(texts)) == 3


def test_a_pod_that_is_gone_gets_new_tokens(issuer: OidcIssuer, clock: Clock) -> None:
    cache = TokenCache(issuer, clock=clock)
    first = cache.token(POD, STS)
    cache.forget(POD.pod_uid)
    assert cache.token(POD, STS).text != first.text


def test_the_drivers_map_has_one_entry_per_audience_with_its_expiry(issuer: OidcIssuer, clock: Clock) -> None:
    tokens = TokenCache(issuer, clock=clock).driver_tokens(POD, [STS, ""])
    assert list(tokens) == ["", STS]
    assert tokens[STS]["expirationTimestamp"] == "2023-11-14T23:13:20Z"
    assert set(tokens[STS]) == {"token", "expirationTimestamp"}
    own = jwt.decode(tokens[""]["token"], options={"verify_signature": False})
    assert own["aud"] == [URL], "an empty audience asks for the API server's own"


def test_a_token_does_not_show_in_its_repr(issuer: OidcIssuer) -> None:
    token = issuer.issue(POD, STS)
    assert token.text not in repr(token)
