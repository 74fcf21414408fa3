"""Problems of an app spec: where, what, rule, fix, code.

One formatter for every message, so that each says the same things in the same order and an editor can jump to it:

    stacks/apps/payments.yaml:12:11 secrets[2].name: 'prod/*' is a wildcard. A grant names exactly one secret.
    Fix: list each secret. [SPEC009]

Nothing here decides anything: readers and the derivation collect problems, and raise them all at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn


class Spot(NamedTuple):
    """A place in a spec file. A tuple, because every value of a spec has one, and a tuple is made four times as fast.

    Attributes:
        source: The file as the user named it.
        line: 1-based.
        column: 1-based, in characters.
        field: Path of the field in the document, such as `secrets[2].name`; empty for the document itself.
    """

    source: str
    line: int
    column: int
    field: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}"
        return f"{place} {self.field}" if self.field else place


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong with a spec.

    Attributes:
        spot: Where.
        code: Stable, `SPECnnn`; see `CODES`.
        what: What is wrong, with the value (specs hold no secret values).
        rule: The rule it breaks, or the values it may have.
        fix: What to do.
    """

    spot: Spot
    code: str
    what: str
    rule: str
    fix: str

    def __str__(self) -> str:
        end = "" if self.fix.endswith(("?", ".")) else "."
        return f"{self.spot}: {self.what}. {self.rule[:1].upper()}{self.rule[1:]}. Fix: {self.fix}{end} [{self.code}]"


#: Every code with the sentence that heads its explanation. Codes are never reused.
CODES: dict[str, str] = {
    "SPEC001": "the file is not readable YAML",
    "SPEC002": "a key stands twice in one mapping",
    "SPEC003": "a key that the format does not know",
    "SPEC004": "a value of the wrong type",
    "SPEC005": "a required key is missing",
    "SPEC006": "a value outside its allowed form",
    "SPEC007": "a file mode that is not four octal digits in quotes",
    "SPEC008": "a variable that does not exist",
    "SPEC009": "a wildcard where one secret or parameter must be named",
    "SPEC010": "a name that Secrets Manager or Parameter Store cannot have",
    "SPEC011": "an ARN that is malformed, of another service or of another place",
    "SPEC012": "a version and a label together",
    "SPEC013": "two objects that would be the same file, or a file inside a file",
    "SPEC014": "a file path that is unsafe",
    "SPEC015": "a synced key that refers to a file which is not mounted",
    "SPEC016": "a synced Secret whose keys do not fit its type",
    "SPEC018": "a JSON path that does not compile",
    "SPEC019": "two apps, or two entries, of one name",
    "SPEC020": "two apps that share a service account",
    "SPEC021": "an app that mounts nothing",
    "SPEC022": "a failover region that cannot serve",
    "SPEC023": "a YAML feature that specs do not use",
    "SPEC024": "a spec version that this release does not read",
    "SPEC025": "access that does not fit IAM's limits",
    "SPEC026": "an environment value that is malformed",
    "SPEC027": "a spec file that cannot be read",
    "SPEC028": "mounts that do not fit together",
    "SPEC029": "a second role that cannot be assumed",
    "SPEC030": "settings of Pod Identity that do not fit",
    "SPEC031": "a secret resource policy that this stack cannot write",
    "SPEC032": "pods that Fargate would run, where the CSI driver cannot",
    "SPEC033": "a template that cannot be filled in",
    "SPEC034": "an object of another account that nobody can decrypt",
    "SPEC035": "a secret's name that cannot be told from a random suffix",
    "SPEC036": "a mount that the driver or the provider would refuse",
    "SPEC037": "a rename that does not fit",
    "SPEC038": "a path of parameters where the provider reads one, or that cannot be granted",
    "SPEC039": "defaults of a folder that cannot be used",
}


class SpecErrors(Exception):  # noqa: N818 - it holds every problem of one input, and reads as such
    """All problems of one input, in file order.

    `str()` is the whole report: one line per problem.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems sorted by place and without repeats (overlays share their base's problems)."""
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ProblemList:
    """Collects problems while a reader goes on; `raise_if_any` ends the reading."""

    def __init__(self) -> None:
        """Start with no problem."""
        self._problems: list[Problem] = []

    def add(self, spot: Spot, code: str, what: str, rule: str, fix: str) -> None:
        """Add one problem. `code` must stand in `CODES`."""
        assert code in CODES, code  # noqa: S101 - a programming error, found by any test that reaches it
        self._problems.append(Problem(spot=spot, code=code, what=what, rule=rule, fix=fix))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems that another reading found."""
        self._problems += problems

    @property
    def added(self) -> tuple[Problem, ...]:
        """Everything that was added, in order."""
        return tuple(self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    def raise_if_any(self) -> None:
        """Raise `SpecErrors` with everything that was added, if anything was."""
        if self._problems:
            self.raise_all()

    def raise_all(self) -> NoReturn:
        """Raise `SpecErrors` with everything that was added."""
        raise SpecErrors(self._problems)
