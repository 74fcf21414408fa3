"""`python -m lockstep.pull_request ACCESS [PREVIEWS]`: post reports on the pull request of this CI run.

ACCESS and PREVIEWS are folders, see reports.py. ACCESS has every stack of its projects: comments on others of their
stacks are marked as outdated. Without a report in ACCESS the access diff failed: the comments say so, and the label
stays. Whether the pull request may be merged is said by verdict.py.

Read from the environment: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, PULL_REQUEST (its number), ACCESS_SUMS (see
reports.py) and COMMENT_AUTHOR (`github-actions[bot]` by default).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from lockstep.access_report.markdown_report import MARKER_START, marker, marker_prefix, render_markdown
from lockstep.access_report.text_report import NO_SPEC
from lockstep.exit_codes import ExitCode
from lockstep.preview.preview_report import StackPreview
from lockstep.preview.preview_texts import render_pages
from lockstep.pull_request.github_api import GitHub, GitHubError
from lockstep.pull_request.reports import RunReports, log_line
from lockstep.pull_request.sticky_comments import FAILED, GONE, mark_outdated, post_pages

LABEL = "needs-approval"
_FURTHER_SHOWN = 20
#: Stacks that only previews have, and pages of each: their reports come from the pull request's own program.
_ONLY_PREVIEWED_SHOWN, _ONLY_PREVIEWED_PAGES = 10, 3


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Post; return 0, or 1 when a report could not be read or posted. Problems go to standard error."""
    reports = RunReports.of_arguments(arguments, environment, program="lockstep.pull_request")
    if reports is None:
        return int(ExitCode.WRONG_USAGE)
    try:
        _post(reports, environment)
    except KeyError as error:
        reports.problems.append(f"the environment has no {error.args[0]}. Fix: run this in the posting job")
    except GitHubError as error:
        reports.problems.append(f"{error}. Fix: give the job pull-requests: write, or run it again")
    for problem in reports.problems:
        print(log_line(problem), file=sys.stderr)
    return 1 if reports.problems else 0


def _post(reports: RunReports, environment: Mapping[str, str]) -> None:
    github = GitHub(
        api=environment["GITHUB_API_URL"].rstrip("/"),
        repository=environment["GITHUB_REPOSITORY"],
        number=int(environment["PULL_REQUEST"]),
        token=environment["GITHUB_TOKEN"],
    )
    # The label first: whoever makes the reports large could have the job end before it.
    if reports.needs_approval:
        github.add_label(LABEL)
    elif not reports.access_failed and not reports.problems:
        github.remove_label(LABEL)
    pages, prefixes = _all_pages(reports)
    author = environment.get("COMMENT_AUTHOR") or "github-actions[bot]"
    for line in post_pages(github, pages, author=author, prefixes=sorted(prefixes)):
        print(line)
    looked_at = [MARKER_START] if reports.access_failed else sorted(filter(None, map(marker_prefix, reports.projects)))
    notice = FAILED if reports.access_failed else GONE
    for line in mark_outdated(github, notice, author=author, prefixes=looked_at, current=pages):
        print(line)


def _all_pages(reports: RunReports) -> tuple[dict[str, str], set[str]]:
    """Return the pages of all stacks by their markers, and how the markers of each stack begin."""
    pages: dict[str, str] = {}
    prefixes: set[str] = set()
    # What the base's tool found comes first: a stack that only a preview knows takes no other one's place.
    only_previewed = sorted(reports.previews.keys() - reports.access.keys())
    if len(only_previewed) > _ONLY_PREVIEWED_SHOWN:
        left_out = len(only_previewed) - _ONLY_PREVIEWED_SHOWN
        reports.problems.append(f"{left_out} stacks that only previews have are left out. Fix: see their jobs")
    for stack in [*sorted(reports.access), *only_previewed[:_ONLY_PREVIEWED_SHOWN]]:
        project, made = _pages(reports, stack)
        if marker(project, stack) in pages:
            continue
        prefixes.add(marker(project, stack).removesuffix("1 -->"))
        shown = made if stack in reports.access else made[:_ONLY_PREVIEWED_PAGES]
        pages.update((marker(project, stack, number), page) for number, page in enumerate(shown, 1))
    return pages, prefixes


def _pages(reports: RunReports, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the project and the pages of one stack, made here: of a report only names are taken."""
    if name not in reports.previews:
        report, stack = reports.access[name]
        return report.project, render_markdown(report, stack)
    read, previewed = reports.previews[name]
    report, stack = reports.access.get(name, (read.report, previewed))
    preview = StackPreview(
        stack=name,
        plan=read.plans[name],
        access=stack,
        reach=read.reaches[name],
        cost=read.costs[name],
        notes=_notes(reports, name),
    )
    return report.project, render_pages(report, preview, urgent=_urgent(reports, name))


def _urgent(reports: RunReports, name: str) -> tuple[str, ...]:
    """Return what a reader of a stack's preview must not miss: what needs an approval and stands in no table."""
    if name in reports.access:
        return tuple(
            f"only in the preview, needs approval (row {item.identity} spec {item.spec or NO_SPEC}): {item.text}"
            for item in reports.further(name)
            if item.is_open
        )
    if reports.access_failed:
        return ("the access diff failed: see the run. What follows is only what the preview's program found",)
    return ()


def _notes(reports: RunReports, name: str) -> tuple[str, ...]:
    """Return some of the other notes on a stack's preview."""
    read, _ = reports.previews[name]
    notes: list[str] = []
    if name in reports.access:
        if name in reports.failed:
            notes.append("the access below is what the specs say; the program may do more than the preview reached")
        notes += (f"only in the preview: {item.text}" for item in reports.further(name) if not item.is_open)
    notes += read.notes.get(name, ())
    if len(notes) > _FURTHER_SHOWN:
        notes[_FURTHER_SHOWN:] = [f"and {len(notes) - _FURTHER_SHOWN} more"]
    return tuple(notes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
