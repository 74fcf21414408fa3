"""Findings as JSON of our own, and as SARIF 2.1.0 for code scanning.

Source: OASIS Static Analysis Results Interchange Format 2.1.0 (levels error, warning, note; columns count code points;
a suppressed result carries its justification; `uri` is a relative reference or a file URI).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from components.derivation.errors import Problem
from components.derivation.lint import RULES, Finding, Rule

Json = dict[str, object]


def json_report(findings: Iterable[Finding]) -> str:
    """Return `{"findings": [...]}` in order; `suppressed` is the reason, or null."""
    return json.dumps({"findings": [_finding(item) for item in findings]}, indent=2, ensure_ascii=False) + "\n"


def check_json(
    apps: int, environments: Iterable[str], problems: Iterable[Problem], findings: Iterable[Finding]
) -> Json:
    """Return what `lockstep check` found, as data; `apps` are those that could be read."""
    return {
        "apps": apps,
        "environments": list(environments),
        "problems": [_problem(item) for item in problems],
        "findings": [_finding(item) for item in findings],
    }


def _problem(item: Problem) -> Json:
    return {
        "code": item.code,
        "file": item.spot.source,
        "line": item.spot.line,
        "column": item.spot.column,
        "field": item.spot.field,
        "what": item.what,
        "rule": item.rule,
        "fix": item.fix,
    }


def _finding(item: Finding) -> Json:
    return {
        "code": item.code,
        "severity": item.severity.value,
        "file": item.spot.source,
        "line": item.spot.line,
        "column": item.spot.column,
        "field": item.spot.field,
        "what": item.what,
        "rule": item.title,
        "fix": item.fix,
        "mechanical": bool(item.edits),
        "suppressed": item.reason or None,
    }


def rules_json(rules: Iterable[Rule]) -> str:
    """Return `{"rules": [...]}`, each with code, severity and title."""
    listed = [{"code": item.code, "severity": item.severity.value, "title": item.title} for item in rules]
    return json.dumps({"rules": listed}, indent=2, ensure_ascii=False) + "\n"


def rule_json(rule: Rule) -> str:
    """Return one rule with its examples."""
    examples = {
        name: {kind: text for kind in ("spec", "manifests", "policy", "trust") if (text := getattr(example, kind))}
        for name, example in (("found", rule.bad), ("fine", rule.good))
    }
    document = {
        "code": rule.code,
        "severity": rule.severity.value,
        "title": rule.title,
        "why": rule.why,
        "fix": rule.fix,
        "mechanical": rule.mends,
        "examples": examples,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def sarif_report(findings: Sequence[Finding], version: str, rules: Sequence[Rule] = RULES) -> str:
    """Return one SARIF log with one run; suppressed findings are results with a suppression."""
    numbers = {rule.code: number for number, rule in enumerate(rules)}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "lockstep",
                        "semanticVersion": version,
                        "rules": [_sarif_rule(rule) for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(item, numbers[item.code]) for item in findings],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _sarif_rule(rule: Rule) -> Json:
    return {
        "id": rule.code,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"Fix: {rule.fix}. More: lockstep rule {rule.code}"},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(item: Finding, number: int) -> Json:
    text = f"{item.what}. {item.title}. Fix: {item.fix}" + ("" if item.fix.endswith(("?", ".")) else ".")
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(item.spot.source)},
            "region": {"startLine": item.spot.line, "startColumn": item.spot.column},
        }
    }
    result: Json = {
        "ruleId": item.code,
        "ruleIndex": number,
        "level": item.severity.value,
        "message": {"text": text},
        "locations": [location],
        # The line may move, the finding stays the same: code scanning follows it by this.
        "partialFingerprints": {"what/v1": _digest(item)},
    }
    if item.reason:
        result["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": item.reason}]
    return result


def _digest(item: Finding) -> str:
    return hashlib.sha256(f"{item.code}\n{item.spot.source}\n{item.what}".encode()).hexdigest()[:32]


def _uri(source: str) -> str:
    path = Path(source)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
