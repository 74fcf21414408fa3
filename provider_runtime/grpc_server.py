"""The driver's gRPC service: request in, files or one final status out, always before the deadline.

Not done here: everything about secrets (`mounting`), the socket's name (`socket_takeover`), signals (`daemon`).

A mount never ends in CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, RESOURCE_EXHAUSTED or ABORTED: after one of these,
driver 1.6 starts the pod with an empty directory. Therefore there is one absolute deadline, earlier than the caller's;
no limit of gRPC's own is used (neither concurrent calls nor message sizes: it would answer RESOURCE_EXHAUSTED); the
encoded answer is measured before it is sent; an unexpected exception is answered as INTERNAL; and at shutdown every
running mount is answered before the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import grpc

from provider_runtime.csi_v1alpha1 import service_pb2, service_pb2_grpc
from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.mount_request import parse_mount_request
from provider_runtime.mount_subject import read_subject, subject_of
from provider_runtime.mounting import MountNotes
from provider_runtime.ports import MountReport
from provider_runtime.read_outcomes import Tally
from provider_runtime.version import API_VERSION, RUNTIME_NAME, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from provider_runtime.mount_request import MountRequest
    from provider_runtime.mount_subject import MountSubject
    from provider_runtime.mounting import Mounter
    from provider_runtime.payload import MountFile
    from provider_runtime.ports import Clock, MountObserver

REQUEST_LIMIT_BYTES: Final = 16 * 1024 * 1024
ANSWER_MARGIN_SECONDS: Final = 2.0
"""An answer is given this much before the caller's deadline, or a fifth of a short one."""
WORK_MARGIN_SECONDS: Final = 0.5
"""Reads end this much before the answer, or a tenth of a short one, so that the answer can say what was missing."""
_FINISH_SECONDS: Final = 2.0
_LOG: Final = logging.getLogger(__name__)

SERVER_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Limits of the service, from the flags of the same names."""

    mount_timeout_seconds: float
    max_response_bytes: int
    max_mounts: int
    default_region: str | None


class ProviderService(service_pb2_grpc.CSIDriverProviderServicer):
    """Version and Mount.

    Args:
        mounter: Answers mounts.
        limits: See ServiceLimits.
        observer: Told about each finished mount.
        clock: Monotonic time, the event loop's.
        write_files: Set in provider-writes mode; None: the driver writes.
    """

    def __init__(
        self,
        *,
        mounter: Mounter,
        limits: ServiceLimits,
        observer: MountObserver,
        clock: Clock,
        write_files: Callable[[str, Sequence[MountFile], Sequence[str], str], None] | None,
    ) -> None:
        self._mounter = mounter
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._write_files = write_files
        self._running: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_draining = False
        self._is_succeeded = False
        self._is_cut = False

    async def Version(  # noqa: N802  # the proto's name
        self,
        request: service_pb2.VersionRequest,
        context: grpc.aio.ServicerContext[service_pb2.VersionRequest, service_pb2.VersionResponse],
    ) -> service_pb2.VersionResponse:
        """Answer name and version; the request's content does not matter."""
        del request, context
        return service_pb2.VersionResponse(version=API_VERSION, runtime_name=RUNTIME_NAME, runtime_version=VERSION)

    async def Mount(  # noqa: N802  # the proto's name
        self,
        request: service_pb2.MountRequest,
        context: grpc.aio.ServicerContext[service_pb2.MountRequest, service_pb2.MountResponse],
    ) -> service_pb2.MountResponse:
        """Answer one mount: all files, or a final status whose text is the pod's event."""
        began = self._clock.monotonic()
        record = _Record(message=request, notes=MountNotes(tally=Tally()))
        response = service_pb2.MountResponse()
        failure: MountError | None = None
        try:
            response = await self._answer(request, context.time_remaining(), record)
        except MountError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # nothing may leave as UNKNOWN or take the process down
            failure = _incident(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                self._report(record, "CALLER_LEFT", None, began)
                raise
            failure = _incident(error)  # something inside was cancelled, not this mount: CANCELLED is not final
        self._report(record, failure.status.value if failure else "OK", failure, began)
        if failure is not None:
            await context.abort(getattr(grpc.StatusCode, failure.status.value), failure.message)
        return response

    @property
    def running_mounts(self) -> int:
        """Mounts that have no answer yet."""
        return len(self._running)

    async def drain(self, grace_seconds: float, *, is_succeeded: bool = False) -> None:
        """Take no new mounts, let running ones end, and answer those that do not end within the grace.

        Args:
            grace_seconds: For the running ones.
            is_succeeded: Whether another instance serves the public name and the caller severs every connection after
                this. Then a mount that still arrives here is neither begun nor answered: its connection breaks, and
                the driver asks again by itself, at the next instance. Otherwise it is refused with a final status.
        """
        self._is_draining, self._is_succeeded = True, is_succeeded
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, grace_seconds)):
                await self._idle.wait()
        self._is_cut = True
        for running in tuple(self._running):
            with contextlib.suppress(RuntimeError):  # its own deadline has struck, it is leaving already
                running.reschedule(asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                await self._idle.wait()

    async def _answer(
        self, message: service_pb2.MountRequest, remaining_seconds: float | None, record: _Record
    ) -> service_pb2.MountResponse:
        await self._admit()
        if message.ByteSize() > REQUEST_LIMIT_BYTES:
            raise MountError(
                ErrorCode.ATTRIBUTES_INVALID,
                where="MountRequest",
                what=f"{message.ByteSize()} bytes are more than {REQUEST_LIMIT_BYTES}",
                fix="shorten the SecretProviderClass",
            )
        now = self._clock.monotonic()
        deadline = now + derive_answer_seconds(remaining_seconds, self._limits.mount_timeout_seconds)
        timeout = asyncio.timeout(deadline - now)
        try:
            with self._counted(timeout):
                async with timeout:
                    return await self._mount(message, deadline, record)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise self._late_error(deadline - now) from None

    async def _mount(
        self, message: service_pb2.MountRequest, deadline: float, record: _Record
    ) -> service_pb2.MountResponse:
        request = parse_mount_request(
            message.attributes,
            message.target_path,
            message.permission,
            [(known.id, known.version) for known in message.current_object_version],
            default_region=self._limits.default_region,
        )
        record.request = request
        work_deadline = deadline - min(WORK_MARGIN_SECONDS, 0.1 * (deadline - self._clock.monotonic()))
        files = await self._mounter.mount(request, work_deadline, record.notes)
        response = service_pb2.MountResponse(
            object_version=[service_pb2.ObjectVersion(id=file.object_id, version=file.version) for file in files]
        )
        if self._write_files is not None:
            known = tuple(request.current_versions)
            await asyncio.to_thread(self._write_files, request.target_path, files, known, request.where)
            return response
        response.files.extend(
            service_pb2.File(path=file.path, mode=file.mode, contents=file.contents.reveal()) for file in files
        )
        self._check_size(response, request)
        return response

    async def _admit(self) -> None:
        if self._is_draining:
            if self._is_succeeded:
                await asyncio.Event().wait()  # until the connection is severed
            raise _shutdown_error()
        if len(self._running) >= self._limits.max_mounts:
            raise MountError(
                ErrorCode.OVERLOAD,
                where="provider",
                what=f"{len(self._running)} mounts are running on this node",
                rule="More than --max-mounts would only wait for one another; kubelet tries again by itself",
                fix="none if it passes; else look for what makes mounts slow in the provider's log",
            )

    @contextlib.contextmanager
    def _counted(self, timeout: asyncio.Timeout) -> Iterator[None]:
        self._running.add(timeout)
        self._idle.clear()
        try:
            yield
        finally:
            self._running.discard(timeout)
            if not self._running:
                self._idle.set()

    def _late_error(self, seconds: float) -> MountError:
        if self._is_cut:
            return _shutdown_error()
        return MountError(
            ErrorCode.DEADLINE,
            where="provider",
            what=f"the mount did not end within {seconds:.1f} s",
            rule="It is answered before the caller's own deadline, and within --mount-timeout",
            fix="kubelet tries again by itself; if it lasts, check the node's way to AWS",
        )

    def _check_size(self, response: service_pb2.MountResponse, request: MountRequest) -> None:
        size_bytes = response.ByteSize()
        if size_bytes <= self._limits.max_response_bytes:
            return
        largest = sorted(response.files, key=lambda file: (-len(file.contents), file.path))[:3]
        shown_files = ", ".join(f"{file.path} ({len(file.contents)} bytes)" for file in largest)
        raise MountError(
            ErrorCode.REPLY_TOO_LARGE,
            where=request.where,
            what=f"its files need {size_bytes} bytes, the largest are {shown_files}",
            rule=f"One answer holds at most {self._limits.max_response_bytes} bytes (--max-response-bytes)",
            fix="split the class, or raise the driver's --max-call-recv-msg-size and --max-response-bytes together",
        )

    def _report(self, record: _Record, outcome: str, failure: MountError | None, began: float) -> None:
        subject, notes, tally = record.subject(), record.notes, record.notes.tally
        self._observer.mount_finished(
            MountReport(
                namespace=subject.namespace,
                pod=subject.pod,
                class_name=subject.class_name,
                pod_uid=subject.pod_uid,
                service_account=subject.service_account,
                target_path=subject.target_path,
                is_known_to_driver=bool(record.message.current_object_version),
                caller=notes.caller,
                outcome=outcome,
                error_code=failure.code.value if failure else "",
                error_text=failure.message if failure else "",
                culprit=failure.culprit.value if failure else "",
                object_count=notes.object_count,
                seconds=self._clock.monotonic() - began,
                aws_calls=tally.aws_calls,
                remembered=tally.remembered,
                shared=tally.shared,
                missed=tally.missed,
                stale=tally.stale,
                oldest_seconds=tally.oldest_seconds,
                deliveries=notes.deliveries if outcome == "OK" else (),
                absent=notes.absent,
            )
        )


@dataclass(slots=True, kw_only=True)
class _Record:
    """What became known of a mount, for its log line however it ends."""

    message: service_pb2.MountRequest = field(repr=False)
    """Holds the tokens as plain text."""
    notes: MountNotes
    request: MountRequest | None = None

    def subject(self) -> MountSubject:
        """Name pod and class; from the raw attributes when the request as a whole could not be read."""
        if self.request is not None:
            return subject_of(self.request)
        return read_subject(self.message.attributes, self.message.target_path)


def derive_answer_seconds(remaining_seconds: float | None, mount_timeout_seconds: float) -> float:
    """Derive how long a mount may take.

    Args:
        remaining_seconds: Until the caller's deadline; None: it has none.
        mount_timeout_seconds: Our own limit.
    """
    if remaining_seconds is None:
        return mount_timeout_seconds
    margin = min(ANSWER_MARGIN_SECONDS, 0.2 * max(0.0, remaining_seconds))
    return max(0.0, min(mount_timeout_seconds, remaining_seconds - margin))


def _incident(error: BaseException) -> MountError:
    """Log an unexpected exception under an id and hide it behind that id: its text may hold a value."""
    incident = secrets.token_hex(4)
    _LOG.error("unexpected failure, incident %s", incident, exc_info=error)
    return MountError(
        ErrorCode.INTERNAL,
        where="provider",
        what=f"unexpected failure, incident {incident}",
        fix=f"report the provider's log line of incident {incident}; kubelet tries again by itself",
    )


def _shutdown_error() -> MountError:
    return MountError(
        ErrorCode.SHUTDOWN,
        where="provider",
        what="it is shutting down",
        fix="none: kubelet tries again by itself and reaches the next instance",
    )
