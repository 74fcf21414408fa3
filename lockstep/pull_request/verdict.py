"""`python -m lockstep.pull_request.verdict ACCESS [PREVIEWS]`: whether a pull request may be merged.

For a required check. ACCESS and PREVIEWS are the folders that were posted, see reports.py. Exit code 3, with a line for
each, while something needs an approval that the base's `approvals.yaml` does not give; what only a plan sees counts
too, such as a policy that the program writes itself. Exit code 1 where nothing can be said: the access diff failed, a
report cannot be read, a preview failed, or a stack of PLANNED_STACKS (a JSON list, in the environment) has none.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from lockstep.access_report.text_report import NO_SPEC
from lockstep.exit_codes import ExitCode
from lockstep.pull_request.reports import APPROVALS_FILE, Finding, RunReports, log_line


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Print the verdict; return the exit code. Problems go to standard error."""
    reports = RunReports.of_arguments(arguments, environment, program="lockstep.pull_request.verdict")
    if reports is None:
        return int(ExitCode.WRONG_USAGE)
    unsaid = [*reports.problems, *_unsaid(reports, environment.get("PLANNED_STACKS") or "[]")]
    for problem in unsaid:
        print(log_line(problem), file=sys.stderr)
    for finding in reports.findings():
        if finding.is_open:
            print(log_line(_told(finding)))
    if unsaid:
        return int(ExitCode.INVALID_INPUT)
    if not reports.needs_approval:
        print("nothing needs an approval")
        return int(ExitCode.FINE)
    print(f"Fix: have an owner add what is accepted to {APPROVALS_FILE} on the base branch, and update this branch.")
    return int(ExitCode.NEEDS_APPROVAL)


def _unsaid(reports: RunReports, planned: str) -> Iterator[str]:
    """Yield why nothing can be said of the whole."""
    if reports.access_failed:
        yield "the access diff failed, so nothing can be said. Fix: look at its job"
    for stack in reports.failed:
        yield f"the preview of {stack} failed, so it may do more than it shows. Fix: look at its job"
    try:
        stacks = json.loads(planned)
    except ValueError:
        stacks = None
    if not isinstance(stacks, list) or not all(isinstance(stack, str) for stack in stacks):
        yield 'PLANNED_STACKS is no JSON list. Fix: write it like ["dev", "prod"]'
        return
    for stack in stacks:
        if stack not in reports.previews:
            yield f"the preview of {stack} has left no report. Fix: look at its job"


def _told(finding: Finding) -> str:
    seen = " (only in the preview)" if finding.only_in_preview else ""
    named = f"row {finding.identity} spec {finding.spec or NO_SPEC}"
    return f"{finding.stack}: {finding.text}{seen}: approval {finding.judgement}, {named}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
