"""`python -m lockstep.pull_request ACCESS [PREVIEWS]`: post reports on the pull request of this CI run.

ACCESS is a folder of reports of `lockstep diff`, made by the base's tool: what they say of access stands. PREVIEWS is a
folder of reports of `lockstep preview`, made by the pull request's own program: they add resources and diagnostics, and
can take nothing away. ACCESS has every stack of its projects: comments on others of their stacks are marked as
outdated. Without a report in ACCESS the access diff failed: the comments say so, and the label stays.

Read from the environment: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, PULL_REQUEST (its number), and
COMMENT_AUTHOR (`github-actions[bot]` by default).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.derivation.diff import Row
from lockstep.access_report.markdown_report import MARKER_START, marker, marker_prefix, render_markdown
from lockstep.access_report.redaction import Redaction
from lockstep.access_report.report import Report, StackReport
from lockstep.access_report.report_reader import ReadReport, ReportError, read_report
from lockstep.access_report.sentences import plain, sentence
from lockstep.exit_codes import ExitCode
from lockstep.preview.preview_report import StackPreview
from lockstep.preview.preview_texts import render_pages
from lockstep.pull_request.github_api import GitHub, GitHubError
from lockstep.pull_request.sticky_comments import FAILED, GONE, mark_outdated, post_pages

LABEL = "needs-approval"
_FURTHER_SHOWN = 20


@dataclass(slots=True)
class _Reports:
    """What was read: by stack, and what could not be."""

    access: dict[str, tuple[Report, StackReport]] = field(default_factory=dict)
    previews: dict[str, tuple[ReadReport, StackReport]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    access_is_open: bool = False
    projects: set[str] = field(default_factory=set)
    has_unread_access: bool = False

    def read(self, folder: Path, *, is_preview: bool) -> None:
        """Read every report below a folder; a folder that is not there has none."""
        for path in sorted(folder.rglob("*.json")):
            try:
                found = read_report(path.read_text(encoding="utf-8"))
            except (ReportError, UnicodeDecodeError) as error:
                self.has_unread_access |= not is_preview
                self.problems.append(f"{path.name}: {error}. Fix: look at the job that wrote it")
                continue
            except OSError as error:
                self.has_unread_access |= not is_preview
                self.problems.append(f"{path.name}: it cannot be read ({type(error).__name__}). Fix: see its job")
                continue
            if is_preview and not found.plans:
                self.problems.append(f"{path.name}: it has no previews. Fix: look at the job that wrote it")
                continue
            if not is_preview:
                self.projects.add(found.report.project)
                self.access_is_open |= found.exit_code is ExitCode.NEEDS_APPROVAL
            for stack in found.report.stacks:
                if is_preview:
                    self.previews[stack.stack] = (found, stack)
                else:
                    self.access[stack.stack] = (found.report, stack)

    @property
    def access_failed(self) -> bool:
        """Whether the base's tool left less than it should have: nothing may look current or approved then."""
        return self.has_unread_access or not self.projects

    @property
    def needs_approval(self) -> bool:
        """Whether the base's tool asks for an approval, or a preview shows something open that it did not judge."""
        if self.access_is_open or any(
            report.is_open(row) for report, stack in self.access.values() for row in stack.difference.rows
        ):
            return True
        return any(self._adds_something_open(name) for name in self.previews)

    def _adds_something_open(self, name: str) -> bool:
        read, _ = self.previews[name]
        rows, undecided = self.further(name)
        is_asked = read.exit_code not in {ExitCode.FINE, ExitCode.FINDINGS}
        return any(map(read.report.is_open, rows)) or bool(undecided and is_asked)

    def further(self, name: str) -> tuple[list[Row], list[str]]:
        """Return the rows of a stack's preview, and what it could not compare, that the base's tool did not see.

        What it saw it judged, with the approvals, which a preview does not read.
        """
        found = self.previews[name][1].difference
        if name not in self.access:
            return list(found.rows), list(found.undecided)
        known = self.access[name][1].difference
        judged, told = {row.identity for row in known.rows}, set(known.undecided)
        return [row for row in found.rows if row.identity not in judged], [
            item for item in found.undecided if item not in told
        ]


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Post; return 0, or 1 when a report could not be read or posted. Problems go to standard error."""
    if not 1 <= len(arguments) <= 2:  # noqa: PLR2004 - one folder, or two
        print("usage: python -m lockstep.pull_request ACCESS [PREVIEWS]", file=sys.stderr)
        return 64
    reports = _Reports()
    reports.read(Path(arguments[0]), is_preview=False)
    for folder in arguments[1:]:
        reports.read(Path(folder), is_preview=True)
    try:
        _post(reports, environment)
    except KeyError as error:
        reports.problems.append(f"the environment has no {error.args[0]}. Fix: run this in the posting job")
    except GitHubError as error:
        reports.problems.append(f"{error}. Fix: give the job pull-requests: write, or run it again")
    for problem in reports.problems:
        print(problem, file=sys.stderr)
    return 1 if reports.problems else 0


def _post(reports: _Reports, environment: Mapping[str, str]) -> None:
    github = GitHub(
        api=environment["GITHUB_API_URL"].rstrip("/"),
        repository=environment["GITHUB_REPOSITORY"],
        number=int(environment["PULL_REQUEST"]),
        token=environment["GITHUB_TOKEN"],
    )
    pages: dict[str, str] = {}
    prefixes: set[str] = set()
    # What the base's tool found comes first: a stack that only a preview knows takes no other one's place.
    for stack in [*sorted(reports.access), *sorted(reports.previews.keys() - reports.access.keys())]:
        project, made = _pages(reports, stack)
        if marker(project, stack) in pages:
            continue
        prefixes.add(marker(project, stack).removesuffix("1 -->"))
        pages.update((marker(project, stack, number), page) for number, page in enumerate(made, 1))
    author = environment.get("COMMENT_AUTHOR") or "github-actions[bot]"
    for line in post_pages(github, pages, author=author, prefixes=sorted(prefixes)):
        print(line)
    looked_at = [MARKER_START] if reports.access_failed else sorted(filter(None, map(marker_prefix, reports.projects)))
    notice = FAILED if reports.access_failed else GONE
    for line in mark_outdated(github, notice, author=author, prefixes=looked_at, current=pages):
        print(line)
    if reports.needs_approval:
        github.add_label(LABEL)
    elif not reports.access_failed:
        github.remove_label(LABEL)


def _pages(reports: _Reports, name: str) -> tuple[str, tuple[str, ...]]:
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
        redaction=Redaction(),
    )
    return report.project, render_pages(report, preview)


def _notes(reports: _Reports, name: str) -> tuple[str, ...]:
    """Return the notes on a stack's preview: first all that needs an approval, then some of the others."""
    read, _ = reports.previews[name]
    first: list[str] = []
    others: list[str] = []
    if name in reports.access:
        rows, undecided = reports.further(name)
        for row in rows:
            is_open = read.report.is_open(row)
            told = f"only in the preview{', needs approval' if is_open else ''}: {plain(sentence(row))}"
            (first if is_open else others).append(told)
        first += [f"only in the preview: not compared, because neither side is known: {item}" for item in undecided]
    elif reports.access_failed:
        first.append("the access diff failed: see the run. What follows is only what the preview's program found")
    others += read.notes.get(name, ())
    if len(others) > _FURTHER_SHOWN:
        others[_FURTHER_SHOWN:] = [f"and {len(others) - _FURTHER_SHOWN} more"]
    return (*first, *others)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
