"""`lockstep doctor` over real SDK calls: the emulated account before, with, and beyond what was derived."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import botocore.session
import pytest

from components.derivation.answers.inventory import Inventory
from lockstep.doctor.aws_reader import READ_ONLY, AwsReader
from lockstep.doctor.examination import examine_aws
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Status, Verdict
from lockstep.project import load_project
from tests.local.emulated_pods import GIVEN_KEY, EmulatedPods

SPECS = {
    "plain": "secrets: [{name: doctor/plain}]\nparameters: [{name: /doctor/flags, file: flags, version: 1}]\n",
    "keyed": f"secrets: [{{name: doctor/keyed, kmsKey: '{GIVEN_KEY}'}}]\n",
}
VALUE = "canary-of-the-doctor"


@pytest.fixture(scope="module")
def expected(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    folder = tmp_path_factory.mktemp("specs")
    for app, objects in SPECS.items():
        text = f"version: 1\napp: doctor-{app}\nnamespace: doctor\nserviceAccount: {app}\n{objects}"
        (folder / f"{app}.yaml").write_text(text)
    return Expected.of(replace(load_project(project).stack("local"), app_paths=(folder,)))


@pytest.fixture
def aws(pods: EmulatedPods) -> AwsReader:
    session = botocore.session.Session()
    session.set_credentials(pods.emulator.access_key, pods.emulator.secret_key)
    return AwsReader(session, endpoint_url=pods.emulator.endpoint)


def statuses(verdicts: list[Verdict]) -> dict[str, str]:
    found = {f"{verdict.check} {verdict.subject}".rstrip(): verdict.status.value for verdict in verdicts}
    return {
        name: status for name, status in found.items() if not name.startswith(("eks", "endpoint", "object doctor/key"))
    }


def _make(expected: Expected, pods: EmulatedPods) -> None:
    iam, secrets, ssm = pods.admin("iam"), pods.admin("secretsmanager"), pods.admin("ssm")
    for app in expected.apps:
        iam.create_role(RoleName=app.role_name, AssumeRolePolicyDocument=app.trust.to_json())
        for policy in app.policies:
            document = policy.document.to_json()
            iam.put_role_policy(RoleName=app.role_name, PolicyName=policy.name, PolicyDocument=document)
    secrets.create_secret(Name="doctor/plain", SecretString=VALUE)
    secrets.create_secret(Name="doctor/keyed", SecretString=VALUE, KmsKeyId=GIVEN_KEY)
    ssm.put_parameter(Name="/doctor/flags", Value=VALUE, Type="SecureString")


def test_the_account_is_examined_before_with_and_beyond_what_was_derived(
    expected: Expected, aws: AwsReader, pods: EmulatedPods
) -> None:
    region = expected.environment.region
    key = f"kms.key {GIVEN_KEY}"
    before = statuses(list(examine_aws(expected, aws)))
    # AWS knows no simulation of a role that is missing; the emulator refuses everything instead.
    assert before == {
        "aws.account": "ok", "aws.clock": "ok", "iam.issuer": "ok", key: "ok",
        "iam.role doctor-plain": "fail", "iam.role doctor-keyed": "fail",
        "iam.access doctor-plain": "fail", "iam.access doctor-keyed": "fail",
        f"object doctor/plain {region}": "fail", f"object /doctor/flags {region}": "fail",
    }  # fmt: skip
    _make(expected, pods)
    made = list(examine_aws(expected, aws))
    # The emulator's simulator takes no context, and the key's statement asks for it.
    wanted = dict.fromkeys(before, "ok") | {"iam.access doctor-keyed": "fail"}
    assert statuses(made) == wanted
    keyed = next(verdict for verdict in made if verdict.subject == f"doctor/keyed {region}")
    assert keyed.status is Status.OK, keyed
    assert VALUE not in repr(made)
    wide = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}}
    role = next(app.role_name for app in expected.apps if app.app == "doctor-plain")
    pods.admin("iam").put_role_policy(RoleName=role, PolicyName="by-hand", PolicyDocument=json.dumps(wide))
    pods.admin("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(wide))
    pods.admin("secretsmanager").delete_secret(SecretId="doctor/plain", RecoveryWindowInDays=7)
    beyond = statuses(list(examine_aws(expected, aws)))
    changed = {name for name in beyond if beyond[name] != wanted[name]}
    assert changed == {"iam.access doctor-plain", "iam.role doctor-plain", f"object doctor/plain {region}"}
    aws.close()


def test_a_call_that_is_not_listed_never_leaves_the_process(aws: AwsReader, expected: Expected) -> None:
    assert Inventory.of(expected.fleet).objects()
    for service, operation in (("secretsmanager", "GetSecretValue"), ("ssm", "GetParameters"), ("iam", "DeleteRole")):
        assert (service, operation) not in READ_ONLY
        with pytest.raises(AssertionError, match=f"{service}:{operation} is no call of an examination"):
            aws.call(service, operation, region="us-east-1")
