"""The stand-in of kubelet (`local/node.py`) asks of a driver what the real one asks, and obeys the same rules.

One pod on the node has a volume per gRPC status; a driver that writes everything down answers the first publish of each
with that status. The stand-in gets the same pod and a driver that answers the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from local.cluster_objects import PodStatus
from local.driver import TOKENS_KEY, PublishRequest
from local.node import FIRST_RETRY_SECONDS, Kubelet
from local.pods import Pod, PodStarted, PodUid, PublishOutcome, Volume
from local.provider_client import CallError
from tests.e2e.control_plane import NODE
from tests.e2e.csi_driver import volume_id, wait_for
from tests.e2e_node import node_images
from tests.e2e_node.node_stage import NodeStage
from tests.e2e_node.recorder import FIRST_CODE, FIRST_TEXT, NAME, Call, Recorder, recording_driver

AUDIENCE: Final = "sts.amazonaws.com"
NAMESPACE: Final = "default"
CODES: Final = tuple(code for code in grpc.StatusCode if code is not grpc.StatusCode.OK)
_KUBELET: Final = "/var/lib/kubelet"
_COMBINED: Final = "(combined from similar events): "


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What both kubelets did, by volume: the real one's calls and events, the stand-in's requests and texts."""

    pod: Pod
    real: dict[str, list[Call]]
    events: dict[str, list[str]]
    stand_in: dict[str, list[PublishRequest]]
    had_target: dict[str, list[bool]]
    root: Path
    texts: dict[str, str]


@dataclass(slots=True)
class _PlayedDriver:
    """The recorder, for the stand-in: it fails the same first publishes."""

    requests: dict[str, list[PublishRequest]] = field(default_factory=dict)
    had_target: dict[str, list[bool]] = field(default_factory=dict)
    cluster: Any = None

    def publish(self, request: PublishRequest) -> PublishOutcome:
        name = request.target_path.parent.name
        known = self.requests.setdefault(name, [])
        known.append(request)
        self.had_target.setdefault(name, []).append(request.target_path.exists())
        request.target_path.mkdir(exist_ok=True)
        code = request.volume_context.get(FIRST_CODE)
        if len(known) == 1 and code:
            raise CallError(grpc.StatusCode[code], FIRST_TEXT, is_status=True)
        return PublishOutcome.MOUNTED

    def unpublish(self, target: Path) -> None:
        target.rmdir()

    def is_mounted(self, target: Path) -> bool:
        del target
        return False

    def close(self) -> None:
        return

    def status(self, namespace: str, name: str) -> PodStatus | None:
        del namespace, name
        return None


@dataclass(slots=True)
class _Tokens:
    def tokens(
        self, *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: Sequence[str]
    ) -> Mapping[str, Mapping[str, object]]:
        del namespace, service_account, pod_name, pod_uid
        return {name: {"token": "t", "expirationTimestamp": "2030-01-01T00:00:00Z"} for name in audiences}


def _volume_name(code: grpc.StatusCode) -> str:
    return code.name.lower().replace("_", "-")


@pytest.fixture(scope="module")
def seen(stage: NodeStage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Start the pod under both kubelets."""
    (driver,) = [item for item in stage.program.rendered if item["kind"] == "CSIDriver"]
    stage.api.apply({**driver, "metadata": {"name": NAME}})
    attributes = {_volume_name(code): {FIRST_CODE: code.name, "secretProviderClass": "any"} for code in CODES}
    with recording_driver(stage.node.machine, NODE) as recorder:
        path = stage.create_pod(_pod_manifest(attributes))
        wait_for(lambda: stage.is_running(path), seconds=60, what="the pod to run with all its volumes")
        found = stage.api.call("GET", path)
        pod = Pod(
            name=found["metadata"]["name"],
            namespace=NAMESPACE,
            service_account="default",
            uid=PodUid(found["metadata"]["uid"]),
            volumes=tuple(Volume(name=name, attributes=given) for name, given in attributes.items()),
        )
        real = _by_volume(recorder)
        events = {name: [text for text in stage.events(path) if f'"{name}"' in text] for name in attributes}
        root = tmp_path_factory.mktemp("kubelet")
        played, texts = _play(pod, root, tuple(request["audience"] for request in driver["spec"]["tokenRequests"]))
        yield Seen(
            pod=pod,
            real=real,
            events=events,
            stand_in=played.requests,
            had_target=played.had_target,
            root=root,
            texts=texts,
        )
        stage.delete_pod(path)
        stage.api.delete(f"/apis/storage.k8s.io/v1/csidrivers/{NAME}")


def _pod_manifest(attributes: dict[str, dict[str, str]]) -> dict[str, Any]:
    script = f"echo {node_images.FOUND_ALL}; trap 'exit 0' TERM; while :; do sleep 1; done"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "recorded", "namespace": NAMESPACE},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {
                    "name": "app",
                    "image": node_images.APP,
                    "command": ["/bin/sh", "-c", script],
                    "volumeMounts": [{"name": name, "mountPath": f"/mnt/{name}"} for name in attributes],
                }
            ],
            "volumes": [
                {"name": name, "csi": {"driver": NAME, "readOnly": True, "volumeAttributes": given}}
                for name, given in attributes.items()
            ],
        },
    }


def _by_volume(recorder: Recorder) -> dict[str, list[Call]]:
    return {Path(target).parent.name: list(calls) for target, calls in recorder.calls.items()}


def _play(pod: Pod, root: Path, audiences: tuple[str, ...]) -> tuple[_PlayedDriver, dict[str, str]]:
    """Start the pod under the stand-in: each volume alone, so that each gets its event and its retry."""
    driver = _PlayedDriver()
    kubelet: Kubelet[Any] = Kubelet(
        root=root, driver=driver, tokens=_Tokens(), audiences=audiences, are_tokens_secrets=True, sleep=lambda _: None
    )
    texts: dict[str, str] = {}
    for volume in pod.volumes:
        alone = Pod(
            name=pod.name,
            namespace=pod.namespace,
            service_account=pod.service_account,
            uid=pod.uid,
            volumes=(volume,),
        )
        failed = kubelet.start_pod(alone)
        assert not isinstance(failed, PodStarted)
        texts[volume.name] = failed.event_text
        assert isinstance(kubelet.start_pod(alone), PodStarted)
    return driver, texts


def test_each_status_leaves_the_folder_or_not_as_the_stand_in_says(seen: Seen) -> None:
    """The rule behind the driver's fail-open trap: after a status that may be passing, the folder stays."""
    real = {name: [call.had_target for call in calls[:2]] for name, calls in seen.real.items()}
    assert real == seen.had_target


def test_a_request_says_the_same_about_pod_and_volume(seen: Seen) -> None:
    for name, requests in seen.stand_in.items():
        real, played = seen.real[name][0].request, requests[0]
        assert dict(real.volume_context) == dict(played.volume_context), name
        assert real.readonly == played.read_only
        assert Path(real.target_path).relative_to(_KUBELET) == played.target_path.relative_to(seen.root)
        assert real.volume_id == volume_id(seen.pod.uid, Path(real.target_path))


def test_tokens_come_as_secrets_in_the_same_form(seen: Seen) -> None:
    for name, requests in seen.stand_in.items():
        real, played = dict(seen.real[name][0].request.secrets), dict(requests[0].secrets or {})
        assert real.keys() == played.keys() == {TOKENS_KEY}
        tokens, played_tokens = json.loads(real[TOKENS_KEY]), json.loads(played[TOKENS_KEY])
        assert tokens.keys() == played_tokens.keys() >= {AUDIENCE}
        assert tokens[AUDIENCE].keys() == played_tokens[AUDIENCE].keys()


def test_deadline_parent_folder_and_first_retry_are_the_same(stage: NodeStage, seen: Seen) -> None:
    gaps = []
    for name, calls in seen.real.items():
        assert abs(calls[0].deadline_seconds - seen.stand_in[name][0].deadline_seconds) < 1
        assert calls[0].parent_mode == (seen.stand_in[name][0].target_path.parent.stat().st_mode & 0o7777)
        gaps.append(calls[1].at_seconds - calls[0].at_seconds)
    stage.measured.append(f"kubelet's first retry came after {min(gaps):.2f} to {max(gaps):.2f} s")
    # kubelet adds the time of its own loop, which looks at volumes ten times a second.
    assert min(gaps) >= FIRST_RETRY_SECONDS


def test_an_event_of_a_refused_mount_has_the_same_text(seen: Seen) -> None:
    # From the tenth similar event of a pod on, kubelet's recorder puts this in front.
    assert {name: texts[0].removeprefix(_COMBINED) for name, texts in seen.events.items() if texts} == {
        name: seen.texts[name] for name, texts in seen.events.items() if texts
    }
    assert sum(bool(texts) for texts in seen.events.values()) >= len(CODES) // 2, "events may be dropped, not most"
