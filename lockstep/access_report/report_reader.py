"""The JSON of a report, read back: data of another job, which may have run somebody else's code.

Nothing of it is trusted but as names: everything is checked against the schema and bounded, and whoever prints it makes
the Markdown anew, so that no markup of the other job reaches a comment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.derivation.diff import About, Change, Difference, Risk, Row
from lockstep.access_report.report import Report, StackReport
from lockstep.preview.resource_plan import Diagnostic, PlannedResource, ResourcePlan

#: A report of a thousand apps has some five megabytes.
LIMIT_BYTES = 32 * 1024 * 1024
_STACK_LIMIT = 100
_TEXT_LIMIT = 4096


class ReportError(ValueError):
    """A text that is no report; the message says what is wrong and repeats none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """A report and, where a preview was run, the plan of each stack."""

    report: Report
    plans: Mapping[str, ResourcePlan]
    reaches: Mapping[str, tuple[int, int] | None]
    costs: Mapping[str, tuple[float, float] | None]
    notes: Mapping[str, tuple[str, ...]]


def read_report(text: str) -> ReadReport:
    """Read a report.

    Raises:
        ReportError: It is too large, no JSON, or of another shape.
    """
    if len(text) > LIMIT_BYTES:
        raise ReportError(f"it has more than {LIMIT_BYTES} characters")
    try:
        document: Any = json.loads(text)
        _check_head(document)
        stacks = tuple(_stack(stack) for stack in document["stacks"])
        judged = {
            row.identity: _text(told["approval"])
            for stack, source in zip(stacks, document["stacks"], strict=True)
            for row, told in zip(stack.difference.rows, source["rows"], strict=True)
        }
        notes = tuple(map(_text, document["notes"]))
        report = Report(project=_text(document["project"]), stacks=stacks, notes=notes, judged=judged)
        previews = {_text(preview["stack"]): preview for preview in document.get("previews", [])}
        return ReadReport(
            report=report,
            plans={name: _plan(preview) for name, preview in previews.items()},
            reaches={name: _reach(preview["reach"]) for name, preview in previews.items()},
            costs={name: _cost(preview["usdPerMonth"]) for name, preview in previews.items()},
            notes={name: _texts(preview["notes"]) for name, preview in previews.items()},
        )
    except ReportError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReportError("it is not the JSON of a report") from None


def _check_head(document: Any) -> None:  # noqa: ANN401 - foreign JSON; whatever is wrong with it is a ReportError
    if document["version"] != 1 or len(document["stacks"]) > _STACK_LIMIT:
        raise ReportError("it is of another version, or has more than a hundred stacks")


def _stack(stack: Any) -> StackReport:  # noqa: ANN401 - foreign JSON; whatever is wrong with it is a ReportError
    environment = _text(stack["environment"])
    difference = Difference(
        environment=environment,
        rows=tuple(_row(environment, row) for row in stack["rows"]),
        undecided=_texts(stack["undecided"]),
        reformatted=_texts(stack["noEffectiveChange"]),
        apps=(int(stack["apps"]["before"]), int(stack["apps"]["after"])),
    )
    return StackReport(stack=_text(stack["stack"]), difference=difference)


def _row(environment: str, row: Any) -> Row:  # noqa: ANN401 - as above
    return Row(
        environment=environment,
        app=_text(row["app"]),
        about=About(row["about"]),
        change=Change(row["change"]),
        parts=_parts(About(row["about"]), row["subject"]),
        workloads=_texts(row["workloads"]),
        regions=_texts(row["regions"]),
        before=_texts(row["before"]),
        after=_texts(row["after"]),
        details=_texts(row["details"]),
        owner=_text(row["owner"]),
        secret_owner=_text(row["secretOwner"]),
        why=_texts(row["why"]),
        spec=_text(row["place"]),
        risks=tuple(Risk(word) for word in row["risks"]),
        is_certain=bool(row["certain"]),
        spec_digest=_text(row["spec"]),
    )


#: How many parts the subject of a kind has at least; the sentences count on them.
_PARTS = {
    About.POWER: 3,
    About.DENIAL: 2,
    About.RESOURCE_POLICY: 5,
    About.OTHER_ACCOUNT: 4,
    About.FILE: 2,
    About.MODE: 2,
    About.MOUNT: 2,
}


def _parts(about: About, subject: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    parts = _texts(subject)
    power = about is not About.POWER or parts[0] in {"write", "read", "decrypt", "assume", "list", "describe", "other"}
    if len(parts) < _PARTS.get(about, 1) or not power:
        raise ReportError("a row has no such subject")
    return parts


def _plan(preview: Any) -> ResourcePlan:  # noqa: ANN401 - as above
    return ResourcePlan(
        resources=tuple(
            PlannedResource(
                component=_text(item["component"]),
                operation=_text(item["operation"]),
                type=_text(item["type"]),
                name=_text(item["name"]),
                changes=_texts(item["changes"]),
                replaced_for=_texts(item["replacedFor"]),
                is_kept=bool(item["kept"]),
            )
            for item in preview["resources"]
        ),
        totals={_text(name): int(count) for name, count in preview["totals"].items()},
        diagnostics=tuple(
            Diagnostic(
                severity=_text(item["severity"]), message=_text(item["message"]), resource=_text(item["resource"])
            )
            for item in preview["diagnostics"]
        ),
        cut_short=bool(preview["failed"]),
    )


def _reach(value: Any) -> tuple[int, int] | None:  # noqa: ANN401 - as above
    return None if value is None else (int(value[0]), int(value[1]))


def _cost(value: Any) -> tuple[float, float] | None:  # noqa: ANN401 - as above
    return None if value is None else (float(value[0]), float(value[1]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ReportError("a text is missing")
    return value[:_TEXT_LIMIT]


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ReportError("a list is missing")
    return tuple(map(_text, values))
