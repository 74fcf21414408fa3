"""Rules about what uses a class: pods, their volumes and service accounts.

Sources: Secrets Store CSI driver (inline read-only volume; volumeAttributes overlay the class's parameters; a synced
Secret exists while a pod mounts its class; subPath and environment variables do not follow a rotation); EKS user guide
(annotation of the role); Kubernetes (files of the volume belong to root, fsGroup does nothing for this driver).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator

from .class_document import spelled
from .examples import DB, documents, pod, spc, synced
from .material import Material, PodText
from .part import Part
from .rule import Example, Hit, Rule, Severity


def _writable(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        for _, csi in item.volumes():
            part = csi.get("readOnly")
            if not part.is_true:
                edits = (part.replaced("true"),) if part else (csi.with_member("readOnly", "true"),)
                yield Hit.on(csi, "the volume is not read-only", edits=edits)


def _not_there(material: Material) -> Iterator[Hit]:
    if not material.classes:
        return
    for item in material.pods:
        for _, csi in item.volumes():
            part = csi.get("volumeAttributes", "secretProviderClass")
            here = {found.name for found in material.classes if found.may_share_namespace(item.namespace)}
            if part.text and part.text not in here:
                yield from _not_there_hit(material, item, part, sorted(here))


def _not_there_hit(material: Material, item: PodText, part: Part, here: list[str]) -> Iterator[Hit]:
    elsewhere = [found.namespace for found in material.classes if found.name == part.text]
    close = difflib.get_close_matches(part.text, here, n=1)
    if elsewhere:
        what = f"the class {part.text!r} is in the namespace {elsewhere[0]!r}, the pod in {item.namespace!r}"
        yield Hit.on(part, what, fix=f"put a class into {item.namespace}; a class serves its own namespace only")
    elif close:
        yield Hit.on(part, f"there is no class {part.text!r}", fix=f"did you mean {close[0]!r}?")


def _override(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        for _, csi in item.volumes():
            for key, _ in csi.get("volumeAttributes").entries():
                if key.text != "secretProviderClass":
                    yield Hit.on(key, f"the pod overrides the class parameter {key.text!r}")


def _publish_secret(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        for _, csi in item.volumes():
            if csi.get("nodePublishSecretRef"):
                yield Hit.on(csi.get("nodePublishSecretRef"), "the volume names a nodePublishSecretRef")


def _twice(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        counts = Counter(csi.get("volumeAttributes", "secretProviderClass").text for _, csi in item.volumes())
        seen: set[str] = set()
        for _, csi in item.volumes():
            part = csi.get("volumeAttributes", "secretProviderClass")
            if counts[part.text] > 1 and part.text in seen:
                yield Hit.on(part, f"the class {part.text!r} is mounted twice in one pod")
            seen.add(part.text)


def _env_without_mount(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        mounted = item.class_names()
        for part in _env_references(item):
            for found in material.classes:
                names = {secret.get("secretName").text for secret in found.secret_objects()}
                if part.text in names and found.may_share_namespace(item.namespace) and found.name not in mounted:
                    what = f"the Secret {part.text!r} comes from the class {found.name!r}, which the pod does not mount"
                    yield Hit.on(part, what)


def _env_references(item: PodText) -> Iterator[Part]:
    for container in item.containers():
        for variable in container.get("env").items():
            yield variable.get("valueFrom", "secretKeyRef", "name")
        for source in container.get("envFrom").items():
            yield source.get("secretRef", "name")


def _mounts_of(item: PodText, volume: Part) -> Iterator[Part]:
    for container in item.containers():
        for mount in container.get("volumeMounts").items():
            if mount.get("name").text == volume.get("name").text:
                yield mount


def _sub_path(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        for volume, _ in item.volumes():
            for mount in _mounts_of(item, volume):
                for key in ("subPath", "subPathExpr"):
                    if mount.get(key):
                        yield Hit.on(mount.get(key), f"the file {mount.get(key).text!r} is mounted by {key}")


def _unused_volume(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        for volume, _ in item.volumes():
            if not any(_mounts_of(item, volume)):
                yield Hit.on(volume, f"no container mounts the volume {volume.get('name').text!r}")


def _root_only(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        if _is_root(item):
            continue
        for found in material.classes_of(item):
            for entry in found.entries:
                part = spelled(entry, "filePermission")
                if part.text and part.text[-1:] == "0":
                    name = spelled(entry, "objectName").text
                    what = f"{name!r} has the mode {part.text!r}, and {item.kind} {item.name!r} is not root"
                    yield Hit.on(part, what)


def _is_root(item: PodText) -> bool:
    """Say whether nothing tells that the pod's processes are somebody else than root."""
    contexts = [item.spec.get("securityContext"), *(part.get("securityContext") for part in item.containers())]
    return not any(
        context.get("runAsNonRoot").is_true or context.get("runAsUser").text not in {"", "0"} for context in contexts
    )


def _no_role(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        accounts = [
            account
            for account in material.service_accounts
            if account.name == item.service_account and account.namespace in {item.namespace, ""}
        ]
        for found in material.classes_of(item):
            needs = not found.uses_pod_identity and not found.parameters.get("roleArn").text
            for account in accounts if needs else ():
                if not account.role.text:
                    what = f"the service account {account.name!r} names no role, and the class {found.name!r} needs one"
                    yield Hit.on(account.part, what)


def _long_names(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        for name in sorted(item.class_names()) if item.kind == "Pod" and item.namespace else ():
            length = len(f"{item.name}-{item.namespace}-{name}")
            if length > _NAME_LIMIT:
                yield Hit.on(item.part, f"pod, namespace and the class {name!r} have {length} characters together")


def _stale_job(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        if item.kind in _RUNS_ONCE:
            for part in _env_references(item):
                if part.text in _synced_names(item, material):
                    yield Hit.on(part, f"a {item.kind} takes environment variables from the synced {part.text!r}")


def _environment(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        if item.kind in _RUNS_ONCE:
            continue
        for part in _env_references(item):
            if part.text in _synced_names(item, material):
                yield Hit.on(part, f"the synced Secret {part.text!r} is read into the environment")


def _synced_names(item: PodText, material: Material) -> set[str]:
    classes = material.classes_of(item)
    return {secret.get("secretName").text for found in classes for secret in found.secret_objects()}


_RUNS_ONCE = frozenset({"CronJob", "Job"})
_NAME_LIMIT = 253
_CLASS = spc()
_ENV = (
    "env: [{name: P, valueFrom: {secretKeyRef: {name: shop-env, key: PASSWORD}}}], "
    "volumeMounts: [{name: secrets, mountPath: /mnt/secrets}]"
)
_SYNCED = spc(more=synced("prod_db"))
_OTHER_CLASS = spc().replace("name: shop, ", "name: other, ")
_USES_OTHER = "readOnly: true, volumeAttributes: {secretProviderClass: other}"
_NON_ROOT = "  securityContext: {runAsNonRoot: true}\n"
_ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: shop, namespace: shop{}}}\n"
_ROLE = ", annotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::111122223333:role/shop'}"
_AS_SHOP = "  serviceAccountName: shop\n"
_JOB = (
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: shop, namespace: shop}\nspec:\n  template:\n    spec:\n"
    f"      containers:\n      - {{name: app, image: shop, {_ENV}}}\n      volumes:\n      - name: secrets\n"
    "        csi: {driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {secretProviderClass: shop}}\n"
)
_LONG = documents(_CLASS, pod()).replace("kind: Pod\nmetadata: {name: shop", "kind: Pod\nmetadata: {name: " + "p" * 250)

RULES = (
    Rule(
        code="LS601",
        severity=Severity.ERROR,
        title="The volume says readOnly: true",
        why="The driver refuses a volume that is not read-only: the pod hangs in ContainerCreating.",
        fix="write readOnly: true below csi",
        bad=Example(manifests=documents(_CLASS, pod("volumeAttributes: {secretProviderClass: shop}"))),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_writable,
        mends=True,
    ),
    Rule(
        code="LS602",
        severity=Severity.ERROR,
        title="A class serves the pods of its own namespace",
        why="The driver looks for the class beside the pod. A class elsewhere, or misspelt, shows at pod start only.",
        fix="put the class into the pod's namespace",
        bad=Example(manifests=documents(_CLASS, pod(namespace="cart"))),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_not_there,
    ),
    Rule(
        code="LS603",
        severity=Severity.ERROR,
        title="A pod does not override the class",
        why=(
            "volumeAttributes are laid over the class's parameters: a pod can ask for other objects, another region or "
            "another role than the reviewed class. IAM still decides, but the review was for nothing."
        ),
        fix="keep secretProviderClass only; change the class",
        bad=Example(
            manifests=documents(
                _CLASS, pod("readOnly: true, volumeAttributes: {secretProviderClass: shop, region: us-west-2}")
            )
        ),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_override,
    ),
    Rule(
        code="LS604",
        severity=Severity.WARNING,
        title="The aws provider ignores nodePublishSecretRef",
        why="The provider uses the pod's own identity. A static credential there is never used, and lies around.",
        fix="remove nodePublishSecretRef, and the Secret that it names",
        bad=Example(
            manifests=documents(
                _CLASS,
                pod(
                    "readOnly: true, volumeAttributes: {secretProviderClass: shop}, "
                    "nodePublishSecretRef: {name: aws-keys}"
                ),
            )
        ),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_publish_secret,
    ),
    Rule(
        code="LS605",
        severity=Severity.ERROR,
        title="A pod mounts a class once",
        why="The driver keeps one state for pod and class; two volumes of one class overwrite each other's.",
        fix="mount the one volume in both containers, or write a second class",
        bad=Example(
            manifests=documents(
                _CLASS,
                pod(container="volumeMounts: [{name: secrets, mountPath: /a}, {name: again, mountPath: /b}]")
                + "  - name: again\n    csi: {driver: secrets-store.csi.k8s.io, readOnly: true, "
                "volumeAttributes: {secretProviderClass: shop}}\n",
            )
        ),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_twice,
    ),
    Rule(
        code="LS606",
        severity=Severity.ERROR,
        title="A synced Secret exists while a pod mounts its class",
        why=(
            "The driver writes the Secret at the mount. A pod that only takes environment variables from it waits in "
            "CreateContainerConfigError, unless another pod happens to mount the class."
        ),
        fix="mount the class in this pod too",
        bad=Example(manifests=documents(_SYNCED, _OTHER_CLASS, pod(_USES_OTHER, container=_ENV))),
        good=Example(manifests=documents(_SYNCED, _OTHER_CLASS, pod())),
        check=_env_without_mount,
    ),
    Rule(
        code="LS607",
        severity=Severity.WARNING,
        title="A subPath mount never sees a rotation",
        why="The driver swaps a directory; a file that is bound by subPath keeps the old one until the pod restarts.",
        fix="mount the whole directory",
        bad=Example(
            manifests=documents(
                _CLASS, pod(container="volumeMounts: [{name: secrets, mountPath: /db, subPath: prod_db}]")
            )
        ),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_sub_path,
    ),
    Rule(
        code="LS608",
        severity=Severity.WARNING,
        title="A volume is mounted",
        why="The secrets are fetched for every pod, and no container can read them. Often a name is misspelt.",
        fix="add a volumeMount of the same name, or remove the volume",
        bad=Example(manifests=documents(_CLASS, pod(container="volumeMounts: [{name: secret, mountPath: /s}]"))),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_unused_volume,
    ),
    Rule(
        code="LS609",
        severity=Severity.WARNING,
        title="A process that is not root cannot read a file for root alone",
        why="The files belong to root:root and fsGroup does not change that: 0600, 0400 and 0440 shut the app out.",
        fix='write filePermission: "0444"; the mount is the pod\'s own',
        bad=Example(manifests=documents(spc(DB + '  filePermission: "0400"\n'), pod(more=_NON_ROOT))),
        good=Example(manifests=documents(spc(DB + '  filePermission: "0444"\n'), pod(more=_NON_ROOT))),
        check=_root_only,
    ),
    Rule(
        code="LS610",
        severity=Severity.ERROR,
        title="An IRSA pod's service account names its role",
        why="Without the annotation the provider knows no role to ask for, and the mount fails.",
        fix="annotate it with eks.amazonaws.com/role-arn, or write roleArn or usePodIdentity into the class",
        bad=Example(manifests=documents(_CLASS, _ACCOUNT.format(""), pod(more=_AS_SHOP))),
        good=Example(manifests=documents(_CLASS, _ACCOUNT.format(_ROLE), pod(more=_AS_SHOP))),
        check=_no_role,
    ),
    Rule(
        code="LS611",
        severity=Severity.ERROR,
        title="The names of pod, namespace and class fit into one",
        why="The driver names its state <pod>-<namespace>-<class>; above 253 characters it cannot be stored.",
        fix="shorten one of the names",
        bad=Example(manifests=_LONG),
        good=Example(manifests=documents(_CLASS, pod())),
        check=_long_names,
    ),
    Rule(
        code="LS612",
        severity=Severity.WARNING,
        title="A job's environment may hold an old secret",
        why=(
            "The synced Secret stays while completed pods of earlier runs exist, and is not refreshed for them: the "
            "next run starts with what an earlier one left."
        ),
        fix="read the mounted file in the job",
        bad=Example(manifests=documents(_SYNCED, _JOB)),
        good=Example(manifests=documents(_SYNCED, _JOB.replace("valueFrom", "value: x, other"))),
        check=_stale_job,
    ),
    Rule(
        code="LS613",
        severity=Severity.NOTE,
        title="Environment variables do not follow a rotation",
        why=(
            "The driver rewrites the synced Secret, and kubelet reads it when a container starts: a running pod keeps "
            "the old value until somebody restarts it."
        ),
        fix="read the mounted file, or restart the pods after a rotation",
        bad=Example(manifests=documents(_SYNCED, pod(container=_ENV))),
        good=Example(manifests=documents(_SYNCED, pod())),
        check=_environment,
    ),
)
