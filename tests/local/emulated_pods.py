"""Pods of the emulated account: roles, tokens and credentials, made as small as a test needs them."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from local.emulator import ACCOUNT, Emulator, make_client
from local.oidc_issuer import OidcIssuer, TokenSubject

REGION = "us-east-1"
ISSUER_URL = "https://oidc.local.lockstep.example/id/LOCAL"
KEYLESS_ISSUER_URL = "https://oidc.local.lockstep.example/id/KEYLESS"
"""Registered in IAM, but the emulator has no keys of it."""
STS = "sts.amazonaws.com"
OTHER_AUDIENCE = "vault.example"
"""Registered with the provider in IAM, trusted by no role."""
GIVEN_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/mrk-5f1d7a0c2b3e4d6f8a9b0c1d2e3f4a5b"
GIVEN_SECRET = "local/reports/warehouse"
GIVEN_SUFFIX = "Xk3p9Q"


Texts = str | Sequence[str]


def allow(action: Texts, resource: Texts, **conditions: Mapping[str, str]) -> dict[str, Any]:
    """Make one statement; conditions as StringEquals={...}."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": conditions} if conditions else statement


@dataclass(slots=True, kw_only=True)
class EmulatedPods:
    """The emulator, its issuer, and clients that are closed at the end."""

    emulator: Emulator
    issuer: OidcIssuer
    _serials: Iterator[int] = field(default_factory=itertools.count)
    _clients: list[Any] = field(default_factory=list)

    def name(self, prefix: str) -> str:
        """Draw a name that no other test has."""
        return f"{prefix}-{next(self._serials)}"

    def subject(self, app: str) -> TokenSubject:
        """Make a pod of an app in the namespace of the same name."""
        return TokenSubject(
            namespace=app,
            service_account=app,
            service_account_uid=str(uuid.uuid4()),
            pod_name=f"{app}-0",
            pod_uid=str(uuid.uuid4()),
        )

    def admin(self, service: str) -> Any:  # noqa: ANN401 - boto3
        """Return the admin's client."""
        return self.emulator.client(service, REGION)

    def role(self, app: str, *statements: Mapping[str, Any]) -> str:
        """Create the app's role with an IRSA trust policy and one inline policy `access`; return its ARN."""
        host = ISSUER_URL.removeprefix("https://")
        provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"}
        condition = {"StringEquals": {f"{host}:sub": f"system:serviceaccount:{app}:{app}", f"{host}:aud": STS}}
        trust = {"Effect": "Allow", "Principal": provider, "Action": "sts:AssumeRoleWithWebIdentity"}
        iam = self.admin("iam")
        document = json.dumps({"Version": "2012-10-17", "Statement": [{**trust, "Condition": condition}]})
        arn = iam.create_role(RoleName=app, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=app, PolicyName="access", PolicyDocument=policy)
        return str(arn)

    def assume(self, role_arn: str, token: str) -> dict[str, Any]:
        """Exchange a token for credentials, unsigned as every SDK does it."""
        client = boto3.Session(region_name=REGION).client(
            "sts",
            endpoint_url=self.emulator.endpoint,
            config=Config(signature_version=UNSIGNED, proxies={}, retries={"total_max_attempts": 1}),
        )
        self._clients.append(client)
        answer = client.assume_role_with_web_identity(RoleArn=role_arn, RoleSessionName="test", WebIdentityToken=token)
        return dict(answer["Credentials"])

    def pod(self, app: str, *statements: Mapping[str, Any]) -> EmulatedPod:
        """Create the app's role and one pod of it that has assumed it."""
        role_arn = self.role(app, *statements)
        token = self.issuer.issue(self.subject(app), STS)
        return EmulatedPod(pods=self, role_name=app, credentials=self.assume(role_arn, token.text))

    def client(self, service: str, credentials: Mapping[str, Any]) -> Any:  # noqa: ANN401 - boto3
        """Return a client with these credentials."""
        client = make_client(
            service,
            REGION,
            endpoint=self.emulator.endpoint,
            access_key=credentials["AccessKeyId"],
            secret_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            client.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedPod:
    """Credentials of one pod."""

    pods: EmulatedPods
    role_name: str
    credentials: Mapping[str, Any]

    def secret(self, name: str) -> str:
        """Read a secret."""
        client = self.pods.client("secretsmanager", self.credentials)
        return str(client.get_secret_value(SecretId=name)["SecretString"])

    def parameters(self, *names: str, decrypt: bool = True) -> dict[str, str]:
        """Read parameters in one batch."""
        answer = self.pods.client("ssm", self.credentials).get_parameters(Names=list(names), WithDecryption=decrypt)
        return {found["Name"]: found["Value"] for found in answer["Parameters"]}
