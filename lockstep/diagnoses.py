"""Diagnoses of refused mounts as text and as JSON.

Which stacks a problem is asked of is decided here; what is missing is decided in components/derivation/answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import typer

from components.derivation.answers import ELSEWHERE, Diagnosis, Finding, MountProblem, State, diagnose, find_apps
from lockstep.answers import Json, noun, spot_json
from lockstep.asking import AskedStack
from lockstep.spec_lines import excerpt
from lockstep.tables import aligned

_COLOURS = {
    State.MISSING: typer.colors.RED,
    State.FINE: typer.colors.GREEN,
    State.UNKNOWN: typer.colors.YELLOW,
}
_SAID_CHARACTERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One problem with what the specs say about it, stack by stack; no diagnosis where no spec knows its app."""

    problem: MountProblem | None
    diagnoses: tuple[tuple[str, Diagnosis], ...]

    @property
    def is_missing_something(self) -> bool:
        """Whether an aspect is missing, or cannot be judged because no spec knows the app."""
        if not self.diagnoses:
            return self.problem is None or self.problem.kind not in ELSEWHERE
        return any(diagnosis.missing for _, diagnosis in self.diagnoses)


def explain(asked: Sequence[AskedStack], problem: MountProblem) -> Explained:
    """Diagnose one problem in the stacks that know its app; by its account where its ARNs tell one."""
    stacks = [one for one in asked if one.answers.fleet.environment.account in problem.accounts] or list(asked)
    found = [
        (one.stack, diagnosis)
        for one in stacks
        for app in find_apps(one.answers, problem)
        for diagnosis in diagnose(one.answers, str(app.app), problem=problem)
    ]
    # A name that only one stack's spec knows says which stack it is.
    named = [(stack, diagnosis) for stack, diagnosis in found if diagnosis.spots]
    return Explained(problem=problem, diagnoses=tuple(named or found))


def explained_text(explained: Explained) -> str:
    """Return one problem with its diagnoses."""
    lines: list[str] = []
    if explained.problem:
        problem = explained.problem
        code = f" [{problem.code}]" if problem.code else ""
        lines.append(f"{problem.kind}{code}")
        lines.append(f"  said: {problem.said[:_SAID_CHARACTERS]}{'…' if len(problem.said) > _SAID_CHARACTERS else ''}")
    if not explained.diagnoses and explained.problem and explained.problem.kind in ELSEWHERE:
        lines.append(f"  {ELSEWHERE[explained.problem.kind]}")
    elif not explained.diagnoses:
        lines.append("  no spec of the stacks asked derives this class, role or service account: it is hand-written, ")
        lines[-1] += "of another project, or the text names none. Name the app: lockstep why APP NAME"
    for stack, diagnosis in explained.diagnoses:
        lines += _diagnosis_lines(stack, diagnosis)
    return "\n".join(lines)


def _diagnosis_lines(stack: str, diagnosis: Diagnosis) -> Iterator[str]:
    about = f" and the {noun(diagnosis.item)}" if diagnosis.item else ""
    yield f"{stack}: {diagnosis.app.app}{about}"
    rows = [(finding.aspect.value, finding.state.value, finding.text) for finding in diagnosis.findings]
    for finding, line in zip(diagnosis.findings, aligned(rows), strict=True):
        yield line.replace(finding.state.value, typer.style(finding.state.value, fg=_COLOURS[finding.state]), 1)
    for spot in diagnosis.spots:
        yield from (f"  named by {spot}", *excerpt(spot, indent="    "))
    for finding in diagnosis.missing:
        yield f"  Fix ({finding.aspect}): {finding.fix}."
    if not diagnosis.missing and not diagnosis.rest:
        yield "  Nothing is missing by the spec."
    yield from (f"  {sentence}" for sentence in diagnosis.rest)


def explained_json(explained: Explained) -> Json:
    """Return one problem with its diagnoses as data."""
    problem = explained.problem
    return {
        "problem": None
        if problem is None
        else {
            "kind": problem.kind.name.lower(),
            "meaning": problem.kind.value,
            "code": problem.code or None,
            "said": problem.said,
            "class": f"{problem.namespace}/{problem.class_name}" if problem.class_name else None,
            "names": list(problem.names),
            "regions": list(problem.regions),
            "action": problem.action or None,
            "role": problem.role or None,
        },
        "diagnoses": [
            {
                "stack": stack,
                "app": str(diagnosis.app.app),
                "object": diagnosis.item.shown if diagnosis.item else None,
                "missing": [finding.aspect.value for finding in diagnosis.missing],
                "findings": [_finding_json(finding) for finding in diagnosis.findings],
                "namedBy": [spot_json(spot) for spot in diagnosis.spots],
                "rest": list(diagnosis.rest),
            }
            for stack, diagnosis in explained.diagnoses
        ],
        "advice": ELSEWHERE.get(problem.kind) if problem else None,
    }


def _finding_json(finding: Finding) -> Json:
    return {
        "aspect": finding.aspect.value,
        "state": finding.state.value,
        "text": finding.text,
        "fix": finding.fix or None,
    }
