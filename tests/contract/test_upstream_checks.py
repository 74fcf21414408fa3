"""The checks that upstream runs on providers, and the test of ours that holds each of them.

Upstream: host tests of the Secrets Store CSI driver, which run against a provider's socket (A), and `e2e-provider.bats`
and `aws.bats`, which run against a cluster (B). D is what upstream does not check.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).resolve().parents[1]

#: What upstream checks → file and tests of ours.
CHECKS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "A1 Version answers v1alpha1, a name and a version within its time": (
        ("contract/test_stubs.py", "test_q09_version_answers_the_names_that_tools_know"),
        ("contract/test_request_vectors.py", "test_q09_the_version_is_told_whatever_is_asked"),
    ),
    "A2 the authority is localhost, and what older drivers made of the socket's path": (
        ("contract/test_driver_versions.py", "test_each_release_delivers_and_rotates_with_the_calls_that_it_allows"),
    ),
    "A3 attributes, secrets and permission are JSON, null included; what is missing is an error and no crash": (
        ("contract/test_faults.py", "test_a_request_that_makes_no_sense_is_an_invalid_argument"),
        ("contract/test_driver_versions.py", "test_what_stands_in_secrets_does_not_matter"),
        ("runtime/pure/test_mount_request.py", "test_no_attributes_make_the_parser_raise_anything_but_a_mount_error"),
    ),
    "A4 versions are never empty and ids unique; nested files; errors and their codes; answers too large": (
        ("runtime/pure/test_payload.py", "test_a_class_that_asks_for_content_versions_gets_them_for_each_file"),
        ("contract/test_mount_vectors.py", "test_a30_the_driver_writes_directories"),
        ("contract/test_faults.py", "test_every_fault_of_aws_gives_a_final_status_with_its_cause"),
        ("contract/test_faults.py", "test_an_answer_that_the_driver_could_not_receive_is_refused_with_sizes"),
        ("local/test_node_mounts.py", "test_an_answer_beyond_4_mebibytes_is_resource_exhausted_which_is_not_final"),
    ),
    "A5 file paths keep the atomic writer's rules": (
        ("local/test_node_mounts.py", "test_an_answer_that_breaks_a_rule_fails_the_mount_finally_and_leaves_nothing"),
        ("runtime/pure/test_object_collisions.py", "test_a_file_that_could_not_be_told_apart_or_written_is_refused"),
    ),
    "A6 the socket's name has the driver's form, directories are searched in order, one client serves all": (
        ("runtime/daemon/test_config.py", "test_a_provider_name_that_the_driver_would_refuse"),
        ("local/test_node_requests.py", "test_a_client_once_made_does_not_look_for_the_socket_again"),
        ("runtime/daemon/test_socket_takeover.py", "test_two_providers_with_different_names_live_side_by_side"),
    ),
    "A7 every configured audience has its token": (
        ("local/test_node_requests.py", "test_tokens_are_a_json_text_with_exactly_the_configured_audiences"),
        ("runtime/pure/test_mount_request.py", "test_t03_to_t06_each_audience_has_its_token"),
    ),
    "B8 classes of v1 and of v1alpha1 mount": (
        ("e2e/test_example_apps.py", "test_every_app_sees_exactly_its_derived_files_with_their_modes"),
        ("e2e/test_identities.py", "test_a_class_of_the_deprecated_api_version_mounts"),
    ),
    "B9 a secret is read, and one that is binary or PEM": (
        ("e2e/test_pod_objects.py", "test_a_secret_is_copied_from_the_mounted_files_with_label_and_type"),
        ("e2e/test_pod_objects.py", "test_a_tls_secret_holds_certificates_and_key_of_a_bundle"),
    ),
    "B10 an unmount leaves no mount and logs no failure": (
        ("e2e/test_example_apps.py", "test_a_stopped_pod_leaves_no_mount_no_status_and_no_copied_secret"),
        ("e2e/test_pod_objects.py", "test_an_update_of_the_driver_in_place_keeps_the_mounts_and_goes_on"),
    ),
    "B11 a copied Secret has data, label, managed label and type": (
        ("e2e/test_pod_objects.py", "test_a_secret_is_copied_from_the_mounted_files_with_label_and_type"),
        ("e2e/test_example_apps.py", "test_copied_secrets_hold_what_the_files_hold"),
    ),
    "B12 a copied Secret has an owner per pod and goes with the last": (
        ("e2e/test_pod_objects.py", "test_a_secret_stays_until_its_last_pod_is_gone"),
        ("e2e/test_pod_objects.py", "test_a_secret_of_a_pod_with_an_owner_belongs_to_that_owner_and_goes_with_it"),
        (
            "e2e/test_pod_objects.py",
            "test_a_secret_whose_pod_goes_before_its_owners_are_named_stays_until_the_next_pod_of_the_class",
        ),
    ),
    "B13 one class name in two namespaces is two classes": (
        ("e2e/test_identities.py", "test_one_class_name_in_two_namespaces_is_two_classes"),
    ),
    "B14 a class that is missing in the namespace is named in the event": (
        ("e2e/test_identities.py", "test_a_class_that_is_missing_is_named_in_the_pods_event"),
    ),
    "B15 two classes in one pod": (("e2e/test_identities.py", "test_two_classes_in_one_pod_are_two_mounts"),),
    "B16 a rotated value is in the file and in the copied Secret, and not before its time": (
        ("e2e/test_freshness.py", "test_a_rotated_value_is_in_the_file_and_in_the_copied_secret_after_the_interval"),
        ("e2e/test_old_driver.py", "test_the_ticker_brings_a_rotated_value_into_the_file_without_kubelet"),
        ("e2e/test_pod_objects.py", "test_a_secret_follows_the_version_and_not_the_content"),
    ),
    "B17 the driver's counters move": (
        ("e2e/test_pod_objects.py", "test_the_driver_counts_mounts_refreshes_errors_and_unmounts"),
    ),
    "B18 an update of the driver in place keeps the mounts": (
        ("e2e/test_pod_objects.py", "test_an_update_of_the_driver_in_place_keeps_the_mounts_and_goes_on"),
        ("e2e/test_freshness.py", "test_a_driver_restart_keeps_the_mounts_and_goes_on_refreshing"),
    ),
    "aws.bats: both stores, alias and ARN, rotation of both": (
        ("contract/test_mount_vectors.py", "test_a09_an_arn_tells_the_type"),
        ("contract/test_mount_vectors.py", "test_a05_a06_a_secret_and_a_parameter"),
        ("contract/test_remount_vectors.py", "test_r0_to_r4_only_what_changed_is_read_again"),
    ),
    "D not upstream: concurrency, restart, throttling, sizes, modes, audiences, the sync controller's requests": (
        ("runtime/daemon/test_freshness.py", "test_whatever_the_interleaving_nobody_gets_what_another_read"),
        ("e2e/test_rollout.py", "test_no_mount_fails_while_the_provider_is_updated"),
        ("contract/test_faults.py", "test_a_throttled_call_is_tried_again_inside_the_mount"),
        (
            "contract/test_own_parameters.py",
            "test_a_request_of_the_sync_controller_is_served_without_the_kubernetes_api",
        ),
        ("e2e/test_fail_open.py", "test_a_provider_that_is_gone_starts_no_empty_pod_and_leaves_mounted_files_alone"),
        ("chaos/test_model.py", "test_nothing_bridges_a_refusal"),
    ),
}


@functools.cache
def _tests_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_is_held_by_tests_that_exist(check: str) -> None:
    assert CHECKS[check]
    missing = [f"{path}: {name}" for path, name in CHECKS[check] if name not in _tests_in(path)]
    assert missing == []
