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

from provider_runtime.aws_clients import AwsClients
from provider_runtime.aws_credentials import AwsTokenExchange
from provider_runtime.aws_secrets import AwsSecretReader
from provider_runtime.blocking_calls import BlockingCalls
from provider_runtime.cache import AgeLimits, CacheBounds, ValueCache, VolumeAges
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
from provider_runtime.file_writer import write_files
from provider_runtime.go_flags import Flag, FlagKind, parse_flags, parse_integer, render_usage
from provider_runtime.grpc_server import SERVER_OPTIONS, ProviderService, ServiceLimits
from provider_runtime.hardening import harden_process
from provider_runtime.kubernetes_lookup import KubernetesLookup
from provider_runtime.mounting import Mounter
from provider_runtime.socket_takeover import SocketDirectoryError, SocketTakeover, prepare_socket_directory
from provider_runtime.telemetry import LoggingObserver, configure_logging, log_event
from provider_runtime.value_reads import ValueReads
from provider_runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from provider_runtime.ports import MountObserver

EXIT_DRAINED: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG_FLAG: Final = 2
PREPARE_COMMAND: Final = "prepare-socket-dir"
_TEND_SECONDS: Final = 1.0
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
        """
        settings = self._settings
        takeover = SocketTakeover(settings.provider_volume, settings.socket_name)
        private_path = takeover.prepare()
        calls = BlockingCalls(workers=settings.workers, clock=self._clock)
        server = grpc.aio.server(options=SERVER_OPTIONS)
        exit_code = EXIT_DRAINED
        failure: SocketDirectoryError | None = None  # raised below: a task group would wrap it
        async with asyncio.TaskGroup() as tasks:
            service = self._build_service(calls, tasks)
            service_pb2_grpc.add_CSIDriverProviderServicer_to_server(service, server)  # type: ignore[no-untyped-call]
            try:
                await _open(server, takeover, private_path)
                log_event(self._log, logging.INFO, f"serving on {takeover.public_path}", version=VERSION)
                if on_ready is not None:
                    on_ready(takeover.public_path)
                exit_code = await self._tend_until(stop, takeover)
                takeover.withdraw()
                log_event(self._log, logging.INFO, "draining", grace_seconds=settings.shutdown_grace_seconds)
                await service.drain(settings.shutdown_grace_seconds)
            except SocketDirectoryError as error:
                failure = error
            finally:
                await server.stop(_STOP_SECONDS)
                calls.close()
                takeover.remove_private()
                for task in self._shared_work:
                    task.cancel()
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

    def _build_service(self, calls: BlockingCalls, tasks: asyncio.TaskGroup) -> ProviderService:
        settings, clock = self._settings, self._clock

        def spawn(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
            task = tasks.create_task(work, name=name)
            self._shared_work.add(task)
            task.add_done_callback(self._shared_work.discard)
            return task

        clients = AwsClients(settings.aws, pool_size=settings.workers)
        exchange = AwsTokenExchange(
            clients,
            calls,
            agent_endpoints=settings.pod_identity_endpoints,
            agent_timeout_seconds=settings.pod_identity_timeout_seconds,
        )
        reader = AwsSecretReader(clients, calls)
        reads = ValueReads(
            reader=reader,
            credentials=CredentialCache(
                exchange, spawn=spawn, clock=clock, exchange_seconds=settings.mount_timeout_seconds
            ),
            cache=self._build_cache(),
            spawn=spawn,
            clock=clock,
            read_seconds=settings.mount_timeout_seconds,
            max_stale_seconds=settings.max_stale_seconds,
        )
        mounter = Mounter(
            reader=reader,
            reads=reads,
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
            observer=self._observer,
            clock=clock,
            write_files=None if settings.driver_writes_secrets else write_files,
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
        keep_seconds = max(limits.refresh_interval_seconds, limits.max_stale_seconds)
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
    except SocketDirectoryError as error:
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
