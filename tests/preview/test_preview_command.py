"""`lockstep preview`: the Pulumi CLI (played by a script), the embedded engine, and saved documents."""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lockstep.__main__ import main
from lockstep.access_report.json_report import SCHEMA_FILE
from lockstep.exit_codes import ExitCode
from tests.diff.documents import allow, policy, secret, trust
from tests.diff.schemas import load_schema

CORPUS = Path(__file__).parent.parent / "diff" / "corpus"
ENGINE_CASE = CORPUS / "engine_stack_update" / "there.json"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path) -> Run:
    """Return `run(arguments...) -> (exit code, output)`, in a folder that is a project."""
    monkeypatch.delenv("CI", raising=False)
    shutil.copy(project / "Pulumi.yaml", tmp_path)
    shutil.copytree(project / "stacks", tmp_path / "stacks")
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: str) -> tuple[int, str]:
        code = main(["preview", *arguments])
        captured = capsys.readouterr()
        return int(code), captured.out + captured.err

    return runner


def event(**parts: object) -> str:
    return json.dumps({"sequence": 1, "timestamp": 1, **parts})


def step(kind: str, name: str, op: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    """Return the event of one step, shaped as Pulumi streams it."""
    urn = f"urn:pulumi:prod::billing::{kind}::{name}"
    states = {
        side: {"type": kind, "urn": urn, "custom": True, "id": name, "parent": "", "inputs": inputs, "outputs": inputs}
        for side, inputs in (("old", old), ("new", new))
        if inputs is not None
    }
    changes = {"policy": {"kind": "update", "inputDiff": True}} if op == "update" else None
    metadata = {"op": op, "urn": urn, "type": kind, **states, "detailedDiff": changes, "keys": None, "logical": True}
    return event(resourcePreEvent={"metadata": metadata, "planning": True})


ROLE = {"name": "billing", "assumeRolePolicy": json.dumps(trust("billing:api"))}


def read_policy(name: str) -> dict[str, Any]:
    text = json.dumps(policy(allow("secretsmanager:GetSecretValue", secret(name))))
    return {"role": "billing", "name": "read", "policy": text}


STREAM = [
    event(preludeEvent={"config": {"aws:region": "eu-west-1"}}),
    step("aws:iam/role:Role", "billing", "same", ROLE, ROLE),
    step("aws:iam/rolePolicy:RolePolicy", "read", "update", read_policy("db-??????"), read_policy("db-*")),
    event(diagnosticEvent={"prefix": "info: ", "message": "<{%reset%}>all is well<{%reset%}>\n", "severity": "info"}),
    event(diagnosticEvent={"message": "half a line", "severity": "info", "ephemeral": True}),
]
SUMMARY = event(summaryEvent={"maybeCorrupt": False, "durationSeconds": 2, "resourceChanges": {"same": 1, "update": 1}})
VIOLATION = event(
    policyEvent={
        "resourceUrn": "urn:pulumi:prod::billing::aws:iam/rolePolicy:RolePolicy::read",
        "message": "<{%fg 1%}>no stars<{%reset%}>\n",
        "policyName": "no-wildcards",
        "policyPackName": "house",
        "enforcementLevel": "mandatory",
    }
)


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return `pulumi(lines, code, stderr)`: puts a `pulumi` on the PATH that prints them and notes its call."""

    def install(lines: list[str], *, code: int = 0, stderr: str = "") -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "out.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        script = folder / "pulumi"
        script.write_text(
            f"#!{sys.executable}\nimport json, os, sys\nhere = {str(folder)!r}\n"
            "told = {'argv': sys.argv[1:], 'streaming': os.environ.get('PULUMI_ENABLE_STREAMING_JSON_PREVIEW')}\n"
            "open(here + '/called.json', 'w').write(json.dumps(told))\n"
            f"sys.stdout.write(open(here + '/out.txt').read())\nsys.stderr.write({stderr!r})\nsys.exit({code})\n",
            encoding="utf-8",
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return folder / "called.json"

    return install


def test_the_cli_is_asked_for_events_and_for_what_does_not_change(run: Run, pulumi: Callable[..., Path]) -> None:
    called = pulumi([*STREAM, SUMMARY])
    code, text = run("--stack", "prod")
    assert code == ExitCode.NEEDS_APPROVAL
    told = json.loads(called.read_text(encoding="utf-8"))
    assert told == {
        "argv": ["preview", "--stack", "prod", "--json", "--show-sames", "--non-interactive"],
        "streaming": "true",
    }
    lines = text.splitlines()
    assert lines[1] == (
        "~ role billing has its read access widened from secret db to secret db-*  [wildcard, protected]"
    )
    assert "resources of prod: 1 same, 1 update" in lines
    assert "    ~ aws:iam/rolePolicy:RolePolicy read policy" in lines
    assert "  info: all is well" in lines
    assert "half a line" not in text


def test_a_policy_violation_is_not_lost(run: Run, pulumi: Callable[..., Path]) -> None:
    """`pulumi preview --json` has none in its document; a mandatory one ends the run."""
    pulumi([*STREAM, VIOLATION, SUMMARY], code=255)
    code, text = run("--stack", "prod")
    assert code == ExitCode.INVALID_INPUT
    assert text.splitlines()[:2] == [
        "prod: THE PREVIEW FAILED",
        "  error: read: policy house/no-wildcards (mandatory): no stars",
    ]
    assert "read access widened" in text, "and the report is there all the same"


def test_a_failed_preview_gives_the_diagnostics_first_and_what_was_known(run: Run, pulumi: Callable[..., Path]) -> None:
    pulumi(STREAM[:3], code=255, stderr="error: could not reach the state\nerror: look at the token\n")
    code, text = run("--stack", "prod", "--format", "markdown")
    assert code == ExitCode.INVALID_INPUT
    places = [
        text.index(part) for part in ("### The preview failed", "could not reach the state", "### Access", "- **~**")
    ]
    assert places == sorted(places)
    assert "more may change" in text


def test_a_cli_that_says_nothing_useful_is_an_error_with_its_words(run: Run, pulumi: Callable[..., Path]) -> None:
    pulumi(["no JSON at all"], code=1, stderr="error: no stack named 'prod' found")
    code, text = run("--stack", "prod")
    assert code == ExitCode.INVALID_INPUT
    assert "no stack named 'prod' found" in text
    pulumi(["no JSON at all"], code=0)
    assert "Fix: update the Pulumi CLI" in run("--stack", "prod")[1]


@pytest.mark.parametrize("steps", [[{"op": "same"}], [{"op": "same", "urn": "x"}], {}])
def test_steps_that_are_none_are_a_failed_preview_or_no_preview(
    run: Run, pulumi: Callable[..., Path], tmp_path: Path, steps: object
) -> None:
    pulumi([json.dumps({"steps": steps})])
    code, text = run("--stack", "prod")
    assert (code, text.splitlines()[0]) == (ExitCode.INVALID_INPUT, "prod: THE PREVIEW FAILED")
    assert "what pulumi wrote is no preview: " in text
    (tmp_path / "p.json").write_text(json.dumps({"steps": steps}), encoding="utf-8")
    code, text = run("--digest", "p.json")
    assert code == ExitCode.INVALID_INPUT
    assert text.startswith("p.json: it is no preview: ")


def test_an_old_cli_that_prints_one_document_is_read_too(run: Run, pulumi: Callable[..., Path]) -> None:
    pulumi([ENGINE_CASE.read_text(encoding="utf-8")])
    code, text = run("--stack", "prod")
    assert code == ExitCode.NEEDS_APPROVAL
    assert "app mailer gains read access to secret prod/payments/db" in text


def test_without_a_cli_the_engine_must_be_named_or_embedded(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text = run("--stack", "prod", "--engine", "pulumi")
    assert code == ExitCode.INVALID_INPUT
    assert "--engine embedded" in text


@pytest.mark.parametrize("option", ["--stack", "--project", "--base"])
def test_an_empty_option_is_wrong_usage_and_no_default(run: Run, option: str) -> None:
    code, text = run("--digest", str(ENGINE_CASE), option, "")
    assert code == ExitCode.WRONG_USAGE
    assert text.startswith(f"lockstep: {option} is empty. Fix: give it a value")


# ------------------------------------------------------------------------------------------------------------- saved
def test_a_saved_preview_says_replacements_and_deletions_loudly(run: Run) -> None:
    code, text = run("--digest", str(ENGINE_CASE))
    assert code == ExitCode.NEEDS_APPROVAL
    assert (
        "    ± kubernetes:core/v1:ServiceAccount mailer (REPLACE; because of metadata; mounts are interrupted)" in text
    )
    assert "    - aws:iam/role:Role reports (DELETE; mounts are interrupted)" in text
    assert "  AppAccess payments" in text, "resources stand under their component"
    _, page = run("--digest", str(ENGINE_CASE), "--format", "markdown")
    assert page.index("> [!WARNING]") < page.index("### Access") < page.index("<summary>Resources")


def test_a_saved_stream_of_events_is_a_preview_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text("\n".join([*STREAM, VIOLATION, SUMMARY]), encoding="utf-8")
    code, text = run("--digest", "events.json")
    assert code == ExitCode.INVALID_INPUT
    assert "no-wildcards" in text


def test_a_saved_preview_is_not_made_again(run: Run) -> None:
    code, text = run("--digest", str(ENGINE_CASE), "--base", "HEAD")
    assert (code, "[DIFF006]" in text) == (ExitCode.INVALID_INPUT, True)
    code, text = run("--digest", str(CORPUS / "mode" / "before.json"))
    assert (code, "[DIFF002]" in text) == (ExitCode.INVALID_INPUT, True)


def test_a_saved_preview_that_nests_without_end_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * 100_000, encoding="utf-8")
    code, text = run("--digest", "x.json")
    assert code == ExitCode.INVALID_INPUT
    assert text.startswith("x.json: it nests too deeply. ")


@pytest.mark.parametrize("named", ["dev", "acme/lockstep/dev", "acme/other/prod"])
def test_a_saved_preview_is_told_as_no_other_stack_s(run: Run, named: str) -> None:
    code, text = run("--digest", str(ENGINE_CASE), "--stack", named)
    found = "'prod' of project 'lockstep'" if named.endswith("other/prod") else "'prod'"
    assert code == ExitCode.INVALID_INPUT
    assert text == (
        f"{ENGINE_CASE}: it is a preview of stack {found}, and --stack names {named!r}. A preview is of one stack. "
        "Fix: write --stack prod, or name another preview. [DIFF005]\n"
    )


@pytest.mark.parametrize("named", ["prod", "acme/prod", "acme/lockstep/prod"])
def test_a_saved_preview_may_be_asked_for_by_its_full_name(run: Run, named: str) -> None:
    assert run("--digest", str(ENGINE_CASE), "--stack", named) == run("--digest", str(ENGINE_CASE))


def test_a_protected_stack_that_is_none_is_refused_and_another_one_of_the_project_is_not(
    run: Run, pulumi: Callable[..., Path]
) -> None:
    called = pulumi([*STREAM, SUMMARY])
    for arguments in (("--digest", str(ENGINE_CASE)), ("--stack", "prod")):
        code, text = run(*arguments, "--protected", "prd")
        assert (code, "--protected: there is no stack 'prd'." in text) == (ExitCode.INVALID_INPUT, True)
        assert "Fix: did you mean 'prod'? [DIFF005]" in text
    assert not called.exists(), "refused before anything runs"
    assert "protected" not in run("--digest", str(ENGINE_CASE), "--protected", "dev")[1]


def test_a_stack_by_its_full_name_is_as_protected_as_by_its_own(run: Run, pulumi: Callable[..., Path]) -> None:
    pulumi([*STREAM, SUMMARY])
    assert "[wildcard, protected]" in run("--stack", "acme/billing/prod")[1]


#: As `pulumi` 3.274 streams a component and, later, what the component registers as its outputs.
COMPONENT = [
    event(
        **{
            kind: {
                "metadata": {
                    "op": "create",
                    "urn": "urn:pulumi:prod::billing::lockstep:apps:AppAccess::shop",
                    "type": "lockstep:apps:AppAccess",
                    "old": None,
                    "new": {
                        "type": "lockstep:apps:AppAccess",
                        "urn": "urn:pulumi:prod::billing::lockstep:apps:AppAccess::shop",
                        "id": "",
                        "parent": "urn:pulumi:prod::billing::pulumi:pulumi:Stack::billing-prod",
                        "inputs": {},
                        "outputs": outputs,
                        "provider": "",
                    },
                    "detailedDiff": None,
                    "logical": True,
                    "provider": "",
                },
                "planning": True,
            }
        }
    )
    for kind, outputs in (
        ("resourcePreEvent", {}),
        ("resOutputsEvent", {}),
        ("resOutputsEvent", {"app": "shop", "roleArn": "arn:aws:iam::111122223333:role/prod-shop"}),
    )
]


def test_what_a_component_says_only_at_its_end_is_not_lost(run: Run, tmp_path: Path) -> None:
    """At a first preview nothing else of the stream knows the role of an app."""
    end = event(summaryEvent={"resourceChanges": {"create": 1}, "isPreview": True, "result": "succeeded"})
    (tmp_path / "events.json").write_text("\n".join([*COMPONENT, end]), encoding="utf-8")
    text = run("--digest", "events.json")[1]
    assert "role: arn:aws:iam::111122223333:role/prod-shop" in text
    assert "AppAccess shop\n" not in text, "a component is its resources"


def headline(run: Run, path: str) -> tuple[dict[str, int], Counter[str]]:
    """Return the totals without what does not change, and the operations of the resources that are listed."""
    (preview,) = json.loads(run("--digest", path, "--format", "json")[1])["previews"]
    totals = {word: count for word, count in preview["totals"].items() if count and word != "same"}
    return totals, Counter(resource["operation"] for resource in preview["resources"])


@pytest.mark.parametrize("way", ["there", "back"])
def test_the_headline_counts_the_resources_that_are_listed(run: Run, way: str) -> None:
    """Components are their resources, and the document's own summary counts them all the same."""
    path = CORPUS / "engine_stack_update" / f"{way}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    totals, listed = headline(run, str(path))
    assert totals == listed
    assert sum(listed.values()) < sum(n for word, n in document["changeSummary"].items() if word != "same")
    same = document["changeSummary"]["same"]
    assert f" {same} same" in next(
        line for line in run("--digest", str(path))[1].splitlines() if "resources of" in line
    )


def test_the_headline_keeps_an_operation_that_only_the_summary_knows(run: Run, tmp_path: Path) -> None:
    end = event(summaryEvent={"resourceChanges": {"same": 1, "update": 1, "delete": 1}})
    (tmp_path / "events.json").write_text("\n".join([*STREAM, end]), encoding="utf-8")
    assert headline(run, "events.json") == ({"update": 1, "delete": 1}, {"update": 1})
    assert "resources of prod: 1 same, 1 update, 1 delete" in run("--digest", "events.json")[1].splitlines()


def test_two_resources_that_look_alike_are_two(run: Run, tmp_path: Path) -> None:
    """Their URNs differ in a component between the outermost one and them, which the list does not name."""
    kinds = ("a:b:Outer$a:b:One$aws:sns/topic:Topic", "a:b:Outer$a:b:Two$aws:sns/topic:Topic")
    end = event(summaryEvent={"resourceChanges": {"create": 2}})
    lines = [step(kind, "topic", "create", None, {}) for kind in kinds]
    (tmp_path / "events.json").write_text("\n".join([*lines, end]), encoding="utf-8")
    assert headline(run, "events.json") == ({"create": 2}, {"create": 2})


def test_what_a_program_writes_to_its_standard_error_is_no_kind_of_its_own(run: Run, tmp_path: Path) -> None:
    said = event(diagnosticEvent={"message": "error: missing executor\n\n", "severity": "info#err", "color": "never"})
    (tmp_path / "events.json").write_text("\n".join([said, event(cancelEvent={})]), encoding="utf-8")
    _, text = run("--digest", "events.json")
    assert "info: error: missing executor" in text
    assert "#err" not in text


PREVIEWS = sorted(path.parent.name for path in CORPUS.glob("*/there.json"))


@pytest.mark.parametrize("case", PREVIEWS)
def test_the_json_of_every_preview_follows_the_schema_and_tells_the_exit_code(run: Run, case: str) -> None:
    for way in ("there", "back"):
        code, text = run("--digest", str(CORPUS / case / f"{way}.json"), "--format", "json")
        document = json.loads(text)
        load_schema(SCHEMA_FILE).validate(document)
        assert document["exitCode"] == code


def test_the_json_of_a_preview_that_failed_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text("\n".join([*STREAM, VIOLATION]), encoding="utf-8")
    code, text = run("--digest", "events.json", "--format", "json")
    document = json.loads(text)
    load_schema(SCHEMA_FILE).validate(document)
    assert (code, document["exitCode"], document["verdict"]) == (1, 1, "the preview failed")
    assert figures(document) == (None, None)


def test_the_json_report_is_the_access_report_with_previews_beside_it(run: Run) -> None:
    document = json.loads(run("--digest", str(ENGINE_CASE), "--format", "json")[1])
    load_schema(SCHEMA_FILE).validate(document)
    (preview,) = document["previews"]
    deleted = {resource["name"] for resource in preview["resources"] if resource["operation"] == "delete"}
    assert deleted == {"reports", "reports-secrets"}
    assert all(set(resource) >= {"component", "operation", "type", "name"} for resource in preview["resources"])


def corpus(case: str, way: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CORPUS / case / f"{way}.json").read_text(encoding="utf-8"))
    return document


def test_the_cost_of_one_more_secret_is_said_with_what_was_assumed(run: Run, tmp_path: Path) -> None:
    role, reading, _ = corpus("foreign_grant_without_mount", "there")["steps"]
    mounting = corpus("foreign_mount_without_grant", "there")["steps"][2]
    document = {"steps": [role, reading, mounting], "diagnostics": [], "changeSummary": {"same": 1, "update": 2}}
    (tmp_path / "p.json").write_text(json.dumps(document), encoding="utf-8")
    text = run("--digest", "p.json")[1]
    assert "! node blast radius: all apps together read 2 secrets and parameters, 1 before" in text
    cost = r"^! cost of AWS calls: \+\d+\.\d\d USD a month, .*assumed: 3 pods per app on 10 nodes"
    assert re.search(cost, text, re.MULTILINE)


# ----------------------------------------------------------------------------------------------- figures of the fleet
def figures(document: Mapping[str, Any]) -> tuple[list[float] | None, list[float] | None]:
    (preview,) = document["previews"]
    return preview["reach"], preview["usdPerMonth"]


def saved(folder: Path, *steps: str) -> str:
    """Save a preview of finished events, with a role that may read one secret more than before."""
    reading = step("aws:iam/rolePolicy:RolePolicy", "read", "update", read_policy("db-??????"), two_secrets())
    role = step("aws:iam/role:Role", "billing", "same", ROLE, ROLE)
    (folder / "events.json").write_text("\n".join([role, reading, *steps, SUMMARY]), encoding="utf-8")
    return "events.json"


def two_secrets() -> dict[str, Any]:
    names = [secret("db-??????"), secret("smtp-??????")]
    return {**read_policy(""), "policy": json.dumps(policy(allow("secretsmanager:GetSecretValue", names)))}


@pytest.mark.parametrize("case", ["unknown", "unknown_hidden_as_secret", "unknown_on_both_sides", "unknown_type"])
@pytest.mark.parametrize("way", ["there", "back"])
def test_what_a_side_does_not_know_is_no_figure(run: Run, case: str, way: str) -> None:
    path = str(CORPUS / case / f"{way}.json")
    document = json.loads(run("--digest", path, "--format", "json")[1])
    assert figures(document) == (None, None)
    assert document["previews"][0]["notes"][-1].startswith("what all apps together read, and what that costs, is not")
    text = run("--digest", path)[1]
    assert "blast radius" not in text
    assert "cost of AWS calls" not in text


def test_what_a_second_role_reads_is_not_counted_as_lost(run: Run, tmp_path: Path) -> None:
    """Its permissions stand in its own account, and no preview shows them."""
    parameters = {
        "roleArn": "arn:aws:iam::111122223333:role/billing",
        "objects": "- {objectName: db, objectType: secretsmanager}",
    }
    chained = parameters | {"assumeRoleArn": "arn:aws:iam::444455556666:role/reader"}
    sides = [
        {"metadata": {"name": "db", "namespace": "billing"}, "spec": {"provider": "aws", "parameters": given}}
        for given in (parameters, chained)
    ]
    kind = "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"
    file = saved(tmp_path, step(kind, "db", "update", *sides))
    document = json.loads(run("--digest", file, "--format", "json")[1])
    assert figures(document) == (None, None)
    (note,) = document["previews"][0]["notes"]
    assert "role billing reads through a second role" in note


def test_a_policy_of_aws_s_own_on_both_sides_leaves_the_figures(run: Run, tmp_path: Path) -> None:
    """Each stack with a cluster has some: of its nodes, and of its drivers."""
    given = {"role": "node", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"}
    kind = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    file = saved(tmp_path, step(kind, "node", "same", given, given))
    assert figures(json.loads(run("--digest", file, "--format", "json")[1]))[0] == [1, 2]
    file = saved(tmp_path, step(kind, "node", "create", None, given))
    document = json.loads(run("--digest", file, "--format", "json")[1])
    assert any(row["about"] == "unknown" for row in document["stacks"][0]["rows"])
    assert figures(document) == (None, None)
