"""The Secrets Store CSI driver's side of a mount: requests exactly as driver 1.6 sends them.

Parameters of the class, overlaid by the volume context, then the tokens, all in one JSON object of strings; permission
`420`; no object versions; `:authority` localhost; no retries, so that a test sees what the provider answered.
"""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc

from provider_runtime.csi_v1alpha1 import service_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

FAKE_REGION = "fakeRegion"
FAKE_BACKUP_REGION = "fakeBackupRegion"
KUBELET_PATH = "/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/v/mount"
KUBELET_SECONDS = 120.0
"""The deadline of a mount in a cluster: kubelet's, which the driver passes on."""
ROLE_ARN = "arn:aws:iam::111122223333:role/fakeRole"
FINAL_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One volume of one pod, and the class that it mounts."""

    objects: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Class parameters beside objects, region and roleArn."""
    region: str = FAKE_REGION
    role_arn: str = ROLE_ARN
    name: str = "fakePod"
    namespace: str = "fakeNS"
    uid: str = "11111111-2222-3333-4444-555555555555"
    service_account: str = "fakeSvcAcc"
    class_name: str = "fakeClass"
    tokens: Mapping[str, str] = field(
        default_factory=lambda: {"sts.amazonaws.com": "fakeToken", "pods.eks.amazonaws.com": "fakePodToken"}
    )
    permission: str = "420"
    target_path: str = KUBELET_PATH
    versions: tuple[tuple[str, str], ...] = ()
    secrets: str = "null"
    """Data of nodePublishSecretRef; the token too where the CSIDriver says so (Kubernetes 1.35 on)."""

    def request(self) -> service_pb2.MountRequest:
        """Render the driver's request."""
        parameters = {"objects": self.objects, **self.parameters}
        if self.region:
            parameters.setdefault("region", self.region)
        if self.role_arn:
            parameters.setdefault("roleArn", self.role_arn)
        entries = {
            audience: {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}
            for audience, token in self.tokens.items()
        }
        attributes = parameters | {
            "secretProviderClass": self.class_name,
            "csi.storage.k8s.io/pod.name": self.name,
            "csi.storage.k8s.io/pod.namespace": self.namespace,
            "csi.storage.k8s.io/pod.uid": self.uid,
            "csi.storage.k8s.io/serviceAccount.name": self.service_account,
            "csi.storage.k8s.io/ephemeral": "true",
            "csi.storage.k8s.io/serviceAccount.tokens": json.dumps(entries),
        }
        return service_pb2.MountRequest(
            attributes=json.dumps(attributes),
            secrets=self.secrets,
            target_path=self.target_path,
            permission=self.permission,
            current_object_version=[service_pb2.ObjectVersion(id=key, version=text) for key, text in self.versions],
        )


def with_attributes(request: service_pb2.MountRequest, changed: Mapping[str, object]) -> service_pb2.MountRequest:
    """Return the request with other attributes; None takes one away."""
    attributes = json.loads(request.attributes) | dict(changed)
    fresh = service_pb2.MountRequest()
    fresh.CopyFrom(request)
    fresh.attributes = json.dumps({name: value for name, value in attributes.items() if value is not None})
    return fresh


def with_parameters(pod: Pod, **parameters: str) -> Pod:
    """Return the pod with more class parameters."""
    return replace(pod, parameters={**pod.parameters, **parameters})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the driver got: files by path as (contents, mode), versions by id; or a code and a text."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    text: str = ""
    files: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether the mount succeeded."""
        return self.code is grpc.StatusCode.OK


class DriverClient:
    """A channel as the driver opens it."""

    def __init__(self, socket_path: Path, *, authority: str = "localhost") -> None:
        options = (
            ("grpc.default_authority", authority),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channel = grpc.insecure_channel(f"unix:{socket_path}", options=options)
        self._stub = service_pb2_grpc.CSIDriverProviderStub(self._channel)  # type: ignore[no-untyped-call]

    def mount(self, pod: Pod, *, timeout: float = KUBELET_SECONDS) -> Answer:
        """Mount and return what came back; never raises for a status."""
        return self.send(pod.request(), timeout=timeout)

    def send(self, request: service_pb2.MountRequest, *, timeout: float = KUBELET_SECONDS) -> Answer:
        """Send a request as it is."""
        try:
            response = self._stub.Mount(request, timeout=timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            return Answer(code=error.code(), text=error.details() or "")
        assert not response.HasField("error")
        return Answer(
            files={file.path: (file.contents, file.mode) for file in response.files},
            versions={version.id: version.version for version in response.object_version},
        )

    def version(self) -> service_pb2.VersionResponse:
        """Ask for the version."""
        answer: service_pb2.VersionResponse = self._stub.Version(
            service_pb2.VersionRequest(version="v1alpha1"), timeout=KUBELET_SECONDS, wait_for_ready=True
        )
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()


class VolumeDriver(DriverClient):
    """A driver that keeps the volume too: files are looked at where the pod would see them, in either write mode.

    Args:
        socket_path: Of the provider.
        volume: The volume's directory.
        writes: The driver writes the files of the answer; else the provider has written them.
        authority: What the client calls the provider.
    """

    def __init__(self, socket_path: Path, volume: Path, *, writes: bool, authority: str = "localhost") -> None:
        super().__init__(socket_path, authority=authority)
        self.volume = volume
        self.is_writer = writes

    def mount(self, pod: Pod, *, timeout: float = KUBELET_SECONDS) -> Answer:
        """Mount; on success the answer's files are those of the volume, on failure the volume is as before."""
        if pod.target_path == KUBELET_PATH:
            pod = replace(pod, target_path=str(self.volume))
        before = self.files()
        answer = super().mount(pod, timeout=timeout)
        if not answer.is_ok:
            assert self.files() == before
            return answer
        assert bool(answer.files) is self.is_writer, "files are in the answer, or on disk, never both"
        if not self.is_writer:
            return replace(answer, files=self.files())
        self._write(answer.files)
        return answer

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Return what the pod sees: contents and mode by path."""
        return {
            str(path.relative_to(self.volume)): (path.read_bytes(), path.stat().st_mode & 0o7777)
            for path in sorted(self.volume.rglob("*"))
            if path.is_file() and not (self.is_writer and path.relative_to(self.volume).parts[0].startswith(".."))
        }

    def _write(self, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Write as the driver's atomic writer does: a fresh directory behind a link, a link for each top-level name."""
        fresh = Path(tempfile.mkdtemp(prefix="..", dir=self.volume))
        for name, (contents, mode) in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
            path.chmod(mode)
        for old in self.volume.iterdir():
            if old.is_symlink():
                old.unlink()
        (self.volume / "..data").symlink_to(fresh.name)
        for name in {name.split("/")[0] for name in files}:
            (self.volume / name).symlink_to(f"..data/{name}")


class Mounting:
    """A mount in a thread, for tests in which something happens meanwhile."""

    def __init__(self, client: DriverClient, pod: Pod, *, timeout: float = KUBELET_SECONDS) -> None:
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._run, args=(client, pod, timeout))
        self._thread.start()

    def _run(self, client: DriverClient, pod: Pod, timeout: float) -> None:
        self._answer = client.mount(pod, timeout=timeout)

    def result(self) -> Answer:
        """Wait for the answer."""
        self._thread.join()
        assert self._answer is not None
        return self._answer
