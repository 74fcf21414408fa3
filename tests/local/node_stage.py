"""A node for tests: kubelet and driver as they are, and a provider that answers what the test told it.

The provider is a real gRPC server on a real Unix socket; only its answers are scripted.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from local.cluster_objects import ClusterObjects
from local.driver import Driver, DriverSettings
from local.node import Kubelet
from local.pods import Pod, PodUid, Volume
from provider_runtime.csi_v1alpha1 import service_pb2, service_pb2_grpc

NAMESPACE, CLASS, VOLUME = "payments", "payments-secrets", "secrets"
POD_UID = PodUid("11111111-2222-3333-4444-555555555555")

File = tuple[str, bytes] | tuple[str, bytes, int]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gRPC status instead of an answer."""

    code: grpc.StatusCode
    text: str = "no"


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer before the caller's deadline."""


Reply = service_pb2.MountResponse | Refusal | Silence


def answer(*files: File, version: str = "v1") -> service_pb2.MountResponse:
    """Make an answer with these files (path, contents, mode) and a version for each."""
    return service_pb2.MountResponse(
        object_version=[service_pb2.ObjectVersion(id=file[0], version=version) for file in files],
        files=[
            service_pb2.File(path=file[0], contents=file[1], mode=file[2] if len(file) == 3 else 0o644)
            for file in files
        ],
    )


class ScriptedProvider(service_pb2_grpc.CSIDriverProviderServicer):
    """Answers `reply` to every mount and keeps the requests."""

    def __init__(self) -> None:
        self.reply: Reply = answer(("db.json", b"one"))
        self.requests: list[service_pb2.MountRequest] = []
        self.authorities: list[str] = []
        self.remaining_seconds: list[float] = []

    def Mount(  # noqa: N802  # the proto's name
        self, request: service_pb2.MountRequest, context: grpc.ServicerContext
    ) -> service_pb2.MountResponse:
        """Answer as scripted."""
        self.requests.append(request)
        self.remaining_seconds.append(context.time_remaining())
        if isinstance(self.reply, Refusal):
            context.abort(self.reply.code, self.reply.text)
        if isinstance(self.reply, Silence):
            while context.is_active():
                time.sleep(0.02)
            return service_pb2.MountResponse()
        return self.reply

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    @property
    def attributes(self) -> Mapping[str, str]:
        """Attributes of the last request."""
        parsed: Mapping[str, str] = json.loads(self.requests[-1].attributes)
        return parsed


@dataclass(slots=True)
class RecordedTokens:
    """A token source that says who asked."""

    asked: list[tuple[str, str, str, str, tuple[str, ...]]] = field(default_factory=list)

    def tokens(
        self, *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return a token per audience that names it."""
        self.asked.append((namespace, service_account, pod_name, pod_uid, tuple(audiences)))
        return {name: {"token": f"jwt-{name}", "expirationTimestamp": "2099-01-01T00:00:00Z"} for name in audiences}


@dataclass(slots=True, kw_only=True)
class NodeStage:
    """Everything a test of the node touches."""

    root: Path
    kubelet: Kubelet[Driver]
    driver: Driver
    provider: ScriptedProvider
    cluster: ClusterObjects
    tokens: RecordedTokens
    classes: dict[tuple[str, str], Mapping[str, object]]
    waits: list[float]

    def directory(self, pod: Pod) -> Path:
        """Return where the pod's only volume is mounted."""
        return self.kubelet.target_path(pod, pod.volumes[0])

    def read(self, pod: Pod) -> Mapping[str, bytes]:
        """Return the contents of the pod's files."""
        directory = self.directory(pod)
        return {file.path: (directory / file.path).read_bytes() for file in self.kubelet.list_files(pod)}


def make_pod(name: str = "payments-1", *, uid: PodUid = POD_UID, attributes: Mapping[str, str] | None = None) -> Pod:
    """Make a pod with one volume; attributes are further volumeAttributes."""
    volume = Volume(name=VOLUME, attributes={"secretProviderClass": CLASS, **(attributes or {})})
    return Pod(name=name, namespace=NAMESPACE, service_account="payments-api", volumes=(volume,), uid=uid)


def make_class(
    parameters: Mapping[str, str] | None = None, secret_objects: Sequence[Mapping[str, object]] = ()
) -> Mapping[str, object]:
    """Make the pods' SecretProviderClass."""
    spec: dict[str, object] = {"provider": "aws", "parameters": parameters or {"objects": "[]", "region": "eu-west-1"}}
    if secret_objects:
        spec["secretObjects"] = list(secret_objects)
    return {"metadata": {"name": CLASS, "namespace": NAMESPACE}, "spec": spec}


@contextlib.contextmanager
def node_stage(
    root: Path,
    *,
    rotation_interval_seconds: float | None = 0.0,
    audiences: tuple[str, ...] = (),
    are_tokens_secrets: bool = False,
    deadline_seconds: float = 120.0,
    sync_secrets: bool = True,
) -> Iterator[NodeStage]:
    """Run a provider and make a node that talks to it."""
    with tempfile.TemporaryDirectory(prefix="lsn-", dir="/tmp") as folder:  # pytest's paths are too long for a socket
        provider, tokens, cluster = ScriptedProvider(), RecordedTokens(), ClusterObjects(root / "objects")
        waits: list[float] = []
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=(("grpc.so_reuseport", 0),))
        service_pb2_grpc.add_CSIDriverProviderServicer_to_server(provider, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(f"unix:{folder}/aws.sock")
        server.start()
        classes: dict[tuple[str, str], Mapping[str, object]] = {(NAMESPACE, CLASS): make_class()}
        settings = DriverSettings(
            socket_directories=(Path(folder, "nothing-here"), Path(folder)),
            rotation_interval_seconds=rotation_interval_seconds,
            sync_secrets=sync_secrets,
            retry_initial_backoff_seconds=0.01,
        )
        driver = Driver(settings, find_class=lambda *key: classes.get(key), cluster=cluster)
        kubelet = Kubelet(
            root=root / "kubelet",
            driver=driver,
            tokens=tokens,
            audiences=audiences,
            are_tokens_secrets=are_tokens_secrets,
            deadline_seconds=deadline_seconds,
            sleep=waits.append,
        )
        try:
            with kubelet:
                yield NodeStage(
                    root=root / "kubelet",
                    kubelet=kubelet,
                    driver=driver,
                    provider=provider,
                    cluster=cluster,
                    tokens=tokens,
                    classes=classes,
                    waits=waits,
                )
        finally:
            server.stop(0).wait()
