"""`lockstep refresh` and `lockstep doctor` against the real API server, driver and provider, and emulated AWS.

Kubelet is a stand-in here: what it does when a pod changes, republishing its volumes at once, is played by the test.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from components.derivation import Store
from local.pods import Pod, PodStarted
from local.report import Report
from local.stage import REFRESH_INTERVAL_SECONDS
from lockstep.exit_codes import ExitCode
from lockstep.refresh.bell import ANNOTATION
from tests.e2e.lockstep_command import start_lockstep
from tests.e2e.real_stage import RealStage
from tests.e2e.toolbox import PROJECT

_DEADLINE_SECONDS = 240


@pytest.fixture(scope="module")
def stage() -> Iterator[RealStage]:
    """Run everything, once for this file."""
    with RealStage(project=PROJECT, report=Report(plain=True)) as running:
        yield running


@pytest.fixture(scope="module")
def pod(stage: RealStage) -> Iterator[Pod]:
    """Start a pod of payments, and stop it."""
    made = stage.pod(stage.app("payments"), 1)
    assert isinstance(stage.kubelet.start_pod(made), PodStarted)
    yield made
    stage.kubelet.stop_pod(made)


def _start(stage: RealStage, *arguments: str) -> subprocess.Popen[str]:
    """Start a command as the control plane's admin."""
    return start_lockstep(stage, stage.control_plane.admin, *arguments)


def _annotation(stage: RealStage, pod: Pod) -> str:
    found = stage.control_plane.admin.find(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
    return str((found["metadata"].get("annotations") or {}).get(ANNOTATION, ""))


def _serve(stage: RealStage, pod: Pod, command: subprocess.Popen[str]) -> tuple[int, dict[str, Any], int]:
    """Republish the pod whenever it is touched, until the command ends; return code, report and republishes."""
    seen, count = _annotation(stage, pod), 0
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while command.poll() is None:
        assert time.monotonic() < deadline, "the command did not end"
        now = _annotation(stage, pod)
        if now != seen:
            seen, count = now, count + 1
            assert isinstance(stage.kubelet.republish(pod), PodStarted)
        time.sleep(0.1)
    out, err = command.communicate()
    assert out, err
    return command.returncode, json.loads(out), count


def test_refresh_brings_a_rotated_value_into_the_file_of_a_running_pod(stage: RealStage, pod: Pod) -> None:
    target = stage.kubelet.target_path(pod, pod.volumes[0])
    assert isinstance(stage.kubelet.republish(pod), PodStarted)
    old = (target / "db-user").read_bytes()
    wanted = next(item.source for item in stage.app("payments").files if item.path == "db-user")
    stage.seed.rotate_secret(
        next(each for each in stage.sources if each.name == wanted and each.store is Store.SECRETS_MANAGER)
    )
    code, report, rings = _serve(stage, pod, _start(stage, "refresh", "payments", "--timeout", "40"))
    assert code == ExitCode.FINE, report
    (mount,) = report["mounts"]
    assert mount["outcome"] == "refreshed"
    assert {"db-user", "db-port", "db.json"} <= set(mount["changed"])
    assert (target / "db-user").read_bytes() != old
    assert rings >= 1


def test_refresh_of_what_is_new_already_rings_until_its_time_is_up_where_a_label_hides_the_newest(
    stage: RealStage, pod: Pod
) -> None:
    """The class has a parameter by label, whose version no description tells: then only a change proves a refresh."""
    link = stage.kubelet.target_path(pod, pod.volumes[0]) / "..data"
    before = link.readlink()
    time.sleep(REFRESH_INTERVAL_SECONDS)
    code, report, rings = _serve(stage, pod, _start(stage, "refresh", "payments", "--timeout", "12"))
    assert code == ExitCode.FINDINGS
    (mount,) = report["mounts"]
    assert (mount["outcome"], mount["changed"], mount["behind"]) == ("unchanged", [], [])
    assert any(reason.startswith("AWS may have nothing new") for reason in report["reasons"])
    assert rings >= 2
    assert link.readlink() == before, "nothing is rewritten when nothing changed"


def test_doctor_reads_the_real_api_server(stage: RealStage, pod: Pod) -> None:
    """The driver and the provider run as processes here, and the emulator has no EKS: what needs these is not asked."""
    assert pod.name
    out, err = _start(stage, "doctor").communicate(timeout=_DEADLINE_SECONDS)
    assert out, err
    checks = {(each["check"], each["subject"]): each for each in json.loads(out)["checks"]}
    fine = {name for (name, _), each in checks.items() if each["status"] == "ok"}
    bad = {name for (name, _), each in checks.items() if each["status"] == "fail"}
    assert fine >= {
        "cluster.issuer", "cluster.version", "cluster.clock", "driver.tokens", "driver.admission", "app.account",
        "app.class", "app.fargate", "aws.account", "aws.clock", "iam.issuer", "iam.role", "object", "kms.key",
    }, {key: each for key, each in checks.items() if each["status"] != "ok"}  # fmt: skip
    assert not bad & {"cluster.issuer", "driver.tokens", "driver.admission", "app.account", "app.class", "iam.role"}
    assert checks["provider.ready", ""]["status"] == "warn", "no controller makes pods of the DaemonSet here"
