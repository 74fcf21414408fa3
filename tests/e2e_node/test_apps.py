"""Provider, driver and example apps in their containers: as rendered, without rights, with exactly their files."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

import pytest

from provider_runtime.secret_objects import ObjectType, SecretObject, dump_objects
from tests.e2e.copied_secrets import copied_secrets
from tests.e2e.csi_driver import wait_for
from tests.e2e_node.machine import MachineError
from tests.e2e_node.node_facts import current_digest, derived_files, list_differences, shared_secret
from tests.e2e_node.node_stage import DRIVER_SET, NAMESPACE, PROVIDER_SET, NodeStage

PROVIDER_USER: Final = 65532
SOCKET_DIRECTORY: Final = "/var/run/secrets-store-csi-providers"
#: Files that the container runtime gives every container, and folders that are no files of anybody.
_RUNTIMES_OWN: Final = ("/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def test_the_daemon_set_runs_as_the_program_rendered_it(stage: NodeStage) -> None:
    asked = stage.program.daemon_set()
    found = stage.api.call("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{PROVIDER_SET}")
    assert list_differences(asked["spec"], found["spec"]) == []
    pod = stage.provider_pod()
    assert list_differences(asked["spec"]["template"]["spec"]["containers"], pod["spec"]["containers"]) == []
    assert [item["restartCount"] for item in pod["status"]["containerStatuses"]] == [0]


def test_the_driver_is_what_its_chart_makes_of_the_programs_values(stage: NodeStage) -> None:
    rendered = stage.program.rendered
    assert {"DaemonSet", "CSIDriver", "CustomResourceDefinition", "ClusterRole"} <= {item["kind"] for item in rendered}
    (asked,) = [item for item in rendered if item["kind"] == "DaemonSet"]
    found = stage.api.call("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{DRIVER_SET}")
    assert list_differences(asked["spec"], found["spec"]) == []
    (pod,) = stage.pods_of(DRIVER_SET)
    assert [item["restartCount"] for item in pod["status"]["containerStatuses"]] == [0, 0, 0]


def test_the_provider_has_no_rights_on_its_node(stage: NodeStage) -> None:
    lines = stage.python_in_provider("print(open('/proc/1/status').read())").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["Uid"].split() == [str(PROVIDER_USER)] * 4
    assert status["Gid"].split() == [str(PROVIDER_USER)] * 4
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0000000000000000"}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_providers_root_is_read_only_and_one_host_path_is_there(stage: NodeStage) -> None:
    lines = stage.python_in_provider("print(open('/proc/1/mounts').read())").splitlines()
    options = {line.split(" ")[1]: line.split(" ")[3].split(",") for line in lines if line}
    assert "ro" in options["/"]
    (volume,) = stage.provider_pod()["spec"]["volumes"]
    assert volume["hostPath"]["path"] == SOCKET_DIRECTORY
    writable = {path for path, values in options.items() if "rw" in values}
    assert {path for path in writable if not path.startswith(_RUNTIMES_OWN)} == {SOCKET_DIRECTORY}
    with pytest.raises(MachineError, match="Read-only file system"):
        stage.python_in_provider("open('/opt/lockstep/x', 'w')")
    assert not [path for path in options if "serviceaccount" in path], "no token for the Kubernetes API"


def test_every_app_reads_exactly_its_derived_files(stage: NodeStage, pods: dict[str, str]) -> None:
    for app in stage.apps:
        container = stage.container_id(pods[str(app.app)])
        for mount in app.mounts:
            shown = stage.node.run_in(container, "ls", "-A", mount.path).split()
            assert {name for name in shown if not name.startswith("..")} == {
                file.path.split("/")[0] for file in mount.files
            }
        for path, mode in derived_files(app).items():
            shown_mode, size = stage.node.run_in(container, "stat", "-L", "-c", "%a %s", path).split()
            assert int(shown_mode, 8) == mode, path
            assert int(size) > 0


def test_an_app_reads_the_value_that_aws_has(stage: NodeStage, pods: dict[str, str]) -> None:
    source, files = shared_secret(stage)
    expected = current_digest(stage, source)
    assert {app: stage.digest(pods[app], path) for app, path in files.items()} == dict.fromkeys(files, expected)


def test_a_copied_secret_holds_what_the_files_hold(stage: NodeStage, pods: dict[str, str]) -> None:
    assert any(app.needs_sync for app in stage.apps)
    for app in stage.apps:
        for path, keys in copied_secrets(app).items():
            data = stage.api.call("GET", path)["data"]
            digests = {key: hashlib.sha256(base64.b64decode(value)).hexdigest() for key, value in data.items()}
            assert digests == {key: stage.digest(pods[str(app.app)], file) for key, file in keys.items()}


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [("own-role", "secretsmanager:"), ("other-role", "sts:AssumeRoleWithWebIdentity")],
)
def test_another_apps_secret_is_refused(stage: NodeStage, class_name: str, expected: str) -> None:
    thief, owner = stage.app("mailer"), stage.app("payments")
    (wanted,) = [item for item in owner.objects if item.type is ObjectType.SECRETS_MANAGER and "db" in item.name]
    objects = dump_objects([SecretObject(name=wanted.name, type=wanted.type, alias="stolen")])
    role = {} if class_name == "own-role" else {"roleArn": owner.role_arn}
    stage.deployment.write_class(thief.namespace, class_name, str(thief.app), objects=objects, **role)
    path = stage.create_pod(stage.app_pod(thief, f"thief-{class_name}", class_name=class_name))
    text = stage.wait_for_event(path, "PermissionDenied")
    assert expected in text
    pod = stage.api.call("GET", path)
    volume = pod["spec"]["volumes"][0]["name"]
    # The form that the stand-in of kubelet gives its events.
    begin = f'MountVolume.SetUp failed for volume "{volume}" : rpc error: code = PermissionDenied desc = '
    assert re.match(re.escape(begin), text)
    assert all("waiting" in item["state"] for item in pod["status"].get("containerStatuses", []))
    folder = stage.node.machine.root / "var/lib/kubelet/pods" / pod["metadata"]["uid"]
    # kubelet takes the folders of a refused mount away, until it tries again.
    wait_for(
        lambda: not (folder / "volumes/kubernetes.io~csi" / volume).exists(), what="the refused mount's folder to go"
    )
    stage.delete_pod(path)
    wait_for(lambda: not folder.exists(), seconds=60, what="the pod's folder to go")
