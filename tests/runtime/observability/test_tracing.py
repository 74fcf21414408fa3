"""Spans: one per mount, its calls below it; names and numbers only; and a clear word when the packages are missing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from provider_runtime import daemon as daemon_module
from provider_runtime.tracing import Tracing, TracingUnavailableError, load_tracing
from tests.fakes.aws import FakeAws, FakeSecret
from tests.fakes.daemons import REPOSITORY, ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_REGION, DriverClient, Pod
from tests.fakes.patience import LASTING_SECONDS, PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

OBJECTS = "- {objectName: TestSecret1, objectType: secretsmanager}"


def test_without_the_packages_the_error_names_them_and_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(TracingUnavailableError, match=r"opentelemetry-sdk.*--tracing off"):
        load_tracing()


def test_a_provider_that_cannot_trace_as_asked_says_so_in_one_line_and_exits_with_1() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from provider_runtime.daemon import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    with socket_directory() as directory:
        flags = [f"--provider-volume={directory}", "--metrics-address=", "--tracing"]
        ended = subprocess.run(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-c", program, *flags],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert ended.returncode == 1
    assert "--tracing needs packages that are not installed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_of_opentelemetry_is_loaded_unless_asked_for() -> None:
    """The image holds none of it."""
    source = (daemon_module.__file__, sys.modules["provider_runtime.tracing"].__file__)
    for path in source:
        assert path is not None
        with open(path, encoding="utf-8") as lines:  # noqa: PTH123
            assert not [line for line in lines if line.startswith(("import opentelemetry", "from opentelemetry"))]


def test_a_collector_that_does_not_answer_delays_the_end_for_moments_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.sdk.trace")
    close_seconds = 0.2
    monkeypatch.setattr("provider_runtime.tracing.CLOSE_SECONDS", close_seconds)
    released = threading.Event()

    class _Stuck:
        def get_tracer(self, *_: object) -> None:
            return None

        def shutdown(self) -> None:
            released.wait(LASTING_SECONDS)

    began = time.monotonic()
    Tracing(_Stuck()).close()
    released.set()
    assert time.monotonic() - began < close_seconds + 1


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[FakeAws, DriverClient, InMemorySpanExporter]]:
    """A provider whose spans stay in memory."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # optional for the product
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415  # as above

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with (
        pytest.MonkeyPatch.context() as patch,
        FakeAws() as aws,
        socket_directory() as directory,
    ):
        patch.setattr(daemon_module, "load_tracing", lambda: Tracing(provider))
        with (
            ThreadedDaemon(directory, "--tracing", url=aws.url) as daemon,
            DriverClient(daemon.path) as driver,
        ):
            yield aws, driver, exporter


def _spans(exporter: InMemorySpanExporter, account: str) -> list[ReadableSpan]:
    """The spans of the trace whose mount was for this pod; the answer leaves before the span ends."""

    def find_roots() -> list[ReadableSpan]:
        return [
            span for span in exporter.get_finished_spans() if (span.attributes or {}).get("k8s.pod.name") == account
        ]

    wait_until(lambda: bool(find_roots()), "the mount's span ends")
    roots, spans = find_roots(), exporter.get_finished_spans()
    traces = {span.context.trace_id for span in roots if span.context}
    return [span for span in spans if span.context and span.context.trace_id in traces]


def test_a_mount_is_a_span_and_its_calls_are_below_it(
    traced: tuple[FakeAws, DriverClient, InMemorySpanExporter],
) -> None:
    aws, driver, exporter = traced
    aws.reset()
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value="traced-value")
    assert driver.mount(Pod(objects=OBJECTS, name="traced-1", service_account="traced-1")).is_ok
    spans = {span.name: span for span in _spans(exporter, "traced-1")}
    assert set(spans) == {"mount", "sts AssumeRoleWithWebIdentity", "secretsmanager GetSecretValue"}
    mount = spans["mount"]
    assert (mount.attributes or {})["rpc.grpc.status"] == "OK"
    for name, span in spans.items():
        if name != "mount":
            assert span.parent is not None
            assert mount.context is not None
            assert span.parent.span_id == mount.context.span_id
            assert (span.attributes or {})["lockstep.outcome"] == "ok"


def test_a_failed_mount_is_an_error_with_its_code_and_no_text(
    traced: tuple[FakeAws, DriverClient, InMemorySpanExporter],
) -> None:
    aws, driver, exporter = traced
    aws.reset()
    assert not driver.mount(Pod(objects=OBJECTS, name="traced-2", service_account="traced-2")).is_ok
    spans = {span.name: span for span in _spans(exporter, "traced-2")}
    assert (spans["mount"].attributes or {})["error.type"] == "LSP310"
    assert spans["mount"].status.description == "LSP310"
    assert not spans["mount"].status.is_ok
    assert not spans["secretsmanager GetSecretValue"].status.is_ok
    assert not any(span.events for span in spans.values()), "an exception's text may hold anything"
