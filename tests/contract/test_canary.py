"""A marker value and a marker token go through every way a mount can end, and appear in the delivered files only.

Searched: the gRPC text, every log line in both formats, the mount reports, and the repr of what the pure parts return.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from provider_runtime.caller_identity import IdentityKind, parse_identity
from provider_runtime.config import LogFormat
from provider_runtime.grpc_server import ProviderService, _Record
from provider_runtime.mount_request import AddressType, parse_mount_request
from provider_runtime.mounting import MountNotes
from provider_runtime.ports import AwsCredentials, Caller
from provider_runtime.read_outcomes import Tally
from provider_runtime.redaction import SecretText
from provider_runtime.telemetry import LoggingObserver, configure_logging, describe_exception, log_event
from tests.fakes.aws import ASSUME_ROLE, GET_PARAMETERS, GET_SECRET, FakeAws, FakeParameter, FakeSecret, Fault
from tests.fakes.daemons import ThreadedDaemon, socket_directory
from tests.fakes.driver import FAKE_REGION, ROLE_ARN, Answer, DriverClient, Pod, with_parameters
from tests.fakes.patience import LASTING_SECONDS, wait_until
from tests.fakes.ports import RecordingObserver
from tests.fakes.tokens import make_token

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-3f9a71"
JSON_CANARY = json.dumps({"password": CANARY, "number": 7, "nested": {"deep": CANARY}})
SECRET = "- {objectName: TestSecret1, objectType: secretsmanager%s}\n"
PARAMETER = "- {objectName: TestParm1, objectType: ssmparameter}\n"
TOKEN = make_token("fakeNS", "fakeSvcAcc")


@pytest.fixture(params=list(LogFormat))
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Everything that the process logs, in one format; the SDK's loggers asked for debug lines before."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.level
    for name in ("botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    configure_logging(request.param, stream)
    yield stream
    configure_logging(LogFormat.TEXT)
    root.setLevel(before)


def _json_key(path: str) -> str:
    return SECRET % f', jmesPath: [{{path: "{path}", objectAlias: key}}]'


def _template(text: str) -> str:
    return _json_key("password").removesuffix("}\n") + f', template: {{objectAlias: t, text: "{text}"}}}}\n'


BYTES = "- {objectName: Bytes, objectType: secretsmanager}\n"
CASES: dict[str, tuple[str, tuple[str, Fault] | None]] = {
    "delivered": (SECRET % "" + PARAMETER, None),
    "delivered key": (_json_key("password"), None),
    "key not text": (_json_key("nested"), None),
    "key missing": (_json_key("missing"), None),
    "key broken": (_json_key("."), None),
    "key fails inside": (_json_key("abs(password)"), None),
    "no json": (SECRET % "" + PARAMETER.replace("}", ", jmesPath: [{path: a, objectAlias: b}]}"), None),
    "neighbour missing": (SECRET % "" + PARAMETER.replace("1", "2"), None),
    "delivered keys": (SECRET % ', keys: "*"', None),
    "delivered template": (_template("${key}"), None),
    "template of what is no text": (_template("${Bytes}") + BYTES, None),
    "not base64": (SECRET % ", encoding: base64", None),
    "keys of no object": (PARAMETER.replace("}", ', keys: "*"}'), None),
    "key that cannot be a file": ('- {objectName: Odd, objectType: secretsmanager, keys: "*"}\n', None),
    "too large": (SECRET % "" + "- {objectName: Huge, objectType: secretsmanager}\n", None),
    "denied": (SECRET % "" + PARAMETER, (GET_SECRET, Fault())),
    "broken": (SECRET % "" + PARAMETER, (GET_PARAMETERS, Fault(status=500))),
    "no answer": (SECRET % "" + PARAMETER, (GET_SECRET, Fault(hang_seconds=LASTING_SECONDS))),
    "not json from aws": (SECRET % "", (GET_SECRET, Fault(status=200, code=CANARY))),
    "no credentials": (SECRET % "", (ASSUME_ROLE, Fault(code="InvalidIdentityToken", message="no"))),
}


CASES_IN_ORDER = list(CASES)
Provider = tuple[FakeAws, DriverClient, RecordingObserver]


def _fill(aws: FakeAws) -> None:
    aws.reset()
    aws.secrets[FAKE_REGION, "TestSecret1"] = FakeSecret(value=JSON_CANARY)
    aws.secrets[FAKE_REGION, "Bytes"] = FakeSecret(value=CANARY.encode() + b"\xff")
    aws.secrets[FAKE_REGION, "Odd"] = FakeSecret(value=json.dumps({"..": CANARY, "n": None, "fine": CANARY}))
    aws.secrets[FAKE_REGION, "Huge"] = FakeSecret(value=CANARY * 1000)
    aws.parameters[FAKE_REGION, "TestParm1"] = FakeParameter(value=CANARY)


@contextlib.contextmanager
def _serve(*flags: str) -> Iterator[Provider]:
    recording = RecordingObserver()
    flags = ("--cache=off", "--max-response-bytes=8192", *flags)
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        ThreadedDaemon(directory, *flags, url=aws.url, observer=_Both(recording)) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        yield aws, driver, recording


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider that takes small answers only."""
    with _serve() as served:
        yield served


@pytest.fixture(scope="module")
def short_provider() -> Iterator[Provider]:
    """The same with a second for each mount; its SDK clients are built, so that the second is AWS's."""
    with _serve("--mount-timeout=1s") as served:
        aws, driver, _ = served
        _fill(aws)
        wait_until(lambda: driver.mount(Pod(objects=SECRET % "" + PARAMETER)).is_ok, "a first mount succeeds")
        yield served


@pytest.mark.parametrize("case", CASES)
def test_no_way_a_mount_ends_shows_a_value_a_token_or_a_key(
    case: str, log: io.StringIO, request: pytest.FixtureRequest
) -> None:
    objects, fault = CASES[case]
    provider: Provider = request.getfixturevalue("short_provider" if case == "no answer" else "provider")
    aws, driver, recording = provider
    _fill(aws)
    if fault is not None:
        aws.fail(*fault)
    account = f"account-{CASES_IN_ORDER.index(case)}-{id(log)}"  # no credentials from an earlier case
    token = make_token("fakeNS", account)
    answer = driver.mount(Pod(objects=objects, service_account=account, tokens={"sts.amazonaws.com": token}))
    aws.heal()
    assert answer.is_ok is case.startswith(("delivered", "not json from aws"))
    assert recording.reports[-1].outcome == answer.code.name
    _assert_clean(token, answer, log.getvalue(), repr(recording.reports))


def test_an_unexpected_exception_that_holds_a_value_shows_its_places_only(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explode(*_: object) -> None:
        raise ValueError(f"cannot decode {CANARY} of {TOKEN}")

    monkeypatch.setattr(ProviderService, "_mount", explode)
    with (
        FakeAws() as aws,
        socket_directory() as directory,
        ThreadedDaemon(directory, url=aws.url) as daemon,
        DriverClient(daemon.path) as driver,
    ):
        answer = driver.mount(Pod(objects=SECRET % ""))
    assert "ValueError at test_canary.py" in log.getvalue()
    _assert_clean(TOKEN, answer, log.getvalue())


class _Both:
    """Keeps the reports and logs them as the daemon does."""

    def __init__(self, recording: RecordingObserver) -> None:
        self._recording = recording
        self._logging = LoggingObserver(logging.getLogger("provider_runtime"))

    def mount_finished(self, report: object) -> None:
        """Do both."""
        self._recording.mount_finished(report)  # type: ignore[arg-type]
        self._logging.mount_finished(report)  # type: ignore[arg-type]


def _assert_clean(token: str, answer: Answer, *texts: str) -> None:
    for text in (answer.text, *texts):
        assert CANARY not in text
        assert token not in text
        assert token.split(".")[1] not in text
        assert "canary-secret-access-key" not in text
        assert "canary-session-token" not in text


def test_the_last_guard_masks_what_looks_like_a_token_or_a_key(log: io.StringIO) -> None:
    logger = logging.getLogger("provider_runtime")
    log_event(logger, logging.INFO, f"got {TOKEN}", key="ASIAABCDEFGHIJKLMNOP")
    logger.warning("header %s", TOKEN)
    assert TOKEN not in log.getvalue()
    assert "ASIA" not in log.getvalue()
    assert log.getvalue().count("[redacted]") == 3


def test_a_name_with_a_line_break_stays_on_its_line(log: io.StringIO) -> None:
    log_event(logging.getLogger("provider_runtime"), logging.INFO, "a\nb", pod="x\ny outcome=OK")
    assert log.getvalue().count("\n") == 1


def test_the_repr_of_what_holds_secrets_holds_none() -> None:
    credentials = AwsCredentials(
        access_key_id="ASIA", secret_access_key=SecretText(CANARY), session_token=SecretText(CANARY), expires_at=0
    )
    assert CANARY not in f"{credentials!r}{credentials}"
    pod = Pod(objects=SECRET % "", tokens={"sts.amazonaws.com": CANARY})
    message = with_parameters(pod, assumeRoleArn=ROLE_ARN, externalId=CANARY).request()
    request = parse_mount_request(message.attributes, message.target_path, "420", [], default_region=None)
    assert CANARY not in repr(request)
    assert CANARY not in repr(_Record(message=message, notes=MountNotes(tally=Tally()), request=request))
    identity = parse_identity(
        request.token,
        kind=IdentityKind.IRSA,
        namespace="n",
        service_account="s",
        role_arn=ROLE_ARN,
        pod_uid="u",
        now=0,
        assumed_role_arn=ROLE_ARN,
        external_id=CANARY,
    )
    assert CANARY not in repr(Caller(identity=identity, token=request.token, address_type=AddressType.AUTO))
    assert CANARY not in describe_exception(ExceptionGroup(CANARY, [RuntimeError(CANARY)]))
