"""The processes of a run: stand-in, driver, providers; started, asked, measured and ended here.

Not done here: what they are asked (`scenarios`).

CPU and memory are the kernel's figures for the whole process, from /proc: user plus system time of all threads, in
ticks of 10 ms, so a figure per mount needs many mounts; resident memory in MiB.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

from benchmarks.driver_client import Job
from benchmarks.private_room import ADDRESS, Room

REPOSITORY: Final = Path(__file__).resolve().parents[1]
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A process did not do its part; the text ends with its log."""


def _clean_environment() -> dict[str, str]:
    """The environment without the user's AWS settings, cluster and proxies: all traffic stays on loopback."""
    dropped = ("AWS_", "KUBERNETES_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(dropped) and not name.upper().endswith("_PROXY")
    }


@dataclass(slots=True, kw_only=True)
class StandIn:
    """The stand-in's process and its control port."""

    port: int
    process: subprocess.Popen[str]

    def control(self, **order: object) -> dict[str, Any]:
        """Set what `order` names and return the counts so far; `reset=True` starts them anew."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/_control", body=json.dumps(order).encode())
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


def start_stand_in(port: int, room: Room | None) -> StandIn:
    """Start the stand-in and wait until it listens.

    Raises:
        BenchError: It ended.
    """
    words = [sys.executable, "-m", "benchmarks.stand_in", str(port), *(room.tls_words if room else ())]
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env=_clean_environment())  # noqa: S603
    if process.stdout is None or process.stdout.readline().strip() != "ready":
        raise BenchError("the stand-in did not start; is its port taken?")
    return StandIn(port=port, process=process)


class DriverProcess:
    """The driver's process; one job at a time."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "benchmarks.driver_client"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(  # noqa: S603  # our own module
            words,
            cwd=REPOSITORY,
            stdin=pipe,
            stdout=pipe,
            text=True,
            env=_clean_environment() | {"GRPC_VERBOSITY": "NONE"},
        )

    def run(self, job: Job) -> list[dict[str, Any]]:
        """Run a job to its end.

        Raises:
            BenchError: The process ended.
        """
        if self.process.stdin is None or self.process.stdout is None:
            raise BenchError("the driver has no pipes")
        self.process.stdin.write(f"{job.dump()}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("the driver's process ended")
        results: list[dict[str, Any]] = json.loads(line)
        return results


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A provider as it is started: ours, or AWS's with its files written by itself or by the driver."""

    label: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    writes_files: bool = False
    is_ours: bool = False
    is_theirs: bool = False


def our_contender(standin_port: int, room: Room | None) -> Contender:
    """Return ours; in the room it finds AWS by its real names, elsewhere by AWS_ENDPOINT_URL."""
    where = {"AWS_CA_BUNDLE": str(room.authority)} if room else {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{standin_port}"}
    return Contender(
        label="lockstep", command=(sys.executable, "-m", "provider_runtime"), environment=where, is_ours=True
    )


def bare_contender() -> Contender:
    """Return the floor: grpcio with a constant answer; it takes no flag of a provider."""
    return Contender(label="bare-grpc", command=(sys.executable, "-m", "benchmarks.bare_server"))


def their_contenders(binary: str, room: Room) -> tuple[Contender, Contender]:
    """Return AWS's provider as shipped (it writes the files) and behind a driver that writes them."""
    environment = {
        "SSL_CERT_FILE": str(room.authority),
        "KUBERNETES_SERVICE_HOST": ADDRESS,
        "KUBERNETES_SERVICE_PORT": "443",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return (
        Contender(label="ascp", command=(binary,), environment=environment, writes_files=True, is_theirs=True),
        Contender(
            label="ascp-driver-writes",
            command=(binary, "--driver-writes-secrets=true"),
            environment=environment,
            is_theirs=True,
        ),
    )


@dataclass(slots=True, kw_only=True)
class ProviderProcess:
    """One running provider. A context manager: leaving ends it."""

    contender: Contender
    socket: Path
    log: Path
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far (proc(5): fields 14 and 15 of stat)."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def resident_mib(self) -> float:
        """Resident memory now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        (line,) = [line for line in text.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_process(self.process)


def start_provider(contender: Contender, folder: Path, *flags: str) -> ProviderProcess:
    """Start a provider in a new folder and wait for its socket.

    Raises:
        BenchError: It ended, or was not there in time.
    """
    folder.mkdir()
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  # ours, or the binary that the user named
            [*contender.command, f"--provider-volume={folder}", *flags],
            cwd=REPOSITORY,
            env=_clean_environment() | contender.environment,
            stdout=out,
            stderr=out,
        )
    provider = ProviderProcess(contender=contender, socket=folder / "aws.sock", log=log, process=process)
    end = time.monotonic() + _START_SECONDS
    while not provider.socket.exists():
        if process.poll() is not None or time.monotonic() > end:
            end_process(process)
            raise BenchError(f"{contender.label} did not start. Its log ends:\n{_tail(log)}")
        time.sleep(0.02)
    return provider


def end_process(process: subprocess.Popen[Any]) -> None:
    """End a process that this run started: SIGTERM, and after a bound SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    pipes: tuple[IO[Any] | None, ...] = (process.stdin, process.stdout, process.stderr)
    for pipe in pipes:
        if pipe is not None:
            pipe.close()


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
