"""Random and hand-written documents of apps, as data: what any of the readers could have made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from components.derivation.diff.documents import AppDocument, FleetDocuments, OtherAccountDocument
from provider_runtime.secret_objects import JsonKey, ObjectType, SecretObject, dump_objects

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/shop"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"


def secret(name: str, region: str = "eu-west-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}"


Texts = str | list[str]


def allow(
    actions: Texts, resources: Texts, *, sid: str = "", condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return one statement; single texts stay single texts."""
    statement: dict[str, Any] = {"Sid": sid} if sid else {}
    statement |= {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": dict(condition)} if condition else {})


def policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(*subjects: str, operator: str = "StringEquals", audience: str = "sts.amazonaws.com") -> dict[str, Any]:
    """Return the trust for service accounts `namespace:name`."""
    tests: dict[str, dict[str, Any]] = {operator: {f"{ISSUER}:sub": [f"system:serviceaccount:{s}" for s in subjects]}}
    if audience:
        tests.setdefault("StringEquals", {})[f"{ISSUER}:aud"] = audience
    return policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": tests,
        }
    )


def class_of(*objects: SecretObject, name: str = "shop", namespace: str = "shop", **parameters: str) -> dict[str, Any]:
    spec = {"provider": "aws", "parameters": {"region": "eu-west-1", **parameters, "objects": dump_objects(objects)}}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def secret_object(
    name: str, alias: str = "", mode: str = "0400", keys: Mapping[str, str] | None = None
) -> SecretObject:
    entries = tuple(JsonKey(path=path, alias=file) for path, file in (keys or {}).items())
    return SecretObject(
        name=name, type=ObjectType.SECRETS_MANAGER, alias=alias or name, permission=mode, json_keys=entries
    )


def account_manifest(namespace: str = "shop", name: str = "web") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}}


def app(*statements: Mapping[str, Any], **changes: object) -> AppDocument:
    """Return an app whose role has these statements and whose trust is its own."""
    given: dict[str, Any] = {
        "app": "shop",
        "role_arn": ROLE,
        "trust": trust("shop:web"),
        "policies": {"inline policy secrets": policy(*statements)},
        "service_accounts": (account_manifest(),),
    }
    return AppDocument(**{**given, **changes})


def fleet(*apps: AppDocument, other_accounts: Iterable[OtherAccountDocument] = ()) -> FleetDocuments:
    return FleetDocuments(
        environment="prod",
        apps={item.app: item for item in apps},
        other_accounts={(item.account, item.kind, item.resource): item for item in other_accounts},
    )


# ------------------------------------------------------------------------------------------------------ random ones
_NAMES = st.sampled_from(["db-??????", "smtp-??????", "db-AbC123", "prod/*", "*", "a/db-??????"])
_REGIONS = st.sampled_from(["eu-west-1", "us-west-2", "*"])
_ACTIONS = st.sampled_from(
    [
        "secretsmanager:GetSecretValue",
        "secretsmanager:DescribeSecret",
        "secretsmanager:*",
        "secretsmanager:Get*",
        "ssm:GetParameters",
        "secretsmanager:PutSecretValue",
        "secretsmanager:ListSecrets",
        "kms:Decrypt",
        "s3:GetObject",
    ]
)
_CONDITIONS = st.sampled_from(
    [
        None,
        {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}},
        {"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/a", "arn:aws:iam::*:role/b"]}},
        {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}},
        {
            "StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:SecretARN": [secret("db-??????"), secret("other-??????")]},
        },
        {"Bool": {"aws:SecureTransport": "true"}},
    ]
)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    names, regions = draw(st.lists(_NAMES, min_size=1, max_size=3)), draw(st.lists(_REGIONS, min_size=1, max_size=2))
    resources = [secret(name, region) for name in names for region in regions]
    made = allow(draw(st.lists(_ACTIONS, min_size=1, max_size=3)), resources, condition=draw(_CONDITIONS))
    return {**made, "Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))}


@st.composite
def classes(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(["db", "smtp", "a/db"]), unique=True, min_size=1, max_size=3))
    modes = st.sampled_from(["0400", "0440", "0644"])
    objects = [secret_object(name, alias=f"file{index}", mode=draw(modes)) for index, name in enumerate(names)]
    parameters = draw(st.sampled_from([{}, {"failoverRegion": "us-west-2"}, {"roleArn": ROLE}]))
    made = class_of(*objects, **parameters)
    if draw(st.booleans()):
        data = [{"key": "KEY", "objectName": "file0"}]
        made["spec"]["secretObjects"] = [{"secretName": "shop-env", "type": "Opaque", "data": data}]
    return made


@st.composite
def apps(draw: st.DrawFn, name: str = "shop") -> AppDocument:
    subjects = draw(st.lists(st.sampled_from(["shop:web", "shop:job", "other:web"]), unique=True, min_size=1))
    trusts = st.sampled_from([trust(*subjects), trust(*subjects, audience=""), trust("shop:*", operator="StringLike")])
    boundary = draw(st.sampled_from(["", "arn:aws:iam::111122223333:policy/boundary"]))
    return app(
        *draw(st.lists(statements(), max_size=4)),
        app=name,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/{name}",
        trust=draw(trusts),
        boundary=boundary,
        classes=tuple(draw(st.lists(classes(), max_size=1))),
    )


@st.composite
def fleets(draw: st.DrawFn) -> FleetDocuments:
    names = draw(st.lists(st.sampled_from(["shop", "mail", "till"]), unique=True, max_size=3))
    others = draw(st.lists(other_accounts(), max_size=2))
    return fleet(*(draw(apps(name)) for name in names), other_accounts=others)


PARTNER = "444455556666"
_OTHERS = st.sampled_from(
    [
        ("secret policy", secret("partner/db-AbC123", account=PARTNER), "secretsmanager:GetSecretValue"),
        ("key policy", f"arn:aws:kms:eu-west-1:{PARTNER}:key/11111111-aaaa-4bbb-8ccc-222222222222", "kms:Decrypt"),
        ("role trust", f"arn:aws:iam::{PARTNER}:role/reader", "sts:AssumeRole"),
    ]
)


@st.composite
def other_accounts(draw: st.DrawFn) -> OtherAccountDocument:
    """Return what an object of another account must carry for some roles, one statement for each set of them."""
    kind, resource, action = draw(_OTHERS)
    apps = st.lists(st.sampled_from(["shop", "mail", "till"]), unique=True, min_size=1, max_size=3)
    sets = draw(st.lists(apps, min_size=1, max_size=2))
    listed = [
        {
            "Sid": f"LockstepReaders{number}",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": [action],
            "Resource": ["*"],
            "Condition": {
                "ArnEquals": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in names]},
                **draw(st.sampled_from([{}, {"StringEquals": {"sts:ExternalId": "one"}}])),
            },
        }
        for number, names in enumerate(sets, start=1)
    ]
    named = tuple(sorted({name for names in sets for name in names}))
    policy_text = {"Statement": listed}
    return OtherAccountDocument(account=PARTNER, kind=kind, resource=resource, policy=policy_text, apps=named)


@st.composite
def reformatted_other(draw: st.DrawFn, original: OtherAccountDocument) -> OtherAccountDocument:
    """Return the same in another layout: one statement for each role, shuffled, numbered anew."""
    listed: Any = original.policy["Statement"]
    split = [
        {
            **statement,
            "Sid": f"s{number}",
            "Action": statement["Action"][0].upper(),
            "Condition": {**statement["Condition"], "ArnEquals": {"AWS:principalarn": role}},
        }
        for number, statement in enumerate(listed)
        for role in statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]
    ]
    return replace(original, policy={"Statement": draw(st.permutations(split))})


@st.composite
def reformatted(draw: st.DrawFn, original: AppDocument) -> AppDocument:
    """Return the same access in another layout: shuffled, renamed Sids, split statements, JSON as text, lists."""

    def other(statement: Mapping[str, Any]) -> list[dict[str, Any]]:
        actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
        shuffled = draw(st.permutations(resources))
        parts = [[resource] for resource in shuffled] if draw(st.booleans()) else [shuffled]
        cased = [action.upper() if draw(st.booleans()) else action for action in draw(st.permutations(actions))]
        return [{**statement, "Sid": f"s{draw(st.integers(0, 9))}", "Action": cased, "Resource": r} for r in parts]

    policies: dict[str, Any] = {}
    for name, document in original.policies.items():
        assert isinstance(document, Mapping)
        listed: Any = document["Statement"]
        made = draw(st.permutations([piece for statement in listed for piece in other(statement)]))
        text = {"Statement": list(made), "Version": "2012-10-17"}
        policies[f"renamed {name}"] = json.dumps(text, indent=draw(st.integers(0, 2))) if draw(st.booleans()) else text
    return AppDocument(
        app=original.app,
        role_arn=original.role_arn,
        boundary=original.boundary,
        trust=json.dumps(original.trust, indent=3),
        policies=policies,
        service_accounts=original.service_accounts,
        classes=original.classes,
    )


def as_list(value: Texts) -> list[str]:
    return value if isinstance(value, list) else [value]
