"""The reports of one CI run, put together: what the base's tool found, what only a preview saw, and what is still open.

ACCESS, a folder of reports of `lockstep diff`, was made by the base's tool: what it says of access stands. The file
`approvals.yaml` beside them is the base's. PREVIEWS, a folder of reports of `lockstep preview`, was made by the pull
request's own program: it adds rows, resources and diagnostics, and can take nothing away. What only it has is judged
here, with the base's approvals, because it reads none.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.derivation.diff import Row, question_identity
from lockstep.access_report.approvals import NEEDED, Approvals, ApprovalsError, no_approvals, parse_approvals
from lockstep.access_report.report import FailOn, Report, StackReport
from lockstep.access_report.report_reader import ReadReport, ReportError, read_report
from lockstep.access_report.sentences import plain, sentence
from lockstep.access_report.visible_text import visible
from lockstep.exit_codes import ExitCode

APPROVALS_FILE = "approvals.yaml"
#: What asks for an approval of a row that only a preview has, besides what its own program said.
_FAIL_ON = FailOn()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row of a stack, or what neither side knows there, as a sentence.

    Attributes:
        identity, spec: What an approval names.
        judgement: See `Report.judgement`.
        only_in_preview: Whether the base's tool did not see it.
    """

    stack: str
    text: str
    identity: str
    spec: str
    judgement: str
    only_in_preview: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it needs an approval and has none."""
        return self.judgement.startswith(NEEDED)


@dataclass(slots=True)
class RunReports:
    """What was read: by stack, and what could not be.

    Attributes:
        problems: One line each.
        failed: Stacks whose preview failed.
        projects: Of the access reports.
    """

    today: dt.date
    access: dict[str, tuple[Report, StackReport]] = field(default_factory=dict)
    previews: dict[str, tuple[ReadReport, StackReport]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    projects: set[str] = field(default_factory=set)
    _approvals: Approvals = field(default_factory=no_approvals)
    _has_unread_access: bool = False
    _access_is_open: bool = False

    @classmethod
    def of_arguments(
        cls, arguments: Sequence[str], environment: Mapping[str, str], *, program: str
    ) -> RunReports | None:
        """Read the folders that a command line names, `ACCESS [PREVIEWS]`; for another one print the usage.

        ACCESS counts only as ACCESS_SUMS tells it, where the environment has that: lines of `sha256sum`, an output of
        the job that wrote the reports. A job that runs the pull request's program can replace an artifact of its run.
        """
        if len(arguments) not in {1, 2}:
            print(f"usage: python -m {program} ACCESS [PREVIEWS]", file=sys.stderr)
            return None
        access, *previews = map(Path, arguments)
        today = dt.datetime.now(tz=dt.UTC).date()
        return cls.read(access, previews[0] if previews else None, today=today, sums=environment.get("ACCESS_SUMS"))

    @classmethod
    def read(cls, access: Path, previews: Path | None, *, today: dt.date, sums: str | None = None) -> RunReports:
        """Read both folders; one that is not there has no report, and one that is not as `sums` tell it none either."""
        found = cls(today=today)
        if sums is None or _sums_of(access) == set(sums.splitlines()):
            found._read_folder(access, is_preview=False)
            found._read_approvals(access / APPROVALS_FILE)
        elif access.is_dir():
            found.problems.append("the access report is not the one that its job wrote. Fix: run the workflow again")
        if previews is not None:
            found._read_folder(previews, is_preview=True)
        return found

    def _read_folder(self, folder: Path, *, is_preview: bool) -> None:
        for path in sorted(folder.rglob("*.json")):
            try:
                found = read_report(path.read_text(encoding="utf-8"))
            except (ReportError, UnicodeDecodeError) as error:
                self._has_unread_access |= not is_preview
                self.problems.append(f"{path.name}: {error}. Fix: look at the job that wrote it")
                continue
            except OSError as error:
                self._has_unread_access |= not is_preview
                self.problems.append(f"{path.name}: it cannot be read ({type(error).__name__}). Fix: see its job")
                continue
            if is_preview and not found.plans:
                self.problems.append(f"{path.name}: it has no previews. Fix: look at the job that wrote it")
                continue
            self._take(path.name, found, is_preview=is_preview)

    def _take(self, name: str, found: ReadReport, *, is_preview: bool) -> None:
        """Take a report in. Of two with one stack none may hide the other: that is a problem, and nothing passes."""
        if not is_preview:
            self.projects.add(found.report.project)
            self._access_is_open |= found.exit_code is ExitCode.NEEDS_APPROVAL
        for stack in found.report.stacks:
            if stack.stack in (self.previews if is_preview else self.access):
                self._has_unread_access |= not is_preview
                self.problems.append(f"{name}: another report has its stack {stack.stack!r}, too. Fix: see its job")
            elif is_preview:
                self.previews[stack.stack] = (found, stack)
                if stack.cut_short:
                    self.failed.append(stack.stack)
            else:
                self.access[stack.stack] = (found.report, stack)

    def _read_approvals(self, path: Path) -> None:
        try:
            self._approvals = parse_approvals(path.read_text(encoding="utf-8"), where=path.name, today=self.today)
        except FileNotFoundError:
            return
        except (ApprovalsError, UnicodeDecodeError, OSError) as error:
            self.problems.append(str(error) if isinstance(error, ApprovalsError) else f"{path.name}: it cannot be read")

    @property
    def access_failed(self) -> bool:
        """Whether the base's tool left less than it should have: nothing may look current or approved then."""
        return self._has_unread_access or not self.projects

    @property
    def needs_approval(self) -> bool:
        """Whether the base's tool asks for an approval, or a preview shows something open that it did not judge."""
        return self._access_is_open or any(finding.is_open for finding in self.findings())

    def findings(self) -> Iterator[Finding]:
        """Yield what the base's tool found, stack by stack, then what only previews have."""
        for name, (report, stack) in sorted(self.access.items()):
            difference = stack.difference
            for row in difference.rows:
                yield _of_row(name, row, report.judgement(row))
            for question in difference.undecided:
                identity = question_identity(difference.environment, question)
                told = report.question_judgement(difference.environment, question)
                yield _of_question(name, question, identity, told)
        for name in sorted(self.previews):
            yield from self.further(name)

    def further(self, name: str) -> Iterator[Finding]:
        """Yield what a stack's preview has and the base's tool did not see; what it saw it judged itself."""
        read, stack = self.previews[name]
        difference = stack.difference
        known = self.access[name][1].difference if name in self.access else None
        judged = {row.identity for row in known.rows} if known else set()
        for row in difference.rows:
            if row.identity not in judged:
                is_asked = read.report.is_open(row) or _FAIL_ON.asks(row)
                told = self._approvals.judgement(row.identity, row.spec_digest) if is_asked else ""
                yield _of_row(name, row, told, only_in_preview=True)
        for question in difference.undecided:
            if known is None or question not in known.undecided:
                identity = question_identity(difference.environment, question)
                told = self._approvals.judgement(identity, "")
                yield _of_question(name, question, identity, told, only_in_preview=True)


def _sums_of(folder: Path) -> set[str]:
    """Return what `sha256sum` says of every file below a folder, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(folder).as_posix()}" for path in files
    }


def log_line(text: str) -> str:
    """Return a line for the log of a run that begins with no text of a report: a runner takes some for commands."""
    return visible(f"- {text}")


def _of_row(stack: str, row: Row, judgement: str, *, only_in_preview: bool = False) -> Finding:
    return Finding(
        stack=stack,
        text=plain(sentence(row)),
        identity=row.identity,
        spec=row.spec_digest,
        judgement=judgement,
        only_in_preview=only_in_preview,
    )


def _of_question(stack: str, text: str, identity: str, judgement: str, *, only_in_preview: bool = False) -> Finding:
    return Finding(
        stack=stack,
        text=f"not compared, because neither side is known: {text}",
        identity=identity,
        spec="",
        judgement=judgement,
        only_in_preview=only_in_preview,
    )
