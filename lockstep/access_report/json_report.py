"""A report for programs: JSON of a fixed schema, and SARIF for code scanning.

The schema stands beside this module (`access-diff.schema.json`); `version` grows when a reader could stumble.

Source: SARIF 2.1.0 (OASIS); GitHub code scanning reads `ruleId`, `message`, `locations` and `partialFingerprints`.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from components.derivation.diff import MEANINGS, About, Row
from lockstep.access_report.approvals import NEEDED
from lockstep.access_report.report import Report
from lockstep.access_report.sentences import plain
from lockstep.access_report.visible_text import visible

SCHEMA_FILE = Path(__file__).with_name("access-diff.schema.json")
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: Where a row is shown that comes from no spec.
_NO_SPEC = "Pulumi.yaml"
_UNDECIDED = "access/undecided"


def render_json(report: Report) -> str:
    """Return the report as indented JSON that ends in a newline."""
    document = {
        "version": 1,
        "project": report.project,
        "verdict": report.verdict,
        "exitCode": int(report.exit_code),
        "notes": list(report.notes),
        "stacks": [
            {
                "stack": stack.stack,
                "environment": stack.difference.environment,
                "apps": {"before": stack.difference.apps[0], "after": stack.difference.apps[1]},
                "rows": [_row(report, row) for row in stack.difference.rows],
                "undecided": list(report.redaction.data(stack.difference.undecided)),
                "undecidedRows": [
                    {
                        "row": report.question_identity(stack.difference.environment, question),
                        "approval": report.question_judgement(stack.difference.environment, question),
                    }
                    for question in stack.difference.undecided
                ],
                "noEffectiveChange": list(report.redaction.data(stack.difference.reformatted)),
            }
            for stack in report.stacks
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _row(report: Report, row: Row) -> dict[str, object]:
    told = report.shown(row)
    facts = told.facts
    return {
        "row": facts.identity,
        "spec": row.spec_digest,
        "sentence": plain(told.sentence),
        "app": facts.app,
        "about": row.about.value,
        "change": row.change.value,
        "what": plain(told.what),
        "subject": list(facts.parts),
        "workloads": list(facts.workloads),
        "regions": list(facts.regions),
        "before": list(facts.before),
        "after": list(facts.after),
        "details": list(facts.details),
        "owner": facts.owner,
        "secretOwner": facts.secret_owner,
        "why": list(facts.why),
        "place": facts.spec,
        "risks": [risk.value for risk in row.risks],
        "broadens": row.broadens,
        "certain": row.is_certain,
        "needsApproval": report.is_open(row),
        "approval": report.judgement(row),
    }


def render_sarif(report: Report) -> str:
    """Return the report as SARIF 2.1.0; one rule per kind of row, one result per row and per open question.

    The notes say what the comparison could not see: they are about no row, so they are the run's own notifications.
    Files are named as seen from the top of the repository, as code scanning shows them.
    """
    kinds = sorted({row.about for row in report.rows}, key=list(About).index)
    questions = [
        (stack.difference.environment, question) for stack in report.stacks for question in stack.difference.undecided
    ]
    rules = [_rule(_rule_id(about), f"A change of access: {about.value}") for about in kinds]
    if questions:
        rules.append(_rule(_UNDECIDED, "What neither side knows, so that it was not compared"))
    document = {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "lockstep", "rules": rules}},
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "note", "message": {"text": visible(note)}} for note in report.notes
                        ],
                    }
                ],
                "results": [
                    *(_result(report, row) for row in report.rows),
                    *(_question_result(report, *question) for question in questions),
                ],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(identity: str, text: str) -> dict[str, object]:
    return {"id": identity, "shortDescription": {"text": text}}


def _rule_id(about: About) -> str:
    return f"access/{about.value.replace(' ', '-')}"


def _result(report: Report, row: Row) -> dict[str, object]:
    told = report.shown(row)
    file, _, line = told.facts.spec.rpartition(":")
    if not line.isdigit():
        file, line = told.facts.spec, "1"
    level = "error" if report.is_open(row) else "warning" if row.broadens else "note"
    risks = "".join(f" {risk.value}: {MEANINGS[risk]}." for risk in row.risks)
    return {
        "ruleId": _rule_id(row.about),
        "level": level,
        "message": {"text": f"{row.environment}: {plain(told.sentence)}.{risks}"},
        "locations": [_location(report, file, int(line))],
        "partialFingerprints": {"lockstepRow/v1": told.facts.identity},
    }


def _question_result(report: Report, environment: str, question: str) -> dict[str, object]:
    is_open = report.question_judgement(environment, question).startswith(NEEDED)
    told = f"not compared, because neither side is known: {visible(report.redaction.apply(question))}"
    return {
        "ruleId": _UNDECIDED,
        "level": "error" if is_open else "note",
        "message": {"text": f"{environment}: {told}."},
        "locations": [_location(report, "", 1)],
        "partialFingerprints": {"lockstepRow/v1": report.question_identity(environment, question)},
    }


def _location(report: Report, file: str, line: int) -> dict[str, object]:
    path = PurePosixPath(posixpath.normpath(posixpath.join(report.folder, file or _NO_SPEC)))
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": max(1, line)}}}
