"""The emulated AWS account as a process: start it, wait for it, get clients for it, end it.

What the emulator enforces is in `emulator_launcher` and the modules it names; they run in `.venv-emulator`. Here are
only the process and its clients. The admin credentials are the account's root: no policy applies to them, so they are
for seeding and for looking around, never for a pod.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from local.emulator_launcher import READY_TEXT

ACCOUNT: Final = "000000000000"
"""The emulated account, unless told otherwise."""
ADMIN_ACCESS_KEY: Final = ACCOUNT
"""Access key id of that account's root: MiniStack takes an account's own number for it, and checks no signature."""
ADMIN_SECRET_KEY: Final = "not-checked"  # noqa: S105 - any text will do for root

_PROJECT: Final = Path(__file__).resolve().parent.parent
_PYTHON: Final = _PROJECT / ".venv-emulator" / "bin" / "python"
_LAUNCHER: Final = _PROJECT / "local" / "emulator_launcher.py"
_READY_SECONDS: Final = 120.0  # a slow machine is no error
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05
_HEALTH_SECONDS: Final = 5.0
_TAIL_LINES: Final = 20
_HTTP_OK: Final = 200


class EmulatorError(Exception):
    """The emulator did not start; the text holds the end of its log."""


class Emulator:
    """One emulator process; a context manager that starts and ends it.

    Args:
        issuer: URL of the node's token issuer, the `iss` of its tokens.
        jwks: File with the issuer's public keys (RFC 7517), read by the emulator for each token.
        work_dir: Folder, made if missing, for the log and temporary files.
        account: Twelve digits; the access key id of the admin is the same number.
        kms_keys: ARNs of customer keys that must exist.
        secret_suffixes: Secret name -> the last six characters of its ARN, for secrets that a spec names by ARN.
        keep: Leave the process running at the end of the `with` block and of this process.
        port: 0 takes a free one.
        python: Interpreter of the emulator's environment.
    """

    def __init__(
        self,
        *,
        issuer: str,
        jwks: Path,
        work_dir: Path,
        account: str = ACCOUNT,
        kms_keys: Sequence[str] = (),
        secret_suffixes: Mapping[str, str] | None = None,
        keep: bool = False,
        port: int = 0,
        python: Path = _PYTHON,
    ) -> None:
        self.account = account
        self.log_path = work_dir / "emulator.log"
        self._keep = keep
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        self._endpoint = ""
        self._clients: dict[tuple[str, str], Any] = {}
        self._command = [str(python), str(_LAUNCHER), f"--port={port}", f"--account={account}"]
        self._command += [f"--issuer={issuer}", f"--jwks={jwks}", f"--work-dir={work_dir}"]
        self._command += [f"--kms-key={arn}" for arn in kms_keys]
        self._command += [f"--secret-suffix={name}={suffix}" for name, suffix in (secret_suffixes or {}).items()]
        self._command += [] if keep else ["--until-stdin-closes"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            self.stop()

    @property
    def endpoint(self) -> str:
        """URL for every service, e.g. http://127.0.0.1:34567. Empty before the start."""
        return self._endpoint

    @property
    def pid(self) -> int | None:
        """Id of the process, or None when it was not started or has been stopped."""
        return self._process.pid if self._process else None

    @property
    def access_key(self) -> str:
        """Access key id of the admin."""
        return self.account

    @property
    def secret_key(self) -> str:
        """Secret key of the admin; no secret."""
        return ADMIN_SECRET_KEY

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            EmulatorError: Its environment is missing, it ended, or it did not answer in time.
        """
        if not self._python.exists():
            raise EmulatorError(f"{self._python}: not found. The emulator has an environment of its own. Fix: make dev")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own script and interpreter
                self._command,
                stdin=subprocess.DEVNULL if self._keep else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                start_new_session=True,  # Ctrl-C ends the command that people see, and that ends this in order
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, with force if it does not end by itself. Safe to call again."""
        while self._clients:
            self._clients.popitem()[1].close()
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3's clients have no static type
        """Return a boto3 client with the admin's credentials; one per service and region, closed by `stop`."""
        wanted = (service, region)
        if wanted not in self._clients:
            self._clients[wanted] = make_client(
                service, region, endpoint=self.endpoint, access_key=self.access_key, secret_key=self.secret_key
            )
        return self._clients[wanted]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            code = process.poll()
            if code is not None:
                raise EmulatorError(f"the emulator ended with code {code}.\n{self._log_tail()}")
            self._endpoint = self._announced_endpoint()
            if self._endpoint and _is_healthy(self._endpoint):
                return
            time.sleep(_POLL_SECONDS)
        raise EmulatorError(f"the emulator did not answer within {_READY_SECONDS:.0f} s.\n{self._log_tail()}")

    def _announced_endpoint(self) -> str:
        log = self.log_path.read_text(encoding="utf-8", errors="replace")
        _, found, rest = log.partition(READY_TEXT)
        line, ended, _ = rest.partition("\n")
        return line if found and ended else ""

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"The end of {self.log_path}:", *lines[-_TAIL_LINES:]])


def make_client(
    service: str, region: str, *, endpoint: str, access_key: str, secret_key: str, session_token: str | None = None
) -> Any:  # noqa: ANN401 - boto3's clients have no static type
    """Return a boto3 client for the emulator, for whatever caller; no proxy of the environment is used."""
    session: Any = boto3.Session(
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=session_token,
        region_name=region,
    )
    config = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}, proxies={})
    return session.client(service, endpoint_url=endpoint, config=config)


def _is_healthy(endpoint: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=_HEALTH_SECONDS)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == _HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
