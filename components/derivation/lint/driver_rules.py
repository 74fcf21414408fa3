"""Rules about the driver's own settings and the provider's place: Helm values, a CSIDriver object, a DaemonSet.

Sources: values of the driver's Helm chart (enableSecretRotation, rotationPollInterval, syncSecret.enabled,
tokenRequests); Kubernetes CSIDriver (tokenRequests), taints and tolerations (a toleration without key and with Exists
fits every taint; with an effect, those of that effect).
"""

from __future__ import annotations

from collections.abc import Iterator

from .examples import documents, spc, synced
from .material import Material
from .part import Part
from .rule import Example, Hit, Rule, Severity

_IRSA, _POD_IDENTITY = "sts.amazonaws.com", "pods.eks.amazonaws.com"


def _values(material: Material) -> Iterator[Part]:
    for part in material.drivers:
        if not part.get("kind"):
            yield part


def _no_interval(material: Material) -> Iterator[Hit]:
    for values in _values(material):
        rotation = values.get("enableSecretRotation")
        if rotation.is_true and not values.get("rotationPollInterval").text:
            yield Hit.on(rotation, "rotation is on, and no rotationPollInterval is chosen")


def _sync_off(material: Material) -> Iterator[Hit]:
    synced_classes = [item for item in material.classes if any(item.secret_objects())]
    for values in _values(material) if synced_classes else ():
        if not values.get("syncSecret", "enabled").is_true:
            name = synced_classes[0].shown
            yield Hit.on(values.get("syncSecret") or values, f"syncSecret is off, and the class {name} syncs a Secret")


def _no_audience(material: Material) -> Iterator[Hit]:
    wanted = {_POD_IDENTITY if item.uses_pod_identity else _IRSA for item in material.classes}
    for part in material.drivers:
        requests = part.get("tokenRequests") or part.get("spec", "tokenRequests")
        audiences = {request.get("audience").text for request in requests.items()}
        for audience in sorted(wanted - audiences):
            yield Hit.on(requests, f"the driver asks for no token with the audience {audience!r}")


def _not_everywhere(material: Material) -> Iterator[Hit]:
    for item in material.pods:
        if item.is_provider:
            tolerations = item.spec.get("tolerations")
            if not any(_fits_every_taint(toleration) for toleration in tolerations.items()):
                what = f"the provider's DaemonSet {item.name!r} does not run on nodes with a taint"
                yield Hit.on(tolerations or item.spec, what)


def _fits_every_taint(toleration: Part) -> bool:
    keys = {"key", "effect"}
    return toleration.get("operator").text == "Exists" and not any(toleration.get(key).text for key in keys)


_ROTATION = "enableSecretRotation: true\nrotationPollInterval: 2m\ntokenRequests: [{audience: sts.amazonaws.com}]\n"
_SYNCED = spc(more=synced("prod_db"))
_PROVIDER = (
    "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: provider-aws, namespace: kube-system}\nspec:\n  template:\n"
    "    spec:\n      containers: [{name: provider, image: provider}]\n"
    "      volumes: [{name: sockets, hostPath: {path: /var/run/secrets-store-csi-providers}}]\n"
)

RULES = (
    Rule(
        code="LS651",
        severity=Severity.WARNING,
        title="Rotation has an interval",
        why=(
            "The chart's default is two minutes: every pod asks AWS for every object that often with a provider "
            "without a cache, and that is paid for. The interval is a choice."
        ),
        fix="write rotationPollInterval",
        bad=Example(manifests=_ROTATION.replace("rotationPollInterval: 2m\n", "")),
        good=Example(manifests=_ROTATION),
        check=_no_interval,
    ),
    Rule(
        code="LS652",
        severity=Severity.ERROR,
        title="Synced Secrets need syncSecret.enabled",
        why="Without it the driver has no right to write Secrets; the pod's events do not say so clearly.",
        fix="write syncSecret: {enabled: true}",
        bad=Example(manifests=documents(_SYNCED, _ROTATION)),
        good=Example(manifests=documents(_SYNCED, _ROTATION + "syncSecret: {enabled: true}\n")),
        check=_sync_off,
    ),
    Rule(
        code="LS653",
        severity=Severity.ERROR,
        title="The driver asks for the token of the identity in use",
        why="The provider has no token of its own: what the driver does not request, no mount can present.",
        fix="add the audience to tokenRequests",
        bad=Example(manifests=documents(spc(), _ROTATION.replace("sts.amazonaws.com", "vault"))),
        good=Example(manifests=documents(spc(), _ROTATION)),
        check=_no_audience,
    ),
    Rule(
        code="LS654",
        severity=Severity.WARNING,
        title="The provider runs wherever pods mount",
        why=(
            "A pod that tolerates its node's taint starts there, and the driver finds no provider beside it: the mount "
            "fails with `provider not found`, on these nodes only."
        ),
        fix="write tolerations: [{operator: Exists}]",
        bad=Example(manifests=_PROVIDER),
        good=Example(manifests=_PROVIDER + "      tolerations: [{operator: Exists}]\n"),
        check=_not_everywhere,
    ),
)
