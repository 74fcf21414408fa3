"""Short ways to write the examples of the rules: an IAM policy, a trust, a class, a pod. Texts as users write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-??????"  # noqa: S105 - a pattern of names
PARAMETER = "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/flags"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/5f1d7a0c-2b3e-4d6f-8a9b-0c1d2e3f4a5b"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
SUBJECT = "system:serviceaccount:shop:shop"
CLUSTER = "arn:aws:eks:eu-west-1:111122223333:cluster/prod"

Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]
Texts = str | Sequence[str]


def statement(actions: Texts, resources: Texts, conditions: Conditions | None = None) -> dict[str, object]:
    """Return an Allow of an identity policy."""
    out: dict[str, object] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return out | ({"Condition": conditions} if conditions else {})


def policy(*statements: Mapping[str, object]) -> str:
    """Return the text of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)


def secrets_policy(resource: Texts = SECRET, actions: Texts = "secretsmanager:GetSecretValue") -> str:
    """Return a policy for secrets."""
    return policy(statement(actions, resource))


def parameters_policy(resource: Texts = PARAMETER, actions: Texts = "ssm:GetParameters") -> str:
    """Return a policy for parameters."""
    return policy(statement(actions, resource))


def decrypt(conditions: Conditions | None, key: str = KEY) -> dict[str, object]:
    """Return a statement that decrypts."""
    return statement("kms:Decrypt", key, conditions)


def bound(**more: str) -> Conditions:
    """Return the two conditions that bind a Decrypt to the secret of `SECRET`."""
    return {
        "StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"} | more,
        "StringLike": {"kms:EncryptionContext:SecretARN": SECRET},
    }


def trust(
    conditions: Conditions | None,
    principal: Mapping[str, object] | str | None = None,
    actions: Texts = "sts:AssumeRoleWithWebIdentity",
) -> str:
    """Return the text of a trust policy; the cluster's OIDC provider is trusted unless another principal is named."""
    out: dict[str, object] = {
        "Effect": "Allow",
        "Principal": principal if principal is not None else {"Federated": PROVIDER},
        "Action": actions,
    }
    return policy(out | ({"Condition": conditions} if conditions else {}))


def irsa(subject: str | Sequence[str] = SUBJECT, audience: str = "sts.amazonaws.com") -> Conditions:
    """Return exact conditions for service accounts."""
    return {"StringEquals": {f"{ISSUER}:sub": subject, f"{ISSUER}:aud": audience}}


def pod_identity(conditions: Conditions | None, actions: Texts = ("sts:AssumeRole", "sts:TagSession")) -> str:
    """Return the text of a trust for EKS Pod Identity."""
    return trust(conditions, {"Service": "pods.eks.amazonaws.com"}, actions)


FROM_CLUSTER: Conditions = {"StringEquals": {"aws:SourceAccount": "111122223333", "aws:SourceArn": CLUSTER}}

DB = """\
- objectName: prod/db
  objectType: secretsmanager
"""


def spc(objects: str = DB, *, more: str = "", version: str = "v1", parameters: str = "    region: eu-west-1\n") -> str:
    """Return the text of a class; `more` follows its parameters, `parameters` stand beside its objects."""
    body = "".join(f"      {line}\n" for line in objects.splitlines())
    return (
        f"apiVersion: secrets-store.csi.x-k8s.io/{version}\nkind: SecretProviderClass\n"
        f"metadata: {{name: shop, namespace: shop}}\nspec:\n  provider: aws\n  parameters:\n{parameters}"
        f"    objects: |\n{body}{more}"
    )


def synced(file: str, *, kind: str = "Opaque", key: str = "PASSWORD") -> str:
    """Return `secretObjects` with one Secret of one key, to follow a class."""
    return (
        f'  secretObjects:\n  - secretName: shop-env\n    type: "{kind}"\n    data:\n'
        f"    - objectName: {file}\n      key: {key}\n"
    )


def pod(
    csi: str = "readOnly: true, volumeAttributes: {secretProviderClass: shop}",
    *,
    container: str = "volumeMounts: [{name: secrets, mountPath: /mnt/secrets}]",
    namespace: str = "shop",
    more: str = "",
) -> str:
    """Return the text of a pod with one volume of the driver."""
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: shop, namespace: {namespace}}}\nspec:\n{more}"
        f"  containers:\n  - {{name: app, image: shop, {container}}}\n"
        f"  volumes:\n  - name: secrets\n    csi: {{driver: secrets-store.csi.k8s.io, {csi}}}\n"
    )


def documents(*texts: str) -> str:
    """Join YAML documents."""
    return "---\n".join(texts)
