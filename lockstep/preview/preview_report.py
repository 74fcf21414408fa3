"""A preview, read: who gains and loses access, what happens to the resources, and the exit code that follows.

Not done here: running it (preview_runs.py) and printing it (preview_texts.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from components.derivation.diff import About, Difference, read_preview, read_sides
from components.derivation.diff.fleets import diff_fleets
from lockstep.access_report.redaction import Redaction
from lockstep.access_report.report import Report, StackReport
from lockstep.exit_codes import ExitCode
from lockstep.preview.fleet_figures import FleetFigures, figures_of
from lockstep.preview.preview_runs import PreviewRun
from lockstep.preview.resource_plan import ResourcePlan, read_plan

#: Words of Pulumi's that decide how loudly a resource is told; they are no values, whatever they look like.
_KEPT = frozenset({"operation", "type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPreview:
    """One stack's preview, read.

    Attributes:
        reach: Secrets and parameters that all apps together may read, before and after: what a node that ran all of
            them would reach. None where it is not known: the preview failed, leaves out what does not change, or shows
            an app whose access it does not tell.
        cost: USD a month for AWS calls, before and after; see `FleetFigures`. None likewise.
    """

    stack: str
    plan: ResourcePlan
    access: StackReport
    reach: tuple[int, int] | None
    cost: tuple[float, float] | None
    notes: tuple[str, ...]


def read_run(stack: str, run: PreviewRun, redaction: Redaction, *, is_protected: bool) -> StackPreview:
    """Read one run.

    Args:
        stack: Its name.
        run: What gave the document.
        redaction: Takes the values of previews out of plan and notes; the access report has its own.
        is_protected: See `diff_fleets`.

    Raises:
        NotAPreviewError: The document is of another kind.
    """
    sides = read_sides(run.document)
    before, after = read_preview(sides)
    difference = diff_fleets(before, after, is_protected=is_protected)
    plan = read_plan(run.document, failed=run.failed)
    figures = (figures_of(before), figures_of(after)) if sides.is_whole and not plan.cut_short else None
    notes = list(run.notes)
    gap = _gap(figures, difference) if figures else ""
    if gap:
        figures = None
        notes.append(f"what all apps together read, and what that costs, is not known: {gap}")
    if plan.cut_short:
        notes.append("the preview failed: rows and resources end where it ended, so more may change")
    if sides.left_out:
        notes.append(f"the preview leaves out {sides.left_out} unchanged resources: nothing could be matched with them")
    return StackPreview(
        stack=stack,
        plan=redaction.data(plan, kept=_KEPT),
        access=StackReport(stack=stack, difference=difference, cut_short=plan.cut_short),
        reach=(figures[0].reach, figures[1].reach) if figures else None,
        cost=(figures[0].usd_per_month, figures[1].usd_per_month) if figures else None,
        notes=redaction.data(tuple(notes)),
    )


def _gap(figures: Iterable[FleetFigures], difference: Difference) -> str:
    """Return what keeps the figures from being known, "" for nothing."""
    found = next((one.gap for one in figures if one.gap), "")
    if not found and (difference.undecided or any(row.about is About.UNKNOWN for row in difference.rows)):
        return "the report has access that cannot be told"
    return found


def exit_code(report: Report, previews: tuple[StackPreview, ...]) -> ExitCode:
    """Return the exit code: that of the access report, or findings where only resources change."""
    if report.exit_code is ExitCode.FINE and any(preview.plan.resources for preview in previews):
        return ExitCode.FINDINGS
    return report.exit_code
