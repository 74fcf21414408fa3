"""Rules about the `objects` document of a class: what the provider refuses, and what it takes without a word.

Most of them are the verdicts of the provider's own codec, at their place in the file; each code of the codec belongs to
one rule here. Beside them stands what the codec lets pass: ignored keys, constants, wide modes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator

import jmespath
from jmespath.exceptions import JMESPathError

from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.file_paths import is_reserved, path_problem

from .class_document import ClassDocument, spelled
from .examples import DB, spc
from .material import Material
from .part import Edit, Part
from .rule import Check, Example, Hit, Rule, Severity

_FIELDS = (
    "objectName",
    "objectAlias",
    "objectType",
    "objectVersion",
    "objectVersionLabel",
    "filePermission",
    "jmesPath",
    "failoverObject",
    "optional",
    "encoding",
    "nonText",
    "keys",
    "template",
)
_STAGE = "objectVersionStage"
_NAME_WITH_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
_WIDE_BITS = 0o033

#: Codes of the codec by rule. Every LSP2xx code, and the one of a JSON path, stands here once.
VERDICTS: dict[str, tuple[ErrorCode, ...]] = {
    "LS511": (
        ErrorCode.DOCUMENT_INVALID,
        ErrorCode.DOCUMENT_EMPTY,
        ErrorCode.DOCUMENT_TOO_LARGE,
        ErrorCode.DOCUMENT_ALIASES,
        ErrorCode.ENTRY_EMPTY,
        ErrorCode.FIELD_TYPE,
    ),
    "LS512": (
        ErrorCode.NAME_MISSING,
        ErrorCode.ARN_FORMAT,
        ErrorCode.ARN_REGION,
        ErrorCode.TYPE_MISSING,
        ErrorCode.ARN_SERVICE,
        ErrorCode.TYPE_MISMATCH,
        ErrorCode.CONTROL_CHARACTER,
    ),
    "LS513": (ErrorCode.TYPE_INVALID,),
    "LS514": (ErrorCode.VERSION_AND_LABEL, ErrorCode.FAILOVER_VERSION),
    "LS515": (ErrorCode.PATH_TRAVERSAL, ErrorCode.PATH_FORM, ErrorCode.PATH_TOO_LONG),
    "LS516": (ErrorCode.FILE_PERMISSION,),
    "LS517": (ErrorCode.JMES_PATH_MISSING, ErrorCode.JMES_ALIAS_MISSING, ErrorCode.JMES_PATH_INVALID),
    "LS518": (ErrorCode.DUPLICATE_NAME, ErrorCode.DUPLICATE_ALIAS, ErrorCode.FILE_COLLISION, ErrorCode.PATH_PREFIX),
    "LS519": (ErrorCode.FAILOVER_ALIAS_MISSING, ErrorCode.FAILOVER_REGION_MISSING),
    "LS520": (
        ErrorCode.OPTIONAL_INVALID,
        ErrorCode.ENCODING_INVALID,
        ErrorCode.KEYS_INVALID,
        ErrorCode.NON_TEXT_INVALID,
        ErrorCode.TEMPLATE_INVALID,
        ErrorCode.TEMPLATE_REFERENCE,
    ),
}

Mend = Callable[[Part], tuple[Edit | None, ...]]


def _verdicts(code: str, mend: Mend | None = None) -> Check:
    """Return the check that reports the codec's verdicts of one rule."""

    def check(material: Material) -> Iterator[Hit]:
        for item in material.classes:
            for verdict in item.verdicts if item.parameters.get("objects").kind == "text" else ():
                if verdict.error.code in VERDICTS[code]:
                    yield _hit(verdict.part, verdict.error, mend)

    return check


def _hit(part: Part, error: MountError, mend: Mend | None) -> Hit:
    edits = mend(part) if mend else (None,)
    return Hit.on(part, f"{error.what} [{error.code.value}]", fix=error.fix, edits=edits)


def _mend_type(entry: Part) -> tuple[Edit | None, ...]:
    part = spelled(entry, "objectType")
    wanted = {"ssm": "ssmparameter", "parameter": "ssmparameter", "secret": "secretsmanager"}.get(
        part.text.lower(), part.text.lower()
    )
    return (part.replaced(wanted),) if wanted in {"ssmparameter", "secretsmanager"} else (None,)


def _mend_permission(part: Part) -> tuple[Edit | None, ...]:
    """A bare 0600 is a number in YAML; in quotes it is what its author meant."""
    return (part.quoted(),) if re.fullmatch("0[0-7]{3}", part.text) else (None,)


def _entries(material: Material) -> Iterator[tuple[ClassDocument, Part]]:
    for item in material.classes:
        for entry in item.entries:
            yield item, entry


def _stage_key(material: Material) -> Iterator[Hit]:
    for _, entry in _entries(material):
        for key, value in entry.entries():
            if key.text.lower() == _STAGE.lower():
                free = not spelled(entry, "objectVersionLabel")
                edits = (key.replaced("objectVersionLabel"),) if free else (None,)
                yield Hit.on(key, f"{key.text!r} is ignored: {value.text!r} is not what is read", edits=edits)


def _unknown_key(material: Material) -> Iterator[Hit]:
    known = {name.lower(): name for name in _FIELDS}
    for _, entry in _entries(material):
        for key, _ in entry.entries():
            if key.text.lower() not in known and key.text.lower() != _STAGE.lower():
                close = difflib.get_close_matches(key.text.lower(), known, n=1, cutoff=0.8)
                name = known[close[0]] if close else ""
                edits = (key.replaced(name),) if name and not spelled(entry, name) else (None,)
                fix = f"did you mean {name!r}?" if name else ""
                yield Hit.on(key, f"the provider knows no field {key.text!r}", fix=fix, edits=edits)


def _constant(material: Material) -> Iterator[Hit]:
    for _, entry in _entries(material):
        for key in spelled(entry, "jmesPath").items():
            part = spelled(key, "path")
            name = constant_path(part.text)
            if name is not None:
                edits = (part.replaced(name),) if name.isidentifier() and name.isascii() else (None,)
                fix = f"write {name!r} without the inner quotes" if name else ""
                yield Hit.on(part, f"{part.text!r} is the text itself, not a key of the secret", fix=fix, edits=edits)


def constant_path(path: str) -> str | None:
    """Return the text that a JMESPath expression always gives, or None when it reads the value.

    >>> constant_path("'password'")
    'password'
    """
    try:
        parsed = jmespath.compile(path).parsed
    except (JMESPathError, ValueError):
        return None
    is_text = parsed.get("type") == "literal" and isinstance(parsed.get("value"), str)
    return str(parsed["value"]) if is_text else None


def _wide_mode(material: Material) -> Iterator[Hit]:
    for _, entry in _entries(material):
        holders = [entry, *spelled(entry, "jmesPath").items(), spelled(entry, "template")]
        for part in (spelled(holder, "filePermission") for holder in holders):
            text = part.text if part.kind == "text" else ""
            if re.fullmatch("[0-7]{4}", text) and is_wide_mode(text):
                yield Hit.on(part, f"the mode {text!r} lets {_whom(text)}")


def is_wide_mode(text: str) -> bool:
    """Say whether four octal digits let anybody execute, or others than the owner write, or have special bits."""
    return bool(int(text, 8) & (_WIDE_BITS | 0o100 | 0o7000))


def _whom(text: str) -> str:
    mode = int(text, 8)
    if mode & 0o7000:
        return "special bits be asked for, which have no effect"
    return "others than the owner write the file" if mode & 0o022 else "a secret be executed"


def _pinned(material: Material) -> Iterator[Hit]:
    for _, entry in _entries(material):
        part = spelled(entry, "objectVersion")
        if part.text and not spelled(entry, "objectVersionLabel").text:
            name = spelled(entry, "objectName").text
            yield Hit.on(part, f"{name!r} is read in the version {part.text!r} for good")


def _name_like_arn(material: Material) -> Iterator[Hit]:
    for _, entry in _entries(material):
        part = spelled(entry, "objectName")
        is_secret = spelled(entry, "objectType").text == "secretsmanager"
        if is_secret and not part.text.startswith("arn:") and _NAME_WITH_SUFFIX.search(part.text):
            yield Hit.on(part, f"the name {part.text!r} ends in a hyphen and six characters")


def _reserved(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        for file, entry in item.files().items():
            if is_reserved(file) and path_problem(file) is None:
                yield Hit.on(entry, f"the file {file!r} begins with '..'")


def _case(objects: str) -> Example:
    return Example(manifests=spc(objects))


def _verdict_rule(code: str, title: str, why: str, fix: str, bad: str, good: str, mend: Mend | None = None) -> Rule:
    return Rule(
        code=code,
        severity=Severity.ERROR,
        title=title,
        why=why,
        fix=fix,
        bad=_case(bad),
        good=_case(good),
        check=_verdicts(code, mend),
        mends=mend is not None,
    )


_FLAGS = "- objectName: /prod/flags\n  objectType: ssmparameter\n"
_JSON = DB + "  jmesPath:\n  - path: {}\n    objectAlias: password\n"

RULES = (
    _verdict_rule(
        "LS511",
        "The objects cannot be read",
        "`objects` is YAML inside a text: a list of mappings. A wrong indentation there is seen by nobody before the "
        "mount fails.",
        "correct the YAML of parameters.objects",
        "objectName: prod/db\nobjectType: secretsmanager\n",
        DB,
    ),
    _verdict_rule(
        "LS512",
        "The object's name does not say what to read",
        "A name needs its objectType; an ARN must lie in the class's region and belong to Secrets Manager or "
        "Parameter Store.",
        "write the name and its objectType",
        "- objectName: prod/db\n",
        DB,
    ),
    _verdict_rule(
        "LS513",
        "objectType is secretsmanager or ssmparameter",
        "Older guides write `ssm`, which the provider refuses. The word's case counts.",
        "write ssmparameter or secretsmanager",
        "- objectName: /prod/flags\n  objectType: ssm\n",
        _FLAGS,
        _mend_type,
    ),
    _verdict_rule(
        "LS514",
        "A parameter has a version or a label",
        "Parameter Store takes one selector; failover regions read the same version as the first one.",
        "keep one of the two",
        _FLAGS + '  objectVersion: "3"\n  objectVersionLabel: blue\n',
        _FLAGS + "  objectVersionLabel: blue\n",
    ),
    _verdict_rule(
        "LS515",
        "The file lies inside the mount",
        "The driver's atomic writer takes relative, clean paths only, 255 bytes an element, 4,096 in all.",
        "set objectAlias to another file name",
        DB + "  objectAlias: ..\n",
        DB + "  objectAlias: db.json\n",
    ),
    _verdict_rule(
        "LS516",
        "A mode is four octal digits in quotes",
        "A bare 0600 is an octal number in YAML: the provider sees 384 and refuses the class.",
        'write filePermission: "0600"',
        DB + "  filePermission: 0600\n",
        DB + '  filePermission: "0600"\n',
        _mend_permission,
    ),
    _verdict_rule(
        "LS517",
        "A JSON key is a JMESPath expression and a file",
        "JSONPath ($.password) and bare hyphens do not compile; a name with a hyphen stands in inner quotes.",
        "write the path like 'password', 'db.host' or '\"from-address\"', and add objectAlias",
        _JSON.format("$.password"),
        _JSON.format("password"),
    ),
    _verdict_rule(
        "LS518",
        "Each file has one source",
        "Two objects of one file name overwrite one another: which value the app reads is chance. With the default "
        "pathTranslation a/b and a_b are the same file.",
        "give one of them another objectAlias",
        DB + "- objectName: prod_db\n  objectType: secretsmanager\n",
        DB + "- objectName: prod_db\n  objectType: secretsmanager\n  objectAlias: other\n",
    ),
    _verdict_rule(
        "LS519",
        "A failover object needs a failover region and an alias",
        "Without a region it is never read; without an alias the file's name would depend on the region.",
        "set failoverRegion and objectAlias, or remove failoverObject",
        DB + "  objectAlias: db\n  failoverObject: {objectName: prod/db2}\n",
        DB + "  objectAlias: db\n",
    ),
    _verdict_rule(
        "LS520",
        "A key of Lockstep's provider has a value that it refuses",
        "optional, encoding, nonText, keys and template are this provider's own; it says what it takes.",
        "correct the value",
        DB + "  encoding: hex\n",
        DB + "  encoding: base64\n",
    ),
    Rule(
        code="LS521",
        severity=Severity.ERROR,
        title="There is no field objectVersionStage",
        why="Older guides name it; every provider ignores it, so AWSCURRENT is read. The stage is objectVersionLabel.",
        fix="write objectVersionLabel",
        bad=_case(DB + "  objectVersionStage: AWSPREVIOUS\n"),
        good=_case(DB + "  objectVersionLabel: AWSPREVIOUS\n"),
        check=_stage_key,
        mends=True,
    ),
    Rule(
        code="LS522",
        severity=Severity.WARNING,
        title="An unknown field is ignored in silence",
        why="The provider skips fields that it does not know, so a misspelt one changes nothing.",
        fix=f"write one of {', '.join(_FIELDS)}, or remove it",
        bad=_case(DB + "  objectAlais: db.json\n"),
        good=_case(DB + "  objectAlias: db.json\n"),
        check=_unknown_key,
        mends=True,
    ),
    Rule(
        code="LS523",
        severity=Severity.ERROR,
        title="A JSON key in inner quotes is a constant",
        why="In JMESPath 'password' is the word password. The file holds that word, not the secret's value.",
        fix="write the key without the inner single quotes (a hyphen needs inner double quotes)",
        bad=_case(_JSON.format("\"'password'\"")),
        good=_case(_JSON.format("password")),
        check=_constant,
        mends=True,
    ),
    Rule(
        code="LS524",
        severity=Severity.WARNING,
        title="A secret's file is neither executable nor writable for others",
        why="Files belong to root; bits beyond 0644 let a process change what others read, or have no effect at all.",
        fix='write "0444", "0440" or "0400"',
        bad=_case(DB + '  filePermission: "0666"\n'),
        good=_case(DB + '  filePermission: "0444"\n'),
        check=_wide_mode,
    ),
    Rule(
        code="LS525",
        severity=Severity.NOTE,
        title="A pinned version never rotates",
        why="With objectVersion the pod keeps an old value after the rotation, until somebody edits the class.",
        fix="remove objectVersion, or read by stage or label",
        bad=_case(_FLAGS + '  objectVersion: "3"\n'),
        good=_case(_FLAGS),
        check=_pinned,
    ),
    Rule(
        code="LS526",
        severity=Severity.WARNING,
        title="A secret's name does not end in a hyphen and six characters",
        why="Secrets Manager may take it for an ARN with its suffix and answer with nothing, or with another secret.",
        fix="name it by its full ARN, or rename the secret",
        bad=_case("- objectName: prod/db-apikey\n  objectType: secretsmanager\n"),
        good=_case("- objectName: prod/db-key\n  objectType: secretsmanager\n"),
        check=_name_like_arn,
    ),
    Rule(
        code="LS527",
        severity=Severity.ERROR,
        title="No file begins with `..`",
        why="The driver keeps such names for itself (..data is its link to the live files) and refuses the mount.",
        fix="set objectAlias to another file name",
        bad=_case(DB + "  objectAlias: ..db\n"),
        good=_case(DB + "  objectAlias: .db\n"),
        check=_reserved,
    ),
)
