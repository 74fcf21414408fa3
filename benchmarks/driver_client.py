"""The driver's side of measurements, as a process of its own: jobs as JSON lines on stdin, results on stdout.

Not done here: what to mount and when (`scenarios`, `schedules`), what the figures mean (`figures`).

A job names a socket and mounts. Each mount has a start, in seconds after the job's; `width` bounds how many run at
once. A result holds per mount how long it took, its gRPC code and the versions of the secrets that came back.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from benchmarks.reference_pod import MountOf, render_request
from provider_runtime.csi_v1alpha1 import service_pb2_grpc

KUBELET_DEADLINE_SECONDS: Final = 120.0
_OPTIONS: Final = (
    ("grpc.default_authority", "localhost"),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Mounts to send to one socket; `starts` is parallel to `mounts`, in seconds."""

    socket: str
    mounts: tuple[MountOf, ...]
    starts: tuple[float, ...]
    width: int
    makes_targets: bool = False
    """Make the target directories first, as kubelet does: for a provider that writes by itself."""

    def dump(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(asdict(self))


def parse_job(line: str) -> Job:
    """Read a job back."""
    document: dict[str, Any] = json.loads(line)
    mounts = tuple(MountOf(**mount) for mount in document.pop("mounts"))
    return Job(mounts=mounts, starts=tuple(document.pop("starts")), **document)


async def run_job(job: Job) -> list[dict[str, Any]]:
    """Send every mount; return one result per mount, in the job's order."""
    if job.makes_targets:
        for mount in job.mounts:
            Path(mount.target_path).mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before the clock starts
    gate = asyncio.Semaphore(job.width)
    began = time.monotonic()
    async with grpc.aio.insecure_channel(f"unix:{job.socket}", options=_OPTIONS) as channel:
        stub = service_pb2_grpc.CSIDriverProviderStub(channel)  # type: ignore[no-untyped-call]
        await channel.channel_ready()

        async def send(index: int) -> dict[str, Any]:
            await asyncio.sleep(began + job.starts[index] - time.monotonic())
            async with gate:
                return await _send_one(stub, job.mounts[index], serial=index)

        return list(await asyncio.gather(*(send(index) for index in range(len(job.mounts)))))


async def _send_one(stub: Any, mount: MountOf, *, serial: int) -> dict[str, Any]:  # noqa: ANN401  # generated, untyped
    request = render_request(mount, serial=serial)
    started = time.perf_counter()
    try:
        response = await stub.Mount(request, timeout=KUBELET_DEADLINE_SECONDS, wait_for_ready=True)
    except grpc.RpcError as error:
        seconds = time.perf_counter() - started
        text = (error.details() or "")[:300] if isinstance(error, grpc.aio.AioRpcError) else ""
        return {"seconds": seconds, "code": error.code().name, "text": text, "versions": 0, "rotated": 0}
    seconds = time.perf_counter() - started
    rotated = sum(not version.version.startswith(("00000000", "1")) for version in response.object_version)
    return {"seconds": seconds, "code": "OK", "text": "", "versions": len(response.object_version), "rotated": rotated}


def main() -> None:
    """Run jobs until stdin ends."""
    for line in sys.stdin:
        results = asyncio.run(run_job(parse_job(line)))
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    main()
