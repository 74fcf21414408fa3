"""The gRPC health service on the provider's socket, asked as `grpc_health_probe` asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue, UInt32Value

from provider_runtime.grpc_health import SERVICE, HealthStatus
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import KUBELET_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.runtime.observability.conftest import Watched


def _ask(path: Path, service: str) -> HealthStatus:
    with grpc.insecure_channel(f"unix:{path}", options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        check = channel.unary_unary(
            f"/{SERVICE}/Check",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=UInt32Value.FromString,
        )
        answer: UInt32Value = check(StringValue(value=service), timeout=KUBELET_SECONDS, wait_for_ready=True)
        return HealthStatus(answer.value)


def _each(answers: Any) -> Iterator[UInt32Value]:  # noqa: ANN401  # the stubs' call object is no iterator
    yield from answers


def test_an_unknown_service_is_not_found(watched: Watched) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _ask(watched.socket_path, "another.Service")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", ["", "v1alpha1.CSIDriverProvider"])
def test_a_provider_that_is_dialled_serves(watched: Watched, service: str) -> None:
    assert _ask(watched.socket_path, service) is HealthStatus.SERVING


def test_a_provider_whose_name_was_taken_does_not_serve(watched: Watched) -> None:
    kept = watched.socket_path.with_suffix(".kept")
    watched.socket_path.rename(kept)
    watched.socket_path.touch()
    try:
        assert _ask(kept, "") is HealthStatus.NOT_SERVING
    finally:
        kept.rename(watched.socket_path)


def test_a_watcher_is_told_of_the_end_and_does_not_delay_it() -> None:
    with socket_directory() as directory, ThreadedDaemon(directory, url="http://127.0.0.1:1") as daemon:
        with grpc.insecure_channel(f"unix:{daemon.path}", options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
            watch = channel.unary_stream(
                f"/{SERVICE}/Watch",
                request_serializer=StringValue.SerializeToString,
                response_deserializer=UInt32Value.FromString,
            )
            answers: Iterator[UInt32Value] = _each(watch(StringValue(), timeout=KUBELET_SECONDS, wait_for_ready=True))
            assert next(answers).value == HealthStatus.SERVING
            daemon.ask_to_stop()
            try:
                rest = [answer.value for answer in answers]
            except grpc.RpcError:  # the server ended before the next look
                rest = []
            assert rest in ([], [HealthStatus.NOT_SERVING])
        daemon.join()
    assert daemon.exit_code == 0
