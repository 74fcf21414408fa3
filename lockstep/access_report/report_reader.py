"""The JSON of a report, read back: data of another job, which may have run somebody else's code.

Nothing of it is trusted but as names: everything is checked against the schema, and whoever prints it makes the
Markdown anew, so that no markup of the other job reaches a comment. Texts stay whole, and whoever prints them cuts
them: the identity of a row is computed anew from them, since another job may claim any; an honest report tells it too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.derivation.diff import About, Change, Difference, Risk, Row, question_identity
from lockstep.access_report.report import Report, StackReport
from lockstep.exit_codes import ExitCode
from lockstep.preview.resource_plan import OPERATIONS, Diagnostic, PlannedResource, ResourcePlan

#: A report of a thousand apps has some five megabytes.
LIMIT_BYTES = 32 * 1024 * 1024
_STACK_LIMIT = 100
_COUNT_LIMIT = 10**9
_DIGEST = re.compile(r"[0-9a-f]{16}")
_JUDGEMENT = re.compile(r"(|approved|needed|needed: .+)", re.DOTALL)


class ReportError(ValueError):
    """A text that is no report; the message says what is wrong and repeats none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """A report and, where a preview was run, the plan of each stack.

    Attributes:
        exit_code: What the report's own program made of it; it also counts what could not be compared.
    """

    report: Report
    exit_code: ExitCode
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
        failed = frozenset(preview["stack"] for preview in document.get("previews", []) if preview["failed"])
        stacks = tuple(_stack(stack, failed) for stack in document["stacks"])
        judged = {
            named: _matching(_JUDGEMENT, told["approval"])
            for stack, source in zip(stacks, document["stacks"], strict=True)
            for named, told in _judged(stack.difference, source)
        }
        notes = tuple(map(_text, document["notes"]))
        report = Report(project=_text(document["project"]), stacks=stacks, notes=notes, judged=judged)
        previews = {_text(preview["stack"]): preview for preview in document.get("previews", [])}
        if "previews" in document:
            _check_previews(stacks, [_text(preview["stack"]) for preview in document["previews"]])
        return ReadReport(
            report=report,
            exit_code=ExitCode(_count(document["exitCode"])),
            plans={name: _plan(preview) for name, preview in previews.items()},
            reaches={name: _reach(preview["reach"]) for name, preview in previews.items()},
            costs={name: _cost(preview["usdPerMonth"]) for name, preview in previews.items()},
            notes={name: _texts(preview["notes"]) for name, preview in previews.items()},
        )
    except ReportError:
        raise
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, RecursionError):
        raise ReportError("it is not the JSON of a report") from None


def _check_head(document: Any) -> None:  # noqa: ANN401 - foreign JSON; whatever is wrong with it is a ReportError
    if document["version"] != 1 or len(document["stacks"]) > _STACK_LIMIT:
        raise ReportError("it is of another version, or has more than a hundred stacks")


def _check_previews(stacks: Sequence[StackReport], previews: Sequence[str]) -> None:
    if sorted(stack.stack for stack in stacks) != sorted(set(previews)) or len(set(previews)) != len(previews):
        raise ReportError("its stacks and its previews are not the same ones")


def _stack(stack: Any, failed: frozenset[object]) -> StackReport:  # noqa: ANN401 - foreign JSON; whatever is wrong with it is a ReportError
    environment = _text(stack["environment"])
    difference = Difference(
        environment=environment,
        rows=tuple(_row(environment, row) for row in stack["rows"]),
        undecided=_texts(stack["undecided"]),
        reformatted=_texts(stack["noEffectiveChange"]),
        apps=(_count(stack["apps"]["before"]), _count(stack["apps"]["after"])),
    )
    name = _text(stack["stack"])
    return StackReport(stack=name, difference=difference, cut_short=name in failed)


def _judged(difference: Difference, source: Any) -> Iterator[tuple[tuple[str, str], Any]]:  # noqa: ANN401 - as above
    """Yield the identity, made anew, and `spec` of every row and question, with what says how it was judged."""
    questions = [(question_identity(difference.environment, question), "") for question in difference.undecided]
    yield from zip(((row.identity, row.spec_digest) for row in difference.rows), source["rows"], strict=True)
    yield from zip(questions, source["undecidedRows"], strict=True)


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
        spec_digest=row["spec"] and _matching(_DIGEST, row["spec"]),
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
                operation=_operation(item["operation"]),
                type=_text(item["type"]),
                name=_text(item["name"]),
                changes=_texts(item["changes"]),
                replaced_for=_texts(item["replacedFor"]),
                is_kept=bool(item["kept"]),
            )
            for item in preview["resources"]
        ),
        totals={_operation(name): _count(count) for name, count in preview["totals"].items()},
        diagnostics=tuple(
            Diagnostic(
                severity=_text(item["severity"]), message=_text(item["message"]), resource=_text(item["resource"])
            )
            for item in preview["diagnostics"]
        ),
        cut_short=bool(preview["failed"]),
    )


def _reach(value: Any) -> tuple[int, int] | None:  # noqa: ANN401 - as above
    return None if value is None else (_count(value[0]), _count(value[1]))


def _cost(value: Any) -> tuple[float, float] | None:  # noqa: ANN401 - as above
    return None if value is None else (_amount(value[0]), _amount(value[1]))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _COUNT_LIMIT:
        raise ReportError("a number is missing or out of range")
    return value


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError("an amount is missing")
    if not math.isfinite(value) or not 0 <= value <= _COUNT_LIMIT:
        raise ReportError("an amount is out of range")
    return float(value)


def _operation(value: object) -> str:
    word = _text(value)
    if word not in OPERATIONS:
        raise ReportError("an operation is none of Pulumi's")
    return word


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value)
    if not pattern.fullmatch(text):
        raise ReportError("a digest or a judgement has another form")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ReportError("a text is missing")
    value.encode()  # half a character is no text; nobody could post it
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ReportError("a list is missing")
    return tuple(map(_text, values))
