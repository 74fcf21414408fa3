"""Rules of one secret or parameter that the form alone cannot hold: its name, its files, its keys.

Every function adds problems and returns nothing or what is known; none stops at the first problem.

Sources: Secrets Manager CreateSecret and Systems Manager PutParameter (names), the CSI driver's rules for file paths
(relative, clean, no element `..`, first element not beginning with `..`, 255 bytes an element, 4,096 a path).
"""

from __future__ import annotations

import re

import jmespath
from jmespath.exceptions import JMESPathError

from .arn import Arn, is_account, is_region
from .errors import ProblemList, Spot
from .spec import ObjectEntry, Store
from .variables import SAMPLE, substitute

_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_PARAMETER_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_PARAMETER_NAME_LIMIT = 1011
#: What ends so could be a shorter name with the suffix that Secrets Manager appends; no variable ends so.
_SUFFIX_LIKE = re.compile(r"-[A-Za-z0-9]{6}\Z")
_ELEMENT_LIMIT_BYTES = 255
_PATH_LIMIT_BYTES = 4096

#: One short element that cannot be `.` or `..`: what most files are, and safe by every rule.
_PLAIN_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}")

_KIND = {Store.SECRETS_MANAGER: "secret", Store.PARAMETER_STORE: "parameter"}


def check_name(name: str, store: Store, at: Spot, problems: ProblemList) -> None:
    """Check the name or ARN of an object (with samples in place of variables)."""
    sample = substitute(name, SAMPLE)
    kind = _KIND[store]
    if "*" in sample or "?" in sample:
        problems.add(
            at,
            "SPEC009",
            f"{name!r} is a wildcard",
            f"A grant names exactly one {kind}",
            f"list each {kind} by its name",
        )
    elif sample.startswith("arn:"):
        _check_arn(name, sample, store, at, problems)
    elif store is Store.SECRETS_MANAGER and not _SECRET_NAME.fullmatch(sample):
        rule = "A secret's name has 1 to 512 letters, digits and /_+=.@-"
        problems.add(
            at, "SPEC010", f"{name!r} cannot be a secret's name", rule, "write the name as Secrets Manager shows it"
        )
    elif store is Store.PARAMETER_STORE:
        _check_parameter_name(name, sample, at, problems)


def _check_parameter_name(name: str, sample: str, at: Spot, problems: ProblemList) -> None:
    if sample.endswith("/") and len(sample) > 1:
        rule = "Leave to read a path reads every parameter below it, and the provider reads parameters one by one"
        fix = "list each parameter by its name; what the app itself reads by path stands in 'parameterPaths:'"
        problems.add(at, "SPEC038", f"{name!r} is a path", rule, fix)
    elif ":" in sample:
        rule = "A parameter's version or label is a key of its own"
        problems.add(
            at, "SPEC010", f"{name!r} carries a selector", rule, "write 'version: 3' or 'label: blue' beside the name"
        )
    elif not _PARAMETER_NAME.fullmatch(sample) or len(sample) > _PARAMETER_NAME_LIMIT:
        rule = "A parameter's name has letters, digits and _.- between single slashes, and at most 1,011 characters"
        problems.add(
            at, "SPEC010", f"{name!r} cannot be a parameter's name", rule, "write the name as Parameter Store shows it"
        )


def _check_arn(name: str, sample: str, store: Store, at: Spot, problems: ProblemList) -> None:
    wanted = {
        Store.SECRETS_MANAGER: (
            "secretsmanager",
            "secret:",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:NAME",
        ),
        Store.PARAMETER_STORE: ("ssm", "parameter/", "arn:aws:ssm:eu-west-1:111122223333:parameter/NAME"),
    }
    service, prefix, example = wanted[store]
    arn = Arn.parse(sample)
    well_formed = (
        arn is not None
        and re.fullmatch(r"aws[a-z-]*", arn.partition) is not None
        and arn.service == service
        and is_region(arn.region)
        and is_account(arn.account)
        and arn.resource.startswith(prefix)
        and len(arn.resource) > len(prefix)
    )
    body = arn.resource.removeprefix(prefix) if arn else ""
    pattern = _SECRET_NAME if store is Store.SECRETS_MANAGER else _PARAMETER_NAME
    if not well_formed or not pattern.fullmatch(body):
        kind = _KIND[store]
        problems.add(
            at, "SPEC011", f"{name!r} is not the ARN of a {kind}", f"It has the form {example}", "copy the ARN whole"
        )


def check_optional(entry: ObjectEntry, problems: ProblemList) -> None:
    """Check that no name of an optional secret could be another one's with its random suffix.

    Asked as soon as the entry is read, and once more when the variables of its names are replaced.
    """
    if not entry.optional or entry.store is not Store.SECRETS_MANAGER:
        return
    for name, at in entry.names():
        if _SUFFIX_LIKE.search(name) and not name.startswith("arn:"):
            what = f"{name!r} is optional and ends in a hyphen and six characters"
            rule = (
                "Leave to ask for a missing secret of this name would also be leave to read a secret with that suffix"
            )
            problems.add(at, "SPEC035", what, rule, "give the secret another name, or make it required")


def check_file(file: str, at: Spot, problems: ProblemList, *, derived_from_name: bool = False) -> bool:
    """Check a file's path below the mount, as the driver and the provider would; say whether it may be used."""
    if _PLAIN_FILE.fullmatch(file):
        return True
    reason = _unsafe(file)
    if reason is None:
        return True
    rule = "A file is a relative path without '.', '..' or empty elements, 255 bytes an element, 4,096 in all"
    fix = "give the object a 'file:' of its own" if derived_from_name else "write it like 'db.json' or 'tls/cert.pem'"
    problems.add(at, "SPEC014", f"the file {file!r} {reason}", rule, fix)
    return False


def _unsafe(file: str) -> str | None:
    elements = file.split("/")
    if file.startswith("/"):
        return "is absolute"
    if any(element in {"", ".", ".."} for element in elements):
        return "is not a clean path"
    if elements[0].startswith(".."):
        return "begins with '..', which the driver keeps for itself"
    if (
        any(len(element.encode()) > _ELEMENT_LIMIT_BYTES for element in elements)
        or len(file.encode()) > _PATH_LIMIT_BYTES
    ):
        return "is too long"
    return None


def check_json_path(path: str, at: Spot, problems: ProblemList) -> None:
    """Check that a JSON key is an expression that the provider can compile."""
    try:
        jmespath.compile(path)
    except JMESPathError as error:
        detail = " ".join(str(error).split("\n", 1)[0].split(", for expression")[0].split())
        hyphen = "-" in path and '"' not in path
        fix = f"put the name in inner quotes: '\"{path}\"'" if hyphen else "write it like 'password' or 'db.host'"
        problems.add(at, "SPEC018", f"{path!r} is not JMESPath ({detail})", "A JSON key is a JMESPath expression", fix)


def default_file(name: str) -> str:
    """Return the file of an object that names none: the provider writes each '/' of the name as '_'.

    >>> default_file("/prod/payments/flags")
    '_prod_payments_flags'
    """
    return name.replace("/", "_")


class FileSets:
    """The files of every mount of one app."""

    def __init__(self) -> None:
        """Start without a mount; `of` makes them."""
        self._sets: dict[str, FileSet] = {}
        self._complete = True

    def of(self, mount: str) -> FileSet:
        """Return the files of one mount; "" is the default one."""
        files = self._sets.setdefault(mount, FileSet())
        files.complete = files.complete and self._complete
        return files

    def give_up(self) -> None:
        """Note that an object could not be read: any mount may lack a file."""
        self._complete = False
        for files in self._sets.values():
            files.complete = False


class FileSet:
    """The files of one mount, to find two objects that would be the same file.

    `complete` turns False when a file could not be read, or only its value tells it: rules that need all of them then
    stay silent. `templates` are the files that quote others.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._spots: dict[str, Spot] = {}
        self._folders: dict[str, str] = {}
        self.complete = True
        self.templates: set[str] = set()

    def add(self, file: str, at: Spot, problems: ProblemList) -> None:
        """Add one file; report it when it is another's, or lies below another, or above one."""
        rule = "Each file has one source, and a file cannot be a directory as well"
        parents = [file[:index] for index, char in enumerate(file) if char == "/"] if "/" in file else ()
        other = next((name for name in (file, *parents) if name in self._spots), self._folders.get(file))
        if other is None:
            self._spots[file] = at
            for parent in parents:
                self._folders.setdefault(parent, file)
            return
        spot = self._spots[other]
        if other == file:
            what = f"the file {file!r} is written by {spot.field} (line {spot.line}) too"
        else:
            what = f"the file {file!r} and the file {other!r} of {spot.field} (line {spot.line}) exclude each other"
        problems.add(at, "SPEC013", what, rule, "give one of them another 'file:'")

    def __contains__(self, file: object) -> bool:
        return file in self._spots

    def names(self) -> tuple[str, ...]:
        """Return the files in the order in which they were added."""
        return tuple(self._spots)
