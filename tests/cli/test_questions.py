"""The verbs that answer questions about access, as a user meets them: text, JSON, exit code, hints."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockstep.__main__ import main
from lockstep.exit_codes import ExitCode


class Ran:
    """What one command printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> dict[str, list[dict[str, Any]]]:
        """The printed JSON."""
        loaded: dict[str, list[dict[str, Any]]] = json.loads(self.out)
        return loaded


Run = Callable[..., Ran]


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in the project's folder, in this process."""
    monkeypatch.chdir(project)

    def ran(*arguments: str) -> Ran:
        code = main(arguments)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return ran


def test_yes_exits_with_fine_and_shows_the_line_that_grants(run: Run) -> None:
    result = run("can", "payments", "read", "prod/payments/db", "--stack", "prod")
    assert (result.code, result.err) == (ExitCode.FINE, "")
    assert result.out.startswith("prod: yes, payments can read the secret prod/payments/db\n")
    for text in (
        "through statement AssumeByServiceAccount of the trust policy of prod-eu-west-1-payments",
        "eu-west-1  secretsmanager:GetSecretValue through statement ReadSecrets of the identity policy secrets",
        "us-west-2  kms:Decrypt through statement DecryptSecrets2 of the identity policy secrets",
        "granted by stacks/apps/payments.yaml:8:11 secrets[0].name",
        "8 |   - name: ${environment}/payments/db",
    ):
        assert text in result.out


def test_no_exits_with_findings_and_says_what_is_missing(run: Run) -> None:
    result = run("can", "mailer", "read", "prod/payments/db", "--stack", "prod")
    assert result.code == ExitCode.FINDINGS
    assert "prod: no, mailer cannot read the secret prod/payments/db" in result.out
    assert "kms:Decrypt is denied: no identity policy allows it" in result.out
    assert "no line of the spec of mailer names it" in result.out


def test_without_a_stack_every_stack_is_asked_and_one_yes_is_enough(run: Run) -> None:
    result = run("can", "payments", "read", "prod/payments/db", "--format", "json")
    assert result.code == ExitCode.FINE
    answers = result.document["answers"]
    assert [(answer["stack"], answer["allowed"]) for answer in answers] == [
        ("dev", False),
        ("local", False),
        ("prod", True),
        ("staging", False),
    ]
    assert answers[2]["grantedBy"] == [
        {"file": "stacks/apps/payments.yaml", "line": 8, "column": 11, "field": "secrets[0].name"}
    ]
    everywhere = run("can", "payments", "read", "${environment}/payments/db", "--format", "json")
    assert [answer["allowed"] for answer in everywhere.document["answers"]] == [True, True, True, True]


def test_a_known_boundary_is_asked(run: Run, tmp_path: Path) -> None:
    boundary = tmp_path / "boundary.json"
    boundary.write_text('{"Statement": {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}}')
    result = run("can", "payments", "read", "prod/shared/smtp", "--stack", "prod", "--boundary", str(boundary))
    assert result.code == ExitCode.FINDINGS
    assert "no permissions boundary allows it" in result.out
    boundary.write_text('{\n  "Statement": {"Effect": "allow"}}')
    broken = run("can", "payments", "read", "prod/shared/smtp", "--stack", "prod", "--boundary", str(boundary))
    assert broken.code == ExitCode.INVALID_INPUT
    assert f"{boundary}:2:27 Statement.Effect: 'allow' is no effect" in broken.err
    assert '2 |   "Statement": {"Effect": "allow"}}' in broken.err


def test_who_lists_the_readers_and_exits_with_findings_when_there_is_none(run: Run) -> None:
    result = run("who", "prod/shared/smtp", "--stack", "prod")
    assert result.code == ExitCode.FINE
    assert result.out.splitlines()[0] == "prod: 2 apps can read the secret prod/shared/smtp (owner: messaging)"
    assert "mailer    messaging/mailer-prod  eu-west-1             stacks/apps/mailer.yaml:7" in result.out
    nobody = run("who", "prod/shared/smpt", "--stack", "prod")
    assert nobody.code == ExitCode.FINDINGS
    assert nobody.out == "prod: no app can read the secret prod/shared/smpt; specs name prod/shared/smtp\n"


def test_what_lists_everything_that_an_app_reads(run: Run) -> None:
    result = run("what", "reports", "--format", "json")
    assert result.code == ExitCode.FINE
    assert all(answer["allowed"] and answer["inEveryRegion"] for answer in result.document["objects"])
    assert len(result.document["objects"]) == 12
    assert "prod: payments reads 4 objects as payments/payments-api" in run("what", "payments").out


def test_blast_radius_is_the_union(run: Run) -> None:
    result = run("blast-radius", "--node-apps", "payments,mailer", "--node-apps", "mailer", "--environment", "prod")
    assert result.code == ExitCode.FINE
    assert "prod: a node that runs mailer, payments reaches 5 objects of 1 account through 2 roles" in result.out
    assert "1 object reached through more than one app" in result.out
    (node,) = run("blast-radius", "--node-apps", "mailer", "--stack", "prod", "--format", "json").document["nodes"]
    assert [found["name"] for found in node["objects"]] == ["prod/shared/smtp", "/prod/mailer/templates"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("can", "paymnts", "read", "x"),
            "APP: there is no app 'paymnts' in dev, local, prod, staging. .* 'payments'? [ASK001]",
        ),
        (("what", "zzz"), "APP: there is no app 'zzz'"),
        (("blast-radius", "--node-apps", "payments,zzz"), "APP: there is no app 'zzz'"),
        (("who", "arn:aws:s3:::x"), "NAME: 'arn:aws:s3:::x' is no ARN of a secret or parameter"),
        (
            ("who", "x", "--environment", "stag"),
            "no stack has the environment 'stag'. The stacks have dev, local, prod, staging.",
        ),
        (("who", "x", "--project", "stacks"), "Pulumi.yaml"),
        (("can", "payments", "read", "x", "--boundary", "nowhere.json"), "nowhere.json: No such file"),
    ],
)
def test_wrong_words_are_invalid_input_with_a_hint(run: Run, arguments: tuple[str, ...], text: str) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (ExitCode.INVALID_INPUT, "")
    first, _, second = text.partition(" .* ")
    assert first in result.err
    assert second in result.err


@pytest.mark.parametrize("arguments", [("can", "payments", "write", "x"), ("blast-radius", "--node-apps", ",")])
def test_wrong_usage_has_its_own_code(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == ExitCode.WRONG_USAGE


EVENT = (
    'MountVolume.SetUp failed for volume "lockstep-secrets" : rpc error: code = Unknown desc = failed to mount secrets '
    "store objects for pod messaging/mailer-0, err: rpc error: code = PermissionDenied desc = "
    "SecretProviderClass messaging/mailer parameters.objects[0]: Failed to fetch secret from all regions: "
    "prod/payments/db: eu-west-1: secretsmanager:GetSecretValue: 400: AccessDeniedException: User: "
    "arn:aws:sts::444455556666:assumed-role/prod-eu-west-1-mailer/x is not authorized. Fix: grant it. [LSP312]"
)


def test_why_says_what_is_missing_in_the_stack_that_the_event_is_from(run: Run, tmp_path: Path) -> None:
    (tmp_path / "event.txt").write_text(EVENT)
    result = run("why", "--event", str(tmp_path / "event.txt"))
    assert result.code == ExitCode.FINDINGS
    assert result.out.startswith("AWS denied the read [LSP312]\n")
    assert "prod: mailer and the secret prod/payments/db" in result.out
    assert "dev:" not in result.out
    assert "name    missing  the spec of mailer does not name prod/payments/db" in result.out
    assert "Fix (grant): add prod/payments/db to the spec of mailer." in result.out


def test_why_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(EVENT.replace("prod/payments/db", "prod/shared/smtp")))
    result = run("why", "--format", "json")
    assert result.code == ExitCode.FINE, "nothing is missing by the spec"
    (problem,) = result.document["problems"]
    assert problem["problem"]["code"] == "LSP312"
    (diagnosis,) = problem["diagnoses"]
    assert (diagnosis["stack"], diagnosis["missing"]) == ("prod", [])


def test_why_takes_an_app_and_an_object(run: Run) -> None:
    assert run("why", "payments", "prod/payments/db", "--stack", "prod").code == ExitCode.FINE
    missing = run("why", "mailer", "prod/payments/db", "--stack", "prod")
    assert missing.code == ExitCode.FINDINGS
    assert "KMS     missing" in missing.out


def test_an_event_of_an_app_without_a_spec_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "event.txt").write_text(EVENT.replace("messaging/mailer", "shop/cart").replace("-mailer/", "-cart/"))
    result = run("why", "--event", str(tmp_path / "event.txt"))
    assert result.code == ExitCode.FINDINGS
    assert "no spec of the stacks asked derives this class" in result.out


def test_what_is_no_question_of_access_is_said_without_an_app_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "event.txt").write_text("rpc error: code = Unknown desc = provider not found: provider aws")
    result = run("why", "--event", str(tmp_path / "event.txt"))
    assert result.code == ExitCode.FINE
    assert "The provider's DaemonSet must run on the pod's node." in result.out


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (("why", "--event", "EMPTY"), "it is empty", ExitCode.INVALID_INPUT),
        (("why", "--event", "LONG"), "more than 100,000 characters", ExitCode.INVALID_INPUT),
        (("why", "payments"), "give APP and NAME", ExitCode.WRONG_USAGE),
        (("why", "payments", "x", "--event", "EMPTY"), "give APP and NAME", ExitCode.WRONG_USAGE),
    ],
)
def test_an_unusable_event_is_refused(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], text: str, code: ExitCode
) -> None:
    (tmp_path / "EMPTY").write_text(" \n")
    (tmp_path / "LONG").write_text("x" * 100_001)
    named = [str(tmp_path / word) if word.isupper() else word for word in arguments]
    result = run(*named)
    assert (result.code, result.out) == (code, "")
    assert text in result.err
