"""Mount reports for tests."""

from __future__ import annotations

from dataclasses import replace

from provider_runtime.ports import MountReport

_FINE = MountReport(
    namespace="payments",
    pod="api-0",
    pod_uid="11111111-2222-3333-4444-555555555555",
    service_account="api",
    target_path="/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/v/mount",
    class_name="db",
    caller="role arn:aws:iam::111122223333:role/api",
    outcome="OK",
    error_code="",
    error_text="",
    culprit="",
    object_count=1,
    seconds=0.25,
    aws_calls=1,
    remembered=0,
    stale=0,
    oldest_seconds=0.0,
)


def make_report(**changes: object) -> MountReport:
    """Make a report of a mount that went well, but for `changes`."""
    return replace(_FINE, **changes)  # type: ignore[arg-type]  # field names and types are the caller's
