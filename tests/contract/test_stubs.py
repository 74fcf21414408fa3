"""The committed gRPC stubs are what the committed proto gives, and the proto is the driver's contract."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from provider_runtime.csi_v1alpha1 import service_pb2
from provider_runtime.version import VERSION
from tests.fakes.daemons import REPOSITORY
from tests.fakes.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import World

PACKAGE = "provider_runtime/csi_v1alpha1"
FIELDS = {
    "VersionRequest": {"version": 1},
    "VersionResponse": {"version": 1, "runtime_name": 2, "runtime_version": 3},
    "MountRequest": {"attributes": 1, "secrets": 2, "target_path": 3, "permission": 4, "current_object_version": 5},
    "MountResponse": {"object_version": 1, "error": 2, "files": 3},
    "File": {"path": 1, "mode": 2, "contents": 3},
    "ObjectVersion": {"id": 1, "version": 2},
    "Error": {"code": 1},
}


def test_generating_the_stubs_again_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / PACKAGE
    target.mkdir(parents=True)
    shutil.copy(REPOSITORY / PACKAGE / "service.proto", target)
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I",
        ".",
        "--python_out=.",
        "--pyi_out=.",
        "--grpc_python_out=.",
    ]
    subprocess.run([*command, f"{PACKAGE}/service.proto"], cwd=tmp_path, check=True, timeout=PATIENCE_SECONDS)  # noqa: S603
    for generated in sorted(target.glob("*_pb2*")):
        committed = REPOSITORY / PACKAGE / generated.name
        assert committed.read_bytes() == generated.read_bytes(), f"{generated.name}: run `make proto`"


def test_the_fields_have_the_drivers_numbers() -> None:
    described = service_pb2.DESCRIPTOR
    assert described.package == "v1alpha1"
    assert list(described.services_by_name) == ["CSIDriverProvider"]
    numbers = {
        name: {field.name: field.number for field in message.fields}
        for name, message in described.message_types_by_name.items()
    }
    assert numbers == FIELDS


def test_q09_version_answers_the_names_that_tools_know(world: World) -> None:
    version = world.driver.version()
    assert version.version == "v1alpha1"
    assert version.runtime_name == "secrets-store-csi-driver-provider-aws"
    assert version.runtime_version == VERSION
