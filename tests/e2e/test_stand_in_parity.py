"""What the tests of the driver's stand-in say holds of the real driver too: the same tests, run against it.

The few that cannot hold are listed with the reason; each of them is a difference that the stand-in documents.
"""

from __future__ import annotations

import functools
from types import ModuleType

import pytest

from tests.e2e.control_plane import ControlPlane
from tests.e2e.real_node import real_node_stage
from tests.local import test_node_mounts, test_node_requests

#: Test of the stand-in → why it says nothing about the real driver.
STAND_IN_ONLY = {
    "test_the_directories_of_a_pod_are_closed_to_others": "files are in a tmpfs, mode 1777, and not on a disk",
    "test_a_stopped_pod_leaves_nothing_and_can_be_stopped_again": "reads the statuses at once; see test_pod_objects",
    "test_a_pod_without_a_uid_gets_one_of_its_own": "about values of the stand-in, without a driver",
    "test_a_derived_volume_is_read_as_kubelet_reads_it": "about values of the stand-in, without a driver",
    "test_another_volume_is_refused": "about values of the stand-in, without a driver",
    "test_a_class_that_the_schema_refuses_is_refused": "the API server refuses it; see test_pod_objects",
}


def _cases(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if name.startswith("test_") and name not in STAND_IN_ONLY]


@pytest.fixture(autouse=True)
def _with_the_real_driver(monkeypatch: pytest.MonkeyPatch, control_plane: ControlPlane) -> None:
    for module in (test_node_mounts, test_node_requests):
        monkeypatch.setattr(module, "node_stage", functools.partial(real_node_stage, control_plane))


for _module in (test_node_mounts, test_node_requests):
    for _name in _cases(_module):
        globals()[_name] = vars(_module)[_name]


def test_every_exception_names_a_test_that_exists() -> None:
    known = {*vars(test_node_mounts), *vars(test_node_requests)}
    assert set(STAND_IN_ONLY) <= known
