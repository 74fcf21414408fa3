"""The `aws` package: what it refuses, what it would change, and the calls it makes (answered by botocore's stubber)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from botocore.stub import Stubber

from lockstep.engine.aws_previewed import sdk_names
from lockstep.engine.aws_provider import AwsProvider
from lockstep.engine.aws_resource import AwsResource
from lockstep.engine.aws_resources import RESOURCES
from lockstep.engine.resource_provider import ProviderError, ProviderObject
from lockstep.engine.values import UNKNOWN, Json

ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/rolePolicy:RolePolicy"
OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"

ROLE_INPUTS: dict[str, Json] = {"name": "payments", "assumeRolePolicy": "{}"}
ROLE_ARN = "arn:aws:iam::000000000000:role/payments"
ROLE_FACTS = {
    "RoleName": "payments",
    "Path": "/",
    "Arn": ROLE_ARN,
    "RoleId": "AROA0000000000000000",
    "CreateDate": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
}
PLACED_ROLE = ProviderObject(
    id="payments",
    outputs={
        **ROLE_INPUTS,
        "path": "/",
        "maxSessionDuration": 3600,
        "arn": ROLE_ARN,
        "uniqueId": "AROA0000000000000000",
        "createDate": "2026-01-02T00:00:00+00:00",
    },
)
ISSUER_ARN = "arn:aws:iam::000000000000:oidc-provider/issuer.example"
PLACED_ISSUER = ProviderObject(
    id=ISSUER_ARN, outputs={"url": "https://issuer.example", "clientIdLists": ["a", "b"], "arn": ISSUER_ARN}
)
PAIR: dict[str, Json] = {
    "clusterName": "dev",
    "namespace": "payments",
    "serviceAccount": "api",
    "roleArn": "arn:aws:iam::000000000000:role/payments",
}
PLACED_PAIR = ProviderObject(
    id="a-1", outputs={**PAIR, "associationId": "a-1", "associationArn": "arn:aws:eks:::a-1", "externalId": ""}
)


@pytest.fixture
def aws() -> AwsProvider:
    """Return a provider whose endpoint nothing listens on: a call that was not stubbed fails."""
    return AwsProvider(endpoint_url="http://127.0.0.1:9", region="eu-west-1", access_key="id", secret_key="key")


@pytest.fixture
def stubs(aws: AwsProvider) -> Iterator[dict[str, Stubber]]:
    """Return a stubber per service; at the end every expected call must have been made."""
    with ExitStack() as stack:
        stubbers = {service: stack.enter_context(Stubber(client)) for service, client in aws._clients.items()}
        yield stubbers
        for stubber in stubbers.values():
            stubber.assert_no_pending_responses()


# ------------------------------------------------------------------------------------------------------------ refusals
def test_an_unknown_type_is_refused_with_the_nearest_known_one(aws: AwsProvider) -> None:
    with pytest.raises(ProviderError, match=r"cannot place aws:iam/rol:Rol\. .* did you mean aws:iam/role:Role\?"):
        aws.check("aws:iam/rol:Rol", {})


def test_a_misspelt_input_is_refused_with_the_real_name(aws: AwsProvider) -> None:
    (problem,) = aws.check(ROLE, {**ROLE_INPUTS, "permissionBoundary": "x"})
    assert problem.property == "permissionBoundary"
    assert problem.reason == "is no input of iam.Role. Fix: did you mean 'permissionsBoundary'?"


def test_a_real_input_that_is_not_placed_is_refused_too(aws: AwsProvider) -> None:
    (problem,) = aws.check(ROLE, {**ROLE_INPUTS, "managedPolicyArns": ["x"]})
    assert problem.reason == "is not placed by the embedded engine. Fix: leave it out"


def test_missing_inputs_and_documents_that_are_no_json_are_named_at_once(aws: AwsProvider) -> None:
    problems = aws.check(POLICY, {"policy": "{", "role": "r"})
    assert [(problem.property, problem.reason.split(".")[0]) for problem in problems] == [
        ("name", "is missing"),
        ("policy", "is not a JSON object"),
    ]


def test_a_document_that_is_unknown_at_preview_passes_the_check(aws: AwsProvider) -> None:
    assert aws.check(POLICY, {"policy": UNKNOWN, "role": "r", "name": "n"}) == ()


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES.keys())
def test_every_input_that_is_placed_is_one_of_pulumi_aws(resource: AwsResource) -> None:
    assert resource.inputs <= sdk_names(resource.sdk_class).inputs
    assert resource.required | resource.documents | resource.immutable | resource.identity <= resource.inputs


def test_another_region_is_refused(aws: AwsProvider) -> None:
    with pytest.raises(ProviderError, match=r"deploys to us-east-1, the AWS endpoint of this run serves eu-west-1"):
        aws.configure({"region": "us-east-1"})


def test_an_account_that_the_stack_does_not_allow_is_refused(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    stubs["sts"].add_response("get_caller_identity", {"Account": "111122223333", "Arn": ROLE_ARN, "UserId": "u"})
    aws.configure({"region": "eu-west-1", "allowedAccountIds": '["111122223333"]'})
    with pytest.raises(ProviderError, match=r"belong to account 111122223333, the stack allows 444455556666"):
        aws.configure({"region": "eu-west-1", "allowedAccountIds": '["444455556666"]'})


def test_an_unknown_function_is_refused(aws: AwsProvider) -> None:
    with pytest.raises(ProviderError, match="does not answer aws:iam/getRole:getRole"):
        aws.invoke("aws:iam/getRole:getRole", {})


def test_a_refusal_of_aws_keeps_its_own_words(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    stubs["iam"].add_client_error("create_role", "EntityAlreadyExists", "Role payments already exists.")
    with pytest.raises(ProviderError, match=r"CreateRole was refused with EntityAlreadyExists: Role payments already"):
        aws.create(ROLE, ROLE_INPUTS)


def test_an_endpoint_that_does_not_answer_is_a_sentence_and_not_a_traceback() -> None:
    silent = AwsProvider(endpoint_url="http://127.0.0.1:9", region="eu-west-1", access_key="id", secret_key="key")
    silent._clients["iam"].meta.events.register("before-send", _refuse)
    with pytest.raises(ProviderError, match=r"AWS could not be asked \(.*\)\. Fix: look at the endpoint"):
        silent.create(ROLE, ROLE_INPUTS)


def _refuse(**_: object) -> None:
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - a stand-in for any local failure

    raise NoCredentialsError


# -------------------------------------------------------------------------------------------------------- what changes
@pytest.mark.parametrize(
    ("resource_type", "old", "new", "replaced", "old_first"),
    [
        (ROLE, ROLE_INPUTS, {**ROLE_INPUTS, "assumeRolePolicy": '{"a":1}'}, (), True),
        (ROLE, ROLE_INPUTS, {**ROLE_INPUTS, "path": "/x/"}, ("path",), True),
        (ROLE, ROLE_INPUTS, {**ROLE_INPUTS, "name": "other"}, ("name",), False),
        (
            POLICY,
            {"name": "n", "role": "r", "policy": "{}"},
            {"name": "n", "role": "s", "policy": "{}"},
            ("role",),
            False,
        ),
        (ASSOCIATION, PAIR, {**PAIR, "namespace": "other"}, ("namespace",), False),
        (ASSOCIATION, PAIR, {**PAIR, "roleArn": "other"}, (), True),
    ],
)
def test_what_cannot_change_in_place_is_replaced(
    aws: AwsProvider,
    resource_type: str,
    old: dict[str, Json],
    new: dict[str, Json],
    replaced: tuple[str, ...],
    *,
    old_first: bool,
) -> None:
    diff = aws.diff(resource_type, old, new)
    assert diff.changes
    assert diff.replace_keys == replaced
    assert diff.delete_before_replace is old_first, "two objects of one name cannot stand side by side"


def test_a_default_that_is_written_out_is_no_change(aws: AwsProvider) -> None:
    assert aws.diff(ROLE, ROLE_INPUTS, {**ROLE_INPUTS, "path": "/"}).changes == ()


def test_what_only_aws_can_tell_is_unknown_before_the_first_create_and_known_after(aws: AwsProvider) -> None:
    planned = aws.plan(ROLE, ROLE_INPUTS, {})
    assert (planned["name"], planned["path"], planned["arn"]) == ("payments", "/", UNKNOWN)
    assert aws.plan(ROLE, ROLE_INPUTS, PLACED_ROLE.outputs)["arn"] == ROLE_ARN


# ----------------------------------------------------------------------------------------------------------- the calls
def test_a_role_is_created_with_what_was_given_and_nothing_else(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    sent = {
        "RoleName": "payments",
        "AssumeRolePolicyDocument": "{}",
        "PermissionsBoundary": "arn:aws:iam::000000000000:policy/boundary",
        "Tags": [{"Key": "a", "Value": "1"}],
    }
    stubs["iam"].add_response("create_role", {"Role": ROLE_FACTS}, sent)
    made = aws.create(
        ROLE, {**ROLE_INPUTS, "permissionsBoundary": "arn:aws:iam::000000000000:policy/boundary", "tags": {"a": "1"}}
    )
    assert made.id == "payments"
    assert made.outputs["arn"] == ROLE_ARN


def test_an_update_of_a_role_makes_one_call_for_each_thing_that_changed(
    aws: AwsProvider, stubs: dict[str, Stubber]
) -> None:
    iam = stubs["iam"]
    name = {"RoleName": "payments"}
    iam.add_response("update_assume_role_policy", {}, {**name, "PolicyDocument": '{"a":1}'})
    iam.add_response("update_role", {}, {**name, "Description": "d", "MaxSessionDuration": 3600})
    iam.add_response("put_role_permissions_boundary", {}, {**name, "PermissionsBoundary": "arn:aws:iam::aws:policy/b"})
    iam.add_response("untag_role", {}, {**name, "TagKeys": ["gone"]})
    iam.add_response("tag_role", {}, {**name, "Tags": [{"Key": "new", "Value": "1"}]})
    prior = ProviderObject(id="payments", outputs={**PLACED_ROLE.outputs, "tags": {"gone": "1", "kept": "1"}})
    inputs: dict[str, Json] = {
        **ROLE_INPUTS,
        "assumeRolePolicy": '{"a":1}',
        "description": "d",
        "permissionsBoundary": "arn:aws:iam::aws:policy/b",
        "tags": {"kept": "1", "new": "1"},
    }
    assert aws.update(ROLE, prior, inputs).outputs["arn"] == ROLE_ARN


def test_a_boundary_that_is_taken_back_is_taken_off_the_role(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    stubs["iam"].add_response("delete_role_permissions_boundary", {}, {"RoleName": "payments"})
    prior = ProviderObject(id="payments", outputs={**PLACED_ROLE.outputs, "permissionsBoundary": "b"})
    assert "permissionsBoundary" not in aws.update(ROLE, prior, ROLE_INPUTS).outputs


def test_a_policy_is_put_changed_and_deleted_under_its_role(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    key = {"RoleName": "r", "PolicyName": "n"}
    stubs["iam"].add_response("put_role_policy", {}, {**key, "PolicyDocument": "{}"})
    stubs["iam"].add_response("put_role_policy", {}, {**key, "PolicyDocument": '{"a":1}'})
    stubs["iam"].add_response("delete_role_policy", {}, key)
    made = aws.create(POLICY, {"name": "n", "role": "r", "policy": "{}"})
    assert made.id == "r:n"
    changed = aws.update(POLICY, made, {"name": "n", "role": "r", "policy": '{"a":1}'})
    aws.delete(POLICY, changed)


def test_client_ids_of_an_issuer_are_added_before_others_are_removed(
    aws: AwsProvider, stubs: dict[str, Stubber]
) -> None:
    key = {"OpenIDConnectProviderArn": ISSUER_ARN}
    stubs["iam"].add_response("add_client_id_to_open_id_connect_provider", {}, {**key, "ClientID": "c"})
    stubs["iam"].add_response("remove_client_id_from_open_id_connect_provider", {}, {**key, "ClientID": "a"})
    aws.update(OIDC, PLACED_ISSUER, {"url": "https://issuer.example", "clientIdLists": ["b", "c"]})


def test_an_association_gets_another_role_in_place(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    answer = {"association": {"associationId": "a-1", "associationArn": "arn:aws:eks:::a-1"}}
    sent = {"clusterName": "dev", "associationId": "a-1", "roleArn": "arn:aws:iam::000000000000:role/other"}
    stubs["eks"].add_response("create_pod_identity_association", answer, PAIR)
    stubs["eks"].add_response("update_pod_identity_association", answer, sent)
    made = aws.create(ASSOCIATION, PAIR)
    assert made == PLACED_PAIR
    aws.update(ASSOCIATION, made, {**PAIR, "roleArn": sent["roleArn"]})


def test_an_association_gets_a_policy_and_a_second_role_and_loses_them_again(
    aws: AwsProvider, stubs: dict[str, Stubber]
) -> None:
    target = "arn:aws:iam::999988887777:role/second"
    inputs: dict[str, Json] = {**PAIR, "policy": "{}", "disableSessionTags": True, "targetRoleArn": target}
    answer = {"association": {"associationId": "a-1", "associationArn": "arn:aws:eks:::a-1", "externalId": "x/y"}}
    stubs["eks"].add_response("create_pod_identity_association", answer, inputs)
    made = aws.create(ASSOCIATION, inputs)
    assert made.outputs["externalId"] == "x/y"
    gone = {"policy": "", "disableSessionTags": False, "targetRoleArn": ""}
    named = {"clusterName": "dev", "associationId": "a-1"}
    stubs["eks"].add_response("update_pod_identity_association", answer, {**named, **gone})
    aws.update(ASSOCIATION, made, PAIR)


def test_a_secrets_policy_is_put_replaced_and_taken_away(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db-Ab12Cd"
    token = "aws:secretsmanager/secretPolicy:SecretPolicy"
    inputs: dict[str, Json] = {"secretArn": arn, "policy": "{}", "blockPublicPolicy": True}
    stub = stubs["secretsmanager"]
    sent = {"SecretId": arn, "BlockPublicPolicy": True}
    stub.add_response("put_resource_policy", {"ARN": arn}, {**sent, "ResourcePolicy": "{}"})
    stub.add_response("put_resource_policy", {"ARN": arn}, {**sent, "ResourcePolicy": '{"a":1}'})
    stub.add_response("get_resource_policy", {"ARN": arn, "ResourcePolicy": "{}"}, {"SecretId": arn})
    stub.add_response("delete_resource_policy", {"ARN": arn}, {"SecretId": arn})
    made = aws.create(token, inputs)
    changed = aws.update(token, made, {**inputs, "policy": '{"a":1}'})
    read = aws.read(token, arn)
    assert read is not None
    assert read.outputs == {"secretArn": arn, "policy": "{}"}
    aws.delete(token, changed)


def test_a_secret_is_looked_up_with_the_policy_that_it_carries(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db-Ab12Cd"
    stub = stubs["secretsmanager"]
    stub.add_response("describe_secret", {"ARN": arn, "Name": "db"}, {"SecretId": "db"})
    stub.add_response("get_resource_policy", {"ARN": arn}, {"SecretId": arn})
    found = aws.invoke("aws:secretsmanager/getSecret:getSecret", {"name": "db"})
    assert (found["arn"], found["policy"]) == (arn, "")


@pytest.mark.parametrize(
    ("resource_type", "service", "operation", "code", "prior"),
    [
        (ROLE, "iam", "delete_role", "NoSuchEntity", PLACED_ROLE),
        (OIDC, "iam", "delete_open_id_connect_provider", "NoSuchEntity", PLACED_ISSUER),
        (ASSOCIATION, "eks", "delete_pod_identity_association", "ResourceNotFoundException", PLACED_PAIR),
    ],
)
def test_deleting_what_is_gone_is_fine(
    aws: AwsProvider,
    stubs: dict[str, Stubber],
    resource_type: str,
    service: str,
    operation: str,
    code: str,
    prior: ProviderObject,
) -> None:
    stubs[service].add_client_error(operation, code, "gone")
    aws.delete(resource_type, prior)


def test_reading_finds_what_is_there_and_says_nothing_of_what_is_not(
    aws: AwsProvider, stubs: dict[str, Stubber]
) -> None:
    stubs["iam"].add_response("get_role", {"Role": {**ROLE_FACTS, "AssumeRolePolicyDocument": "%7B%7D"}})
    stubs["iam"].add_client_error("get_role", "NoSuchEntity", "gone")
    found = aws.read(ROLE, "payments")
    assert found is not None
    assert found.outputs["arn"] == ROLE_ARN
    assert aws.read(ROLE, "payments") is None


def test_a_cluster_is_answered_in_the_shape_of_pulumi_aws(aws: AwsProvider, stubs: dict[str, Stubber]) -> None:
    cluster = {
        "name": "dev",
        "arn": "arn:aws:eks:eu-west-1:000000000000:cluster/dev",
        "endpoint": "https://api.example",
        "version": "1.34",
        "status": "ACTIVE",
        "certificateAuthority": {"data": "Y2E="},
        "identity": {"oidc": {"issuer": "https://issuer.example"}},
    }
    stubs["eks"].add_response("describe_cluster", {"cluster": cluster}, {"name": "dev"})
    answer = aws.invoke("aws:eks/getCluster:getCluster", {"name": "dev"})
    assert answer["identities"] == [{"oidcs": [{"issuer": "https://issuer.example"}]}]
    assert answer["certificateAuthorities"] == [{"data": "Y2E="}]
