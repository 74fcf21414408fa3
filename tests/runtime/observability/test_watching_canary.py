"""A marker value, token and key go through every way a mount can end while everything watches; nobody shows them.

`tests/contract/test_canary.py` searches logs and gRPC errors in both formats; here the same is done with the audit
line, metrics, spans and Kubernetes Events switched on, and each of them is searched too.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from provider_runtime import daemon as daemon_module
from provider_runtime.config import LogFormat
from provider_runtime.kubernetes_api import KubernetesApi
from provider_runtime.telemetry import configure_logging
from provider_runtime.tracing import Tracing
from tests.fakes.aws import ASSUME_ROLE, GET_PARAMETERS, GET_SECRET, FakeAws, FakeParameter, FakeSecret, Fault
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_REGION, DriverClient, Pod
from tests.fakes.free_ports import free_port
from tests.fakes.tokens import make_token
from tests.runtime.observability.conftest import fetch, wait_for_listener

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CANARY = "canary-81c2d7"
JSON_CANARY = json.dumps({"password": CANARY, "nested": {"deep": CANARY}, CANARY: 1})
SECRET = "- {objectName: TestSecret1, objectType: secretsmanager%s}\n"
PARAMETER = "- {objectName: TestParm1, objectType: ssmparameter}\n"
FINE = SECRET % "" + PARAMETER
ENDINGS: dict[str, tuple[str, tuple[str, Fault] | None]] = {
    "delivered": (FINE, None),
    "key of JSON": (SECRET % ", jmesPath: [{path: password, objectAlias: key}]", None),
    "key is no text": (SECRET % ", jmesPath: [{path: nested, objectAlias: key, nonText: refuse}]", None),
    "key is missing": (SECRET % ", jmesPath: [{path: missing, objectAlias: key}]", None),
    "value is no JSON": (PARAMETER.replace("}", ", jmesPath: [{path: a, objectAlias: b}]}"), None),
    "value is no base64": (PARAMETER.replace("}", ", encoding: base64}"), None),
    "object is gone": (FINE + PARAMETER.replace("1", "2"), None),
    "class is wrong": ("- {objectName: [}", None),
    "denied": (FINE, (GET_SECRET, Fault())),
    "throttled": (FINE, (GET_PARAMETERS, Fault(status=400, code="ThrottlingException", message="slow down"))),
    "server error": (FINE, (GET_PARAMETERS, Fault(status=500, code="InternalServerError", message="sorry"))),
    "no credentials": (FINE, (ASSUME_ROLE, Fault(code="AccessDenied", message="no"))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watchers:
    aws: FakeAws
    driver: DriverClient
    port: int
    log: io.StringIO
    spans: InMemorySpanExporter
    events: list[Mapping[str, object]]

    def everything(self) -> str:
        """All that anybody could have seen so far."""
        spans = "".join(span.to_json() for span in self.spans.get_finished_spans())
        pages = "".join(fetch(self.port, path)[1] for path in ("/metrics", "/livez", "/readyz"))
        return self.log.getvalue() + pages + spans + json.dumps(self.events)


@pytest.fixture(scope="module", params=list(LogFormat))
def watchers(request: pytest.FixtureRequest) -> Iterator[_Watchers]:
    """A provider that nothing of what happens escapes; no memory, so that every mount goes its whole way."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # optional for the product
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415  # as above

    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    events: list[Mapping[str, object]] = []

    def keep(*_: object, body: Mapping[str, object], **__: object) -> dict[str, Any]:
        events.append(body)
        return {}

    stream = io.StringIO()
    port = free_port()
    level = logging.getLogger().level
    flags = ("--cache=off", f"--metrics-address=127.0.0.1:{port}", "--tracing", "--kubernetes-events")
    with pytest.MonkeyPatch.context() as patch, FakeAws() as aws, socket_directory() as directory:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setattr(daemon_module, "load_tracing", lambda: Tracing(provider))
        patch.setattr(KubernetesApi, "request", keep)
        configure_logging(request.param, stream)
        with (
            ThreadedDaemon(directory, *flags, url=aws.url) as daemon,
            DriverClient(daemon.path) as driver,
        ):
            wait_for_listener(port)
            yield _Watchers(aws=aws, driver=driver, port=port, log=stream, spans=spans, events=events)
    configure_logging(LogFormat.TEXT)
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_happens_nobody_sees_a_value_a_token_or_a_key(ending: str, watchers: _Watchers) -> None:
    objects, fault = ENDINGS[ending]
    aws = watchers.aws
    aws.reset()
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=JSON_CANARY)
    aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value=CANARY)
    account = f"account-{list(ENDINGS).index(ending)}"
    token = make_token("fakeNS", account)
    pod = Pod(objects=FINE, uid=account, name=account, service_account=account, tokens={"sts.amazonaws.com": token})
    assert watchers.driver.mount(pod).is_ok, "the pod has its files, so that the next failure is a masked one"
    if fault is not None:
        aws.fail(*fault)
    if ending == "no credentials":
        token = make_token("fakeNS", "other-account", serial=7)
        pod = replace(pod, service_account="other-account", tokens={"sts.amazonaws.com": token})
    answer = watchers.driver.mount(replace(pod, objects=objects))
    aws.heal()
    assert answer.is_ok is (ending in {"delivered", "key of JSON"})
    seen = answer.text + watchers.everything()
    assert "lockstep_provider_mounts_total" in seen
    assert account in seen, "the search looks at what was really written"
    encoded = base64.b64encode(CANARY.encode()).decode()
    for secret in (CANARY, encoded, token, token.split(".")[1], "canary-secret-access-key", "canary-session-token"):
        assert secret not in seen


def test_the_failures_above_were_told_to_the_pods(watchers: _Watchers) -> None:
    """Else the search would have found nothing in events because there are none."""
    assert watchers.events
    assert all(event["reason"] == "SecretRefreshFailed" for event in watchers.events)
    assert "lockstep_provider_kubernetes_events_total" in watchers.everything()
