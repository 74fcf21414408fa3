"""Everything that is linted in one run: specs, classes, pods, the driver's settings, policies. Read, not judged.

What a file is shows in the file: Kubernetes documents by `kind`, policies by `Statement`, specs by `app`. So one file
may hold several of them, and a `kubectl get … -o json` list is as good as a hand-written manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from ..access import AppAccess
from ..environment import Environment
from ..errors import ProblemList, Spot
from ..spec import AppSpec, AppVariant, Suppression
from .class_document import ClassDocument
from .part import Edit, Part, UnreadableError, read_documents
from .policies import PolicyText, PolicyUse, documents_in

_POD_PATHS = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "ReplicationController": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
#: In whose folder the driver looks for providers, below kubelet's or below its own.
_SOCKETS = "secrets-store-csi-providers"
_DRIVER_VALUES = {"enableSecretRotation", "rotationPollInterval", "syncSecret", "tokenRequests"}


class Given(StrEnum):
    """What a text was given as; decides only where the text itself does not say."""

    MANIFEST = "manifest"
    POLICY = "policy"
    TRUST = "trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodText:
    """A pod, or the template of one. `namespace` "" means: wherever it is applied."""

    part: Part
    spec: Part
    kind: str
    name: str
    namespace: str

    @property
    def service_account(self) -> str:
        """The service account's name."""
        return self.spec.get("serviceAccountName").text or self.spec.get("serviceAccount").text or "default"

    @property
    def is_provider(self) -> bool:
        """Whether it runs a provider on the nodes: it opens its socket where the driver looks for one."""
        paths = (volume.get("hostPath", "path").text for volume in self.spec.get("volumes").items())
        return self.kind == "DaemonSet" and any(_SOCKETS in path for path in paths)

    def volumes(self) -> Iterator[tuple[Part, Part]]:
        """Yield each volume of the secrets driver with its `csi` mapping."""
        for volume in self.spec.get("volumes").items():
            csi = volume.get("csi")
            if csi.get("driver").text == "secrets-store.csi.k8s.io":
                yield volume, csi

    def containers(self) -> Iterator[Part]:
        """Yield the containers of every kind."""
        for key in ("initContainers", "containers", "ephemeralContainers"):
            yield from self.spec.get(key).items()

    def class_names(self) -> set[str]:
        """Return the names of the classes that it mounts."""
        return {csi.get("volumeAttributes", "secretProviderClass").text for _, csi in self.volumes()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountText:
    """A service account."""

    part: Part
    name: str
    namespace: str

    @property
    def role(self) -> Part:
        """The annotation that names the role."""
        return self.part.get("metadata", "annotations", "eks.amazonaws.com/role-arn")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationText:
    """An EKS Pod Identity association, as `aws eks` or `lockstep render` prints it."""

    part: Part

    @property
    def namespace(self) -> str:
        """Of the pods."""
        return self.part.get("namespace").text

    @property
    def service_account(self) -> str:
        """Its name."""
        return self.part.get("serviceAccount").text

    @property
    def role(self) -> Part:
        """ARN of the role."""
        return self.part.get("roleArn")


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedStack:
    """The apps of one environment, as specs and as what they become."""

    environment: Environment
    specs: tuple[AppSpec, ...]
    apps: tuple[AppAccess, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What one run lints. Everything may be empty.

    Attributes:
        roots: Every document, for rules about form.
        classes: SecretProviderClasses of `provider: aws`.
        pods: Pods and templates of pods.
        service_accounts: Service accounts.
        drivers: Helm values of the driver, and CSIDriver objects.
        policies: Of every use.
        associations: Of EKS Pod Identity.
        others: Documents that are none of these, classes of other providers among them.
        specs: App specs, each once.
        stacks: Of the same specs, those of the stacks that are known.
        environments: Names of all environments there are, or None when nobody said.
        spec_roots: The documents of the specs, for edits.
    """

    roots: tuple[Part, ...] = ()
    classes: tuple[ClassDocument, ...] = ()
    pods: tuple[PodText, ...] = ()
    service_accounts: tuple[ServiceAccountText, ...] = ()
    drivers: tuple[Part, ...] = ()
    policies: tuple[PolicyText, ...] = ()
    associations: tuple[AssociationText, ...] = ()
    others: tuple[Part, ...] = ()
    specs: tuple[AppSpec, ...] = ()
    stacks: tuple[DerivedStack, ...] = ()
    environments: frozenset[str] | None = None
    spec_roots: tuple[Part, ...] = ()

    def with_specs(
        self,
        specs: tuple[AppSpec, ...],
        stacks: tuple[DerivedStack, ...],
        *,
        environments: frozenset[str] | None,
        roots: tuple[Part, ...] = (),
    ) -> Material:
        """Return the same material with specs, and what they become in the stacks that are known."""
        return replace(self, specs=specs, stacks=stacks, environments=environments, spec_roots=roots)

    def identity_policies(self) -> tuple[PolicyText, ...]:
        """Return the policies of roles."""
        return tuple(policy for policy in self.policies if policy.use is PolicyUse.IDENTITY)

    def trusts(self) -> tuple[PolicyText, ...]:
        """Return the trust policies."""
        return tuple(policy for policy in self.policies if policy.use is PolicyUse.TRUST)

    def classes_of(self, pod: PodText) -> Iterator[ClassDocument]:
        """Yield the given classes that a pod mounts."""
        names = pod.class_names()
        for item in self.classes:
            if item.name in names and item.may_share_namespace(pod.namespace):
                yield item

    def variants(self) -> Iterator[AppVariant]:
        """Yield every app in every environment that its spec names, the base first."""
        for spec in self.specs:
            yield spec.base
            yield from spec.overlays.values()

    def suppressions(self) -> set[Suppression]:
        """Return every suppression of the specs."""
        found = {item for variant in self.variants() for item in variant.suppress}
        for variant in self.variants():
            found |= {item for entry in variant.objects for item in entry.suppress}
            found |= {item for path in variant.paths for item in path.suppress}
        return found

    def mode_edits(self, spot: Spot, mode: str) -> tuple[Edit, ...]:
        """Return the edit that takes execution, special bits and others' writing from the mode of a spec's entry.

        Args:
            spot: Place of the entry's name, or of a key's file.
            mode: Four octal digits.
        """
        for root in self.spec_roots:
            part = root.at(spot.field.rpartition(".")[0]).get("mode")
            if root.at(spot.field).spot == spot and part.text == mode:
                edit = part.replaced(f"{int(mode, 8) & 0o644:04o}")
                return (edit,) if edit else ()
        return ()


def read_material(texts: Iterable[tuple[Given, str, str]]) -> Material:
    """Read manifests and policies.

    Args:
        texts: What each was given as, its file's name, its text.

    Raises:
        SpecErrors: SPEC001 for every text that is neither YAML nor JSON.
    """
    problems = ProblemList()
    collected = _Collected()
    for given, source, text in texts:
        try:
            for root in read_documents(text, source):
                collected.add(given, root)
        except UnreadableError as error:
            problems.add(error.spot, "SPEC001", error.what, "Manifests and policies are YAML or JSON", "correct it")
    problems.raise_if_any()
    return collected.material()


class _Collected:
    def __init__(self) -> None:
        self._roots: list[Part] = []
        self._classes: list[ClassDocument] = []
        self._pods: list[PodText] = []
        self._accounts: list[ServiceAccountText] = []
        self._drivers: list[Part] = []
        self._policies: list[PolicyText] = []
        self._associations: list[AssociationText] = []
        self._others: list[Part] = []

    def add(self, given: Given, root: Part) -> None:
        self._roots.append(root)
        self._add_document(given, root)

    def _add_document(self, given: Given, part: Part) -> None:
        kind = part.get("kind").text
        metadata = part.get("metadata")
        name, namespace = metadata.get("name").text, metadata.get("namespace").text
        if kind == "List" or (not kind and part.kind == "list"):
            for item in part.get("items").items() if kind else part.items():
                self._add_document(given, item)
        elif kind == "SecretProviderClass" and part.get("spec", "provider").text.lower() == "aws":
            self._classes.append(ClassDocument(part))
        elif kind in _POD_PATHS:
            spec = part.get(*_POD_PATHS[kind])
            self._pods.append(PodText(part=part, spec=spec, kind=kind, name=name, namespace=namespace))
        elif kind == "ServiceAccount":
            self._accounts.append(ServiceAccountText(part=part, name=name, namespace=namespace))
        elif kind == "CSIDriver" or (not kind and _DRIVER_VALUES & {key.text for key, _ in part.entries()}):
            self._drivers.append(part)
        elif not kind and part.get("association"):
            self._associations.append(AssociationText(part=part.get("association")))
        elif not kind and part.get("serviceAccount") and part.get("clusterName"):
            self._associations.append(AssociationText(part=part))
        else:
            self._add_policies(given, part)

    def _add_policies(self, given: Given, part: Part) -> None:
        use = PolicyUse.TRUST if given is Given.TRUST else PolicyUse.IDENTITY
        found = list(documents_in(part, use)) if not part.get("kind") else []
        self._policies += found
        self._others += [] if found else [part]

    def material(self) -> Material:
        return Material(
            roots=tuple(self._roots),
            classes=tuple(self._classes),
            pods=tuple(self._pods),
            service_accounts=tuple(self._accounts),
            drivers=tuple(self._drivers),
            policies=tuple(self._policies),
            associations=tuple(self._associations),
            others=tuple(self._others),
        )
