"""What a scrape says after each way a mount can end, and that nothing of a pod or a class becomes a label."""

from __future__ import annotations

import json

import pytest

from provider_runtime.errors import Culprit, ErrorCode
from provider_runtime.metrics import LiveGauge, RuntimeMetrics
from provider_runtime.volume_health import is_masked
from tests.fakes.aws import ASSUME_ROLE, GET_SECRET, FakeParameter, FakeSecret, Fault
from tests.fakes.driver import FAKE_REGION, Pod
from tests.runtime.observability.conftest import Watched, parse_samples
from tests.runtime.observability.reports import make_report

SECRET = "- {objectName: TestSecret1, objectType: secretsmanager}\n"
PARAMETER = "- {objectName: TestParm1, objectType: ssmparameter}\n"


def _fill(watched: Watched) -> None:
    watched.aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="secret1")
    watched.aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value="parm1")


def test_a_failed_first_mount_is_counted_by_code_and_culprit_and_is_not_masked(watched: Watched) -> None:
    masked = watched.value("lockstep_provider_masked_failures_total")
    answer = watched.driver.mount(Pod(objects=SECRET, uid="first-fails", service_account="first-fails"))
    assert not answer.is_ok
    labels = {"status": "NOT_FOUND", "code": "LSP310", "culprit": "not_found", "kind": "first"}
    assert watched.value("lockstep_provider_mounts_total", **labels) == 1
    assert watched.value("lockstep_provider_mount_seconds_count", outcome="error", kind="first") >= 1
    assert watched.value("lockstep_provider_masked_failures_total") == masked


def test_a_failed_re_mount_is_what_the_driver_masks(watched: Watched) -> None:
    _fill(watched)
    pod = Pod(objects=SECRET, uid="masked", service_account="masked")
    assert watched.driver.mount(pod).is_ok
    before = watched.value("lockstep_provider_masked_failures_total", culprit="config")
    assert not watched.driver.mount(Pod(objects="", uid="masked", service_account="masked")).is_ok
    assert watched.value("lockstep_provider_masked_failures_total", culprit="config") == before + 1
    assert watched.value("lockstep_provider_volumes_failing") == 1
    assert watched.value("lockstep_provider_failing_seconds") > 0
    assert watched.value("lockstep_provider_oldest_served_value_seconds") > 0
    assert watched.driver.mount(pod).is_ok
    assert watched.value("lockstep_provider_volumes_failing") == 0


def test_a_class_that_can_no_longer_be_read_is_still_reported_under_its_pod(watched: Watched) -> None:
    _fill(watched)
    pod = Pod(objects=SECRET, uid="edited", service_account="edited", name="edited-pod")
    assert watched.driver.mount(pod).is_ok
    broken = Pod(objects=SECRET, uid="edited", name="edited-pod", parameters={"usePodIdentity": "maybe"})
    assert not watched.driver.mount(broken).is_ok
    line = json.loads(watched.lines("mount failed")[-1])
    assert (line["pod"], line["class"], line["code"]) == ("fakeNS/edited-pod", "fakeNS/fakeClass", "LSP106")
    assert line["is_remount"] is True


def test_calls_are_counted_by_service_action_and_outcome(watched: Watched) -> None:
    _fill(watched)
    calls = "lockstep_provider_aws_calls_total"
    before = watched.value(calls, service="ssm", action="GetParameters", outcome="ok")
    assert watched.driver.mount(Pod(objects=SECRET + PARAMETER, uid="calls", service_account="calls")).is_ok
    assert watched.value(calls, service="ssm", action="GetParameters", outcome="ok") == before + 1
    watched.aws.fail(GET_SECRET, Fault())
    assert not watched.driver.mount(Pod(objects=SECRET, uid="calls-2", service_account="calls-2")).is_ok
    watched.aws.heal()
    watched.aws.fail(ASSUME_ROLE, Fault(code="AccessDenied"))
    assert not watched.driver.mount(Pod(objects=SECRET, uid="calls-3", service_account="calls-3")).is_ok
    assert watched.value(calls, service="secretsmanager", action="GetSecretValue", outcome="access_denied") >= 1
    assert watched.value(calls, service="sts", action="AssumeRoleWithWebIdentity", outcome="credentials") >= 1
    assert watched.value("lockstep_provider_aws_call_seconds_count", service="sts") >= 2


def test_where_values_came_from_is_counted(watched: Watched) -> None:
    _fill(watched)
    reads = "lockstep_provider_cache_reads_total"
    miss, fresh = watched.value(reads, kind="miss"), watched.value(reads, kind="fresh")
    pods = [Pod(objects=SECRET + PARAMETER, uid=uid, service_account="cached") for uid in ("one", "two")]
    assert all(watched.driver.mount(pod).is_ok for pod in pods)
    assert watched.value(reads, kind="miss") == miss + 2
    assert watched.value(reads, kind="fresh") == fresh + 2


def test_every_kind_and_culprit_is_there_before_its_first_event() -> None:
    """A series that begins with its first failure hides that failure from `rate`."""
    samples = parse_samples(RuntimeMetrics().render().decode())
    for kind in ("fresh", "shared", "stale", "miss"):
        assert samples["lockstep_provider_cache_reads_total", frozenset({("kind", kind)})] == 0
    for culprit in Culprit:
        assert samples["lockstep_provider_masked_failures_total", frozenset({("culprit", culprit.value)})] == 0
    assert samples["lockstep_provider_sheds_total", frozenset()] == 0


def test_a_shed_and_an_absent_object_are_counted() -> None:
    metrics = RuntimeMetrics()
    metrics.mount_finished(make_report(outcome="FAILED_PRECONDITION", culprit=Culprit.OVERLOAD.value))
    metrics.mount_finished(make_report(absent=("one", "two")))
    samples = parse_samples(metrics.render().decode())
    assert samples["lockstep_provider_sheds_total", frozenset()] == 1
    assert samples["lockstep_provider_optional_absent_total", frozenset()] == 2


@pytest.mark.parametrize(
    ("changes", "masked"),
    [
        ({"outcome": "NOT_FOUND", "culprit": "not_found", "is_remount": True}, True),
        ({"outcome": "NOT_FOUND", "culprit": "not_found", "is_remount": False}, False),
        ({"outcome": "FAILED_PRECONDITION", "culprit": "shutdown", "is_remount": True}, False),
        ({"outcome": "CALLER_LEFT", "culprit": "", "is_remount": True}, False),
        ({"is_remount": True}, False),
    ],
)
def test_only_a_failure_that_a_pod_keeps_old_files_for_is_masked(changes: dict[str, object], masked: bool) -> None:  # noqa: FBT001
    assert is_masked(make_report(**changes)) is masked


def test_a_gauge_that_breaks_leaves_the_others() -> None:
    def break_down() -> float:
        raise RuntimeError("gone")

    metrics = RuntimeMetrics()
    metrics.watch(LiveGauge(name="broken", help="", read=break_down))
    metrics.watch(LiveGauge(name="whole", help="", read=lambda: 7))
    samples = parse_samples(metrics.render().decode())
    assert samples["lockstep_provider_whole", frozenset()] == 7
    assert ("lockstep_provider_broken", frozenset()) not in samples


def test_labels_are_from_closed_sets_and_name_no_pod_class_or_object(watched: Watched) -> None:
    _fill(watched)
    assert watched.driver.mount(Pod(objects=SECRET, uid="labels", service_account="labels")).is_ok
    assert not watched.driver.mount(Pod(objects=SECRET.replace("1", "9"), uid="x", service_account="labels-2")).is_ok
    allowed: dict[str, set[str]] = {
        "status": {"OK", "CALLER_LEFT", "INVALID_ARGUMENT", "PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION"}
        | {"UNAUTHENTICATED", "INTERNAL"},
        "code": {"", *ErrorCode},
        "culprit": {"", *Culprit},
        "kind": {"first", "remount", "fresh", "shared", "stale", "miss"},
        "outcome": {"ok", "error", "abandoned", "sent", "failed", "dropped", *Culprit},
        "service": {"secretsmanager", "ssm", "sts", "pod-identity-agent"},
        "action": {
            "GetSecretValue",
            "DescribeSecret",
            "GetParameters",
            "AssumeRoleWithWebIdentity",
            "AssumeRole",
            "GetCredentials",
        },
    }
    for name, labels in parse_samples(watched.scrape()):
        for label, value in labels:
            if label in {"le", "version", "python"}:
                continue
            assert value in allowed[label], f"{name}: {label}={value}"


def test_an_optional_object_that_is_not_there_is_counted_and_named_in_the_log(watched: Watched) -> None:
    _fill(watched)
    before = watched.value("lockstep_provider_optional_absent_total")
    optional = "- {objectName: NotThere, objectType: secretsmanager, optional: true}\n"
    assert watched.driver.mount(Pod(objects=SECRET + optional, uid="optional", service_account="optional")).is_ok
    assert watched.value("lockstep_provider_optional_absent_total") == before + 1
    assert json.loads(watched.lines("mount")[-1])["absent"] == "NotThere"
