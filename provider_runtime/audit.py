"""Audit lines: who got which version of which object, and by which read at AWS. Never what.

Not done here: deciding or delivering. One line per object and delivery on the daemon's log, event `delivered`; the
request id leads from the pod to CloudTrail's record of the read, also when that read was made for an earlier mount.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from provider_runtime.observability_settings import AuditLog
from provider_runtime.telemetry import log_events

if TYPE_CHECKING:
    from provider_runtime.deliveries import Delivery
    from provider_runtime.ports import MountReport
    from provider_runtime.telemetry import LogValue

EVENT: Final = "delivered"
_VOLUME_LIMIT: Final = 10_000


class AuditObserver:
    """A `MountObserver` that writes the audit lines.

    Args:
        logger: Where they go.
        audit_log: `all`: every delivery; `changes`: a delivery that gives the volume another version than the last one
            did; `off`: none.
    """

    def __init__(self, logger: logging.Logger, audit_log: AuditLog) -> None:
        self._logger = logger
        self._audit_log = audit_log
        self._delivered: OrderedDict[tuple[str, str], frozenset[tuple[str, str, str, str]]] = OrderedDict()

    def mount_finished(self, report: MountReport) -> None:
        """Write one line per delivered object."""
        if self._audit_log is AuditLog.OFF or not report.deliveries:
            return
        known = self._note(report) if self._audit_log is AuditLog.CHANGES else frozenset()
        fresh = [_describe(one) for one in report.deliveries if not known or _identity(one) not in known]
        log_events(
            self._logger,
            logging.INFO,
            EVENT,
            fresh,
            pod=f"{report.namespace}/{report.pod}",
            pod_uid=report.pod_uid,
            service_account=f"{report.namespace}/{report.service_account}",
            caller=report.caller,
            **{"class": f"{report.namespace}/{report.class_name}"},
        )

    def _note(self, report: MountReport) -> frozenset[tuple[str, str, str, str]]:
        """Remember what the volume holds now and return what it held before."""
        key = (report.pod_uid, report.target_path)
        before = self._delivered.get(key, frozenset())
        self._delivered[key] = frozenset(_identity(delivery) for delivery in report.deliveries)
        self._delivered.move_to_end(key)
        if len(self._delivered) > _VOLUME_LIMIT:
            self._delivered.popitem(last=False)
        return before


def _describe(delivery: Delivery) -> dict[str, LogValue]:
    return {
        "object": delivery.name,
        "store": delivery.store,
        "region": delivery.region,
        "version": delivery.version,
        "request_id": delivery.request_id,
        "origin": delivery.origin.value,
        "age_seconds": round(delivery.age_seconds, 1),
    }


def _identity(delivery: Delivery) -> tuple[str, str, str, str]:
    return delivery.store, delivery.name, delivery.region, delivery.version
