"""What `lockstep doctor` sees in an AWS account: nothing wrong where nothing is, and each thing that is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.derivation import FargateSelector
from lockstep.doctor.aws_reader import READ_ONLY
from lockstep.doctor.endpoint_checks import check_names, check_network
from lockstep.doctor.examination import Absent, Part, examine_aws, examine_cluster, required
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Status, Verdict
from lockstep.project import load_project
from tests.doctor.healthy_account import INTRA_SUBNETS, SUBNETS, FakeAccount, healthy_account, instance, matching
from tests.doctor.test_cluster import bad

Break = Callable[[FakeAccount], Any]
PAYMENTS, REPORTS = "*-payments", "*-reports"


def examine(expected: Expected, account: FakeAccount) -> list[Verdict]:
    return list(examine_aws(expected, account))


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_an_account_as_derived_has_nothing_but_ok(stack: str, request: pytest.FixtureRequest) -> None:
    expected = request.getfixturevalue(stack)
    account = healthy_account(expected)
    verdicts = examine(expected, account)
    assert {verdict.status for verdict in verdicts} == {Status.OK}, [v for v in verdicts if v.status is not Status.OK]
    assert len({(verdict.check, verdict.subject) for verdict in verdicts}) == len(verdicts), "one line per check"
    regions = [verdict.subject for verdict in verdicts if verdict.check == "object"]
    assert any(subject.endswith("us-west-2") for subject in regions) is (stack == "prod"), "replicas are looked at"


def test_an_examination_only_asks_for_descriptions(prod: Expected, dev: Expected) -> None:
    """Held twice: the list of calls that the reader lets out, and every call that an examination makes."""
    verbs = ("Describe", "Get", "List", "Simulate")
    assert all(operation.startswith(verbs) for _, operation in READ_ONLY)
    values = {"GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters", "GetParameterHistory"}
    assert not values & {operation for _, operation in READ_ONLY}
    made = [healthy_account(prod), healthy_account(dev)]
    for expected, account in zip((prod, dev), made, strict=True):
        account.profiles["f"] = [{"namespace": "x"}]
        matching(account.secrets, "*/payments/db")["KmsKeyId"] = "alias/db"
        account.endpoints.clear()
        examine(expected, account)
    assert {call for account in made for call in account.calls} == READ_ONLY, "no call is listed that nothing makes"


def _first(account: FakeAccount, pattern: str) -> Any:  # noqa: ANN401 - JSON
    return matching({("", name): role for name, role in account.roles.items()}, pattern)


def _secret(pattern: str, **changes: object) -> Break:
    return lambda account: matching(account.secrets, pattern).update(changes)


def _parameter(pattern: str, **changes: object) -> Break:
    return lambda account: matching(account.parameters, pattern).update(changes)


def _lose_secret(region: str, name: str) -> Break:
    return lambda account: account.secrets.pop((region, name))


def _role(pattern: str, **changes: object) -> Break:
    return lambda account: _first(account, pattern).update(changes)


def _trust_of_another_cluster(account: FakeAccount) -> None:
    (statement,) = _first(account, PAYMENTS)["AssumeRolePolicyDocument"]["Statement"]
    statement["Principal"] = {
        "Federated": "arn:aws:iam::444455556666:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/OTHER"
    }


def _add_policy(*statements: Mapping[str, object]) -> Break:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return lambda account: _first(account, PAYMENTS)["policies"].append(document)


def _no_way_out(lacking: str) -> Break:
    def change(account: FakeAccount) -> None:
        account.endpoints = [each for each in account.endpoints if not each["ServiceName"].endswith(lacking)]

    return change


def _public_names(account: FakeAccount) -> None:
    account.endpoints[0]["PrivateDnsEnabled"] = False


def _set(**changes: object) -> Break:
    def change(account: FakeAccount) -> None:
        for name, value in changes.items():
            setattr(account, name, value)

    return change


EVERYTHING = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
OTHER_KEY = "arn:aws:kms:eu-west-1:444455556666:key/00000000-0000-0000-0000-000000000000"
BY_HAND = {"associationId": "a", "namespace": "payments", "serviceAccount": "payments-api", "roleArn": "arn:other"}
BROKEN: list[tuple[str, str, Break]] = [
    ("aws.account", "fail", _set(account="999999999999")),
    ("aws.clock", "fail", _set(skew_seconds=400.0)),
    ("eks.cluster", "fail", lambda account: account.cluster["identity"]["oidc"].update(issuer="https://other.example")),
    ("eks.cluster", "warn", lambda account: account.cluster.update(status="UPDATING")),
    ("eks.agent", "warn", _set(addon=None)),
    ("eks.agent", "fail", _set(addon={"status": "DEGRADED", "health": {"issues": [{"code": "X"}]}})),
    ("eks.association", "warn", lambda account: account.associations.append(BY_HAND)),
    ("endpoint.network", "fail", _no_way_out(".sts")),
    ("endpoint.network", "fail", _public_names),
    ("iam.issuer", "fail", lambda account: account.oidc.clear()),
    ("iam.issuer", "fail", lambda account: next(iter(account.oidc.values())).update(ClientIDList=["vault"])),
    ("iam.role", "fail", _trust_of_another_cluster),
    ("iam.role", "fail", _role(PAYMENTS, PermissionsBoundary=None)),
    ("iam.role", "fail", _role(PAYMENTS, Arn="arn:aws:iam::444455556666:role/elsewhere/payments")),
    ("iam.access", "fail", _role(PAYMENTS, policies=[])),
    ("iam.access", "fail", _add_policy({**EVERYTHING, "Effect": "Deny"})),
    ("iam.access", "fail", _add_policy(EVERYTHING)),
    ("object", "fail", _lose_secret("eu-west-1", "prod/payments/db")),
    ("object", "fail", _lose_secret("us-west-2", "prod/payments/db")),
    ("object", "fail", _secret("*/payments/db", DeletedDate="2026-11-01")),
    ("object", "fail", _secret("*/payments/db", VersionIdsToStages={})),
    ("object", "fail", _secret("*/payments/db", KmsKeyId=OTHER_KEY)),
    ("object", "fail", _secret("*/payments/db", KmsKeyId=None)),
    ("object", "fail", _secret("*/shared/smtp", KmsKeyId=OTHER_KEY)),
    ("object", "fail", _secret("*/payments/db", ReplicationStatus=[{"Region": "us-west-2", "Status": "Failed"}])),
    ("object", "fail", _parameter("*/payments/flags", Version=2)),
    ("object", "fail", _parameter("*/reports/schedule", KeyId="alias/aws/ssm")),
    ("object", "fail", lambda account: account.parameters.clear()),
    ("kms.key", "fail", lambda account: account.keys.update(dict.fromkeys(account.keys, "PendingDeletion"))),
]  # fmt: skip


@pytest.mark.parametrize(("check", "status", "breaks"), BROKEN)
def test_what_is_broken_is_found_and_nothing_else(prod: Expected, check: str, status: str, breaks: Break) -> None:
    account = healthy_account(prod)
    breaks(account)
    assert bad(examine(prod, account)) == {check: Status(status)}


@pytest.mark.parametrize(
    "breaks",
    [
        lambda account: account.associations.clear(),
        lambda account: account.associations[0].update(roleArn="arn:aws:iam::111122223333:role/other"),
        lambda account: account.associations[0].update(policy='{"Statement": []}'),
        lambda account: account.associations[0].update(targetRoleArn="arn:aws:iam::999999999999:role/other"),
    ],
)
def test_an_association_that_is_not_as_derived_is_found(dev: Expected, breaks: Break) -> None:
    account = healthy_account(dev)
    assert account.associations
    breaks(account)
    assert bad(examine(dev, account)) == {"eks.association": Status.FAIL}


def test_a_fargate_profile_that_takes_an_app_is_found_and_others_are_to_be_listed(prod: Expected) -> None:
    account = healthy_account(prod)
    account.profiles = {"batch": [{"namespace": "batch-*", "labels": {"a": "b"}}]}
    assert bad(examine(prod, account)) == {"eks.fargate": Status.WARN}
    listed = replace(prod.settings, fargate_selectors=(FargateSelector(namespace="batch-*", labels=(("a", "b"),)),))
    assert bad(examine(replace(prod, settings=listed), account)) == {}
    account.profiles = {"wide": [{"namespace": "pay*"}]}
    assert bad(examine(prod, account)) == {"eks.fargate": Status.FAIL}


def test_a_missing_secret_names_who_makes_it_and_a_replica_how_it_is_made(prod: Expected) -> None:
    account = healthy_account(prod)
    for region in ("eu-west-1", "us-west-2"):
        del account.secrets[region, "prod/shared/smtp"]
    here, there = [verdict for verdict in examine(prod, account) if verdict.status is Status.FAIL]
    assert here.fix.startswith("messaging makes it")
    assert (
        "replicate-secret-to-regions --secret-id prod/shared/smtp --add-replica-regions Region=us-west-2" in there.fix
    )


def test_keys_are_compared_by_what_they_are_not_by_how_they_are_written(prod: Expected) -> None:
    account = healthy_account(prod)
    secret = matching(account.secrets, "*/payments/db")
    arn = secret["KmsKeyId"]
    secret["KmsKeyId"] = arn.rpartition("/")[2]
    assert bad(examine(prod, account)) == {}
    secret["KmsKeyId"] = "alias/db"
    account.aliases["eu-west-1", "alias/db"] = arn
    assert bad(examine(prod, account)) == {}
    account.aliases["eu-west-1", "alias/db"] = OTHER_KEY
    assert bad(examine(prod, account)) == {"object": Status.FAIL}


LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
NAT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat", "State": "active"}


def network(expected: Expected, *outside: str, **changes: object) -> Verdict:
    """Return the verdict on a network without endpoints whose only way out is that of some subnets."""
    account = healthy_account(expected)
    account.endpoints.clear()
    account.tables = [
        {"Associations": [{"Main": True}], "Routes": [LOCAL]},
        {"Associations": [{"SubnetId": each} for each in outside], "Routes": [LOCAL, NAT]},
    ]
    for name, value in changes.items():
        setattr(account, name, value)
    (verdict,) = check_network(expected, account)
    return verdict


def test_where_the_control_plane_is_says_nothing_of_the_nodes(prod: Expected) -> None:
    enclosed = network(prod, *INTRA_SUBNETS)
    assert enclosed.status is Status.FAIL
    assert "nodes in subnet-a, subnet-b have no way out" in enclosed.text
    free = network(prod, *SUBNETS)
    assert free.status is Status.OK
    assert "every subnet of the nodes (subnet-a, subnet-b) has a way out" in free.text
    half = network(prod, *INTRA_SUBNETS, SUBNETS[0])
    assert half.status is Status.FAIL
    assert "nodes in subnet-b have no way out" in half.text


def test_nodes_of_no_managed_group_are_found_by_their_tag(prod: Expected) -> None:
    cluster = prod.environment.cluster
    nodes = [
        instance(cluster, "subnet-k"),
        instance(cluster, "subnet-gone", state="terminated"),
        instance("other", "subnet-other"),
    ]
    for groups in ({}, {"general": SUBNETS}):
        enclosed = network(prod, *SUBNETS, node_groups=groups, instances=nodes)
        assert enclosed.status is Status.FAIL
        assert "nodes in subnet-k have no way out" in enclosed.text
        assert network(prod, *SUBNETS, "subnet-k", node_groups=groups, instances=nodes).status is Status.OK


def test_a_cluster_without_nodes_is_not_judged(prod: Expected) -> None:
    verdict = network(prod, *INTRA_SUBNETS, node_groups={})
    assert verdict.status is Status.SKIPPED
    assert "no managed node group" in verdict.text
    assert f"kubernetes.io/cluster/{prod.environment.cluster}" in verdict.text


def test_instances_that_may_not_be_asked_for_leave_the_node_groups(prod: Expected) -> None:
    may_not = {("ec2", "DescribeInstances")}
    verdict = network(prod, *SUBNETS, denied=may_not)
    assert verdict.status is Status.OK
    assert (
        "outside of node groups nothing is known: your credentials may not call ec2:DescribeInstances" in verdict.text
    )
    assert network(prod, denied=may_not).status is Status.FAIL
    assert network(prod, denied=may_not, node_groups={}).status is Status.SKIPPED


def test_a_route_that_leads_nowhere_is_no_way_out(prod: Expected) -> None:
    dead = {"Associations": [{"SubnetId": each} for each in SUBNETS], "Routes": [LOCAL, NAT | {"State": "blackhole"}]}
    assert network(prod, tables=[dead]).status is Status.FAIL
    main = {"Associations": [{"Main": True}], "Routes": [LOCAL, NAT]}
    assert network(prod, tables=[main]).status is Status.OK, "subnets without a table of their own use the main one"


def test_what_the_credentials_may_not_ask_is_skipped_with_the_call_s_name(prod: Expected) -> None:
    account = healthy_account(prod)
    account.denied = {*READ_ONLY} - {("sts", "GetCallerIdentity")}
    verdicts = examine(prod, account)
    assert bad(verdicts) == {}
    skipped = [verdict for verdict in verdicts if verdict.status is Status.SKIPPED]
    assert {verdict.check for verdict in verdicts if verdict.status is Status.OK} == {"aws.account", "aws.clock"}
    assert all("may not call" in verdict.text for verdict in skipped)
    assert "your credentials may not call iam:SimulatePrincipalPolicy" in {verdict.text for verdict in skipped}


def test_another_account_is_not_looked_at(prod: Expected) -> None:
    account = healthy_account(prod)
    account.account = "999999999999"
    verdicts = examine(prod, account)
    assert [verdict.check for verdict in verdicts] == ["aws.account", "aws.clock", "aws"]
    assert set(account.calls) == {("sts", "GetCallerIdentity")}


def test_before_up_roles_associations_and_the_issuer_may_be_missing_and_secrets_may_not(dev: Expected) -> None:
    account = healthy_account(dev)
    account.roles.clear()
    account.oidc.clear()
    account.associations.clear()
    assert bad(examine(replace(dev, is_before_up=True), account)) == {}
    assert bad(examine(dev, account)).keys() == {"iam.issuer", "iam.role", "eks.association"}
    account.secrets.clear()
    assert bad(examine(replace(dev, is_before_up=True), account)) == {"object": Status.FAIL}


def test_what_an_app_reads_by_path_has_to_hold_something_under_its_key(project: Path, tmp_path: Path) -> None:
    spec = "version: 1\napp: tree\nnamespace: tree\nsecrets: [{name: tree/a}]\nparameterPaths:\n"
    (tmp_path / "tree.yaml").write_text(f"{spec}  - path: /dev/tree\n    reason: the flag library reads the tree\n")
    expected = Expected.of(replace(load_project(project).stack("dev"), app_paths=(tmp_path,)))
    account = healthy_account(expected)
    verdicts = examine(expected, account)
    assert bad(verdicts) == {}, [verdict for verdict in verdicts if verdict.status is not Status.OK]
    assert "1 parameters are below it" in next(each.text for each in verdicts if each.subject.startswith("/dev/tree/*"))
    matching(account.parameters, "/dev/tree/flag")["KeyId"] = OTHER_KEY
    assert bad(examine(expected, account)) == {"object": Status.FAIL}
    account.parameters.clear()
    assert bad(examine(expected, account)) == {"object": Status.WARN}


def test_names_resolve_to_private_or_public_addresses_or_not_at_all(prod: Expected) -> None:
    known = {"sts": ("10.0.0.7",), "ssm": ("10.0.0.8", "52.1.2.3"), "kms": ()}

    def find(host: str) -> tuple[str, ...]:
        return known.get(host.partition(".")[0], ("52.1.2.3",))

    verdicts = {verdict.subject.partition(".")[0]: verdict for verdict in check_names(prod, find)}
    assert {name: verdict.status.value for name, verdict in verdicts.items()} == {
        "sts": "ok", "ssm": "warn", "kms": "warn", "secretsmanager": "ok", "eks-auth": "ok"
    }  # fmt: skip
    assert "VPC endpoint" in verdicts["sts"].text
    assert "public addresses" in verdicts["secretsmanager"].text


def test_a_part_that_had_to_be_looked_at_and_was_not_fails(prod: Expected) -> None:
    verdicts = [*examine_cluster(prod, Absent("no kubeconfig")), *examine_aws(prod, Absent("no credentials"))]
    assert {verdict.status for verdict in verdicts} == {Status.SKIPPED}
    assert [v.status for v in required(verdicts, [Part.AWS])] == [Status.SKIPPED, Status.FAIL]
