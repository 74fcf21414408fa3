"""What a pod may read in the emulated account: each refusal beside the case that is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.emulator import ACCOUNT
from tests.local.emulated_pods import GIVEN_KEY, REGION, EmulatedPod, EmulatedPods, allow

ANY_SUFFIX = "-??????"
PARAMETER_PREFIX = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
SECRET_PREFIX = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"


def _denial(read: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as refused:
        read()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(refused.value.response["Error"]["Message"])


def _put_parameter(pods: EmulatedPods, name: str, value: str, **details: str) -> str:
    pods.admin("ssm").put_parameter(Name=name, Value=value, **{"Type": "String", **details})
    return f"{PARAMETER_PREFIX}{name}"


# ---------------------------------------------------------------------------------------------------------- parameters
def test_one_forbidden_parameter_refuses_the_whole_batch(pods: EmulatedPods) -> None:
    first, second = f"/{pods.name('batch')}/a", f"/{pods.name('batch')}/b"
    allowed, forbidden = _put_parameter(pods, first, "1"), _put_parameter(pods, second, "2")
    pod = pods.pod(pods.name("batch"), allow("ssm:GetParameters", allowed))
    assert pod.parameters(first) == {first: "1"}
    expected = f"ssm:GetParameters on resource: {forbidden} because"
    assert expected in _denial(lambda: pod.parameters(first, second))
    assert expected in _denial(lambda: pod.parameters(second, first))


def test_a_batch_of_which_each_parameter_is_granted_is_allowed(pods: EmulatedPods) -> None:
    names = [f"/{pods.name('granted')}/{letter}" for letter in "abc"]
    arns = [_put_parameter(pods, name, name) for name in names]
    pod = pods.pod(pods.name("granted"), allow("ssm:GetParameters", arns))
    assert pod.parameters(*names) == {name: name for name in names}


def test_a_version_of_a_parameter_is_authorised_by_its_arn_without_the_version(pods: EmulatedPods) -> None:
    name = f"/{pods.name('versions')}/a"
    arn = _put_parameter(pods, name, "1")
    pod = pods.pod(pods.name("versions"), allow("ssm:GetParameters", arn))
    assert pod.parameters(f"{name}:1") == {name: "1"}
    assert pod.parameters(arn) == {name: "1"}


def test_a_parameter_that_does_not_exist_is_authorised_too(pods: EmulatedPods) -> None:
    """Otherwise the answer would tell which names exist."""
    pod = pods.pod(pods.name("missing"), allow("ssm:GetParameters", f"{PARAMETER_PREFIX}/known"))
    assert pod.parameters("/known") == {}
    assert "on resource: " in _denial(lambda: pod.parameters("/unknown"))


# ------------------------------------------------------------------------------------------------------------- secrets
def test_another_apps_secret_is_refused_and_named(pods: EmulatedPods) -> None:
    name = pods.name("theirs")
    arn = pods.admin("secretsmanager").create_secret(Name=name, SecretString="s")["ARN"]
    pod = pods.pod(pods.name("ours"), allow("secretsmanager:GetSecretValue", f"{SECRET_PREFIX}ours{ANY_SUFFIX}"))
    assert f"secretsmanager:GetSecretValue on resource: {arn} because" in _denial(lambda: pod.secret(name))


def test_six_question_marks_stand_for_the_random_suffix_and_for_nothing_else(pods: EmulatedPods) -> None:
    name = pods.name("suffix")
    for created in (name, f"{name}-backup"):
        pods.admin("secretsmanager").create_secret(Name=created, SecretString=created)
    pod = pods.pod(pods.name("suffix"), allow("secretsmanager:GetSecretValue", f"{SECRET_PREFIX}{name}{ANY_SUFFIX}"))
    assert pod.secret(name) == name
    assert _denial(lambda: pod.secret(f"{name}-backup"))
    bare = pods.pod(pods.name("suffix"), allow("secretsmanager:GetSecretValue", f"{SECRET_PREFIX}{name}"))
    assert _denial(lambda: bare.secret(name))


def test_a_removed_policy_bites_at_the_next_call(pods: EmulatedPods) -> None:
    name = pods.name("revoked")
    pods.admin("secretsmanager").create_secret(Name=name, SecretString="s")
    pod = pods.pod(name, allow("secretsmanager:GetSecretValue", f"{SECRET_PREFIX}{name}{ANY_SUFFIX}"))
    assert pod.secret(name) == "s"
    pods.admin("iam").delete_role_policy(RoleName=pod.role_name, PolicyName="access")
    assert _denial(lambda: pod.secret(name))


def test_a_wrong_signature_is_refused(pods: EmulatedPods) -> None:
    name = pods.name("forged")
    pod = pods.pod(name, allow("secretsmanager:*", "*"))
    client = pods.client("secretsmanager", {**pod.credentials, "SecretAccessKey": "guessed"})
    with pytest.raises(ClientError) as refused:
        client.get_secret_value(SecretId=name)
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


# ------------------------------------------------------------------------------------------------------- customer keys
@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """How one store is read with a customer key, and what it says when the key refuses."""

    service: str
    context_key: str
    read_action: str
    refusal: str
    create: Callable[[EmulatedPods, str, str], str]
    read: Callable[[EmulatedPod, str], str]


def _create_secret(pods: EmulatedPods, name: str, key: str) -> str:
    created = pods.admin("secretsmanager").create_secret(Name=name, SecretString="value", KmsKeyId=key)
    return str(created["ARN"])


def _create_parameter(pods: EmulatedPods, name: str, key: str) -> str:
    return _put_parameter(pods, name, "value", Type="SecureString", KeyId=key)


STORES = (
    Store(
        service="secretsmanager",
        context_key="SecretARN",
        read_action="secretsmanager:GetSecretValue",
        refusal="Access to KMS is not allowed",
        create=_create_secret,
        read=EmulatedPod.secret,
    ),
    Store(
        service="ssm",
        context_key="PARAMETER_ARN",
        read_action="ssm:GetParameters",
        refusal="you are not allowed to access",
        create=_create_parameter,
        read=lambda pod, name: pod.parameters(name)[name],
    ),
)
Conditions = Mapping[str, Mapping[str, str]]


def _conditions(store: Store, arn: str) -> Conditions:
    return {
        "StringEquals": {"kms:ViaService": f"{store.service}.{REGION}.amazonaws.com"},
        "StringLike": {f"kms:EncryptionContext:{store.context_key}": arn},
    }


def _decrypts(store: Store, arn: str) -> dict[str, Any]:
    return allow("kms:Decrypt", GIVEN_KEY, **_conditions(store, arn))


def _decrypts_with_another_key(store: Store, arn: str) -> dict[str, Any]:
    return allow("kms:Decrypt", GIVEN_KEY.replace("mrk-5", "mrk-6"), **_conditions(store, arn))


def _decrypts_through_another_service(store: Store, arn: str) -> dict[str, Any]:
    elsewhere = {"kms:ViaService": f"rds.{REGION}.amazonaws.com"}
    return allow("kms:Decrypt", GIVEN_KEY, **{**_conditions(store, arn), "StringEquals": elsewhere})


def _decrypts_through_the_other_store(store: Store, arn: str) -> dict[str, Any]:
    (other,) = (each for each in STORES if each is not store)
    through = {"kms:ViaService": f"{other.service}.{REGION}.amazonaws.com"}
    return allow("kms:Decrypt", GIVEN_KEY, **{**_conditions(store, arn), "StringEquals": through})


def _decrypts_another_object(store: Store, arn: str) -> dict[str, Any]:
    return _decrypts(store, f"{arn}-other")


def _does_not_decrypt(store: Store, arn: str) -> dict[str, Any]:
    del store
    return allow("kms:Encrypt", arn)


REFUSED_KEY_GRANTS = (
    _does_not_decrypt,
    _decrypts_with_another_key,
    _decrypts_through_another_service,
    _decrypts_through_the_other_store,
    _decrypts_another_object,
)


@pytest.mark.parametrize("grant", REFUSED_KEY_GRANTS, ids=lambda grant: grant.__name__.removeprefix("_"))
@pytest.mark.parametrize("store", STORES, ids=lambda store: store.service)
def test_a_value_under_a_customer_key_needs_exactly_its_decrypt_grant(
    pods: EmulatedPods, store: Store, grant: Callable[[Store, str], dict[str, Any]]
) -> None:
    name = f"/{pods.name('key')}"
    arn = store.create(pods, name, GIVEN_KEY)
    pod = pods.pod(pods.name("key"), allow(store.read_action, arn), grant(store, arn))
    assert store.refusal in _denial(lambda: store.read(pod, name))
    policy = {"Version": "2012-10-17", "Statement": [allow(store.read_action, arn), _decrypts(store, arn)]}
    pods.admin("iam").put_role_policy(RoleName=pod.role_name, PolicyName="access", PolicyDocument=json.dumps(policy))
    assert store.read(pod, name) == "value"


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.service)
def test_a_key_that_does_not_exist_refuses_everyone(pods: EmulatedPods, store: Store) -> None:
    name = f"/{pods.name('no-key')}"
    arn = store.create(pods, name, GIVEN_KEY.replace("mrk-5", "mrk-6"))
    pod = pods.pod(pods.name("no-key"), allow(store.read_action, arn), allow("kms:*", "*"))
    assert store.refusal in _denial(lambda: store.read(pod, name))


def test_a_grant_through_a_service_does_not_let_a_pod_call_kms_itself(pods: EmulatedPods) -> None:
    name = pods.name("direct")
    arn = _create_secret(pods, name, GIVEN_KEY)
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    pod = pods.pod(name, allow("secretsmanager:GetSecretValue", arn), allow("kms:Decrypt", GIVEN_KEY, **via))
    encrypted = pods.admin("kms").encrypt(KeyId=GIVEN_KEY, Plaintext=b"value")["CiphertextBlob"]
    assert pod.secret(name) == "value"
    kms = pods.client("kms", pod.credentials)
    assert "kms:Decrypt" in _denial(lambda: kms.decrypt(KeyId=GIVEN_KEY, CiphertextBlob=encrypted))


def test_the_key_of_the_service_needs_no_grant(pods: EmulatedPods) -> None:
    name = f"/{pods.name('managed')}"
    arn = _put_parameter(pods, name, "value", Type="SecureString")
    pod = pods.pod(pods.name("managed"), allow("ssm:GetParameters", arn))
    assert pod.parameters(name) == {name: "value"}


def test_a_parameter_that_is_not_decrypted_needs_no_key(pods: EmulatedPods) -> None:
    name = f"/{pods.name('sealed')}"
    arn = _create_parameter(pods, name, GIVEN_KEY)
    pod = pods.pod(pods.name("sealed"), allow("ssm:GetParameters", arn))
    assert pod.parameters(name, decrypt=False)[name] != "value"


def test_a_batch_is_refused_for_the_key_of_one_of_its_parameters(pods: EmulatedPods) -> None:
    plain, sealed = f"/{pods.name('mixed')}", f"/{pods.name('mixed')}"
    arns = [_put_parameter(pods, plain, "value"), _create_parameter(pods, sealed, GIVEN_KEY)]
    pod = pods.pod(pods.name("mixed"), allow("ssm:GetParameters", arns))
    assert STORES[1].refusal in _denial(lambda: pod.parameters(plain, sealed))
