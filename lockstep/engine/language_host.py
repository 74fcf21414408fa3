"""Runs one Pulumi Python program against an engine's address: a process of its own, started by program.py.

It stands in for `pulumi-language-python-exec`, does what that does, and is started by path so that the program's own
interpreter needs the Pulumi SDK only.

Arguments: the engine's address, project, stack, organization, `preview` or `up`, the project folder. Configuration
comes in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS, as from Pulumi. Exit codes: 0 done, 1 the program
failed and said why.

Source: pulumi `sdk/python/cmd/pulumi-language-python-exec`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Callable

import grpc
import pulumi
from google.protobuf.empty_pb2 import Empty
from pulumi import runtime
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

#: Allocations between two looks of the garbage collector. A program makes its resources and ends; with Python's own 700
#: a quarter of the CPU of a hundred apps went into looking at the SDK's classes again and again.
_COLLECT_EVERY = 100_000
#: How long a thread may keep the interpreter while another waits for it. The SDK answers each registration in a worker
#: thread, and gRPC's own threads spin while those wait; with Python's 5 ms that doubled the time of a hundred apps on
#: two idle cores, while one core alone was faster.
_SWITCH_SECONDS = 0.0005


def main(address: str, project: str, stack: str, organization: str, mode: str, folder: str) -> int:
    """Run `<folder>/__main__.py` and report how it ended to the engine."""
    gc.set_threshold(_COLLECT_EVERY)
    sys.setswitchinterval(_SWITCH_SECONDS)
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    runtime.configure(
        runtime.Settings(
            project,
            stack,
            monitor=address,
            engine=_Engine(grpc.insecure_channel(address)),
            dry_run=mode == "preview",
            organization=organization,
            root_directory=folder,
        )
    )
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = [folder]
    # Outputs that nobody awaited after a failure are expected; asyncio would report each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        # As a folder is given, runpy looks for __main__.py in it, exactly as Pulumi's own host does.
        loop.run_until_complete(runtime.run_in_stack(lambda: _run(folder)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception:  # noqa: BLE001 - whatever the program raises is what the user has to see
        pulumi.log.error("Program failed with an unhandled exception:\n" + traceback.format_exc())
    else:
        return 0
    finally:
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


class _Engine(engine_pb2_grpc.EngineStub):
    """The engine as the program sees it, without its debug messages.

    The SDK sends five for each resource, one blocking call each, and this engine drops them.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        super().__init__(channel)
        send: Callable[[engine_pb2.LogRequest], Empty] = self.Log

        def log(request: engine_pb2.LogRequest) -> Empty:
            return Empty() if request.severity == engine_pb2.DEBUG else send(request)

        self.Log = log  # type: ignore[assignment]


def _run(folder: str) -> None:
    runpy.run_path(folder, run_name="__main__")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
