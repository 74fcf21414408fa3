"""Which tokens the emulated STS takes: as real STS, and as MiniStack alone does not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

import jwt
import pytest
from botocore.exceptions import ClientError

from local.emulator import ACCOUNT
from local.oidc_issuer import OidcIssuer
from tests.local.emulated_pods import ISSUER_URL, KEYLESS_ISSUER_URL, OTHER_AUDIENCE, STS, EmulatedPods

HOUR = 3600


def _own(pods: EmulatedPods, app: str) -> str:
    return pods.issuer.issue(pods.subject(app), STS).text


def _signed_by_another_key(pods: EmulatedPods, app: str) -> str:
    """Name our key in the header, so that only the signature tells."""
    other = OidcIssuer(ISSUER_URL)
    other.key_id = pods.issuer.key_id
    return other.issue(pods.subject(app), STS).text


def _of_an_unknown_key(pods: EmulatedPods, app: str) -> str:
    return OidcIssuer(ISSUER_URL).issue(pods.subject(app), STS).text


def _changed_after_signing(pods: EmulatedPods, app: str) -> str:
    header, claims, signature = _own(pods, "mallory").split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["sub"] = f"system:serviceaccount:{app}:{app}"
    return ".".join([header, _encode(changed), signature])


def _of_another_algorithm(pods: EmulatedPods, app: str) -> str:
    claims = jwt.decode(_own(pods, app), options={"verify_signature": False})
    return ".".join([_encode({"alg": "none", "kid": pods.issuer.key_id}), _encode(claims), ""])


def _expired(pods: EmulatedPods, app: str) -> str:
    return pods.issuer.issue(pods.subject(app), STS, starts_in_seconds=-HOUR - 5).text


def _not_yet_valid(pods: EmulatedPods, app: str) -> str:
    return pods.issuer.issue(pods.subject(app), STS, starts_in_seconds=60).text


def _of_another_issuer(pods: EmulatedPods, app: str) -> str:
    return OidcIssuer("https://oidc.elsewhere.example/id/OTHER").issue(pods.subject(app), STS).text


def _of_an_issuer_without_keys(pods: EmulatedPods, app: str) -> str:
    return OidcIssuer(KEYLESS_ISSUER_URL).issue(pods.subject(app), STS).text


def _for_an_unregistered_audience(pods: EmulatedPods, app: str) -> str:
    return pods.issuer.issue(pods.subject(app), "pods.eks.amazonaws.com").text


def _for_an_untrusted_audience(pods: EmulatedPods, app: str) -> str:
    return pods.issuer.issue(pods.subject(app), OTHER_AUDIENCE).text


def _for_two_audiences(pods: EmulatedPods, app: str) -> str:
    claims = jwt.decode(_own(pods, app), options={"verify_signature": False})
    both = {**claims, "aud": [STS, OTHER_AUDIENCE]}
    return jwt.encode(both, pods.issuer._key, algorithm="RS256", headers={"kid": pods.issuer.key_id})


def _of_another_service_account(pods: EmulatedPods, app: str) -> str:
    return _own(pods, f"{app}-other")


def _no_token(pods: EmulatedPods, app: str) -> str:
    del pods, app
    return "not-a-token"


REFUSED: Mapping[Callable[[EmulatedPods, str], str], tuple[str, str]] = {
    _signed_by_another_key: ("InvalidIdentityToken", "Signature verification failed"),
    _of_an_unknown_key: ("InvalidIdentityToken", "Couldn't retrieve verification key"),
    _changed_after_signing: ("InvalidIdentityToken", "Signature verification failed"),
    _of_another_algorithm: ("InvalidIdentityToken", "alg"),
    _expired: ("ExpiredTokenException", "Token expired: current date/time"),
    _not_yet_valid: ("InvalidIdentityToken", "not yet valid"),
    _of_another_issuer: ("InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://oidc.e"),
    _of_an_issuer_without_keys: ("InvalidIdentityToken", "Couldn't retrieve verification key"),
    _for_an_unregistered_audience: ("InvalidIdentityToken", "Incorrect token audience"),
    _for_an_untrusted_audience: ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
    _for_two_audiences: ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
    _of_another_service_account: ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
    _no_token: ("InvalidIdentityToken", "not a valid JWT"),
}


@pytest.mark.parametrize("make_token", REFUSED, ids=lambda make: make.__name__.removeprefix("_"))
def test_a_bad_token_is_refused_where_the_good_one_of_the_same_pod_is_taken(
    pods: EmulatedPods, make_token: Callable[[EmulatedPods, str], str]
) -> None:
    app = pods.name("token")
    role_arn = pods.role(app)
    code, text = REFUSED[make_token]
    with pytest.raises(ClientError) as refused:
        pods.assume(role_arn, make_token(pods, app))
    assert refused.value.response["Error"]["Code"] == code
    assert text in refused.value.response["Error"]["Message"]
    assert pods.assume(role_arn, _own(pods, app))["SessionToken"]


def test_a_role_that_does_not_exist_is_refused_without_saying_so(pods: EmulatedPods) -> None:
    with pytest.raises(ClientError) as refused:
        pods.assume(f"arn:aws:iam::{ACCOUNT}:role/nobody", _own(pods, "nobody"))
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_the_credentials_are_those_of_the_role(pods: EmulatedPods) -> None:
    app = pods.name("who")
    pod = pods.pod(app)
    identity = pods.client("sts", pod.credentials).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{app}/test"


def _encode(part: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
