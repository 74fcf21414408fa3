"""The composition root: settings → objects wired together → serving until told to stop → drained.

Not done here: any decision about mounts. The only module that knows every adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from provider_runtime.authorised_calls import AuthorisedCalls
from provider_runtime.aws_clients import AwsClients
from provider_runtime.aws_credentials import AwsTokenExchange
from provider_runtime.aws_secrets import AwsSecretReader
from provider_runtime.blocking_calls import BlockingCalls
from provider_runtime.cache import AgeLimits, CacheBounds, ValueCache, VolumeAges
from provider_runtime.circuit_breaker import CircuitBreaker
from provider_runtime.class_parameters import REFRESH_CEILING_SECONDS
from provider_runtime.config import (
    FLAGS,
    PROGRAM,
    HelpRequested,
    RuntimeSettings,
    SettingsError,
    parse_settings,
    render_flag_usage,
)
from provider_runtime.credential_cache import CredentialCache
from provider_runtime.csi_v1alpha1 import service_pb2_grpc
from provider_runtime.file_writer import VolumeWriter, read_mounted_file
from provider_runtime.go_flags import Flag, FlagKind, parse_flags, parse_integer, render_usage
from provider_runtime.grpc_health import GrpcHealth
from provider_runtime.grpc_server import SERVER_OPTIONS, ProviderService, ServiceLimits
from provider_runtime.hardening import harden_process
from provider_runtime.kubernetes_api import KubernetesApi
from provider_runtime.kubernetes_events import KubernetesEvents
from provider_runtime.kubernetes_lookup import KubernetesLookup
from provider_runtime.mounting import Mounter
from provider_runtime.observed_calls import ObservedExchange, ObservedReader
from provider_runtime.observers import Observers, Phase
from provider_runtime.socket_takeover import SocketDirectoryError, SocketTakeover, prepare_socket_directory
from provider_runtime.telemetry import LoggingObserver, configure_logging, log_event
from provider_runtime.tracing import Tracing, TracingUnavailableError, load_tracing
from provider_runtime.value_reads import ValueReads
from provider_runtime.version import VERSION
from provider_runtime.version_checks import VersionChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from provider_runtime.ports import MountObserver

EXIT_DRAINED: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_FLAG: Final = 2
PREPARE_COMMAND: Final = "prepare-socket-dir"
_TEND_SECONDS: Final = 1.0
_SETTLE_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 1.0
_SIGNAL_EXIT_BASE: Final = 128
_PREPARE_FLAGS: Final = (
    *(flag for flag in FLAGS if flag.name in {"provider-volume", "provider-name"}),
    Flag(name="group", kind=FlagKind.INTEGER, default="65532", help="Group id that the provider runs with."),
)


class SystemClock:
    """The machine's clocks; the monotonic one is also the event loop's."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()


class Daemon:
    """One serving instance.

    Args:
        settings: All of it.
        environment: Of the process; where the Kubernetes API is.
        observer: Told about each mount; None: one log line each.
    """

    def __init__(
        self, settings: RuntimeSettings, *, environment: Mapping[str, str], observer: MountObserver | None = None
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._log = logging.getLogger(PROGRAM)
        self._observer = observer or LoggingObserver(self._log)
        self._clock = SystemClock()
        self._shared_work: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event, on_ready: Callable[[Path], None] | None = None) -> int:
        """Serve until `stop` is set, then drain; return the exit code.

        Raises:
            SocketDirectoryError: The socket cannot be bound or published.
            TracingUnavailableError: Tracing is on and its packages are missing.
        """
        settings = self._settings
        takeover = SocketTakeover(settings.provider_volume, settings.socket_name)
        private_path = takeover.prepare()
        calls = BlockingCalls(workers=settings.workers, clock=self._clock)
        tracing = load_tracing() if settings.observability.is_tracing_on else None
        server = grpc.aio.server(options=SERVER_OPTIONS, interceptors=[tracing.interceptor()] if tracing else None)
        exit_code = EXIT_DRAINED
        failure: SocketDirectoryError | None = None  # raised below: a task group would wrap it
        observers = self._build_observers(takeover, tracing)
        async with asyncio.TaskGroup() as tasks:
            service = self._build_service(calls, tasks, observers)
            self._watch(service, calls, observers, tasks)
            service_pb2_grpc.add_CSIDriverProviderServicer_to_server(service, server)  # type: ignore[no-untyped-call]
            health = GrpcHealth(is_serving=observers.is_serving, is_ending=lambda: observers.phase is Phase.DRAINING)
            server.add_generic_rpc_handlers((health.handler(),))
            try:
                await _open(server, takeover, private_path)
                observers.phase = Phase.SERVING
                log_event(self._log, logging.INFO, f"serving on {takeover.public_path}", version=VERSION)
                if on_ready is not None:
                    on_ready(takeover.public_path)
                exit_code = await self._tend_until(stop, takeover)
                observers.phase = Phase.DRAINING
                takeover.withdraw()
                log_event(self._log, logging.INFO, "draining", grace_seconds=settings.shutdown_grace_seconds)
                await service.drain(settings.shutdown_grace_seconds, is_succeeded=takeover.is_succeeded())
            except SocketDirectoryError as error:
                failure = error
            finally:
                await asyncio.sleep(_SETTLE_SECONDS)  # the last answers are on their way
                takeover.sever()
                await server.stop(_STOP_SECONDS)
                calls.close()
                takeover.remove_private()
                for task in self._shared_work:
                    task.cancel()
                if tracing is not None:
                    tracing.close()
        if failure is not None:
            raise failure
        log_event(self._log, logging.INFO, "stopped", exit_code=exit_code)
        return exit_code

    async def _tend_until(self, stop: asyncio.Event, takeover: SocketTakeover) -> int:
        """Look after the socket's name once a second until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TEND_SECONDS):
                    await stop.wait()
            try:
                if not stop.is_set() and takeover.tend():
                    log_event(self._log, logging.WARNING, f"put {takeover.public_path} back: it was gone")
            except SocketDirectoryError as error:
                log_event(self._log, logging.ERROR, str(error))
                return EXIT_FAILED
        return EXIT_DRAINED

    def _build_observers(self, takeover: SocketTakeover, tracing: Tracing | None) -> Observers:
        observers = Observers(
            self._settings.observability,
            clock=self._clock,
            mount_log=self._observer,
            audit_logger=self._log,
            refresh_interval_seconds=self._settings.refresh_interval_seconds,
            is_socket_ours=takeover.is_public,
        )
        if tracing is not None:
            observers.add_mount_observer(tracing)
            observers.add_call_observer(tracing)
        return observers

    def _watch(
        self, service: ProviderService, calls: BlockingCalls, observers: Observers, tasks: asyncio.TaskGroup
    ) -> None:
        """Export the numbers that only the daemon's parts know, and listen."""
        observers.watch("mounts_in_flight", "Mounts that have no answer yet.", lambda: service.running_mounts)
        observers.watch("aws_calls_waiting", "Calls that wait for a worker thread.", lambda: calls.waiting)
        observers.watch("aws_calls_in_flight", "Calls that have a worker thread.", lambda: calls.running)
        address = self._settings.observability.metrics_address
        if address is not None:
            self._spawn_in(tasks, observers.listener(address).serve(), name="metrics and probes")
        if self._settings.observability.are_kubernetes_events_on:
            api = KubernetesApi(address=self._settings.kubernetes_api, environment=self._environment)
            on_outcome = observers.metrics.event_finished
            events = KubernetesEvents(api, calls, clock=self._clock, on_outcome=on_outcome)
            observers.add_mount_observer(events)
            self._spawn_in(tasks, events.run(), name="kubernetes events")

    def _spawn_in(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        task = tasks.create_task(work, name=name)
        self._shared_work.add(task)
        task.add_done_callback(self._shared_work.discard)
        return task

    def _build_service(self, calls: BlockingCalls, tasks: asyncio.TaskGroup, observers: Observers) -> ProviderService:
        settings, clock = self._settings, self._clock

        def spawn(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
            return self._spawn_in(tasks, work, name=name)

        clients = AwsClients(settings.aws, pool_size=settings.workers)
        exchange = AwsTokenExchange(
            clients,
            calls,
            agent_endpoints=settings.pod_identity_endpoints,
            agent_timeout_seconds=settings.pod_identity_timeout_seconds,
        )
        reader = AwsSecretReader(clients, calls)
        observed_reader = ObservedReader(reader, observers, clock)
        # Without memory, nothing is remembered about regions either.
        breaker = CircuitBreaker() if settings.is_cache_on else None
        credentials = CredentialCache(
            ObservedExchange(exchange, observers, clock),
            spawn=spawn,
            clock=clock,
            exchange_seconds=settings.mount_timeout_seconds,
            breaker=breaker,
        )
        authorised = AuthorisedCalls(
            credentials=credentials, breaker=breaker, clock=clock, call_seconds=settings.mount_timeout_seconds
        )
        reads = ValueReads(
            reader=observed_reader,
            calls=authorised,
            cache=self._build_cache(),
            spawn=spawn,
            clock=clock,
            max_stale_seconds=settings.max_stale_seconds,
        )
        checks = VersionChecks(
            reader=observed_reader, calls=authorised, reads=reads, read_file=read_mounted_file, clock=clock
        )
        mounter = Mounter(
            reader=reader,
            reads=reads,
            checks=checks,
            lookup=KubernetesLookup(
                calls,
                clock=clock,
                spawn=spawn,
                qps=settings.kubernetes_qps,
                burst=settings.kubernetes_burst,
                address=settings.kubernetes_api,
                environment=self._environment,
            ),
            ages=VolumeAges(self._age_limits()),
            clock=clock,
        )
        return ProviderService(
            mounter=mounter,
            limits=ServiceLimits(
                mount_timeout_seconds=settings.mount_timeout_seconds,
                max_response_bytes=settings.max_response_bytes,
                max_mounts=settings.max_mounts,
                default_region=settings.aws.default_region,
            ),
            observer=observers,
            clock=clock,
            write_files=None if settings.driver_writes_secrets else VolumeWriter(),
        )

    def _age_limits(self) -> AgeLimits:
        return AgeLimits(
            first_mount_max_age_seconds=self._settings.first_mount_max_age_seconds,
            refresh_interval_seconds=self._settings.refresh_interval_seconds,
            max_stale_seconds=self._settings.max_stale_seconds,
        )

    def _build_cache(self) -> ValueCache[Any, Any, Any] | None:
        if not self._settings.is_cache_on:
            return None
        limits = self._age_limits()
        keep_seconds = max(limits.refresh_interval_seconds, limits.max_stale_seconds, REFRESH_CEILING_SECONDS)
        # Jitter needs no secrecy.
        return ValueCache(bounds=CacheBounds(), keep_seconds=keep_seconds, draw=random.Random().random)  # noqa: S311


async def _open(server: grpc.aio.Server, takeover: SocketTakeover, private_path: Path) -> None:
    """Bind the private name, serve, and only then take the public one."""
    try:
        server.add_insecure_port(f"unix:{private_path}")
    except RuntimeError as error:
        raise SocketDirectoryError(
            f"socket {private_path}: cannot be bound: {error}. Fix: see the directory's mode, owner and disk."
        ) from error
    await server.start()
    takeover.publish()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 drained or helped, 1 failed, 2 wrong flags."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [PREPARE_COMMAND]:
        return _prepare(words[1:])
    try:
        settings = parse_settings(words, os.environ)
    except HelpRequested:
        print(render_flag_usage(), end="", file=sys.stderr)  # noqa: T201  # where Go prints it
        return EXIT_DRAINED
    except SettingsError as error:
        print(f"{error}\n{render_flag_usage()}", end="", file=sys.stderr)  # noqa: T201
        return EXIT_WRONG_FLAG
    log = configure_logging(settings.log_format)
    for warning in (*settings.warnings, *harden_process()):
        log_event(log, logging.WARNING, warning)
    try:
        return asyncio.run(_serve(settings))
    except (SocketDirectoryError, TracingUnavailableError) as error:
        log_event(log, logging.ERROR, str(error))
        return EXIT_FAILED


async def _serve(settings: RuntimeSettings) -> int:
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(_SIGNAL_EXIT_BASE + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return await Daemon(settings, environment=os.environ).run(stop)


def _prepare(arguments: Sequence[str]) -> int:
    """Run `prepare-socket-dir`."""
    values = parse_flags(arguments, _PREPARE_FLAGS)
    usage = render_usage(f"{PROGRAM} {PREPARE_COMMAND}", _PREPARE_FLAGS)
    problems = list(values.problems)
    group_id = 0
    try:
        group_id = parse_integer(values.texts["group"])
    except ValueError as error:
        problems.append(f'invalid value "{values.texts["group"]}" for flag -group: {error}')
    if values.wants_help or problems:
        print("\n".join([*problems, usage]), end="", file=sys.stderr)  # noqa: T201
        return EXIT_DRAINED if values.wants_help else EXIT_WRONG_FLAG
    try:
        done = prepare_socket_directory(
            values.texts["provider-volume"], f"{values.texts['provider-name']}.sock", group_id
        )
    except SocketDirectoryError as error:
        print(str(error), file=sys.stderr)  # noqa: T201
        return EXIT_FAILED
    for sentence in done:
        print(sentence, file=sys.stderr)  # noqa: T201
    return EXIT_DRAINED
