"""Rules about a SecretProviderClass as a whole: version, parameters, synced Secrets.

Sources: Secrets Store CSI driver (API secrets-store.csi.x-k8s.io; a class has text parameters; secretObjects copy
mounted files by the file's name; a TLS Secret has two keys); the provider's own parameter names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from provider_runtime.class_parameters import (
    parse_failover_regions,
    parse_refresh_interval,
    parse_role_arn,
    parse_role_chain,
    parse_share_flag,
)
from provider_runtime.errors import MountError
from provider_runtime.file_paths import parse_path_translation
from provider_runtime.go_scalars import parse_go_bool

from .class_document import ClassDocument, spelled
from .examples import documents, spc, synced
from .material import Material
from .part import Part
from .rule import Example, Hit, Rule, Severity

#: Parameters that the provider reads, ours included. Their case counts.
PARAMETERS = (
    "objects",
    "region",
    "failoverRegion",
    "failoverRegions",
    "pathTranslation",
    "usePodIdentity",
    "preferredAddressType",
    "roleArn",
    "assumeRoleArn",
    "externalId",
    "objectVersions",
    "refreshInterval",
    "shareAcrossPods",
)
_OPAQUE = "Opaque"
_TLS = "kubernetes.io/tls"


def _old_version(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        version = item.part.get("apiVersion")
        group, _, name = version.text.partition("/")
        if name.startswith("v1alpha"):
            yield Hit.on(version, f"{version.text!r} is the old version", edits=(version.replaced(f"{group}/v1"),))


def _provider_word(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        part = item.part.get("spec", "provider")
        if part.text != "aws":
            yield Hit.on(part, f"{part.text!r} names no provider", edits=(part.replaced("aws"),))


def _no_region(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        if not item.region:
            yield Hit.on(item.parameters, f"the class {item.shown} names no region")


def _unknown_parameter(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        for key, _ in item.parameters.entries():
            if key.text not in PARAMETERS:
                close = _closest(key.text, PARAMETERS)
                free = close if close and not item.parameters.get(close) else ""
                edits = (key.replaced(free),) if free else (None,)
                fix = f"did you mean {close!r}?" if close else ""
                yield Hit.on(key, f"the provider knows no parameter {key.text!r}", fix=fix, edits=edits)


def _closest(word: str, words: tuple[str, ...]) -> str:
    lowered = {item.lower(): item for item in words}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.8)
    return lowered[close[0]] if close else ""


def _not_text(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        for key, value in item.parameters.entries():
            if value.kind != "text":
                edits = (value.quoted(),) if value.kind in {"number", "boolean"} else (None,)
                yield Hit.on(value, f"the parameter {key.text!r} is {_in_words(value)}", edits=edits)


def _in_words(part: Part) -> str:
    return {"number": "a number", "boolean": "a boolean", "nothing": "empty"}.get(part.kind, f"a {part.kind}")


def _refused_parameter(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        for name, error in _parameter_errors(item):
            yield Hit.on(item.parameters.get(name), f"{error.what} [{error.code.value}]", fix=error.fix)


def _parameter_errors(item: ClassDocument) -> Iterator[tuple[str, MountError]]:
    """Ask the provider's own readers, one parameter at a time."""
    texts = {key.text: value.text for key, value in item.parameters.entries()}
    readers = (
        ("pathTranslation", lambda: parse_path_translation(texts.get("pathTranslation", ""))),
        ("roleArn", lambda: parse_role_arn(texts.get("roleArn", ""), "")),
        ("assumeRoleArn", lambda: parse_role_chain(texts.get("assumeRoleArn", ""), texts.get("externalId", ""), "")),
        ("refreshInterval", lambda: parse_refresh_interval(texts.get("refreshInterval", ""), "")),
        ("shareAcrossPods", lambda: parse_share_flag(texts.get("shareAcrossPods", ""), "")),
        ("failoverRegions", lambda: parse_failover_regions(texts, "")),
    )
    for name, read in readers:
        try:
            read()
        except MountError as error:
            yield name, error


def _wrong_word(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        flag = item.parameters.get("usePodIdentity")
        if flag.text and flag.kind == "text" and parse_go_bool(flag.text) is None:
            yield Hit.on(flag, f"usePodIdentity is {flag.text!r}", fix='write "true" or "false"')
        versions = item.parameters.get("objectVersions")
        if versions.text not in {"", "upstream", "content"}:
            yield Hit.on(versions, f"objectVersions is {versions.text!r}", fix="write content, or remove it")


def _same_failover(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        if item.region and item.region in item.failover_regions:
            key = "failoverRegion" if item.parameters.get("failoverRegion").text == item.region else "failoverRegions"
            yield Hit.on(item.parameters.get(key), f"the failover region {item.region!r} is the region itself")


def _not_mounted(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        files = item.files()
        for secret in item.secret_objects():
            for entry in secret.get("data").items():
                part = entry.get("objectName")
                if files and part.text not in files:
                    yield _not_mounted_hit(item, part, files)


def _not_mounted_hit(item: ClassDocument, part: Part, files: dict[str, Part]) -> Hit:
    """The usual mistake: the name of the object where the name of its file belongs."""
    own = [
        file
        for file, entry in files.items()
        if spelled(entry, "objectName").text == part.text
        and file == item.translation.translate(spelled(entry, "objectAlias").text or part.text)
    ]
    edits = (part.replaced(own[0]),) if len(own) == 1 else (None,)
    close = own or difflib.get_close_matches(part.text, list(files), n=1)
    fix = f"write {close[0]!r}" if close else f"name one of: {', '.join(files)}"
    return Hit.on(part, f"{part.text!r} is not a file of the class", fix=fix, edits=edits)


def _no_type(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        for secret in item.secret_objects():
            part = secret.get("type")
            if not part.text:
                edits = (part.replaced(_OPAQUE),) if part else (secret.with_member("type", _OPAQUE),)
                yield Hit.on(part, f"the Secret {secret.get('secretName').text!r} has no type", edits=edits)


def _tls_keys(material: Material) -> Iterator[Hit]:
    for item in material.classes:
        for secret in item.secret_objects():
            keys = {entry.get("key").text for entry in secret.get("data").items()}
            if secret.get("type").text == _TLS and keys != {"tls.crt", "tls.key"}:
                yield Hit.on(secret.get("data"), f"a Secret of type {_TLS} has the keys {', '.join(sorted(keys))}")


def _two_writers(material: Material) -> Iterator[Hit]:
    owners: dict[tuple[str, str], ClassDocument] = {}
    for item in material.classes:
        for secret in item.secret_objects():
            part = secret.get("secretName")
            owner = owners.setdefault((item.namespace, part.text), item)
            if owner is not item:
                yield Hit.on(part, f"the Secret {part.text!r} is written by the class {owner.shown} too")


_SYNC_ALIAS = "- objectName: prod/db\n  objectType: secretsmanager\n  objectAlias: db.json\n"
_OTHER = spc(more=synced("prod_db")).replace("name: shop, ", "name: cart, ")

RULES = (
    Rule(
        code="LS501",
        severity=Severity.WARNING,
        title="The class's version is v1",
        why="v1alpha1 is still served by the driver, and goes away with one of its next releases.",
        fix="write secrets-store.csi.x-k8s.io/v1",
        bad=Example(manifests=spc(version="v1alpha1")),
        good=Example(manifests=spc()),
        check=_old_version,
        mends=True,
    ),
    Rule(
        code="LS502",
        severity=Severity.WARNING,
        title="The class names its region",
        why=(
            "Without `region` the provider asks the Kubernetes API for the pod and its node at every mount: slow in "
            "large clusters, and wrong where the secret lives elsewhere."
        ),
        fix="add region: <region> to the parameters",
        bad=Example(manifests=spc(parameters="")),
        good=Example(manifests=spc()),
        check=_no_region,
    ),
    Rule(
        code="LS503",
        severity=Severity.WARNING,
        title="An unknown parameter is ignored in silence",
        why="Parameters are matched by exact spelling. A misspelt one changes nothing, and nobody says so.",
        fix=f"write one of {', '.join(PARAMETERS)}, or remove it",
        bad=Example(manifests=spc(parameters="    region: eu-west-1\n    failoverregion: us-west-2\n")),
        good=Example(manifests=spc(parameters="    region: eu-west-1\n    failoverRegion: us-west-2\n")),
        check=_unknown_parameter,
        mends=True,
    ),
    Rule(
        code="LS504",
        severity=Severity.ERROR,
        title="A parameter is text",
        why=(
            "The class's schema takes texts only: true, 5 or a list is refused by the API server. `objects` is YAML "
            "inside a text, which needs the | behind its key."
        ),
        fix="put the value in quotes; write objects: |",
        bad=Example(manifests=spc(parameters="    region: eu-west-1\n    usePodIdentity: true\n")),
        good=Example(manifests=spc(parameters='    region: eu-west-1\n    usePodIdentity: "true"\n')),
        check=_not_text,
        mends=True,
    ),
    Rule(
        code="LS505",
        severity=Severity.ERROR,
        title="The provider is called aws",
        why="The driver looks for a socket of exactly this name; AWS or Aws is another provider that nobody installed.",
        fix="write provider: aws",
        bad=Example(manifests=spc().replace("provider: aws", "provider: AWS")),
        good=Example(manifests=spc()),
        check=_provider_word,
        mends=True,
    ),
    Rule(
        code="LS506",
        severity=Severity.ERROR,
        title="The provider refuses the parameter",
        why="Every mount of this class fails with the error of the provider whose code is shown.",
        fix="correct the parameter",
        bad=Example(manifests=spc(parameters="    region: eu-west-1\n    pathTranslation: __\n")),
        good=Example(manifests=spc(parameters="    region: eu-west-1\n    pathTranslation: _\n")),
        check=_refused_parameter,
    ),
    Rule(
        code="LS507",
        severity=Severity.ERROR,
        title="A flag has one of a few words",
        why='The provider takes "true" and "false" as Go reads them, not "yes", and every mount fails on another word.',
        fix="write one of the words",
        bad=Example(manifests=spc(parameters='    region: eu-west-1\n    usePodIdentity: "yes"\n')),
        good=Example(manifests=spc(parameters='    region: eu-west-1\n    usePodIdentity: "true"\n')),
        check=_wrong_word,
    ),
    Rule(
        code="LS508",
        severity=Severity.ERROR,
        title="A failover region is another region",
        why="The provider refuses a class whose failover region is its region.",
        fix="name another region, or remove failoverRegion",
        bad=Example(manifests=spc(parameters="    region: eu-west-1\n    failoverRegion: eu-west-1\n")),
        good=Example(manifests=spc(parameters="    region: eu-west-1\n    failoverRegion: us-west-2\n")),
        check=_same_failover,
    ),
    Rule(
        code="LS531",
        severity=Severity.ERROR,
        title="A synced key copies a mounted file, by the file's name",
        why=(
            "objectName in secretObjects is not the secret's name: it is the file as it is mounted (the alias, or the "
            "name with each / written as _). With another name the Secret is never written."
        ),
        fix="write the file's name",
        bad=Example(manifests=spc(_SYNC_ALIAS, more=synced("prod/db"))),
        good=Example(manifests=spc(_SYNC_ALIAS, more=synced("db.json"))),
        check=_not_mounted,
        mends=True,
    ),
    Rule(
        code="LS532",
        severity=Severity.ERROR,
        title="A synced Secret has a type",
        why="The schema takes an empty type, the controller refuses it, in its log only: the Secret never appears.",
        fix="write type: Opaque",
        bad=Example(manifests=spc(more=synced("prod_db", kind=""))),
        good=Example(manifests=spc(more=synced("prod_db"))),
        check=_no_type,
        mends=True,
    ),
    Rule(
        code="LS533",
        severity=Severity.ERROR,
        title="A TLS Secret has exactly the keys tls.crt and tls.key",
        why="The API server refuses another set of keys for this type, and the Secret never appears.",
        fix="name tls.crt and tls.key, and only them",
        bad=Example(manifests=spc(more=synced("prod_db", kind=_TLS, key="tls.crt"))),
        good=Example(
            manifests=spc(
                more=synced("prod_db", kind=_TLS, key="tls.crt") + "    - objectName: prod_db\n      key: tls.key\n"
            )
        ),
        check=_tls_keys,
    ),
    Rule(
        code="LS534",
        severity=Severity.ERROR,
        title="A Secret is written by one class",
        why="Each class overwrites the whole Secret with its own keys; pods see one half, then the other.",
        fix="give each class a Secret of its own",
        bad=Example(manifests=documents(spc(more=synced("prod_db")), _OTHER)),
        good=Example(manifests=documents(spc(more=synced("prod_db")), _OTHER.replace("shop-env", "cart-env"))),
        check=_two_writers,
    ),
)
