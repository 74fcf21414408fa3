"""`lockstep rule`: what a code of the linter means."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lockstep.commands.arguments import Report, ReportFormat


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="\b\nExamples:\n  lockstep rule LS101\n  lockstep rule")(rule)


def rule(
    code: Annotated[
        str | None, typer.Argument(help="Such as LS101; default: a list of all.", show_default=False)
    ] = None,
    output_format: Report = ReportFormat.TEXT,
) -> None:
    """Explain a rule of `lockstep lint`: what is wrong, why it matters, the fix, and an example of each."""
    from components.derivation.lint import RULES, rule_named  # noqa: PLC0415
    from lockstep.lint_report.documents import rule_json, rules_json  # noqa: PLC0415
    from lockstep.lint_report.text import rule_text  # noqa: PLC0415

    if code is None and output_format is ReportFormat.JSON:
        sys.stdout.write(rules_json(RULES))
        return
    if code is None:
        for item in RULES:
            typer.echo(f"{item.code}  {item.severity:<7}  {item.title}")
        return
    found = rule_named(code)
    if found is None:
        raise typer.BadParameter(f"there is no rule {code!r}; `lockstep rule` lists them", param_hint="CODE")
    if output_format is ReportFormat.JSON:
        sys.stdout.write(rule_json(found))
    else:
        for line in rule_text(found):
            typer.echo(line)
