"""`python -m lockstep.pull_request.verdict ACCESS [PREVIEWS]`: whether a pull request may be merged.

For a required check. ACCESS and PREVIEWS are the folders that were posted, see reports.py. Exit code 3, with a line for
each, while something needs an approval that the base's `approvals.yaml` does not give; what only a plan sees counts
too, such as a policy that the program writes itself. Exit code 1 when the access diff failed or a report cannot be
read: then nothing can be said.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

from lockstep.access_report.sentences import visible
from lockstep.access_report.text_report import NO_SPEC
from lockstep.exit_codes import ExitCode
from lockstep.pull_request.reports import APPROVALS_FILE, Finding, RunReports


def main(arguments: Sequence[str]) -> int:
    """Print the verdict; return the exit code. Problems go to standard error."""
    if not 1 <= len(arguments) <= 2:  # noqa: PLR2004 - one folder, or two
        print("usage: python -m lockstep.pull_request.verdict ACCESS [PREVIEWS]", file=sys.stderr)
        return 64
    previews = Path(arguments[1]) if arguments[1:] else None
    reports = RunReports.read(Path(arguments[0]), previews, today=dt.datetime.now(tz=dt.UTC).date())
    for problem in reports.problems:
        print(problem, file=sys.stderr)
    if reports.access_failed:
        print("the access diff failed, so nothing can be said. Fix: look at its job", file=sys.stderr)
    if reports.access_failed or reports.problems:
        return int(ExitCode.INVALID_INPUT)
    if not reports.needs_approval:
        print("nothing needs an approval")
        return int(ExitCode.FINE)
    for finding in reports.findings():
        if finding.is_open:
            print(_line(finding))
    print(f"Fix: have an owner add what is accepted to {APPROVALS_FILE} on the base branch, and update this branch.")
    return int(ExitCode.NEEDS_APPROVAL)


def _line(finding: Finding) -> str:
    seen = " (only in the preview)" if finding.only_in_preview else ""
    named = f"row {finding.identity} spec {finding.spec or NO_SPEC}"
    # No line begins with a text of a report: a runner takes some beginnings for commands.
    return visible(f"- {finding.stack}: {finding.text}{seen}: approval {finding.judgement}, {named}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
