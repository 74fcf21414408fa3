"""The form of an app spec, version 1: every key, its type, its rule, its words for editors.

One table; the reader and `lockstep schema` both come from it. Rules about several keys together are in app_checks.py
and object_checks.py.

Sources: Kubernetes object names (RFC 1123), Secrets Manager CreateSecret (name: letters, digits, /_+=.@-, at most 512),
Parameter Store PutParameter (letters, digits, _.-/), KMS key ARNs.
"""

from __future__ import annotations

from .shape import (
    Choice,
    Count,
    Duration,
    Either,
    Field,
    Flag,
    JsonSchema,
    ListOf,
    MapOf,
    Mode,
    Record,
    Text,
)
from .spec import OWN_KEY

SCHEMA_ID = "https://lockstep.example/schemas/app-spec-v1.json"

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"

LABEL = Text(
    pattern=_LABEL,
    limit=63,
    rule="It is a DNS label: at most 63 lower-case letters, digits and hyphens, no hyphen at either end",
    fix="write it like 'payments-api'",
)
LABEL_WITH_VARIABLES = Text(
    pattern=_LABEL,
    limit=63,
    rule=LABEL.rule,
    fix="write it like 'payments-api' or 'payments-${environment}'",
    variables=True,
)
SUBDOMAIN = Text(
    pattern=_SUBDOMAIN,
    limit=253,
    rule="It is a Kubernetes object name: lower-case letters, digits, hyphens and dots, at most 253",
    fix="write it like 'payments-api'",
)
SUBDOMAIN_WITH_VARIABLES = Text(pattern=_SUBDOMAIN, limit=253, rule=SUBDOMAIN.rule, fix=SUBDOMAIN.fix, variables=True)
SOURCE_NAME = Text(variables=True, rule="It names one secret or parameter", fix="write its name or its ARN")
FILE = Text(limit=4096, rule="It is a path below the mount", fix="write it like 'db.json'")
FILE_REFERENCE = Text(limit=4096, rule="It names a mounted file", fix="write it like 'db.json'", variables=True)
JSON_PATH = Text(limit=1024, rule="It is a JMESPath expression on one line", fix="write it like 'password'")
REGION = Text(pattern=r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}", rule="It is a region's name", fix="write it like 'us-west-2'")
KEY_ARN = Text(
    pattern=r"arn:aws[a-z-]*:kms:[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:key/[A-Za-z0-9-]+",
    rule="It is the ARN of a KMS key; an alias can point elsewhere tomorrow, so it grants nothing",
    fix="write it like 'arn:aws:kms:eu-west-1:111122223333:key/…'",
    variables=True,
    code="SPEC011",
)
KEY = Text(
    pattern=rf"{OWN_KEY}|{KEY_ARN.pattern}",
    rule=f"It is the ARN of a KMS key (no alias: that can point elsewhere tomorrow), or '{OWN_KEY}' for AWS's own key",
    fix=KEY_ARN.fix,
    variables=True,
    code="SPEC011",
)
MOUNT_PATH = Text(
    pattern=r"(?:/(?!\.{1,2}(?:/|$))[^/:\x00-\x1f\x7f]+)+",
    limit=1024,
    rule="It is an absolute path without '..', ':' or a slash at the end",
    fix="write it like '/mnt/secrets'",
)
MOUNT_NAME = Text(
    pattern=r"[a-z0-9](?:[-a-z0-9]{0,38}[a-z0-9])?",
    limit=40,
    rule="A mount's name is a DNS label of at most 40 characters",
    fix="write it like 'tls'",
)
OWNER = Text(
    pattern=r"[A-Za-z0-9](?:[A-Za-z0-9 _.@/-]{0,98}[A-Za-z0-9])?",
    limit=100,
    rule="An owner is a name of letters, digits, spaces and _.@/-, at most 100 characters",
    fix="write it like 'payments-team'",
)
SECRET_KEY = Text(
    pattern=r"(?!\.{1,2}$)[-._A-Za-z0-9]+",
    limit=253,
    rule="A key of a Kubernetes Secret is made of letters, digits, '-', '_' and '.'",
    fix="write it like 'DB_USER'",
)
SECRET_TYPE = Text(pattern=r"[-._/A-Za-z0-9]+", limit=253, rule="It is a Secret type", fix="write it like 'Opaque'")
LABEL_NAME = Text(
    pattern=r"[a-zA-Z0-9_.-]{1,100}",
    limit=100,
    rule="A parameter's label is made of letters, digits, '.', '-' and '_'",
    fix="write it like 'blue'",
)

PARAMETER_PATH_NAME = Text(
    pattern=r"(?:/[A-Za-z0-9_.-]+){1,14}",
    limit=1011,
    rule="It is a path of Parameter Store: up to 14 names, each behind a slash, no slash at the end, no wildcard",
    fix="write it like '/${environment}/shop'; both spellings, with and without a slash at the end, are granted",
    variables=True,
    code="SPEC038",
)
STAGE = Text(
    pattern=r"[^\s\x00-\x1f\x7f]{1,256}",
    limit=256,
    rule="A stage is one word of at most 256 characters",
    fix="write it like 'AWSCURRENT' or 'AWSPREVIOUS'",
)
VERSION_ID = Text(
    pattern=r"[A-Za-z0-9-]{32,64}",
    limit=64,
    rule="A secret's version id has 32 to 64 letters, digits and hyphens",
    fix="copy it from `aws secretsmanager list-secret-version-ids`",
)
ROLE_ARN = Text(
    pattern=r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}",
    rule="It is the ARN of an IAM role, without wildcards",
    fix="write it like 'arn:aws:iam::111122223333:role/NAME'",
    variables=True,
    code="SPEC011",
)
EXTERNAL_ID = Text(
    pattern=r"[A-Za-z0-9_+=,.@:/-]{2,1224}",
    limit=1224,
    rule="An external id has 2 to 1,224 letters, digits and _+=,.@:/-",
    fix="write the id that the trust of the second role asks for",
    variables=True,
)
TEMPLATE_TEXT = Text(
    pattern=r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+",
    limit=65_536,
    rule="It is text of at most 65,536 characters; ${file} stands for the contents of a file of the same mount",
    fix="write it as a block that begins with '|'",
    code="SPEC033",
)
LABEL_KEY = Text(
    pattern=r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
    limit=317,
    rule="It is the key of a Kubernetes label",
    fix="write it like 'compute'",
)
LABEL_VALUE = Text(
    pattern=r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?",
    limit=63,
    rule="It is the value of a Kubernetes label, in quotes where YAML reads something else",
    fix="write it like 'batch'",
)
RULE_CODE = Text(
    pattern="LS[0-9]{3}",
    rule="It is the code of a rule of the linter",
    fix="write it as `lockstep lint` prints it, like LS802",
)
#: Control characters, and those that turn the direction of what follows: a reviewer must see what is written.
_HIDDEN = r"\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
REASON = Text(
    pattern=rf"[^{_HIDDEN}]*[^\s{_HIDDEN}][^{_HIDDEN}]*",
    limit=500,
    rule="It is one line of text without invisible characters",
    fix="say why in a sentence",
)

ENCODING = Choice(words=("base64",))
NON_TEXT = Choice(words=("render", "refuse"))
_ENCODING = Field(
    "encoding", ENCODING, "base64 where the value is stored so and the file is to hold what it stands for."
)
_NON_TEXT = Field("nonText", NON_TEXT, "What a JSON value that is no text becomes: render (as JSON) or refuse.")

JSON_KEY = Record(
    title="a JSON key",
    fields=(
        Field("file", FILE, "The file that gets the value.", required=True),
        Field("mode", Mode(), "Permission bits of that file; default: those of the whole object's file."),
        _ENCODING,
        _NON_TEXT,
    ),
)
ALL_KEYS = Text(pattern=r"\*", limit=1, rule="It is a mapping, or '*' for every key", fix="write '*' in quotes")
KEYS = Either(short=ALL_KEYS, full=MapOf(JSON_PATH, Either(short=FILE, full=JSON_KEY)))
KMS_KEY = Either(short=KEY, full=MapOf(REGION, KEY))
TEMPLATE = Record(
    title="a template",
    fields=(
        Field("file", FILE, "The file that is made.", required=True),
        Field("text", TEMPLATE_TEXT, "Its text; ${file} quotes a file of the mount, $${ is a plain ${.", required=True),
        Field("mode", Mode(), "Permission bits; default: those of the whole object's file."),
    ),
)
SUPPRESSION = Record(
    title="a suppressed finding",
    fields=(
        Field("rule", RULE_CODE, "Code of a rule of `lockstep lint`.", required=True),
        Field("reason", REASON, "Why it is right here; reviewers and reports see it.", required=True),
    ),
)
SUPPRESS = ListOf(SUPPRESSION)
RESTRICT = Record(
    title="a restriction",
    fields=(
        Field("breakGlass", ListOf(ROLE_ARN, min_items=1), "Roles that may read in an emergency.", required=True),
        Field("rotationRole", ROLE_ARN, "Role of the function that rotates the secret."),
        Field("readers", ListOf(ROLE_ARN), "Roles outside of these specs that may read."),
        Field("adopt", Flag(), "Whether a policy that somebody else wrote may be replaced; default false."),
    ),
)

_OBJECT_FIELDS = (
    Field("file", FILE, "The file in the mount; default: the name, with each '/' written as '_'."),
    Field("mode", Mode(), 'Permission bits in quotes, such as "0400"; default "0644".'),
    Field(
        "kmsKey",
        KMS_KEY,
        "ARN of the customer key that encrypts it, or one per region; 'aws', or left out, for AWS's own.",
    ),
    Field("keys", KEYS, "JSON keys (JMESPath) as files of their own, or '*' for a file of every key."),
    Field("optional", Flag(), "Whether the app starts without it; default false."),
    _ENCODING,
    _NON_TEXT,
    Field("template", TEMPLATE, "One more file, whose text quotes others."),
    Field("mount", MOUNT_NAME, "The entry of 'mounts' that holds its files; default: the one at mountPath."),
    Field("owner", OWNER, "Who owns it, where that is not the app's owner."),
    Field("suppress", SUPPRESS, "Findings of `lockstep lint` that are right here, each with its reason."),
)
_SECRET_SELECTORS = (
    Field("stage", STAGE, "The version that carries this stage; default: AWSCURRENT, not asked for by name."),
    Field("versionId", VERSION_ID, "One version for good."),
)
_PARAMETER_SELECTORS = (
    Field("version", Count(), "One version for good; default: the latest."),
    Field("label", LABEL_NAME, "The version that carries this label."),
)
_FAILOVER_NAME = Field("name", SOURCE_NAME, "Its name or ARN in that region; default: the same, or the replica's ARN.")
_FAILOVER_KEY = Field("kmsKey", KEY, "ARN of the customer key that encrypts it in that region; 'aws' for AWS's own.")
SECRET_FAILOVER = Record(title="a failover region", fields=(_FAILOVER_NAME, _FAILOVER_KEY, *_SECRET_SELECTORS))
PARAMETER_FAILOVER = Record(title="a failover region", fields=(_FAILOVER_NAME, _FAILOVER_KEY, *_PARAMETER_SELECTORS))
_FAILOVER_DOC = "What differs in a failover region, by region."

SECRET = Record(
    title="a secret",
    fields=(
        Field("name", SOURCE_NAME, "Friendly name or full ARN of a Secrets Manager secret.", required=True),
        *_OBJECT_FIELDS,
        *_SECRET_SELECTORS,
        Field("failover", MapOf(REGION, SECRET_FAILOVER), _FAILOVER_DOC),
        Field("fullArn", Flag(), "true where an ARN ends in its random suffix although that looks like a word."),
        Field("restrict", RESTRICT, "A resource policy that refuses everybody else; for the owner's app only."),
    ),
)
PARAMETER = Record(
    title="a parameter",
    fields=(
        Field("name", SOURCE_NAME, "Name or full ARN of a Parameter Store parameter.", required=True),
        *_OBJECT_FIELDS,
        *_PARAMETER_SELECTORS,
        Field("failover", MapOf(REGION, PARAMETER_FAILOVER), _FAILOVER_DOC),
    ),
)
PARAMETER_PATH = Record(
    title="a path of parameters",
    fields=(
        Field("path", PARAMETER_PATH_NAME, "The path that the app asks for, such as /prod/shop.", required=True),
        Field("reason", REASON, "Why they cannot be named one by one; reviewers and reports see it.", required=True),
        Field("kmsKey", KEY_ARN, "ARN of the customer key that encrypts them; leave out for AWS's own."),
        Field("owner", OWNER, "Who owns them, where that is not the app's owner."),
        Field("suppress", SUPPRESS, "Findings of `lockstep lint` that are right here, each with its reason."),
    ),
)
ASSUME_ROLE = Record(
    title="a second role",
    fields=(
        Field("role", ROLE_ARN, "ARN of the role that the app's own role assumes, and that reads.", required=True),
        Field("externalId", EXTERNAL_ID, "What the trust of that role asks for."),
    ),
)
POD_IDENTITY = Record(
    title="settings of Pod Identity",
    fields=(
        Field(
            "scope",
            Choice(words=("role", "sessionPolicy", "sessionTags")),
            "What holds a session to the app beside its role: nothing more (role), the association's own policy, "
            "or the session's tags as conditions of every statement.",
        ),
        Field("targetRole", ROLE_ARN, "ARN of a second role that EKS assumes, and that reads."),
        Field("shareAcrossPods", Flag(), "true where no policy anywhere looks at the tags that name the pod."),
        Field("addressType", Choice(words=("ipv4", "ipv6")), "Which address of the agent is asked; default: any."),
    ),
)
SYNC = Record(
    title="a synced Secret",
    fields=(
        Field("secret", SUBDOMAIN, "Name of the Kubernetes Secret.", required=True),
        Field("type", SECRET_TYPE, "Type of the Secret; default Opaque."),
        Field("mount", MOUNT_NAME, "The mount whose files it copies; default: the mount at mountPath."),
        Field("data", MapOf(SECRET_KEY, FILE_REFERENCE), "Secret key: mounted file.", required=True),
    ),
)

_SETTINGS = (
    Field("namespace", LABEL_WITH_VARIABLES, "Namespace of the app's pods.", required=True),
    Field("serviceAccount", SUBDOMAIN_WITH_VARIABLES, "Service account of the pods; default: the app's name."),
    Field("identity", Choice(words=("irsa", "podIdentity")), "How pods get their role; default: the stack's."),
    Field("podIdentity", POD_IDENTITY, "Settings of Pod Identity."),
    Field("assumeRole", ASSUME_ROLE, "A second role, such as one of another account, that reads for the app."),
    Field("podLabels", MapOf(LABEL_KEY, LABEL_VALUE), "Labels of the pods, where a Fargate profile selects by them."),
    Field("owner", OWNER, "Team or person who answers for the app and, unless said otherwise, owns its secrets."),
    Field("mountPath", MOUNT_PATH, "Where the files appear in the container; default /mnt/secrets."),
    Field("mounts", MapOf(MOUNT_NAME, MOUNT_PATH), "Further mounts, name: path, for objects that name one."),
    Field("refreshInterval", Duration(), "How old a mounted value may get, such as 5m; default: the stack's setting."),
    Field("failoverRegions", ListOf(REGION), "Regions asked, in order, when the one before is out of reach."),
    Field("secrets", ListOf(SECRET), "Secrets of AWS Secrets Manager."),
    Field("parameters", ListOf(PARAMETER), "Parameters of AWS Systems Manager Parameter Store."),
    Field(
        "parameterPaths",
        ListOf(PARAMETER_PATH, min_items=1),
        "Wide: paths that the app's own SDK reads whole; nothing of them is mounted.",
    ),
    Field("sync", ListOf(SYNC), "Copies as Kubernetes Secrets, for environment variables."),
    Field("suppress", SUPPRESS, "Findings of `lockstep lint` that the whole app answers for, each with its reason."),
)


def _optional(field: Field) -> Field:
    return Field(field.name, field.shape, field.doc)


OVERLAY = Record(title="an environment", fields=tuple(_optional(field) for field in _SETTINGS))
APP = Record(
    title="an app",
    fields=(
        Field("version", Count(), "Version of this format: 1.", required=True),
        Field("app", LABEL, "The app's name, unique among all specs.", required=True),
        Field("renamedFrom", ListOf(LABEL, min_items=1), "Earlier names, the first one first: what exists is kept."),
        *_SETTINGS,
        Field("environments", MapOf(LABEL, OVERLAY), "What differs in an environment, and only that."),
    ),
)

#: Lists whose entries an overlay matches by this key; every other key is replaced as a whole.
MATCHED_BY = {"secrets": "name", "parameters": "name", "parameterPaths": "path", "sync": "secret"}


def json_schema() -> JsonSchema:
    """Return the JSON Schema (draft 2020-12) of one app spec document."""
    schema = APP.schema()
    properties = schema["properties"]
    assert isinstance(properties, dict)  # noqa: S101 - Record.schema builds it so
    properties["version"] = {"const": 1, "description": "Version of this format."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "description": "What one app on Amazon EKS may read from Secrets Manager and Parameter Store, and where.",
    }
