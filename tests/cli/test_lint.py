"""`lockstep lint` and `lockstep rule` as a user meets them: exit codes, formats, files mended or left alone."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from components.derivation.lint import RULES
from components.derivation.lint.examples import secrets_policy, spc
from lockstep.exit_codes import ExitCode
from tests.cli.in_process import lockstep

DEAD = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db"

#: The parts of SARIF 2.1.0 that a log of one run must have, and the words that it may use.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}}},
                            }
                        },
                    },
                    "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
                },
            },
        },
    },
    "$defs": {
        "message": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string", "minLength": 1}},
        },
        "level": {"enum": ["none", "note", "warning", "error"]},
        "rule": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "shortDescription": {"$ref": "#/$defs/message"},
                "fullDescription": {"$ref": "#/$defs/message"},
                "help": {"$ref": "#/$defs/message"},
                "defaultConfiguration": {"type": "object", "properties": {"level": {"$ref": "#/$defs/level"}}},
            },
        },
        "result": {
            "type": "object",
            "required": ["message", "ruleId"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"$ref": "#/$defs/level"},
                "message": {"$ref": "#/$defs/message"},
                "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                "suppressions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["kind"],
                        "properties": {
                            "kind": {"enum": ["inSource", "external"]},
                            "status": {"enum": ["accepted", "underReview", "rejected"]},
                            "justification": {"type": "string", "minLength": 1},
                        },
                    },
                },
                "locations": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["physicalLocation"],
                        "properties": {
                            "physicalLocation": {
                                "type": "object",
                                "required": ["artifactLocation", "region"],
                                "properties": {
                                    "artifactLocation": {
                                        "type": "object",
                                        "required": ["uri"],
                                        "properties": {"uri": {"type": "string", "pattern": "^[!-~]+$"}},
                                    },
                                    "region": {
                                        "type": "object",
                                        "required": ["startLine"],
                                        "properties": {
                                            "startLine": {"type": "integer", "minimum": 1},
                                            "startColumn": {"type": "integer", "minimum": 1},
                                        },
                                    },
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}


def test_the_project_s_own_specs_have_no_warning(project: Path) -> None:
    result = lockstep("lint", cwd=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "1 note"


def test_notes_end_well_unless_they_are_to_count(project: Path) -> None:
    assert lockstep("lint", "--fail-on", "note", cwd=project).returncode == ExitCode.FINDINGS


def test_a_finding_shows_its_line_and_ends_with_findings(project: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(secrets_policy(DEAD))
    result = lockstep("lint", "--policy", tmp_path / "policy.json", cwd=project)
    assert result.returncode == ExitCode.FINDINGS
    first, line, mark, total = result.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/policy.json:7:19 Statement[0].Resource: error: ")
    assert first.endswith(f"Fix: write '{DEAD}-??????'. [LS101]")
    assert line == f'     7 |       "Resource": "{DEAD}"'
    assert mark.index("^") == line.index(f'"{DEAD}"')
    assert total == "1 error"


def test_an_unreadable_file_is_invalid_input(project: Path, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    result = lockstep("lint", "--spc", tmp_path / "a.yaml", "--policy", tmp_path / "none.json", cwd=project)
    assert result.returncode == ExitCode.INVALID_INPUT
    assert "none.json:1:1: the file cannot be read (No such file or directory)" in result.stderr
    result = lockstep("lint", "--spc", tmp_path / "a.yaml", cwd=project)
    assert "a.yaml:2:1: this is neither YAML nor JSON" in result.stderr
    result = lockstep("lint", "--spc", tmp_path / "b.yaml", cwd=project)
    assert "the file is not UTF-8 text" in result.stderr


def test_what_kubectl_prints_is_read_from_standard_input(project: Path) -> None:
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    assert lockstep("lint", "--spc", "-", cwd=project, stdin=listed).stdout == "no findings\n"
    result = lockstep("lint", "--spc", "-", cwd=project, stdin=spc(version="v1alpha1"))
    assert "<stdin>:1:13 apiVersion: warning:" in result.stdout
    assert lockstep("lint", "--spc", "-", "--fix", cwd=project, stdin=spc()).returncode == ExitCode.WRONG_USAGE
    assert lockstep("lint", "--spc", "-", "--policy", "-", cwd=project).returncode == ExitCode.WRONG_USAGE


def test_json_has_every_finding_and_the_reason_of_a_suppressed_one(project: Path, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(
        "version: 1\napp: shop\nnamespace: shop\nsecrets:\n  - name: prod/db-apikey\n"
        "    suppress: [{rule: LS801, reason: older than the rule}]\n  - name: prod/smtp-apikey\n"
    )
    result = lockstep("lint", tmp_path / "app.yaml", "--format", "json", cwd=project)
    assert result.returncode == ExitCode.FINDINGS
    findings = json.loads(result.stdout)["findings"]
    assert [(item["code"], item["line"], item["suppressed"]) for item in findings] == [
        ("LS801", 5, "older than the rule"),
        ("LS801", 7, None),
    ]


def test_sarif_is_sarif(tmp_path: Path) -> None:
    spec = "version: 1\napp: shop\nnamespace: shop\nsuppress: [{rule: LS801, reason: why not}]\n"
    (tmp_path / "an app.yaml").write_text(spec + "secrets: [{name: prod/db-apikey}]\n")
    (tmp_path / "class.yaml").write_text(spc("- objectName: prod/db\n", parameters=""))
    result = lockstep("lint", "an app.yaml", "--spc", tmp_path / "class.yaml", "--format", "sarif", cwd=tmp_path)
    log = json.loads(result.stdout)
    jsonschema.Draft202012Validator(SARIF).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    assert {item["ruleId"] for item in run["results"]} == {"LS502", "LS512", "LS801"}
    for item in run["results"]:
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]
    uris = {
        place["physicalLocation"]["artifactLocation"]["uri"] for item in run["results"] for place in item["locations"]
    }
    assert uris == {"an%20app.yaml", (tmp_path / "class.yaml").as_uri()}
    (suppressed,) = [item for item in run["results"] if "suppressions" in item]
    assert suppressed["suppressions"][0]["justification"] == "why not"


def test_fix_mends_files_in_place_and_a_second_run_changes_nothing(project: Path, tmp_path: Path) -> None:
    spec, policy = tmp_path / "app.yaml", tmp_path / "policy.json"
    text = 'version: 1\napp: shop\nnamespace: shop\nsecrets:\n  - name: prod/db # ours\n    mode: "0666"  # why?\n'
    spec.write_text(text)
    policy.write_text(secrets_policy(DEAD))
    policy.chmod(0o640)
    first = lockstep("lint", spec, "--policy", policy, "--fix", cwd=project)
    assert (first.returncode, first.stdout) == (0, "no findings\n")
    assert [line.rsplit("[", 1)[1] for line in first.stderr.splitlines()] == ["LS806]", "LS101]"]
    assert spec.read_text() == text.replace("0666", "0644")
    assert policy.read_text() == secrets_policy(f"{DEAD}-??????")
    assert policy.stat().st_mode & 0o777 == 0o640
    before = (spec.stat().st_mtime_ns, policy.stat().st_mtime_ns)
    second = lockstep("lint", spec, "--policy", policy, "--fix", cwd=project)
    assert (second.returncode, second.stderr) == (0, "")
    assert (spec.stat().st_mtime_ns, policy.stat().st_mtime_ns) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.yaml", "policy.json"]


def test_fix_writes_every_file_or_none(project: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    for path in (first, second):
        path.write_text(secrets_policy(DEAD))
    (tmp_path / ".b.json.lockstep").mkdir()  # where the new text of the second one would be put
    result = lockstep("lint", "--policy", first, "--policy", second, "--fix", cwd=project)
    assert result.returncode == ExitCode.INVALID_INPUT
    assert first.read_text() == second.read_text() == secrets_policy(DEAD)
    assert not (tmp_path / ".a.json.lockstep").exists()


def test_check_fails_on_errors_of_the_linter_only(project: Path, tmp_path: Path) -> None:
    spec = tmp_path / "app.yaml"
    head = "version: 1\napp: shop\nnamespace: shop\n"
    spec.write_text(head + "secrets: [{name: prod/db-apikey}]\n")
    warned = lockstep("check", spec, cwd=project)
    assert warned.returncode == 0
    assert "[LS801]" in warned.stderr
    spec.write_text(head + "secrets: [{name: prod/db, file: db, keys: {\"'password'\": password}}]\n")
    failed = lockstep("check", spec, cwd=project)
    assert failed.returncode == ExitCode.FINDINGS
    assert "[LS805]" in failed.stderr
    assert failed.stdout == ""


def test_a_stale_suppression_is_found_only_where_its_rule_saw_everything(project: Path, tmp_path: Path) -> None:
    spec = tmp_path / "app.yaml"
    suppress = "suppress: [{rule: LS802, reason: no owner yet}]"
    spec.write_text(f"version: 1\napp: shop\nnamespace: shop\nsecrets: [{{name: prod/db, {suppress}}}]\n")
    assert lockstep("lint", spec, cwd=project).stdout == "no findings\n"
    assert lockstep("lint", spec, "--stack", "prod", cwd=project).stdout == "no findings\n"


@pytest.mark.parametrize("code", [RULES[0].code, RULES[-1].code.lower()])
def test_a_rule_is_explained_with_its_examples(code: str, project: Path) -> None:
    result = lockstep("rule", code, cwd=project)
    assert result.returncode == 0
    assert result.stdout.startswith(f"{code.upper()} (")
    assert "\nFix: " in result.stdout
    assert "\nFound (" in result.stdout
    assert "\nFine (" in result.stdout
    assert json.loads(lockstep("rule", code, "--format", "json", cwd=project).stdout)["code"] == code.upper()


def test_rules_are_listed_and_an_unknown_one_is_wrong_usage(project: Path) -> None:
    listed = lockstep("rule", cwd=project).stdout.splitlines()
    assert [line.split()[0] for line in listed] == [rule.code for rule in RULES]
    assert lockstep("rule", "LS999", cwd=project).returncode == ExitCode.WRONG_USAGE
