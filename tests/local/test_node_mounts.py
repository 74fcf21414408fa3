"""A pod's life on the node: first mount, failure by code, refresh, throttle, the fail-open trap, and its end."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from local.node import NON_FINAL_CODES
from local.pods import FailedMount, MountedFile, PodStarted, PodUid, PublishOutcome, Volume
from provider_runtime.csi_v1alpha1 import service_pb2
from provider_runtime.file_guard import find_missing
from tests.local.node_stage import CLASS, NAMESPACE, NodeStage, Refusal, Reply, answer, make_class, make_pod, node_stage

ALL_CODES = sorted(set(grpc.StatusCode) - {grpc.StatusCode.OK}, key=lambda code: code.name)
FINAL_CODES = [code for code in ALL_CODES if code not in NON_FINAL_CODES]
TWO_MINUTES = 120.0


def _age(directory: Path, seconds: float) -> None:
    past = time.time() - seconds
    os.utime(directory, (past, past))


def _outcome(result: PodStarted | FailedMount) -> PublishOutcome:
    assert isinstance(result, PodStarted), result
    return result.outcomes["secrets"]


def _failure(result: PodStarted | FailedMount) -> FailedMount:
    assert isinstance(result, FailedMount), result
    return result


def _volume_directories(stage: NodeStage) -> list[Path]:
    return list((stage.root / "pods" / make_pod().uid / "volumes" / "kubernetes.io~csi").iterdir())


@pytest.mark.parametrize("code", FINAL_CODES, ids=lambda code: code.name)
def test_after_a_final_code_the_target_and_its_parent_are_removed(tmp_path: Path, code: grpc.StatusCode) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        stage.provider.reply = Refusal(code)
        assert _failure(stage.kubelet.start_pod(make_pod())).code is code
        assert _volume_directories(stage) == []
        stage.provider.reply = answer(("db.json", b"one"))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.MOUNTED


@pytest.mark.parametrize("code", sorted(NON_FINAL_CODES, key=str), ids=lambda code: code.name)
def test_after_a_non_final_code_everything_is_left_and_the_retry_starts_the_pod_with_nothing(
    tmp_path: Path, code: grpc.StatusCode
) -> None:
    """The fail-open trap: the provider is not asked again, and is well by then."""
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        stage.provider.reply = Refusal(code)
        assert _failure(stage.kubelet.start_pod(make_pod())).code is code
        assert stage.directory(make_pod()).is_dir()
        calls = stage.provider.calls
        stage.provider.reply = answer(("db.json", b"one"))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.NOT_DUE
        assert stage.provider.calls == calls
        assert list(stage.directory(make_pod()).iterdir()) == []


def test_a_guard_holds_the_pod_back_in_the_trap_and_lets_it_go_when_the_volume_is_filled(tmp_path: Path) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        file = str(stage.directory(make_pod()) / "db.json")
        stage.provider.reply = Refusal(grpc.StatusCode.UNAVAILABLE)
        _failure(stage.kubelet.start_pod(make_pod()))
        stage.provider.reply = answer(("db.json", b"one"))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.NOT_DUE
        assert find_missing([file], 0) == (file,)
        _age(stage.directory(make_pod()), TWO_MINUTES)
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.MOUNTED
        assert stage.read(make_pod()) == {"db.json": b"one"}


def test_with_an_interval_below_kubelets_first_retry_the_trap_does_not_close(tmp_path: Path) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=0.1) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.UNAVAILABLE)
        _failure(stage.kubelet.start_pod(make_pod()))
        time.sleep(0.15)
        stage.provider.reply = answer(("db.json", b"one"))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.MOUNTED
        assert stage.read(make_pod()) == {"db.json": b"one"}


def test_without_rotation_there_is_no_trap(tmp_path: Path) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=None) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.ABORTED)
        _failure(stage.kubelet.start_pod(make_pod()))
        stage.provider.reply = answer(("db.json", b"one"))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.MOUNTED


def test_the_trap_ends_when_the_left_directory_is_old_enough(tmp_path: Path) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.ABORTED)
        _failure(stage.kubelet.start_pod(make_pod()))
        _age(stage.directory(make_pod()), TWO_MINUTES)
        stage.provider.reply = answer(("db.json", b"one"))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.MOUNTED


def test_an_unmounted_directory_has_the_age_from_before_the_mount(tmp_path: Path) -> None:
    """As one that comes to light again under a tmpfs: a failed second try does not make it young."""
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.ABORTED)
        _failure(stage.kubelet.start_pod(make_pod()))
        _age(stage.directory(make_pod()), 500)
        _failure(stage.kubelet.start_pod(make_pod()))
        assert time.time() - stage.directory(make_pod()).stat().st_mtime > 400


def test_the_event_shows_the_providers_code_and_text(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.PERMISSION_DENIED, "role may not read prod/db. Fix: grant it.")
        assert _failure(stage.kubelet.start_pod(make_pod())).event_text == (
            'MountVolume.SetUp failed for volume "secrets" : rpc error: code = PermissionDenied desc = '
            "failed to mount secrets store objects for pod payments/payments-1, err: "
            "rpc error: code = PermissionDenied desc = role may not read prod/db. Fix: grant it."
        )


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(
            service_pb2.MountResponse(files=[service_pb2.File(path="a", mode=0o644)]),
            "missing object versions",
            id="no versions",
        ),
        pytest.param(
            service_pb2.MountResponse(
                object_version=[service_pb2.ObjectVersion(id="a", version="1")], error=service_pb2.Error(code="E42")
            ),
            "mount request failed with provider error code E42",
            id="error code",
        ),
        pytest.param(answer(("/etc/passwd", b"")), "invalid path: must be relative path: /etc/passwd", id="path"),
    ],
)
def test_an_answer_that_breaks_a_rule_fails_the_mount_finally_and_leaves_nothing(
    tmp_path: Path, reply: Reply, text: str
) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = reply
        failed = _failure(stage.kubelet.start_pod(make_pod()))
        assert failed.code is grpc.StatusCode.UNKNOWN
        assert failed.event_text.endswith(f"for pod payments/payments-1, err: {text}")
        assert _volume_directories(stage) == []


def test_an_answer_beyond_4_mebibytes_is_resource_exhausted_which_is_not_final(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = answer(("big", b"x" * 4 * 1024 * 1024))
        assert _failure(stage.kubelet.start_pod(make_pod())).code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stage.directory(make_pod()).is_dir()


def test_an_answer_beyond_1_mebibyte_is_mounted_and_logged(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = answer(("big", b"x" * 1024 * 1024))
        assert _outcome(stage.kubelet.start_pod(make_pod())) is PublishOutcome.MOUNTED
        assert "proto above 1MiB" in stage.driver.log[0]


def test_an_answer_without_files_writes_nothing_and_removes_nothing(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        stage.provider.reply = service_pb2.MountResponse(
            object_version=[service_pb2.ObjectVersion(id="other", version="2")]
        )
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.REFRESHED
        assert stage.read(make_pod()) == {"db.json": b"one"}


def test_a_list_of_files_shows_mode_size_and_version_and_no_value(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = answer(("tls/key", b"canary", 0o400), ("db.json", b"{}"), version="v7")
        stage.kubelet.start_pod(make_pod())
        files = stage.kubelet.list_files(make_pod())
        assert files == (
            MountedFile(volume="secrets", path="db.json", mode=0o644, size_bytes=2, version="v7"),
            MountedFile(volume="secrets", path="tls/key", mode=0o400, size_bytes=6, version="v7"),
        )
        assert "canary" not in repr(files)


def test_a_refresh_changes_exactly_the_files_that_changed(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = answer(("a", b"1"), ("b", b"1"), ("gone", b"1"))
        stage.kubelet.start_pod(make_pod())
        before = stage.kubelet.digest_files(make_pod())
        stage.provider.reply = answer(("a", b"1"), ("b", b"2"), ("new", b"2"))
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.REFRESHED
        after = stage.kubelet.digest_files(make_pod())
        assert {path for _, path in before.keys() ^ after.keys()} == {"gone", "new"}
        assert {key[1] for key in before.keys() & after.keys() if before[key] != after[key]} == {"b"}


def test_a_young_directory_is_not_refreshed_and_an_old_one_is(tmp_path: Path) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        stage.kubelet.start_pod(make_pod())
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.NOT_DUE
        assert stage.provider.calls == 1
        _age(stage.directory(make_pod()), TWO_MINUTES)
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.REFRESHED
        assert stage.provider.calls == 2


def test_once_old_an_unchanged_directory_is_refreshed_at_every_republish(tmp_path: Path) -> None:
    """The interval is no poll interval: only a change of content makes the directory young again."""
    with node_stage(tmp_path, rotation_interval_seconds=TWO_MINUTES) as stage:
        stage.kubelet.start_pod(make_pod())
        _age(stage.directory(make_pod()), TWO_MINUTES)
        for _ in range(3):
            stage.kubelet.republish(make_pod())
        assert stage.provider.calls == 4
        stage.provider.reply = answer(("db.json", b"two"))
        stage.kubelet.republish(make_pod())
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.NOT_DUE


def test_without_rotation_a_mounted_volume_is_never_refreshed(tmp_path: Path) -> None:
    with node_stage(tmp_path, rotation_interval_seconds=None) as stage:
        stage.kubelet.start_pod(make_pod())
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.ALREADY_MOUNTED
        assert stage.provider.calls == 1


@pytest.mark.parametrize(
    "reply",
    [
        Refusal(grpc.StatusCode.PERMISSION_DENIED, "revoked"),
        Refusal(grpc.StatusCode.UNAVAILABLE, "revoked"),
        service_pb2.MountResponse(
            object_version=[service_pb2.ObjectVersion(id="a", version="1")], error=service_pb2.Error(code="revoked")
        ),
    ],
    ids=["final", "non-final", "error code"],
)
def test_a_failed_refresh_is_answered_ok_and_only_the_drivers_log_has_it(tmp_path: Path, reply: Reply) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        stage.provider.reply = reply
        assert _outcome(stage.kubelet.republish(make_pod())) is PublishOutcome.ERROR_MASKED
        assert stage.read(make_pod()) == {"db.json": b"one"}
        assert "revoked" in stage.driver.log[-1]
        assert stage.driver.log[-1].endswith('pod="payments/payments-1" isRemountRequest=true')


def test_a_class_that_is_gone_is_not_masked_and_the_files_stay(tmp_path: Path) -> None:
    """Masking begins after the class is read; kubelet leaves a mount point alone."""
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        del stage.classes[NAMESPACE, CLASS]
        assert _failure(stage.kubelet.republish(make_pod())).code is grpc.StatusCode.UNKNOWN
        assert stage.read(make_pod()) == {"db.json": b"one"}


def test_a_retry_comes_only_when_asked_for_and_waits_twice_as_long_each_time(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.INTERNAL)
        _failure(stage.kubelet.start_pod(make_pod()))
        assert (stage.provider.calls, stage.waits) == (1, [])
        _failure(stage.kubelet.start_pod(make_pod(), attempts=4))
        assert (stage.provider.calls, stage.waits) == (5, [0.5, 1.0, 2.0])


def test_one_failing_volume_fails_the_pod_and_leaves_the_other_mounted(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        other = Volume(name="other", attributes={"secretProviderClass": "missing"})
        pod = replace(make_pod(), volumes=(other, *make_pod().volumes))
        assert _failure(stage.kubelet.start_pod(pod)).volume == "other"
        assert [file.volume for file in stage.kubelet.list_files(pod)] == ["secrets"]
        stage.classes[NAMESPACE, "missing"] = {**make_class(), "metadata": {"name": "missing", "namespace": NAMESPACE}}
        started = stage.kubelet.start_pod(pod)
        assert isinstance(started, PodStarted)
        assert [file.volume for file in stage.kubelet.list_files(pod)] == ["other", "secrets"]


def test_the_directories_of_a_pod_are_closed_to_others(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        target = stage.directory(make_pod())
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (stage.root, target.parent, target)]
        assert modes == [0o700, 0o750, 0o750]


def test_a_stopped_pod_leaves_nothing_and_can_be_stopped_again(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        other = make_pod("payments-2", uid=PodUid("99999999-2222-3333-4444-555555555555"))
        stage.kubelet.start_pod(make_pod())
        stage.kubelet.start_pod(other)
        stage.kubelet.stop_pod(make_pod())
        stage.kubelet.stop_pod(make_pod())
        assert [path.name for path in (stage.root / "pods").iterdir()] == [other.uid]
        assert [status.pod_name for status in stage.cluster.statuses] == ["payments-2"]
        assert stage.read(other) == {"db.json": b"one"}
        stage.kubelet.stop_pod(other)
        assert list((stage.root / "pods").iterdir()) == []


def test_a_pod_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.provider.reply = Refusal(grpc.StatusCode.UNAVAILABLE)
        stage.kubelet.start_pod(make_pod())
        stage.kubelet.stop_pod(make_pod())
        assert list((stage.root / "pods").iterdir()) == []


def test_files_that_the_provider_wrote_itself_go_with_the_pod(tmp_path: Path) -> None:
    with node_stage(tmp_path) as stage:
        stage.kubelet.start_pod(make_pod())
        (stage.directory(make_pod()) / "plain").write_bytes(b"by the provider")
        stage.kubelet.stop_pod(make_pod())
        assert list((stage.root / "pods").iterdir()) == []
