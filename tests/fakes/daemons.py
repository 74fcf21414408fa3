"""The provider under test: in a thread of this process, or as the real process.

In the thread everything is real but the process: flags, socket, gRPC server, SDK. AWS is wherever `url` points.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from provider_runtime.config import parse_settings
from provider_runtime.daemon import Daemon
from tests.fakes.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provider_runtime.ports import MountObserver

REPOSITORY = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def socket_directory() -> Iterator[Path]:
    """Make a directory with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="lsp-", dir="/tmp") as directory:  # pytest's paths are too long
        yield Path(directory)


def environment_for(url: str, **more: str) -> dict[str, str]:
    """The environment that sends every AWS call to `url`."""
    return {"AWS_ENDPOINT_URL": url, **more}


class ThreadedDaemon:
    """A daemon in a thread; `path` is its public socket."""

    def __init__(
        self,
        directory: Path,
        *flags: str,
        url: str,
        observer: MountObserver | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        quiet = "--metrics-address="  # many daemons share this machine's ports
        self._flags = (f"--provider-volume={directory}", f"--kubernetes-api={url}", quiet, *flags)
        self._environment = environment_for(url, **(environment or {}))
        self._observer = observer
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self.exit_code: int | None = None
        self.path = directory / "aws.sock"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.exit_code = asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # raised in the test's thread
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> int:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        daemon = Daemon(
            parse_settings(self._flags, self._environment), environment=self._environment, observer=self._observer
        )
        return await daemon.run(self._stop, lambda _: self._ready.set())

    def start(self) -> None:
        """Start and wait until it serves; raise what stopped it."""
        self._thread.start()
        is_ready = self._ready.wait(PATIENCE_SECONDS)
        if self._failure is not None:
            raise self._failure
        assert is_ready, "the daemon does not serve"

    def ask_to_stop(self) -> None:
        """Do what SIGTERM does."""
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        """Wait for the end; raise what it raised."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the daemon does not stop"
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.ask_to_stop()
        self.join()


class DaemonProcess:
    """The real command, its stderr collected line by line."""

    def __init__(self, directory: Path, *flags: str, url: str) -> None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("AWS_", "KUBERNETES_")) and not name.upper().endswith("_PROXY")
        }
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "provider_runtime", f"--provider-volume={directory}", "--metrics-address=", *flags],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=REPOSITORY,
            env=environment | environment_for(url),
        )
        self.lines: list[str] = []
        self.path = directory / "aws.sock"
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        self.lines.extend(iter(self._process.stderr.readline, ""))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def wait_for(self, text: str) -> str:
        """Wait for a line that contains `text`."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            for line in tuple(self.lines):
                if text in line:
                    return line
            if self._process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.02)
        raise AssertionError(f"{text!r} did not appear in {self.lines}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the exit code."""
        code = self._process.wait(PATIENCE_SECONDS)
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
