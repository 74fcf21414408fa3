"""The least that any provider on grpcio costs: the driver's service with a constant answer of the same shape.

Not done here: anything a provider is for. Nothing is parsed, checked, read or logged; the distance between this and
ours is what our own code costs on the same machine in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Final

import grpc

from benchmarks.reference_pod import FILE_COUNT, name_secret
from provider_runtime.csi_v1alpha1 import service_pb2, service_pb2_grpc

_CONTENTS: Final = b"x" * 280
_VERSION: Final = "00000000-0000-4000-8000-000000000000"


class BareService(service_pb2_grpc.CSIDriverProviderServicer):
    """Mount alone."""

    async def Mount(  # noqa: N802  # the proto's name
        self,
        request: service_pb2.MountRequest,
        context: grpc.aio.ServicerContext[service_pb2.MountRequest, service_pb2.MountResponse],
    ) -> service_pb2.MountResponse:
        """Answer as many files and versions as the reference pod has."""
        del request, context
        names = [name_secret(0, index).replace("/", "_") for index in range(FILE_COUNT)]
        return service_pb2.MountResponse(
            object_version=[service_pb2.ObjectVersion(id=name, version=_VERSION) for name in names],
            files=[service_pb2.File(path=name, mode=0o644, contents=_CONTENTS) for name in names],
        )


async def serve(folder: str) -> None:
    """Serve on `aws.sock` in the folder until ended."""
    server = grpc.aio.server()
    service_pb2_grpc.add_CSIDriverProviderServicer_to_server(BareService(), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{folder}/aws.sock")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    parser = argparse.ArgumentParser(description="The floor of the benchmark; see benchmarks/README.md.")
    parser.add_argument("--provider-volume", required=True)
    asyncio.run(serve(parser.parse_args().provider_volume))
