"""OpenTelemetry spans: one per mount, one per call to AWS below it. Off unless asked for; the packages are optional.

Not done here: choosing where spans go: the exporter reads the OTEL_ variables of its specification
(OTEL_EXPORTER_OTLP_ENDPOINT and its kin).

Nothing of OpenTelemetry is imported before `load_tracer`, so that an image without it serves as ever. Attributes are
names, codes and numbers, never a value; no exception is recorded, because its text may hold anything. A call that two
mounts share hangs below the mount that began it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from provider_runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provider_runtime.ports import CallReport, MountReport

SERVICE_NAME: Final = "lockstep-provider"
CLOSE_SECONDS: Final = 2.0
MOUNT_SPAN: Final = "mount"
_MOUNT_METHOD: Final = "/v1alpha1.CSIDriverProvider/Mount"
_NANOSECONDS: Final = 1_000_000_000
_PACKAGES: Final = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-grpc"


class TracingUnavailableError(Exception):
    """Tracing was asked for and cannot be had; the text says what to do."""


class Tracing:
    """Spans of one daemon: a `MountObserver`, a `CallObserver` and the server's interceptor.

    Args:
        tracer_provider: Of opentelemetry.sdk.trace; shut down by `close`.
    """

    def __init__(self, tracer_provider: Any) -> None:  # noqa: ANN401  # an optional package's class
        from opentelemetry import trace  # noqa: PLC0415  # optional: see the module

        self._trace = trace
        self._provider = tracer_provider
        self._tracer = tracer_provider.get_tracer("provider_runtime", VERSION)

    def interceptor(self) -> grpc.aio.ServerInterceptor[Any, Any]:
        """Return what opens a span around each Mount."""
        return _MountSpans(self._tracer)

    def mount_finished(self, report: MountReport) -> None:
        """Describe the mount on the span that is open around it."""
        span = self._trace.get_current_span()
        span.set_attributes(
            {
                "k8s.namespace.name": report.namespace,
                "k8s.pod.name": report.pod,
                "k8s.pod.uid": report.pod_uid,
                "lockstep.class": report.class_name,
                "lockstep.objects": report.object_count,
                "lockstep.remount": report.is_remount,
                "lockstep.aws_calls": report.aws_calls,
                "lockstep.reads.remembered": report.remembered,
                "lockstep.reads.shared": report.shared,
                "lockstep.reads.stale": report.stale,
                "rpc.grpc.status": report.outcome,
            }
        )
        if report.error_code:
            span.set_attributes({"error.type": report.error_code, "lockstep.culprit": report.culprit})
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, report.error_code))

    def call_finished(self, report: CallReport) -> None:
        """Record the call as a finished span below the mount that began it."""
        ended = time.time_ns()
        span = self._tracer.start_span(
            f"{report.service} {report.action}",
            kind=self._trace.SpanKind.CLIENT,
            start_time=ended - int(report.seconds * _NANOSECONDS),
            attributes={
                "rpc.system": "aws-api",
                "rpc.service": report.service,
                "rpc.method": report.action,
                "cloud.region": report.region,
                "lockstep.outcome": report.outcome,
            },
        )
        if report.outcome != "ok":
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, report.outcome))
        span.end(ended)

    def close(self) -> None:
        """Send what is left, for CLOSE_SECONDS at most: a collector that does not answer must not delay the end."""
        closing = threading.Thread(target=self._provider.shutdown, name="close tracing", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _MountSpans(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Opens a span around each Mount and ends it, whatever happens."""

    def __init__(self, tracer: Any) -> None:  # noqa: ANN401  # an optional package's class
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Wrap the handler of Mount, leave others alone."""
        handler = await continuation(handler_call_details)
        if handler_call_details.method != _MOUNT_METHOD or handler is None:
            return handler
        inner: Any = handler.unary_unary

        async def traced(request: object, context: object) -> object:
            with self._tracer.start_as_current_span(MOUNT_SPAN, record_exception=False, set_status_on_exception=False):
                return await inner(request, context)

        return grpc.unary_unary_rpc_method_handler(
            traced,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def load_tracing() -> Tracing:
    """Set tracing up with the OTLP exporter.

    Raises:
        TracingUnavailableError: The packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise TracingUnavailableError(
            f"--tracing needs packages that are not installed: {error.name}. "
            f"Fix: install {_PACKAGES} into the image, or switch --tracing off"
        ) from None
    resource = Resource.create({"service.name": SERVICE_NAME, "service.version": VERSION})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
