"""Who may assume which role, and what holds a session to its app."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from components.derivation import Identity, PolicyDocument, derive_all, parse_specs
from tests.derivation.expected_access import questions_about
from tests.derivation.iam_oracle import allows
from tests.derivation.random_specs import SECOND_ACCOUNT, SECOND_ROLE, SpecText, spec_texts
from tests.derivation.test_derive import ENVIRONMENT, LAW, PAYMENTS, access_of, reading_documents, session_tags


@given(spec_texts())
@LAW
def test_a_session_of_another_service_account_reads_nothing_where_tags_decide(spec: SpecText) -> None:
    access = access_of(spec)
    if "sessionTags" not in spec.settings:
        return
    documents = [one.to_dict() for one in reading_documents(access)]
    for name in ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account"):
        other = session_tags(access, **{name: "other"})
        for question in questions_about(spec.reads):
            context = {**other, **question.context}
            assert not any(allows(one, question.action, question.resource, context) for one in documents)


@given(spec_texts())
@LAW
def test_with_a_second_role_the_own_role_may_assume_exactly_it(spec: SpecText) -> None:
    access = access_of(spec)
    assert (access.chain is not None) == ("chain" in spec.settings)
    if access.chain is None:
        return
    (policy,) = access.policies
    (statement,) = policy.document.statements
    tags = access.identity is Identity.POD_IDENTITY and "sessionPolicy" not in spec.settings
    assert statement.resources == (SECOND_ROLE,)
    assert statement.actions == (("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",))
    assert access.chain.account == SECOND_ACCOUNT
    external = {"sts:ExternalId": "lockstep/dev"} if "external" in spec.settings else {}
    request_tags = {}
    if "eks" in spec.settings and not tags:
        place = f"{access.namespace}/{access.service_account}"
        external = {"sts:ExternalId": f"eu-west-1/111122223333/dev/{place}"}
    elif "eks" in spec.settings:
        request_tags = {key.replace("Principal", "Request"): value for key, value in session_tags(access).items()}
    caller = {"aws:PrincipalArn": access.role_arn, **external, **request_tags}
    assert admits(access.chain.trust, "sts:AssumeRole", "111122223333", caller)
    assert admits(access.chain.trust, "sts:TagSession", "111122223333", caller) == tags
    assert not admits(access.chain.trust, "sts:AssumeRole", "121212121212", caller)
    for key, value in caller.items():
        assert not admits(access.chain.trust, "sts:AssumeRole", "111122223333", caller | {key: f"{value}x"})


def admits(trust: PolicyDocument, action: str, account: str, context: dict[str, str]) -> bool:
    """Say whether a trust lets a role of an account call an action."""
    statements = [one for one in trust.statements if one.principal == ("AWS", f"arn:aws:iam::{account}:root")]
    bare = [{**one.to_dict(), "Resource": ["role"]} for one in statements]
    for one in bare:
        del one["Principal"]
    return allows({"Statement": bare}, action, "role", context)


BOUNDED = "identity: podIdentity\npodIdentity: {scope: sessionPolicy"


def test_a_session_policy_is_the_derived_policy_and_tags_are_off() -> None:
    (access,) = derive_all(parse_specs(PAYMENTS + BOUNDED + "}\nsecrets: [{name: db}]\n"), ENVIRONMENT)
    assert access.association is not None
    assert access.association.policy == access.policies[0].document
    assert access.association.disable_session_tags
    keys = {test.key for statement in access.trust.statements for test in statement.conditions}
    assert keys == {"aws:SourceAccount", "aws:SourceArn"}, "EKS sends no tags that a trust could ask for"
    parameters = access.mounts[0].secret_provider_class["spec"]["parameters"]  # type: ignore[index]
    assert parameters["shareAcrossPods"] == "true", "no tag can decide"


def test_a_session_policy_bounds_the_target_role_whose_trust_asks_for_the_id_that_eks_sends() -> None:
    target = f", targetRole: '{SECOND_ROLE}'}}\nsecrets: [{{name: db}}]\n"
    (access,) = derive_all(parse_specs(PAYMENTS + BOUNDED + target), ENVIRONMENT)
    assert access.association is not None
    assert access.chain is not None
    assert access.association.policy == access.chain.permissions
    assert access.association.target_role_arn == SECOND_ROLE
    assert access.chain.external_id == "eu-west-1/111122223333/dev/payments/payments"
    caller = {"aws:PrincipalArn": access.role_arn, "sts:ExternalId": access.chain.external_id}
    assert admits(access.chain.trust, "sts:AssumeRole", "111122223333", caller)
    for key, value in caller.items():
        assert not admits(access.chain.trust, "sts:AssumeRole", "111122223333", caller | {key: f"{value}x"})


@pytest.mark.parametrize("scope", ["", "podIdentity: {scope: sessionPolicy}\n"])
def test_pod_identity_sessions_with_tags_let_the_provider_tag_the_second_session(scope: str) -> None:
    """Tags of Pod Identity are transitive: the second role must admit them, or nobody can assume it."""
    chain = f"assumeRole: {{role: '{SECOND_ROLE}'}}\nsecrets: [{{name: db}}]\n"
    (access,) = derive_all(parse_specs(f"{PAYMENTS}identity: podIdentity\n{scope}{chain}"), ENVIRONMENT)
    assert access.chain is not None
    caller = {"aws:PrincipalArn": access.role_arn}
    assert admits(access.chain.trust, "sts:TagSession", "111122223333", caller) == (not scope)
    assert ("sts:TagSession" in access.policies[0].document.statements[0].actions) == (not scope)


def test_a_renamed_app_keeps_its_role_its_class_its_account_and_every_right() -> None:
    rest = "namespace: shop\nmounts: {tls: /etc/tls}\nsecrets: [{name: a}, {name: b, mount: tls}]\n"
    (old,) = derive_all(parse_specs(f"version: 1\napp: old\n{rest}"), ENVIRONMENT)
    (new,) = derive_all(parse_specs(f"version: 1\napp: new\nrenamedFrom: [old, middle]\n{rest}"), ENVIRONMENT)
    assert replace(new, app=old.app, renamed_from=()) == old
    assert new.first_name == "old"


@given(spec_texts())
@LAW
def test_the_name_of_the_file_decides_nothing(spec: SpecText) -> None:
    first, second = (derive_all(parse_specs(spec.text, name), ENVIRONMENT) for name in ("a.yaml", "b/c.yaml"))
    assert first == second
