"""Laws of the derivation, over random specs and with an evaluator that shares no code with it."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.derivation import (
    AppAccess,
    Environment,
    Identity,
    Mount,
    PolicyDocument,
    SpecErrors,
    derive,
    derive_all,
    parse_specs,
)
from components.derivation import render_json as render
from components.derivation.arn import is_region, partition_of
from components.derivation.spec import ObjectEntry
from provider_runtime.class_parameters import RoleChain
from provider_runtime.mount_request import MountRequest, ObjectVersions, parse_mount_request
from provider_runtime.secret_objects import ObjectType, parse_objects
from tests.derivation.expected_access import is_asked_for, questions_about
from tests.derivation.iam_oracle import allows
from tests.derivation.random_specs import DEPLOYER, EARLIER, SECRET_NAME, SUFFIX, SpecText, is_suffix_like, spec_texts

ENVIRONMENT = Environment(
    name="dev",
    region="eu-west-1",
    account="111122223333",
    cluster="dev",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    deployer_role=DEPLOYER,
)
LAW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def access_of(spec: SpecText, environment: Environment = ENVIRONMENT) -> AppAccess:
    (parsed,) = parse_specs(spec.text)
    return derive(parsed, environment)


def reading_documents(access: AppAccess) -> list[PolicyDocument]:
    """Return the policies of the role that reads."""
    return [access.chain.permissions] if access.chain else [policy.document for policy in access.policies]


def allowed(access: AppAccess, action: str, resource: str, **context: str) -> bool:
    """Say whether the role that reads may do it, in a session of the app itself."""
    tags = session_tags(access)
    return any(allows(one.to_dict(), action, resource, tags | context) for one in reading_documents(access))


def session_tags(access: AppAccess, **changed: str) -> dict[str, str]:
    tags = {
        "eks-cluster-arn": "arn:aws:eks:eu-west-1:111122223333:cluster/dev",
        "kubernetes-namespace": access.namespace,
        "kubernetes-service-account": access.service_account,
    }
    return {f"aws:PrincipalTag/{name}": value for name, value in (tags | changed).items()}


@given(spec_texts())
@LAW
def test_i1_what_is_asked_for_is_allowed_in_each_region_with_its_key_and_nothing_else_is(spec: SpecText) -> None:
    """Near misses: siblings, prefixes, other accounts, regions, stages, versions, services and actions."""
    access = access_of(spec)
    documents = [one.to_dict() for one in reading_documents(access)]
    tags = session_tags(access)
    for question in questions_about(spec.reads):
        context = tags | dict(question.context)
        answer = any(allows(one, question.action, question.resource, context) for one in documents)
        assert answer == is_asked_for(question, spec.reads), question


@given(spec_texts())
@LAW
def test_i1_everything_that_is_mounted_is_allowed_as_the_provider_asks_for_it(spec: SpecText) -> None:
    access = access_of(spec)
    regions = (ENVIRONMENT.region, *spec.failover)
    # A secret and a parameter may have one name.
    reads = {(read.is_secret, read.region, read.name): read for read in spec.reads}
    for item in access.objects:
        for index, region in enumerate(regions):
            read = reads[item.type is ObjectType.SECRETS_MANAGER, region, item.name]
            action = "secretsmanager:GetSecretValue" if read.is_secret else "ssm:GetParameters"
            sent = {
                "secretsmanager:VersionStage": item.version_label_in(index),
                "secretsmanager:VersionId": item.version_in(index),
            }
            context = {key: value for key, value in sent.items() if value and read.is_secret}
            assert allowed(access, action, read.arn, **context)
            asked = item.name_in(region, index)
            assert asked == read.arn or read.arn.removesuffix(SUFFIX).endswith(asked.removeprefix("/"))


@given(spec_texts())
@LAW
def test_every_grant_leads_to_a_line_that_asks_for_it(spec: SpecText) -> None:
    access = access_of(spec)
    lines = spec.text.splitlines()
    assert {(grant.region, grant.key) for grant in access.grants} == {(r.region, r.key) for r in spec.reads}
    for grant in access.grants:
        assert grant.at is not None
        assert lines[grant.at.line - 1].lstrip().startswith(("- name: ", "- path: "))
        assert grant.owner in {"", "platform", "payments-team"}


@given(spec_texts())
@LAW
def test_the_provider_reads_back_exactly_the_derived_objects(spec: SpecText) -> None:
    access = access_of(spec)
    for mount in access.mounts:
        request = request_for(mount, access)
        parsed = parse_objects(
            request.objects_text,
            region=str(request.region),
            failover_regions=request.failover_regions,
            translation=request.translation,
        )
        assert parsed == mount.objects
        assert [file.path for file in mount.files] == sorted(
            path
            for item in parsed
            for path in (
                item.alias,
                *(key.alias for key in item.json_keys),
                *([item.template.alias] if item.template else []),
            )
        )
        chain = access.chain if "eks" not in spec.settings else None
        expected_chain = chain and RoleChain(role_arn=chain.role_arn, external_id=chain.external_id)
        assert request.role_chain == expected_chain
        shared = "shareAcrossPods: true" in spec.text or "sessionPolicy" in spec.settings
        assert request.share_across_pods == (shared and request.use_pod_identity)
        assert request.region == ENVIRONMENT.region
        assert request.failover_regions == spec.failover
        assert request.use_pod_identity == (access.identity is Identity.POD_IDENTITY)
        assert request.role_arn == (None if request.use_pod_identity else access.role_arn)
        assert request.refresh_interval_seconds == access.refresh_interval_seconds
        assert request.object_versions is ObjectVersions.CONTENT


def request_for(mount: Mount, access: AppAccess) -> MountRequest:
    """Return what the provider makes of a mount: the class's parameters as the driver sends them."""
    spec = mount.secret_provider_class["spec"]
    assert isinstance(spec, dict)
    attributes = {
        **spec["parameters"],
        "csi.storage.k8s.io/pod.namespace": access.namespace,
        "csi.storage.k8s.io/serviceAccount.tokens": json.dumps({access.audience: {"token": "t"}}),
    }
    return parse_mount_request(json.dumps(attributes), "/mnt", "420", (), default_region=None)


@given(spec_texts())
@LAW
def test_every_object_is_in_the_mount_that_it_names(spec: SpecText) -> None:
    access = access_of(spec)
    assert [mount.name for mount in access.mounts] == sorted({name for name, _ in spec.mounted})
    whole = {(m.name, f.path) for m in access.mounts for f in m.files if not (f.json_path or f.is_template)}
    assert whole == set(spec.mounted)
    volumes = [mount.volume["name"] for mount in access.mounts]
    assert len(set(volumes)) == len(volumes)
    assert len({mount.path for mount in access.mounts}) == len(access.mounts)


@given(spec_texts())
@LAW
def test_i5_trust_names_exactly_one_subject(spec: SpecText) -> None:
    access = access_of(spec)
    (statement,) = access.trust.statements
    assert {condition.operator for condition in statement.conditions} == {"StringEquals"}
    tests = {condition.key: condition.values for condition in statement.conditions}
    if access.identity is Identity.IRSA:
        assert statement.actions == ("sts:AssumeRoleWithWebIdentity",)
        assert tests == {
            f"{ENVIRONMENT.issuer_host}:aud": ("sts.amazonaws.com",),
            f"{ENVIRONMENT.issuer_host}:sub": (f"system:serviceaccount:{access.namespace}:{access.service_account}",),
        }
    else:
        tags = {
            "aws:RequestTag/kubernetes-namespace": (access.namespace,),
            "aws:RequestTag/kubernetes-service-account": (access.service_account,),
        }
        assert tests == {
            "aws:SourceAccount": ("111122223333",),
            "aws:SourceArn": ("arn:aws:eks:eu-west-1:111122223333:cluster/dev",),
            # With a session policy EKS sends no tags that a trust could ask for; the role is the app's own either way.
            **({} if "sessionPolicy" in spec.settings else tags),
        }


@given(spec_texts())
@LAW
def test_a_session_policy_is_what_the_session_may_do_and_no_more(spec: SpecText) -> None:
    access = access_of(spec)
    policy = access.association.policy if access.association else None
    assert (policy is not None) == ("sessionPolicy" in spec.settings)
    if policy is None or (access.chain and "eks" not in spec.settings):
        return
    for question in questions_about(spec.reads):
        answer = allows(policy.to_dict(), question.action, question.resource, question.context)
        assert answer == is_asked_for(question, spec.reads), question


@given(spec_texts())
@LAW
def test_a_renamed_app_has_the_names_of_its_first_one(spec: SpecText) -> None:
    access = access_of(spec)
    first = f"{spec.app}{EARLIER}" if "renamed" in spec.settings else spec.app
    assert access.first_name == first
    assert access.role_name.startswith(f"dev-eu-west-1-{first}"[:50])
    assert {mount.class_name for mount in access.mounts} <= {first, *(f"{first}-{m.name}" for m in access.mounts)}


@given(spec_texts(), st.randoms(use_true_random=False))
@LAW
def test_the_order_of_entries_does_not_change_the_policies(spec: SpecText, random: object) -> None:
    (parsed,) = parse_specs(spec.text)
    objects = list(parsed.base.objects)
    random.shuffle(objects)  # type: ignore[attr-defined]
    shuffled = replace(parsed, base=replace(parsed.base, objects=tuple(objects)))
    assert derive(shuffled, ENVIRONMENT).policies == derive(parsed, ENVIRONMENT).policies


@given(spec_texts())
@LAW
def test_deriving_twice_gives_the_same_bytes(spec: SpecText) -> None:
    first, second = (render([access_of(spec)], "dev") for _ in range(2))
    assert first == second
    assert json.loads(first)["environment"] == "dev"


PAYMENTS = "version: 1\napp: payments\nnamespace: payments\n"


def problems_of(text: str, environment: Environment = ENVIRONMENT) -> list[str]:
    with pytest.raises(SpecErrors) as caught:
        derive_all(parse_specs(text, "app.yaml"), environment)
    return str(caught.value).splitlines()


def test_an_arn_of_another_region_or_partition_is_refused() -> None:
    text = (
        PAYMENTS
        + "secrets:\n  - name: arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:db-AbCdEf\n    file: db\n"
    )
    lines = problems_of(text)
    assert [line.split("[")[-1] for line in lines] == ["SPEC011]", "SPEC011]"]
    assert all(line.startswith("app.yaml:5:11 secrets[0].name: ") for line in lines)


def test_a_key_of_another_region_is_refused() -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"
    (line,) = problems_of(f"{PAYMENTS}secrets:\n  - name: dev/db\n    kmsKey: {key}\n")
    assert line.startswith("app.yaml:6:13 secrets[0].kmsKey: the key ")
    assert "lies in us-east-1, the secret is read in eu-west-1" in line


def test_a_mapping_of_keys_without_the_region_itself_is_refused() -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"
    (line,) = problems_of(f"{PAYMENTS}secrets:\n  - name: dev/db\n    kmsKey: {{us-east-1: '{key}'}}\n")
    assert "there is no key for the region eu-west-1" in line


def test_a_failover_region_that_is_the_region_itself_is_refused() -> None:
    (line,) = problems_of(f"{PAYMENTS}failoverRegions: [eu-west-1]\nsecrets:\n  - name: dev/db\n")
    assert line.startswith("app.yaml:4:18 failoverRegions: the failover region 'eu-west-1' is the region itself")


def test_names_that_become_one_file_once_variables_are_replaced_are_refused() -> None:
    (line,) = problems_of(f"{PAYMENTS}secrets:\n  - name: ${{environment}}/db\n  - name: dev/db\n")
    assert "the file 'dev_db' is written by secrets[0].name (line 5) too" in line


def test_service_accounts_that_become_one_once_variables_are_replaced_are_refused() -> None:
    first = PAYMENTS + "serviceAccount: api-${environment}\nsecrets:\n  - name: a\n"
    second = "---\nversion: 1\napp: refunds\nnamespace: payments\nserviceAccount: api-dev\nsecrets:\n  - name: b\n"
    (line,) = problems_of(first + second)
    assert "in dev the service account payments/api-dev belongs to the app 'payments' too" in line


MOUNTS = "mounts:\n" + "".join(f"  m{number}: /m{number}\n" for number in range(10))


def spread(index: int, name: str) -> str:
    """Return an entry in one of several mounts: one mount holds 64 secrets at most."""
    return f"  - name: {name}\n    mount: m{index // 50}\n"


def test_an_app_that_does_not_fit_iam_is_refused_with_the_numbers() -> None:
    names = "".join(spread(index, f"{'long-name-' * 10}{index}") for index in range(500))
    (line,) = problems_of(f"{PAYMENTS}{MOUNTS}secrets:\n{names}")
    assert re.search(r"takes [0-9]{2},[0-9]{3} characters in [0-9]+ policies; a role carries 10 of 6,144", line)
    assert line.endswith("[SPEC025]")


@pytest.mark.parametrize(("count", "kind", "documents"), [(50, "inline", 1), (70, "managed", 3), (250, "managed", 8)])
def test_a_long_policy_is_split_into_managed_ones_that_allow_exactly_the_same(
    count: int, kind: str, documents: int
) -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"
    names = [f"{'long-name-' * 10}{index}" for index in range(count)]
    keyed = [f"    kmsKey: {key}\n" if index % 9 == 0 else "" for index in range(count)]
    secrets = "".join(spread(index, name) + keyed[index] for index, name in enumerate(names))
    mounts = "".join(f"  m{number}: /m{number}\n" for number in range((count - 1) // 50 + 1))
    (access,) = derive_all(parse_specs(f"{PAYMENTS}mounts:\n{mounts}secrets:\n{secrets}"), ENVIRONMENT)
    assert (access.headroom.kind.value, len(access.policies)) == (kind, documents)
    assert {policy.kind.value for policy in access.policies} == {kind}
    assert len({policy.name for policy in access.policies}) == documents
    limit = 10_240 if kind == "inline" else 6_144
    assert all(policy.document.size() <= limit for policy in access.policies)
    assert access.headroom.used == sum(policy.document.size() for policy in access.policies)
    for index, name in enumerate(names):
        arn = f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}{SUFFIX}"
        assert allowed(access, "secretsmanager:GetSecretValue", arn)
        assert not allowed(access, "secretsmanager:GetSecretValue", f"{arn}x")
        context = {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com", "kms:EncryptionContext:SecretARN": arn}
        assert allowed(access, "kms:Decrypt", key, **context) == (index % 9 == 0)
    if kind == "managed":
        assert access.policies[1].arn == "arn:aws:iam::111122223333:policy/dev-eu-west-1-payments-secrets-2"


def test_problems_of_every_app_are_reported_together() -> None:
    apps = (
        f"version: 1\napp: {app}\nnamespace: {app}\nfailoverRegions: [eu-west-1]\nsecrets: [{{name: {app}}}]\n"
        for app in ("a", "b", "c")
    )
    assert len(problems_of("---\n".join(apps))) == 3


def test_every_malformed_environment_value_is_named_at_once() -> None:
    with pytest.raises(SpecErrors) as caught:
        Environment(
            name="Dev",
            partition="azure",
            region="Ireland",
            account="1234",
            cluster="",
            oidc_issuer="http://oidc.example",
            role_path="lockstep",
            permissions_boundary="boundary",
        )
    fields = [problem.spot.field for problem in caught.value.problems]
    assert sorted(fields) == sorted(
        ["name", "partition", "region", "account", "cluster", "oidcIssuer", "rolePath", "permissionsBoundary"]
    )


def test_a_region_tells_its_partition_as_the_aws_sdk_has_it() -> None:
    session = botocore.session.get_session()
    regions = {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
        if is_region(region)
    }
    assert {"aws", "aws-cn", "aws-us-gov"} <= set(regions.values())
    assert {region: partition_of(region) for region in regions} == regions


@given(
    region=st.sampled_from(["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1"]),
    partition=st.sampled_from(["aws", "aws-cn", "aws-us-gov"]),
    failover=st.lists(st.sampled_from(["us-west-2", "cn-northwest-1", "us-gov-east-1", "us-isob-east-1"]), unique=True),
)
@LAW
def test_no_region_of_another_partition_is_read(region: str, partition: str, failover: list[str]) -> None:
    def environment() -> Environment:
        return replace(ENVIRONMENT, region=region, partition=partition, deployer_role=None)

    if partition_of(region) != partition:
        with pytest.raises(SpecErrors) as caught:
            environment()
        assert [problem.code for problem in caught.value.problems] == ["SPEC026"]
        return
    text = f"{PAYMENTS}failoverRegions: [{', '.join(failover)}]\nsecrets: [{{name: db}}]\n"
    foreign = [other for other in failover if partition_of(other) != partition]
    if not foreign:
        derive_all(parse_specs(text), environment())
        return
    with pytest.raises(SpecErrors) as caught:
        derive_all(parse_specs(text), environment())
    assert [problem.code for problem in caught.value.problems] == ["SPEC022"] * len(foreign)
    assert all(any(repr(other) in problem.what for problem in caught.value.problems) for other in foreign)


@pytest.mark.parametrize(
    ("partition", "region", "suffix"), [("aws-cn", "cn-north-1", ".cn"), ("aws-us-gov", "us-gov-west-1", "")]
)
def test_other_partitions_have_their_own_arns_and_host_names(partition: str, region: str, suffix: str) -> None:
    text = PAYMENTS + (
        "secrets:\n  - name: dev/db\n"
        f"    kmsKey: arn:{partition}:kms:{region}:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50\n"
    )
    environment = replace(ENVIRONMENT, partition=partition, region=region, deployer_role=None)
    (access,) = derive_all(parse_specs(text), environment)
    assert access.role_arn.startswith(f"arn:{partition}:iam::111122223333:role/")
    document = access.policies[0].document.to_json()
    assert f'"arn:{partition}:secretsmanager:{region}:111122223333:secret:dev/db-??????"' in document
    assert f'"secretsmanager.{region}.amazonaws.com{suffix}"' in document


def test_a_full_arn_is_granted_as_it_stands_and_a_partial_one_with_its_unknown_suffix() -> None:
    base = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:shared/db"
    key = "arn:aws:kms:eu-west-1:444455556666:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"
    names = (("a", f"{base}-Ab12Cd"), ("b", base))
    entries = "".join(f"  - {{name: '{name}', file: {file}, kmsKey: '{key}'}}\n" for file, name in names)
    text = f"{PAYMENTS}secrets:\n{entries}"
    (access,) = derive_all(parse_specs(text), ENVIRONMENT)
    assert access.policies[0].document.statements[0].resources == (f"{base}-??????", f"{base}-Ab12Cd")


@given(names=st.lists(SECRET_NAME, min_size=1, max_size=3), optional=st.booleans())
@LAW
def test_leave_for_a_missing_secret_is_never_leave_for_another_one(names: list[str], *, optional: bool) -> None:
    """In no region: the ARN that is asked about while a secret is missing must not be a whole ARN of another name."""
    regions = ("us-west-2", "ap-south-1")[: len(names) - 1]
    text = f"{PAYMENTS}failoverRegions: [{', '.join(regions)}]\nsecrets:\n  - name: {names[0]!r}\n    file: db\n"
    text += f"    optional: {str(optional).lower()}\n" + ("    failover:\n" if regions else "")
    text += "".join(f"      {region}: {{name: {name!r}}}\n" for region, name in zip(regions, names[1:], strict=True))
    likely = [name for name in names if is_suffix_like(name)]
    if not (optional and likely):
        (access,) = derive_all(parse_specs(text), ENVIRONMENT)
        assert all(bool(grant.absent_as) == optional for grant in access.grants)
        assert not any(is_suffix_like(grant.absent_as) for grant in access.grants)
        return
    with pytest.raises(SpecErrors) as caught:
        parse_specs(text)  # no environment is needed to see it
    problems = caught.value.problems
    assert {problem.code for problem in problems} == {"SPEC035"}
    assert len(problems) == len(likely)
    assert all(any(repr(name) in problem.what for problem in problems) for name in likely)


HERE, THERE = (
    f"arn:aws:kms:{region}:111122223333:key/8a2c6f04-1d3b-4e57-9a60" for region in ("eu-west-1", "us-west-2")
)


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        (f"kmsKey: {{eu-west-1: aws}}\n    failover: {{us-west-2: {{kmsKey: '{THERE}'}}}}", ("", THERE)),
        (f"kmsKey: aws\n    failover: {{us-west-2: {{kmsKey: '{THERE}'}}}}", ("", THERE)),
        (f"kmsKey: {{eu-west-1: aws, us-west-2: '{THERE}'}}", ("", THERE)),
        (f"kmsKey: {{eu-west-1: '{HERE}', us-west-2: aws}}", (HERE, "")),
        (f"kmsKey: '{HERE}'\n    failover: {{us-west-2: {{kmsKey: aws}}}}", (HERE, "")),
        (f"kmsKey: '{HERE.replace('key/', 'key/mrk-')}'\n    failover: {{us-west-2: {{kmsKey: aws}}}}", ("mrk", "")),
        ("kmsKey: aws", ("", "")),
        ("kmsKey: {eu-west-1: aws, us-west-2: aws}", ("", "")),
    ],
)
def test_each_region_has_a_customer_s_key_or_aws_s_own(lines: str, keys: tuple[str, str]) -> None:
    """AWS's own key needs no leave: only what a customer's key encrypts may be decrypted, with that key alone."""
    text = f"{PAYMENTS}failoverRegions: [us-west-2]\nsecrets:\n  - name: dev/db\n    {lines}\n"
    (access,) = derive_all(parse_specs(text), ENVIRONMENT)
    wanted = {key.replace("mrk", HERE.replace("key/", "key/mrk-")) for key in keys if key}
    assert {grant.region: bool(grant.key) for grant in access.grants} == {
        "eu-west-1": bool(keys[0]),
        "us-west-2": bool(keys[1]),
    }
    statements = [item for policy in access.policies for item in policy.document.statements]
    assert {arn for item in statements if "kms:Decrypt" in item.actions for arn in item.resources} == wanted


def test_an_environment_may_go_back_to_aws_s_own_key() -> None:
    text = f"{PAYMENTS}secrets:\n  - {{name: dev/db, kmsKey: '{HERE}'}}\n"
    text += "environments:\n  dev:\n    secrets: [{name: dev/db, kmsKey: aws}]\n"
    (access,) = derive_all(parse_specs(text), ENVIRONMENT)
    assert [grant.key for grant in access.grants] == [""]


def test_aws_s_own_key_does_not_serve_another_account_s_secret() -> None:
    secret = "arn:aws:secretsmanager:{}:444455556666:secret:far-Ab12Cd"
    text = f"{PAYMENTS}failoverRegions: [us-west-2]\nsecrets:\n  - name: {secret.format('eu-west-1')}\n    file: far\n"
    text += f"    kmsKey: {{eu-west-1: '{HERE}', us-west-2: aws}}\n"
    (line,) = problems_of(text)
    assert repr(secret.format("us-west-2")) in line
    assert line.endswith("[SPEC034]")


def test_the_name_of_a_role_is_short_stable_and_unique_ignoring_case() -> None:
    def name(cluster: str, region: str, app: str) -> str:
        environment = replace(ENVIRONMENT, cluster=cluster, region=region)
        return derive_all(
            parse_specs(PAYMENTS.replace("app: payments", f"app: {app}") + "secrets: [{name: x}]"), environment
        )[0].role_name

    names = [
        name("dev", "eu-west-1", "payments"),
        name("Dev", "eu-west-1", "payments"),
        name("dev", "us-east-1", "payments"),
        name("dev", "eu-west-1", "us-east-1-payments"),
        name("dev-eu-west-1", "us-east-1", "payments"),
        name("dev", "eu-west-1", "a" * 63),
        name("dev", "eu-west-1", "a" * 62),
    ]
    assert names[0] == "dev-eu-west-1-payments"
    assert len({item.lower() for item in names}) == len(names)
    assert max(map(len, names)) <= 64


def test_a_resolved_entry_keeps_every_field_that_has_no_variables() -> None:
    marks: dict[str, Any] = {item.name: f"mark of {item.name}" for item in fields(ObjectEntry)}
    new: dict[str, Any] = {name: f"new {name}" for name in ("name", "file", "kms_keys", "failover", "restrict")}
    resolved = ObjectEntry(**marks).resolved(**new)
    assert {item.name: getattr(resolved, item.name) for item in fields(ObjectEntry)} == marks | new
