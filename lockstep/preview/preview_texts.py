"""Prints previews: diagnostics first when one failed, then access, then the resources by component.

Not done here: what stands in them (preview_report.py). Texts are made of names; free texts of the run go through the
redaction of whoever prints them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from lockstep.access_report import json_report, text_report
from lockstep.access_report.markdown_report import code, render_markdown
from lockstep.access_report.report import Report
from lockstep.access_report.visible_text import visible
from lockstep.preview.fleet_figures import NODES, PODS_PER_APP
from lockstep.preview.preview_report import StackPreview, exit_code
from lockstep.preview.resource_plan import OPERATIONS, Diagnostic, PlannedResource, ResourcePlan, Weight

_SIGNS = {"create": "+", "delete": "-", "update": "~", "import": "=", "replace": "±"}
#: Replaced and deleted resources that are named at the top; all of them stand in the plan.
_LOUD_SHOWN = 20


def render_text(report: Report, previews: tuple[StackPreview, ...]) -> str:
    """Return the report for a terminal; ends in a newline."""
    lines = [line for preview in previews for line in _failure(preview)]
    lines.append(text_report.render_text(report))
    for preview in previews:
        lines += [f"resources of {visible(preview.stack)}: {_totals(preview.plan)}", *_plan_lines(preview.plan)]
        lines += [f"! {text}" for text in _figures(preview)]
        lines += [f"note: {visible(note)}" for note in preview.notes]
    return "\n".join(lines) + "\n"


def _failure(preview: StackPreview) -> Iterator[str]:
    if not preview.plan.cut_short:
        return
    yield f"{visible(preview.stack)}: THE PREVIEW FAILED"
    for item in preview.plan.diagnostics:
        yield from (f"  {line}" for line in _message_lines(item))
    yield ""


def _message_lines(item: Diagnostic) -> list[str]:
    """Return a message line by line, each without control characters."""
    place = f" {item.resource}:" if item.resource else ""
    return [visible(line) for line in f"{item.severity}:{place} {item.message}".splitlines()]


def _totals(plan: ResourcePlan) -> str:
    told = ", ".join(f"{count} {visible(operation)}" for operation, count in plan.totals.items() if count)
    return told or _no_resources(plan)


def _no_resources(plan: ResourcePlan) -> str:
    return "not known, because the preview failed" if plan.cut_short else "nothing to do"


def _figures(preview: StackPreview) -> tuple[str, ...]:
    """Return a sentence for each figure of the fleet that changes."""
    told: list[str] = []
    if preview.reach is not None and preview.reach[0] != preview.reach[1]:
        before, after = preview.reach
        told.append(f"node blast radius: all apps together read {after} secrets and parameters, {before} before")
    if preview.cost is not None and round(preview.cost[0], 2) != round(preview.cost[1], 2):
        old, new = preview.cost
        told.append(
            f"cost of AWS calls: {new - old:+.2f} USD a month, {new:.2f} in all "
            f"(assumed: {PODS_PER_APP} pods per app on {NODES} nodes; `lockstep cost` takes others)"
        )
    return tuple(told)


def _plan_lines(plan: ResourcePlan) -> Iterator[str]:
    for component, resources in groupby(plan.resources, key=lambda item: item.component):
        yield f"  {visible(component) or 'no component'}"
        for item in resources:
            remarks = _remarks(item)
            yield f"    {_sign(item)} {visible(item.type)} {visible(item.name)}{f' {remarks}' if remarks else ''}"
    for diagnostic in () if plan.cut_short else plan.diagnostics:
        yield from (f"  {line}" for line in _message_lines(diagnostic))


def _sign(item: PlannedResource) -> str:
    return _SIGNS.get(item.operation, "?")


def _remarks(item: PlannedResource) -> str:
    remarks = [
        item.operation.upper() if item.weight is Weight.LOUD else "",
        "kept in the account" if item.is_kept else "",
        f"because of {', '.join(item.replaced_for)}" if item.replaced_for else "",
        "mounts are interrupted" if item.restarts_pods else "",
    ]
    told = "; ".join(filter(None, remarks))
    return visible(" ".join(filter(None, (f"({told})" if told else "", ", ".join(item.changes)))))


# ------------------------------------------------------------------------------------------------------------ Markdown
def render_pages(report: Report, preview: StackPreview, *, urgent: Sequence[str] = ()) -> tuple[str, ...]:
    """Return one stack's report for a pull request, as pages.

    Args:
        report: The whole, for approvals.
        preview: One of its stacks.
        urgent: Sentences for the very top: no diagnostic and no replaced resource may take their room.
    """
    first = [
        *(f"- **!** {code(text)}" for text in urgent),
        *_failure_section(preview),
        *_warning(preview.plan),
        *(f"- note: {code(note)}" for note in preview.notes),
    ]
    plan = [*("\n" + text for text in _figures(preview)), *_plan_section(preview.plan)]
    return render_markdown(report, preview.access, plan=plan, first=[*first, ""] if first else first)


def _failure_section(preview: StackPreview) -> list[str]:
    if not preview.plan.cut_short:
        return []
    messages = [line for item in preview.plan.diagnostics for line in _message_lines(item) if line.strip()]
    return ["### The preview failed", "", *(f"- {code(line)}" for line in messages), ""]


def _warning(plan: ResourcePlan) -> list[str]:
    """Return the note that a reviewer must not miss: what is replaced or deleted."""
    loud = [item for item in plan.resources if item.weight is Weight.LOUD]
    if not loud:
        return []
    lines = ["> [!WARNING]", f"> Replaced or deleted: {len(loud)}"]
    lines += [f"> - {_operation(item.operation)} {code(item.type)} {code(item.name)}" for item in loud[:_LOUD_SHOWN]]
    if len(loud) > _LOUD_SHOWN:
        lines.append(f"> - and {len(loud) - _LOUD_SHOWN} more")
    return [*lines, ""]


def _operation(word: str) -> str:
    """Return Pulumi's word as it stands, anything else as code: a summary is a place where markup works."""
    return word if word in OPERATIONS else code(word)


def _plan_section(plan: ResourcePlan) -> list[str]:
    told = ", ".join(f"{count} {_operation(word)}" for word, count in plan.totals.items() if count)
    told = told or _no_resources(plan)
    lines = ["", f"<details><summary>Resources: {told}</summary>", ""]
    for component, resources in groupby(plan.resources, key=lambda item: item.component):
        lines.append(f"- {code(component) or 'no component'}")
        for item in resources:
            loud = "**" if item.weight is Weight.LOUD else ""
            remarks = _remarks(item)
            told = f"{_sign(item)} {code(item.type)} {code(item.name)}{f' {code(remarks)}' if remarks else ''}"
            lines.append(f"  - {loud}{told}{loud}")
    messages = [] if plan.cut_short else [line for item in plan.diagnostics for line in _message_lines(item)]
    return [*lines, *(f"- {code(line)}" for line in messages if line.strip()), "", "</details>"]


# ---------------------------------------------------------------------------------------------------------------- JSON
def render_json(report: Report, previews: tuple[StackPreview, ...]) -> str:
    """Return the access report's document with `previews` beside it: resources and diagnostics per stack."""
    document = json.loads(json_report.render_json(report))
    code = exit_code(report, previews)
    if code is not report.exit_code:
        document |= {"exitCode": int(code), "verdict": "resources change"}
    document["previews"] = [_document(preview) for preview in previews]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _document(preview: StackPreview) -> dict[str, object]:
    plan = preview.plan
    return {
        "stack": preview.stack,
        "failed": plan.cut_short,
        "totals": dict(plan.totals),
        "reach": list(preview.reach) if preview.reach else None,
        "usdPerMonth": [round(usd, 2) for usd in preview.cost] if preview.cost else None,
        "notes": list(preview.notes),
        "diagnostics": [
            {"severity": item.severity, "message": item.message, "resource": item.resource} for item in plan.diagnostics
        ],
        "resources": [
            {
                "component": item.component,
                "operation": item.operation,
                "type": item.type,
                "name": item.name,
                "changes": list(item.changes),
                "replacedFor": list(item.replaced_for),
                "kept": item.is_kept,
                "interruptsMounts": item.restarts_pods,
            }
            for item in plan.resources
        ],
    }
