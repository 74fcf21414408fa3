"""The rules of the policy pack: each with what it finds and what it lets pass, and every way around it that we know."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from components.derivation.diff.preview_resources import Resource
from components.derivation.lint.examples import FROM_CLUSTER, ISSUER, SECRET, SUBJECT, irsa, pod_identity, trust
from components.policy_pack.rule import Rule, example
from components.policy_pack.rules import RULES

#: A rule that goes, or is renamed, must go here too: configurations and exemptions say these names.
NAMES = (
    "aws-policies-of-pods-are-known",
    "data-is-encrypted",
    "eks-endpoint-is-not-for-everybody",
    "nodes-use-imdsv2",
    "secret-policies-are-known",
    "secret-reads-are-exact",
    "secrets-are-not-for-everybody",
    "trust-is-exact",
)
ROLE, POLICY = "aws:iam/role:Role", "aws:iam/policy:Policy"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
TO_MANY = "aws:iam/policyAttachment:PolicyAttachment"
ONLY_ATTACHED = "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive"
PERMISSION_SET = "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy"
OF_SET = "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment"
ONLY_INLINE = "aws:iam/rolePoliciesExclusive:RolePoliciesExclusive"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:"
PARAMETER = "arn:aws:ssm:eu-west-1:111122223333:parameter/"


def rule(name: str) -> Rule:
    (found,) = [item for item in RULES if item.name == name]
    return found


def whats(name: str, *resources: object) -> list[str]:
    return [finding.what for finding in rule(name).findings(resources)]  # type: ignore[arg-type]


def document(action: object, resource: object = "*", **more: object) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", "Action": action, "Resource": resource, **more}})


def test_the_pack_has_exactly_these_rules() -> None:
    assert tuple(item.name for item in RULES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_bad_example_is_found_and_the_good_one_is_not(name: str) -> None:
    one = rule(name)
    found = one.findings(one.bad)
    assert found
    if not one.of_stack:
        assert {finding.urn for finding in found} == {resource.urn for resource in one.bad}, "each of them is bad"
    assert one.findings(one.good) == ()
    text = one.text(found[0])
    assert one.title in text
    assert text.endswith(f"Fix: {one.fix}. [{name}]")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_rule_finds_the_example(name: str) -> None:
    """So a rule that is removed, or stops finding, cannot be stood in for by another one."""
    others = [item for item in RULES if item.name != name]
    assert [found for item in others for found in item.findings(rule(name).good)] == []
    if name not in {"eks-endpoint-is-not-for-everybody", "nodes-use-imdsv2"}:  # what is left out breaks two rules
        assert [found for item in others for found in item.findings(rule(name).bad)] == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", "*"),
        ("SECRETSMANAGER:getsecretvalue", "*"),
        ("secretsmanager:Get*", "*"),
        ("secretsmanager:?etSecretValue", f"{ARN}*"),
        ("*", "*"),
        (["s3:GetObject", "secretsmanager:*"], ["arn:aws:s3:::b/*", "*"]),
        ("secretsmanager:GetSecretValue", f"{ARN}prod/*"),
        ("secretsmanager:GetSecretValue", f"{ARN}prod/db-*"),
        ("secretsmanager:GetSecretValue", f"{ARN}prod/db-??????*"),
        ("secretsmanager:GetSecretValue", f"{ARN}prod/*-??????"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:111122223333:secret:prod/db-??????"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:*:secret:prod/db-??????"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*"),
        ("secretsmanager:GetSecretValue", "arn:*"),
        ("secretsmanager:GetSecretValue", "arn:aws"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:111122223333"),
        ("secretsmanager:GetSecretValue", "arn:aws:*:*:*:*"),
        ("ssm:GetParameter", "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/*"),
        ("ssm:GetParametersByPath", "arn:aws:ssm:eu-west-1:111122223333:parameter*"),
        ("ssm:GetParameterHistory", "*"),
        ("ssm:GetParametersByPath", f"{PARAMETER}prod"),
        ("ssm:getparametersbypath", f"{PARAMETER}prod/"),
        ("ssm:GetParameter*", f"{PARAMETER}prod/flags"),
        ("ssm:*", f"{PARAMETER}prod/flags"),
        ("ssm:GetParameter", f"{PARAMETER}prod/${{aws:PrincipalTag/app}}"),
        ("secretsmanager:GetSecretValue", f"{ARN}prod/${{aws:PrincipalTag/app}}-??????"),
        ("secretsmanager:GetSecretValue", f"{ARN}${{aws:PrincipalTag/kubernetes-namespace}}/db-??????"),
    ],
)
def test_every_wildcard_that_reads_secrets_is_found(action: object, resource: object) -> None:
    for holder in (
        example(ROLE_POLICY, policy=document(action, resource)),
        example(POLICY, policy=document(action, resource)),
        example("aws:iam/userPolicy:UserPolicy", policy=document(action, resource)),
        example("aws:iam/groupPolicy:GroupPolicy", policy=document(action, resource)),
        example(PERMISSION_SET, inlinePolicy=document(action, resource)),
        example(ROLE, inlinePolicies=[{"name": "a", "policy": document(action, resource)}]),
    ):
        (what,) = whats("secret-reads-are-exact", holder)
        assert "reads" in what


@pytest.mark.parametrize("inverted", [{"NotAction": "iam:*"}, {"NotAction": ["s3:*"], "Sid": "Inverted"}])
def test_what_is_not_listed_is_read_too(inverted: dict[str, object]) -> None:
    text = json.dumps({"Statement": [{"Effect": "Allow", "Resource": "*", **inverted}]})
    assert len(whats("secret-reads-are-exact", example(ROLE_POLICY, policy=text))) == 1
    other = json.dumps({"Statement": [{"Effect": "Allow", "Action": "secretsmanager:*", "NotResource": SECRET}]})
    assert len(whats("secret-reads-are-exact", example(ROLE_POLICY, policy=other))) == 1


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", SECRET),
        ("secretsmanager:GetSecretValue", f"{ARN}prod/db-Ab12Cd"),
        ("secretsmanager:*", f"{ARN}prod/db-Ab12Cd"),  # a rotation's own secret
        ("secretsmanager:ListSecrets", "*"),
        ("ssm:GetParameters", "arn:aws:ssm:eu-west-1:111122223333:parameter/prod/flags"),
        ("*", f"{ARN}prod/db-Ab12Cd"),  # of its reads by path none is of a secret
        ("ssm:GetParametersByPath", f"{ARN}prod/db-Ab12Cd"),
        ("*", "arn:aws:s3:::bucket/*"),
        ("s3:*", "*"),
        (["kms:Decrypt", "logs:*"], "*"),
    ],
)
def test_exact_reads_and_other_wildcards_are_let_pass(action: object, resource: object) -> None:
    assert whats("secret-reads-are-exact", example(ROLE_POLICY, policy=document(action, resource))) == []


def test_the_linter_gives_the_words_and_the_code() -> None:
    (what,) = whats("secret-reads-are-exact", example(ROLE_POLICY, policy=document("secretsmanager:GetSecretValue")))
    assert what == ("policy, statement 1 reads '*' ('*' grants every secret that there is or will be [LS104])")


def test_a_policy_of_aws_that_reads_everything_is_found_by_its_name() -> None:
    arn = "arn:aws:iam::aws:policy/"
    for name in (
        "SecretsManagerReadWrite",
        "AWSSecretsManagerClientReadOnlyAccess",
        "service-role/AmazonSSMAutomationRole",
    ):
        for kind in (ATTACHMENT, TO_MANY):
            assert len(whats("secret-reads-are-exact", example(kind, policyArn=f"{arn}{name}"))) == 1
        assert len(whats("secret-reads-are-exact", example(OF_SET, managedPolicyArn=f"{arn}{name}"))) == 1
        assert len(whats("secret-reads-are-exact", example(ROLE, managedPolicyArns=[f"{arn}{name}"]))) == 1
        assert len(whats("secret-reads-are-exact", example(ONLY_ATTACHED, policyArns=[f"{arn}{name}"]))) == 1
    assert whats("secret-reads-are-exact", example(ATTACHMENT, policyArn=f"{arn}AmazonEKSClusterPolicy")) == []


LET_IN = {
    "irsa": trust({"StringEquals": irsa()["StringEquals"]}),
    "pod identity": pod_identity(FROM_CLUSTER),
    "unknown": UNKNOWN,
    "unreadable": "{",
}
ELSEWHERE = {
    "lambda": trust(None, {"Service": "lambda.amazonaws.com"}, "sts:AssumeRole"),
    "ci": trust(
        {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:org/shop:*"}},
        {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},
    ),
}


def carrying(text: str, arn: str) -> tuple[tuple[Resource, ...], ...]:
    """Return a role with a policy of AWS, one stack for each way to attach it."""
    role = example(ROLE, "shop", name="shop", assumeRolePolicy=text)
    return (
        (role, example(ATTACHMENT, "a", role="shop", policyArn=arn)),
        (role, example(TO_MANY, "a", roles=["shop"], policyArn=arn)),
        (role, example(ONLY_ATTACHED, "a", roleName="shop", policyArns=[arn])),
        (example(ROLE, "shop", name="shop", assumeRolePolicy=text, managedPolicyArns=[arn]),),
    )


@pytest.mark.parametrize("text", LET_IN.values(), ids=LET_IN.keys())
@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_a_pod_carries_no_policy_of_aws_that_nobody_here_knows(text: str, partition: str) -> None:
    of_aws = f"arn:{partition}:iam::aws:policy/"
    for name in ("AmazonRedshiftDataFullAccess", "service-role/AmazonSSMAutomationRole", "other/AmazonEKS_CNI_Policy"):
        for stack in carrying(text, of_aws + name):
            (found,) = rule("aws-policies-of-pods-are-known").findings(stack)
            assert (found.urn, found.names) == (stack[0].urn, (of_aws + name, name))
    for name in ("AmazonEKS_CNI_Policy", "service-role/AmazonEBSCSIDriverPolicy"):
        assert [whats("aws-policies-of-pods-are-known", *stack) for stack in carrying(text, of_aws + name)] == [[]] * 4


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_who_is_no_pod_carries_policies_of_aws(text: str) -> None:
    arn = "arn:aws:iam::aws:policy/AmazonRedshiftDataFullAccess"
    assert [whats("aws-policies-of-pods-are-known", *stack) for stack in carrying(text, arn)] == [[]] * 4
    user = example("aws:iam/userPolicyAttachment:UserPolicyAttachment", user="shop", policyArn=arn)
    assert whats("aws-policies-of-pods-are-known", user) == []


def test_a_role_of_another_stack_may_be_a_pods() -> None:
    arn = "arn:aws:iam::aws:policy/AmazonRedshiftDataFullAccess"
    assert len(whats("aws-policies-of-pods-are-known", example(ATTACHMENT, role="elsewhere", policyArn=arn))) == 1
    chosen = example(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        roleArn="arn:aws:iam::111122223333:role/shop",
        namespace="shop",
        serviceAccount="shop",
    )
    stack = carrying(ELSEWHERE["lambda"], arn)[0]
    assert len(whats("aws-policies-of-pods-are-known", *stack, chosen)) == 1, "the association says so"


def test_a_read_by_path_says_what_it_reads() -> None:
    (what,) = whats(
        "secret-reads-are-exact", example(POLICY, policy=document("ssm:GetParametersByPath", f"{PARAMETER}prod"))
    )
    assert what == f"policy, statement 1 reads '{PARAMETER}prod' with all below it, by ssm:GetParametersByPath"


def test_conditions_on_session_tags_leave_a_read_exact() -> None:
    """What the derivation writes for `sessionTags`: the object by name, and the tags as conditions."""
    tags = {"eks-cluster-arn": "arn:aws:eks:eu-west-1:1:cluster/a", "kubernetes-namespace": "shop"}
    condition = {"StringEquals": {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}}
    text = document("secretsmanager:GetSecretValue", SECRET, Condition=condition)
    assert whats("secret-reads-are-exact", example(POLICY, policy=text)) == []


def test_a_document_that_cannot_be_read_is_found() -> None:
    for text in (
        "{",
        "{}",
        '{"statement": [{"effect": "Allow", "action": "*", "resource": "*"}]}',
        '{"Statement": [{"Effect": "Alow", "Action": "*"}]}',
        "[]",
    ):
        assert len(whats("secret-reads-are-exact", example(ROLE_POLICY, policy=text))) == 1
        assert len(whats("trust-is-exact", example(ROLE, assumeRolePolicy=text))) == 1


OTHER = "s3.amazonaws.com/my-issuer"  # a cluster's that is not of EKS


def elsewhere(operator: str, *subjects: str, host: str = OTHER) -> str:
    """Return a trust for subjects of an issuer that is not EKS's."""
    return trust(
        {operator: {f"{host}:sub": subjects}}, {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{host}"}
    )


EXACT = {f"{ISSUER}:sub": SUBJECT, f"{ISSUER}:aud": "sts.amazonaws.com"}
GITHUB = "token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    "text",
    [
        trust(None),
        trust({"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}),
        trust({"StringEquals": {f"{ISSUER}:sub": SUBJECT}}),
        trust({"StringLike": EXACT | {f"{ISSUER}:sub": "system:serviceaccount:shop:*"}}),
        trust({"StringLike": {f"{ISSUER}:sub": "system:*"}, "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}),
        trust({"StringNotEquals": EXACT}),
        trust({"StringEqualsIfExists": EXACT}),
        trust({"ForAllValues:StringEquals": EXACT}),
        trust({"StringEqualsIgnoreCase": EXACT}),
        trust({"StringEquals": EXACT | {f"{ISSUER}:sub": "system:serviceaccount:${aws:PrincipalTag/a}:b"}}),
        trust({"StringEquals": {"oidc.eks.eu-west-1.amazonaws.com/id/OTHER:sub": SUBJECT} | EXACT} | {}).replace(
            f"{ISSUER}:sub", "oidc.eks.eu-west-1.amazonaws.com/id/X:sub"
        ),
        trust(None, "*", "sts:AssumeRole"),
        trust(None, {"AWS": ["*"]}, "sts:AssumeRole"),
        pod_identity(None),
        pod_identity({"StringEquals": {"aws:SourceAccount": "111122223333"}}),
        pod_identity({"StringEquals": {"aws:SourceArn": FROM_CLUSTER["StringEquals"]["aws:SourceArn"]}}),
        pod_identity({"ArnLike": {"aws:SourceArn": "arn:aws:eks:*"}, "StringEquals": {"aws:SourceAccount": "1"}}),
        trust(None, {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"}),
        trust(None, {"Federated": "*"}),
        trust(None, {"Service": "*"}, "sts:AssumeRole"),
        elsewhere("StringLike", "*"),
        elsewhere("StringLike", "system:*"),
        elsewhere("StringLike", "system:serviceaccount*"),
        elsewhere("StringLike", "s?stem:serviceaccount:shop:shop"),
        elsewhere("StringLike", "repo:org/shop:*", "*:shop:shop"),
        elsewhere("ForAnyValue:StringLike", "system:*"),
        elsewhere("StringLikeIfExists", "system:*"),
        elsewhere("StringEqualsIgnoreCase", "System:ServiceAccount:shop:shop"),
        elsewhere("StringEquals", "system:${aws:PrincipalTag/a}"),
        elsewhere("StringEquals", "system:serviceaccount:shop:shop"),
        elsewhere("StringNotLike", "repo:org/*"),
        elsewhere("StringNotEquals", "repo:org/shop:ref:refs/heads/main"),
        elsewhere("StringLike", "*", host=GITHUB),
        UNKNOWN,
    ],
)
def test_trust_that_is_not_exact_is_found(text: str) -> None:
    assert len(whats("trust-is-exact", example(ROLE, assumeRolePolicy=text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        trust({"StringEquals": EXACT}),
        trust({"StringLike": EXACT}),  # without a wildcard it is the same
        trust({"StringEquals": {key.upper(): value for key, value in EXACT.items()}}),
        trust({"StringEquals": EXACT | {f"{ISSUER}:sub": [SUBJECT, "system:serviceaccount:shop:cart"]}}),
        pod_identity(FROM_CLUSTER),
        pod_identity(
            {
                "ArnEquals": {"AWS:sourcearn": "arn:aws:eks:eu-west-1:111122223333:cluster/prod"},
                "StringEquals": {"aws:SourceAccount": "111122223333"},
            }
        ),
        trust(None, {"Service": "lambda.amazonaws.com"}, "sts:AssumeRole"),
        trust(None, {"AWS": "arn:aws:iam::111122223333:root"}, "sts:AssumeRole"),
        elsewhere("StringLike", "repo:org/*"),
        elsewhere("StringEquals", "system"),
        elsewhere("StringLike", "system:node:*"),
        trust(
            {
                "StringLike": {f"{GITHUB}:sub": "repo:org/shop:*"},
                "StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"},
            },
            {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"},
        ),
    ],
)
def test_exact_trust_and_trust_that_is_not_of_pods_are_let_pass(text: str) -> None:
    assert whats("trust-is-exact", example(ROLE, assumeRolePolicy=text)) == []


def test_an_unknown_policy_is_found_wherever_the_role_may_read_secrets() -> None:
    """A pod's role, one that reads by another policy, one whose trust is unknown, and one that another stack has."""
    lambda_trust = trust(None, {"Service": "lambda.amazonaws.com"}, "sts:AssumeRole")
    unknown = example(ROLE_POLICY, "unknown", role="shop", policy=UNKNOWN)
    reads = example(ROLE_POLICY, "reads", role="shop", policy=document("secretsmanager:GetSecretValue", SECRET))
    pods = example(ROLE, "shop", name="shop", assumeRolePolicy=trust({"StringEquals": EXACT}))
    works = example(ROLE, "shop", name="shop", assumeRolePolicy=lambda_trust)
    for stack in (
        (pods, unknown),
        (example(ROLE, "shop", name="shop", assumeRolePolicy=UNKNOWN), unknown),
        (works, unknown, reads),
        (unknown,),
    ):
        (what,) = whats("secret-policies-are-known", *stack)
        assert "known only after the deployment" in what
    assert whats("secret-policies-are-known", works, unknown) == [], "nothing says that it reads secrets"


URN = {name: f"urn:pulumi:prod::shop::{kind}::{name}" for kind, name in ((ROLE, "shop"), (POLICY, "reads"))}


def needing(resource: Resource, **needs: str) -> Resource:
    """Return a resource whose properties come from outputs of others."""
    return replace(resource, needs={key: (urn,) for key, urn in needs.items()})


@pytest.mark.parametrize(
    ("kind", "properties", "needs"),
    [
        (ATTACHMENT, {"role": UNKNOWN, "policyArn": UNKNOWN}, {"role": URN["shop"], "policyArn": URN["reads"]}),
        (TO_MANY, {"roles": ["shop"], "policyArn": UNKNOWN}, {"policyArn": URN["reads"]}),
        (TO_MANY, {"roles": ["other", UNKNOWN], "policyArn": "arn:a:policy/reads"}, {"roles": URN["shop"]}),
        (TO_MANY, {"roles": UNKNOWN, "policyArn": UNKNOWN}, {"roles": URN["shop"], "policyArn": URN["reads"]}),
        (ONLY_ATTACHED, {"roleName": "shop", "policyArns": [UNKNOWN]}, {"policyArns": URN["reads"]}),
        (ONLY_ATTACHED, {"roleName": UNKNOWN, "policyArns": [UNKNOWN]}, {"roleName": URN["shop"]}),
        (ONLY_ATTACHED, {"roleName": "shop", "policyArns": UNKNOWN}, {"policyArns": URN["reads"]}),
        (ONLY_ATTACHED, {"roleName": "shop", "policyArns": ["arn:aws:iam::111122223333:policy/elsewhere"]}, {}),
        (ONLY_INLINE, {"roleName": "shop", "policyNames": ["elsewhere"]}, {}),
        (ONLY_INLINE, {"roleName": "shop", "policyNames": [UNKNOWN]}, {}),
    ],
)
def test_an_unknown_policy_is_found_however_it_is_attached(
    kind: str, properties: dict[str, object], needs: dict[str, str]
) -> None:
    role = example(ROLE, "shop", name="shop", assumeRolePolicy=trust({"StringEquals": EXACT}))
    loose = example(POLICY, "reads", name="reads", policy=UNKNOWN)
    found = rule("secret-policies-are-known").findings(
        (role, loose, needing(example(kind, "a", **properties), **needs))
    )
    assert [finding.what for finding in found if finding.urn == role.urn], "it is the pod's role that may read"


@pytest.mark.parametrize("properties", [{"inlinePolicies": UNKNOWN}, {"managedPolicyArns": UNKNOWN}])
def test_a_role_that_holds_an_unknown_list_of_policies_is_found(properties: dict[str, object]) -> None:
    role = example(ROLE, "shop", name="shop", assumeRolePolicy=trust({"StringEquals": EXACT}), **properties)
    assert len(whats("secret-policies-are-known", role)) == 1


@pytest.mark.parametrize(
    ("kind", "properties", "needs"),
    [
        (ROLE, {"name": "shop", "managedPolicyArns": [UNKNOWN]}, {"managedPolicyArns": URN["reads"]}),
        (TO_MANY, {"roles": ["shop"], "policyArn": UNKNOWN}, {"policyArn": URN["reads"]}),
        (ONLY_ATTACHED, {"roleName": "shop", "policyArns": [UNKNOWN]}, {"policyArns": URN["reads"]}),
        (ONLY_INLINE, {"roleName": "shop", "policyNames": ["inline"]}, {}),
    ],
)
def test_a_known_policy_is_let_pass_however_it_is_attached(
    kind: str, properties: dict[str, object], needs: dict[str, str]
) -> None:
    """Its ARN is not known before it is made, its text is."""
    trusted = {"assumeRolePolicy": trust({"StringEquals": EXACT})}
    loose = example(POLICY, "reads", policy=document("secretsmanager:GetSecretValue", SECRET))
    inline = example(ROLE_POLICY, "inline", role="shop", policy=document("secretsmanager:GetSecretValue", SECRET))
    role = example(ROLE, "shop", name="shop", **trusted)
    attaches = example(kind, "shop" if kind == ROLE else "a", **properties, **(trusted if kind == ROLE else {}))
    stack = (
        (needing(attaches, **needs), loose, inline)
        if kind == ROLE
        else (role, loose, inline, needing(attaches, **needs))
    )
    assert whats("secret-policies-are-known", *stack) == []


def test_a_name_that_looks_like_a_policy_of_aws_hides_nothing() -> None:
    role = example(ROLE, "shop", name="shop", assumeRolePolicy=trust({"StringEquals": EXACT}))
    inline = example(ROLE_POLICY, "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy", role="shop", policy=UNKNOWN)
    assert len(whats("secret-policies-are-known", role, inline)) == 1


def test_a_policy_of_another_stack_is_unknown_and_one_of_aws_is_not() -> None:
    role = example(ROLE, "shop", name="shop", assumeRolePolicy=trust({"StringEquals": EXACT}))
    kind = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    foreign = example(kind, role="shop", policyArn="arn:aws:iam::111122223333:policy/shop")
    assert len(whats("secret-policies-are-known", role, foreign)) == 1
    of_aws = example(kind, role="shop", policyArn="arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")
    assert whats("secret-policies-are-known", role, of_aws) == []


SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
READER = "arn:aws:iam::111122223333:role/shop"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": [READER, "*"]}}, True),
        ({"NotPrincipal": {"AWS": READER}}, True),
        ({"Principal": "*", "Action": "*"}, True),
        ({"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
        ({"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalArn": READER}}}, True),
        ({"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "*"}}}, True),
        ({"Principal": "*", "Condition": {"ArnEquals": {"aws:PrincipalArn": READER}}}, False),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:principalorgid": "o-example"}}}, False),
        ({"Principal": "*", "Action": "secretsmanager:DescribeSecret"}, False),
        ({"Principal": "*", "Effect": "Deny"}, False),
        ({"Principal": {"AWS": READER}}, False),
    ],
)
def test_whom_a_secret_s_own_policy_lets_in(statement: dict[str, object], *, found: bool) -> None:
    text = document("secretsmanager:GetSecretValue", "*", **statement)
    for kind in (SECRET_POLICY, "aws:secretsmanager/secret:Secret"):
        assert bool(whats("secrets-are-not-for-everybody", example(kind, policy=text))) is found


def test_a_secret_s_policy_that_nobody_can_read_is_found_and_none_is_not() -> None:
    for text in (UNKNOWN, "{", document("secretsmanager:GetSecretValue", "*", Principal={"AWS": UNKNOWN})):
        assert len(whats("secrets-are-not-for-everybody", example(SECRET_POLICY, policy=text))) == 1
    for properties in ({}, {"policy": ""}):
        assert whats("secrets-are-not-for-everybody", example("aws:secretsmanager/secret:Secret", **properties)) == []


CLUSTER = "aws:eks/cluster:Cluster"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
SPOT = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"
SPOT_FLEET = "aws:ec2/spotFleetRequest:SpotFleetRequest"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
ROOT = {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, True),
        ({"endpointPrivateAccess": True}, True),
        ({"endpointPublicAccess": True}, True),
        ({"endpointPublicAccess": True, "publicAccessCidrs": []}, True),
        ({"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24", "0.0.0.0/0"]}, True),
        ({"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, True),
        ({"endpointPublicAccess": True, "publicAccessCidrs": ["::/0"]}, True),
        ({"endpointPublicAccess": True, "publicAccessCidrs": ["anywhere"]}, True),
        ({"endpointPublicAccess": True, "publicAccessCidrs": [UNKNOWN]}, True),
        ({"endpointPublicAccess": UNKNOWN}, True),
        ({"endpointPublicAccess": False}, False),
        ({"endpointPublicAccess": False, "publicAccessCidrs": ["0.0.0.0/0"]}, False),
        ({"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}, False),
    ],
)
def test_who_may_reach_the_api(config: dict[str, object], *, found: bool) -> None:
    assert bool(whats("eks-endpoint-is-not-for-everybody", example(CLUSTER, vpcConfig=config))) is found


@pytest.mark.parametrize(
    ("kind", "properties", "found"),
    [
        ("aws:ec2/launchTemplate:LaunchTemplate", {}, True),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpTokens": "optional"}}, True),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": UNKNOWN}, True),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpTokens": "required"}}, False),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpEndpoint": "disabled"}}, False),
        ("aws:ec2/instance:Instance", {}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}}, False),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "metadataOptions": {"httpTokens": "optional"}}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "metadataOptions": {"httpTokens": UNKNOWN}}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "metadataOptions": UNKNOWN}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "metadataOptions": {"httpPutResponseHopLimit": 1}}, False),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "metadataOptions": {"httpTokens": "required"}}, False),
        (SPOT, {}, True),
        (SPOT, {"metadataOptions": {"httpTokens": "required"}}, False),
        (SPOT_FLEET, {"launchSpecifications": [{"instanceType": "m7g.large"}]}, True),
        (SPOT_FLEET, {"launchTemplateConfigs": [{"launchTemplateSpecification": {"id": "lt-1"}}]}, False),
        (NODE_CLASS, {"spec": {"metadataOptions": {"httpTokens": "optional"}}}, True),
        (NODE_CLASS, {"spec": {}}, False),
        ("aws:ec2/launchConfiguration:LaunchConfiguration", {}, True),
        ("aws:eks/nodeGroup:NodeGroup", {}, True),
        ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"id": UNKNOWN}}, False),
    ],
)
def test_instances_and_imdsv2(kind: str, properties: dict[str, object], *, found: bool) -> None:
    assert bool(whats("nodes-use-imdsv2", example(kind, **properties))) is found


@pytest.mark.parametrize(
    ("kind", "properties", "found"),
    [
        (CLUSTER, {}, True),
        (CLUSTER, {"encryptionConfig": {"provider": {"keyArn": "k"}, "resources": []}}, True),
        (CLUSTER, {"encryptionConfig": {"provider": {}, "resources": ["secrets"]}}, True),
        (CLUSTER, {"encryptionConfig": {"provider": {"keyArn": UNKNOWN}, "resources": ["secrets"]}}, False),
        ("aws:ebs/volume:Volume", {"encrypted": False}, True),
        ("aws:ebs/volume:Volume", {"encrypted": UNKNOWN}, True),
        ("aws:ebs/volume:Volume", {"encrypted": True}, False),
        ("aws:efs/fileSystem:FileSystem", {}, True),
        ("aws:efs/fileSystem:FileSystem", {"encrypted": True}, False),
        ("aws:ec2/launchTemplate:LaunchTemplate", {}, True),
        (TEMPLATE, {"blockDeviceMappings": [ROOT]}, False),
        (TEMPLATE, {"blockDeviceMappings": [ROOT | {"ebs": {"encrypted": "false"}}]}, True),
        (TEMPLATE, {"blockDeviceMappings": [ROOT, {"deviceName": "/dev/xvdb", "ebs": {"volumeSize": 9}}]}, True),
        (TEMPLATE, {"blockDeviceMappings": [ROOT, {"virtualName": "ephemeral0"}]}, False),
        (TEMPLATE, {"blockDeviceMappings": [ROOT | {"deviceName": "/dev/sda1"}]}, False),
        (TEMPLATE, {"blockDeviceMappings": [ROOT | {"deviceName": "/dev/xvdb"}]}, True),
        (TEMPLATE, {"blockDeviceMappings": [ROOT | {"deviceName": UNKNOWN}]}, True),
        (TEMPLATE, {"blockDeviceMappings": [{"deviceName": "/dev/xvda"}]}, True),
        (TEMPLATE, {"blockDeviceMappings": UNKNOWN}, True),
        (NODE_CLASS, {"spec": {}}, False),
        (NODE_CLASS, {"spec": {"blockDeviceMappings": [ROOT | {"ebs": {"encrypted": True}}]}}, False),
        (NODE_CLASS, {"spec": {"blockDeviceMappings": [ROOT | {"ebs": {"volumeSize": "20Gi"}}]}}, True),
        (SPOT, {}, True),
        (SPOT, {"rootBlockDevice": {"encrypted": True}}, False),
        (SPOT_FLEET, {"launchSpecifications": [{}]}, True),
        (SPOT_FLEET, {"launchSpecifications": [{"rootBlockDevices": [{"encrypted": True}]}]}, False),
        (SPOT_FLEET, {"launchSpecifications": [{"rootBlockDevices": [{"volumeSize": 9}]}]}, True),
        (SPOT_FLEET, {"launchTemplateConfigs": [{}]}, False),
        (INSTANCE, {}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}}, False),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "rootBlockDevice": {"encrypted": False}}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "rootBlockDevice": {"volumeSize": 50}}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "rootBlockDevice": UNKNOWN}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "ebsBlockDevices": [{"deviceName": "b"}]}, True),
        (INSTANCE, {"launchTemplate": {"id": "lt-1"}, "ebsBlockDevices": UNKNOWN}, True),
        ("aws:ec2/instance:Instance", {"rootBlockDevice": {"encrypted": True}}, False),
        (
            "aws:ec2/instance:Instance",
            {"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"deviceName": "b"}]},
            True,
        ),
    ],
)
def test_what_is_encrypted(kind: str, properties: dict[str, object], *, found: bool) -> None:
    assert bool(whats("data-is-encrypted", example(kind, **properties))) is found
