"""Refused mounts explained: texts of the provider, rendered by its own code, and of AWS's provider."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation.answers import (
    Answers,
    Aspect,
    Diagnosis,
    MountProblem,
    ProblemKind,
    State,
    diagnose,
    find_apps,
    parse_event,
)
from components.derivation.spec import Identity
from provider_runtime.errors import ErrorCode, MountError, join_errors
from provider_runtime.failure_texts import render_outcomes
from provider_runtime.ports import AGENT_ACTION, CallError
from provider_runtime.read_outcomes import FailedRead, InvalidParameters
from provider_runtime.secret_objects import ObjectType, SecretObject
from tests.derivation.answers.test_answers import ACCOUNT, ENVIRONMENT, KEY, REGION, TWO_APPS, fleet

ROLE = f"arn:aws:iam::{ACCOUNT}:role/prod-eu-west-1-payments"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/prod-eu-west-1-payments/payments-payments"


def event(error: MountError | str, *, pod: str = "payments/payments-0") -> str:
    """Return what kubelet says of a refused mount."""
    text = str(error)
    return (
        'Warning  FailedMount  3s (x5 over 12s)  kubelet  MountVolume.SetUp failed for volume "lockstep-secrets" : '
        f"rpc error: code = Unknown desc = failed to mount secrets store objects for pod {pod}, "
        f"err: rpc error: code = PermissionDenied desc = {text}\n"
    )


def failed(name: str, call: CallError, *, index: int = 0, store: ObjectType = ObjectType.SECRETS_MANAGER) -> MountError:
    """Return the provider's error for one object that could not be read."""
    objects = [SecretObject(name="other", type=store)] * index + [SecretObject(name=name, type=store)]
    outcomes = [FailedRead(failures=(call,))] * (index + 1)
    where, caller = "SecretProviderClass payments/payments", f"role {ROLE}"
    error = render_outcomes(objects, outcomes, regions=(REGION,), where=where, caller=caller)[index]
    assert isinstance(error, MountError)
    return error


def denied(name: str, *, because: str = "no identity-based policy allows the action") -> CallError:
    action = "secretsmanager:GetSecretValue"
    message = f"User: {SESSION} is not authorized to perform: {action} on resource: {name} because {because}"
    cause = f"400: AccessDeniedException: {message}"
    return CallError(ErrorCode.ACCESS_DENIED, region=REGION, action=action, cause=cause, fix="grant it")


def one(text: str) -> MountProblem:
    (problem,) = parse_event(text)
    return problem


def explained(problem: MountProblem, answers: Answers | None = None, app: str = "payments") -> Diagnosis:
    found = list(diagnose(answers or Answers(fleet()), app, problem=problem))
    assert len(found) == 1
    return found[0]


def states(diagnosis: Diagnosis) -> dict[Aspect, State]:
    return {finding.aspect: finding.state for finding in diagnosis.findings}


# ------------------------------------------------------------------------------------------------------ reading events


def test_a_denial_of_this_provider_tells_everything() -> None:
    problem = one(event(failed("prod/payments/db", denied("prod/payments/db"), index=1)))
    assert (problem.kind, problem.code) == (ProblemKind.DENIED, "LSP312")
    assert (problem.namespace, problem.class_name, problem.index) == ("payments", "payments", 1)
    assert (problem.names, problem.regions) == (("prod/payments/db",), (REGION,))
    assert problem.action == "secretsmanager:GetSecretValue"
    assert problem.role == "prod-eu-west-1-payments"
    assert problem.accounts == (ACCOUNT,)


def test_several_problems_of_one_mount_are_several() -> None:
    missing = render_outcomes(
        [SecretObject(name="/prod/payments/flags", type=ObjectType.PARAMETER)],
        [InvalidParameters(region=REGION, names=("/prod/payments/flags:3",))],
        regions=(REGION,),
        where="SecretProviderClass payments/payments",
        caller=ROLE,
    )[0]
    assert isinstance(missing, MountError)
    problems = parse_event(event(join_errors([failed("prod/payments/db", denied("x")), missing])))
    assert [(problem.kind, problem.code) for problem in problems] == [
        (ProblemKind.DENIED, "LSP312"),
        (ProblemKind.NOT_FOUND, "LSP311"),
    ]
    assert [problem.names for problem in problems] == [("prod/payments/db",), ("/prod/payments/flags:3",)]
    assert {problem.class_name for problem in problems} == {"payments"}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_of_the_provider_has_a_meaning(code: ErrorCode) -> None:
    problem = one(event(MountError(code, where="SecretProviderClass a/b", what="something", fix="do it")))
    assert problem.code == code.value
    assert problem.kind is not ProblemKind.OTHER
    assert (problem.namespace, problem.class_name) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "kind", "names"),
    [
        (
            "Failed to fetch secret from all regions. Verify secret exists and permissions are granted for: prod/db",
            ProblemKind.HIDDEN,
            ("prod/db",),
        ),
        ("Failed to fetch secret from all regions: prod/db", ProblemKind.HIDDEN, ("prod/db",)),
        ("Failed to fetch parameters from all regions.", ProblemKind.HIDDEN, ()),
        (
            "eu-west-1: Failed fetching secret prod/db: response error StatusCode: 400, ResourceNotFoundException",
            ProblemKind.NOT_FOUND,
            ("prod/db",),
        ),
        ("400: eu-west-1: invalid parameters: /a/b, /c:2", ProblemKind.NOT_FOUND, ("/a/b", "/c:2")),
        ("An IAM role must be associated with service account api (namespace: pay)", ProblemKind.ROLE_MISSING, ()),
        ('failed to retrieve region from node. error nodes "n" not found', ProblemKind.REGION, ()),
        ('error connecting to provider "aws": provider not found: provider "aws"', ProblemKind.NO_PROVIDER, ()),
        ("client rate limiter Wait(n=1) would exceed context deadline: rate", ProblemKind.THROTTLED, ()),
        ("CSI token error: serviceAccount.tokens not provided", ProblemKind.TOKEN, ()),
        (
            "WebIdentityErr: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
            ProblemKind.TRUST,
            (),
        ),
        ("failed to refresh cached credentials, no EC2 IMDS role found", ProblemKind.ASSOCIATION, ()),
        ("Failed to load SecretProviderClass: yaml: line 1", ProblemKind.CLASS, ()),
        ("context deadline exceeded", ProblemKind.NETWORK, ()),
        ("the cat sat on the mat", ProblemKind.OTHER, ()),
    ],
)
def test_texts_of_aws_s_provider_and_the_driver_are_recognised(
    text: str, kind: ProblemKind, names: tuple[str, ...]
) -> None:
    problem = one(event(text, pod="pay/api-0"))
    assert (problem.kind, problem.names) == (kind, names)
    assert problem.namespace == "pay"


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=80) | st.lists(st.sampled_from(event(failed("a/b", denied("a/b"))).split())).map(" ".join))
def test_any_text_is_read_without_failing(text: str) -> None:
    for problem in parse_event(text):
        for app in find_apps(Answers(fleet()), problem):
            assert list(diagnose(Answers(fleet()), app.app, problem=problem))


def test_a_whole_description_of_a_pod_is_read_for_its_failed_mounts_only() -> None:
    hidden = event("Failed to fetch secret from all regions: prod/payments/db")
    described = f"""Name:             payments-0
Namespace:        payments
Containers:
  api:
    Image:  example/api
Events:
  Type     Reason       Age                From               Message
  ----     ------       ----               ----               -------
  Normal   Scheduled    60s                default-scheduler  Successfully assigned payments/payments-0 to node-1
  {hidden}  {hidden}  Warning  BackOff  1s (x2)  kubelet  Back-off restarting failed container
"""
    problem = one(described)
    assert (problem.kind, problem.names) == (ProblemKind.HIDDEN, ("prod/payments/db",))
    assert problem.namespace == "payments"


def test_a_message_that_a_yaml_document_folds_is_one_message() -> None:
    text = event(failed("prod/payments/db", denied("prod/payments/db"))).strip()
    half = text.index("is not authorized")
    folded = (
        f"- apiVersion: v1\n  message: '{text[:half]}\n    {text[half:]}'\n  reason: FailedMount\n  type: Warning\n"
    )
    assert [problem.kind for problem in parse_event(folded)] == [ProblemKind.DENIED]


def upstream(name: str) -> str:
    """Return what AWS's provider says, which ends in the name."""
    return (
        'MountVolume.SetUp failed for volume "v" : rpc error: code = Unknown desc = failed to mount secrets store '
        "objects for pod payments/payments-0, err: rpc error: code = Unknown desc = Failed to fetch secret from all "
        f"regions: {name}"
    )


@pytest.mark.parametrize("form", ["yaml", "json", "one", "two documents", "a line of yaml", "a line of json"])
def test_an_event_that_kubectl_prints_as_a_document_is_read_by_its_message(form: str) -> None:
    ours = event(failed("prod/payments/db", denied("prod/payments/db"))).partition("kubelet  ")[2].strip()
    for message in (upstream("prod/payments/db"), ours):
        failing = {"apiVersion": "v1", "kind": "Event", "message": message, "reason": "FailedMount", "type": "Warning"}
        other = failing | {"message": "Successfully assigned payments/payments-0 to node-1", "reason": "Scheduled"}
        events = {"apiVersion": "v1", "items": [other, failing], "kind": "List"}
        text = {
            "yaml": yaml.safe_dump(events),
            "json": json.dumps(events, indent=4),
            "one": yaml.safe_dump(failing),
            "two documents": yaml.safe_dump_all([other, failing]),
            "a line of yaml": f"  message: '{message}'\n  reason: FailedMount\n - x: [",
            "a line of json": f'  "message": {json.dumps(message)},\n  "reason": "FailedMount",\n',
        }[form]
        problem = one(text)
        assert problem.names == ("prod/payments/db",)
        assert problem.kind is (ProblemKind.DENIED if message == ours else ProblemKind.HIDDEN)


@pytest.mark.parametrize(
    "text", ["items: {", "items: [*a]", "[" * 20_000 + "\nkind: x", "kind: Event\nmessage: {a: b}\n"]
)
def test_a_document_that_cannot_be_read_is_only_text(text: str) -> None:
    assert [problem.kind for problem in parse_event(text)] == [ProblemKind.OTHER]


# ----------------------------------------------------------------------------------------------------------- diagnoses


def test_an_app_is_found_by_class_role_account_or_object() -> None:
    answers = Answers(fleet())
    for problem in (
        MountProblem(kind=ProblemKind.HIDDEN, namespace="payments", class_name="payments"),
        MountProblem(kind=ProblemKind.HIDDEN, role="prod-eu-west-1-payments"),
        MountProblem(kind=ProblemKind.HIDDEN, namespace="payments", service_account="payments"),
        MountProblem(kind=ProblemKind.HIDDEN, namespace="payments", names=("prod/payments/db",)),
    ):
        assert [str(app.app) for app in find_apps(answers, problem)] == ["payments"]
    assert find_apps(answers, MountProblem(kind=ProblemKind.OTHER)) == ()


def test_an_object_that_the_spec_does_not_name_lacks_name_and_grant() -> None:
    diagnosis = explained(one(event(failed("prod/mailer/key", denied("prod/mailer/key")))))
    assert states(diagnosis) == {
        Aspect.NAME: State.MISSING,
        Aspect.GRANT: State.MISSING,
        Aspect.KMS: State.FINE,
        Aspect.TRUST: State.FINE,
        Aspect.REGION: State.FINE,
    }
    assert diagnosis.rest == ()


def test_a_name_that_is_nearly_right_is_hinted_at() -> None:
    diagnosis = explained(one(event(failed("prod/payments/bd", denied("prod/payments/bd")))))
    (name,) = [finding for finding in diagnosis.findings if finding.aspect is Aspect.NAME]
    assert "specs name prod/payments/db" in name.text
    assert name.fix == "correct the name in the class or the pod"


def test_a_denial_of_what_the_spec_grants_points_at_what_lockstep_does_not_write() -> None:
    diagnosis = explained(one(event(failed("prod/payments/db", denied("prod/payments/db")))))
    assert set(states(diagnosis).values()) == {State.FINE}
    assert [spot.line for spot in diagnosis.spots] == [6]
    assert "By the spec nothing is missing." in diagnosis.rest
    assert any("service control policy" in sentence for sentence in diagnosis.rest)


def test_a_key_that_no_spec_names_is_what_is_missing() -> None:
    call = CallError(
        ErrorCode.ACCESS_DENIED,
        region=REGION,
        action="secretsmanager:GetSecretValue",
        cause="400: AccessDeniedException: Access to KMS is not allowed",
        fix="grant it",
    )
    problem = one(event(failed("prod/shared/smtp", call)))
    assert problem.kind is ProblemKind.DECRYPTION
    diagnosis = explained(problem)
    assert [finding.aspect for finding in diagnosis.missing] == [Aspect.KMS]
    assert "kmsKey" in diagnosis.missing[0].fix


def test_a_key_that_another_spec_names_is_what_is_missing() -> None:
    text = TWO_APPS.replace("name: prod/shared/smtp, owner: post", f'name: prod/shared/smtp, kmsKey: "{KEY}"')
    (diagnosis,) = diagnose(Answers(fleet(text)), "mailer", name="prod/shared/smtp")
    assert [finding.aspect for finding in diagnosis.missing] == [Aspect.KMS]


def test_a_region_that_the_class_does_not_read_is_what_is_missing() -> None:
    call = denied("prod/payments/db")
    call.region = "us-east-2"
    diagnosis = explained(one(event(failed("prod/payments/db", call))))
    assert [finding.aspect for finding in diagnosis.missing] == [Aspect.REGION]


def test_another_role_or_service_account_than_the_spec_s_is_a_matter_of_trust() -> None:
    by_role = explained(
        MountProblem(kind=ProblemKind.DENIED, role=f"arn:aws:iam::{ACCOUNT}:role/other", names=("prod/payments/db",))
    )
    assert [finding.aspect for finding in by_role.missing] == [Aspect.TRUST]
    by_account = explained(
        MountProblem(kind=ProblemKind.TRUST, namespace="payments", service_account="default"), app="payments"
    )
    assert [finding.aspect for finding in by_account.missing] == [Aspect.TRUST]
    assert "the pod runs as payments/default, the spec trusts payments/payments" in by_account.missing[0].text


def test_a_missing_association_is_named_for_pod_identity_only() -> None:
    call = CallError(
        ErrorCode.CREDENTIALS_REFUSED,
        region=REGION,
        action=AGENT_ACTION,
        cause="http://169.254.170.23/v1/credentials: HTTP 404: no association found",
        fix="create the association",
        rule="The service account needs a Pod Identity association with a role in this cluster",
        is_modelled=True,
    )
    problem = one(event(failed("prod/payments/db", call)))
    assert problem.kind is ProblemKind.ASSOCIATION
    pods = Answers(fleet(environment=replace(ENVIRONMENT, default_identity=Identity.POD_IDENTITY)))
    (found, *_) = diagnose(pods, "payments", problem=problem)
    assert [finding.aspect for finding in found.missing] == [Aspect.ASSOCIATION]
    (found, *_) = diagnose(Answers(fleet()), "payments", problem=problem)
    assert Aspect.ASSOCIATION not in states(found)


def test_an_object_that_aws_does_not_have_is_a_matter_of_its_name() -> None:
    call = CallError(
        ErrorCode.OBJECT_NOT_FOUND,
        region=REGION,
        action="secretsmanager:GetSecretValue",
        cause="400: ResourceNotFoundException: Secrets Manager can't find the specified secret.",
        fix="create it",
        is_modelled=True,
    )
    diagnosis = explained(one(event(failed("prod/payments/db", call))))
    assert [finding.aspect for finding in diagnosis.missing] == [Aspect.NAME]
    assert f"account {ACCOUNT} has no such object" in diagnosis.missing[0].text


def test_what_aws_s_provider_hides_is_said_with_what_could_be_checked() -> None:
    diagnosis = explained(one(event("Failed to fetch secret from all regions: prod/payments/db")))
    assert diagnosis.item is not None
    assert diagnosis.missing == ()
    assert any("JSON path" in sentence for sentence in diagnosis.rest)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(ProblemKind.THROTTLED, "request quota"), (ProblemKind.NETWORK, "VPC endpoints"), (ProblemKind.VALUE, "value")],
)
def test_what_is_no_question_of_access_is_said_to_be_none(kind: ProblemKind, text: str) -> None:
    diagnosis = explained(MountProblem(kind=kind, namespace="payments", class_name="payments"))
    assert diagnosis.missing == ()
    assert len(diagnosis.rest) == 1
    assert "no question of access" in diagnosis.rest[0]
    assert text in diagnosis.rest[0]


def test_an_object_that_only_its_place_in_the_class_names_is_found_there() -> None:
    problem = MountProblem(kind=ProblemKind.VALUE, namespace="payments", class_name="payments", index=1)
    diagnosis = explained(problem)
    assert diagnosis.item is not None
    assert diagnosis.item.shown == "prod/shared/smtp"
