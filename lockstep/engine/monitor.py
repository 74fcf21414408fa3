"""Pulumi's resource-monitor and engine gRPC services, on loopback, in front of one `Deployment`.

Not done here: any decision about a resource (deployment.py). Done here: requests become values, answers become
messages, and what this engine does not do is refused by name. An option that was quietly ignored would make a run here
differ from a run of the real engine.

Source: pulumi `proto/pulumi/resource.proto` and `engine.proto`, as generated in the SDK 3.272 (`pulumi.runtime.proto`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from lockstep.engine.deployment import Deployment, EngineStoppedError, Goal
from lockstep.engine.digest import Diagnostic, Severity
from lockstep.engine.resource_provider import ProviderError
from lockstep.engine.state import Urn
from lockstep.engine.values import UnsupportedValueError, dump_struct, parse_struct
from provider_runtime.go_flags import parse_duration

_LOG = logging.getLogger(__name__)

#: Registrations that may wait for a provider at the same time.
_WORKERS = 16

#: Pulumi's own limit for one message.
_LIMIT_BYTES = 400 * 1024 * 1024

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
)

_SEVERITIES = {
    engine_pb2.DEBUG: Severity.DEBUG,
    engine_pb2.INFO: Severity.INFO,
    engine_pb2.WARNING: Severity.WARNING,
    engine_pb2.ERROR: Severity.ERROR,
}

#: Fields of a registration that ask for something this engine does not do.
_UNSUPPORTED_OPTIONS = {
    "importId": "import_",
    "replaceOnChanges": "replace_on_changes",
    "aliases": "aliases that are not URNs",  # sent only to engines that announce alias specs
    "transforms": "transforms",
    "replace_with": "replace_with",
    "remote": "a remote component",
    "envVarMappings": "env_var_mappings",
    "state_migrations": "state_migrations",
    "hideDiffs": "hide_diffs",
}

_TIMED = ("create", "update", "delete", "read")


class Monitor(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """Both services of one run. Method names are the protocol's."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._journal = deployment.journal
        self._root = ""

    # ------------------------------------------------------------------------------------------- resource monitor
    def RegisterResource(  # noqa: N802 - the protocol's name
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        """Bring one resource to its goal."""
        with self._refusals(context, request.type, request.name):
            self._refuse_unsupported(request)
            record = self._deployment.register(_parse_goal(request))
            # A component's inputs are no outputs: Pulumi's engine answers with none either.
            outputs = record.outputs if record.custom else {}
            return resource_pb2.RegisterResourceResponse(urn=record.urn, id=record.id, object=dump_struct(outputs))
        raise AssertionError("unreachable: _refusals ends every failed call")

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> Empty:
        """Keep the outputs of a component or of the stack."""
        with self._refusals(context, "outputs", request.urn):
            if not self._journal.set_outputs(request.urn, parse_struct(request.outputs)):
                self._journal.fail("outputs were registered for a resource that is not registered", request.urn)
                raise EngineStoppedError
        return Empty()

    def ReadResource(  # noqa: N802
        self, request: resource_pb2.ReadResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ReadResourceResponse:
        """Look up an object that the program does not own (`Role.get`)."""
        with self._refusals(context, request.type, request.name):
            goal = Goal(type=request.type, name=request.name, custom=True, inputs={}, parent=request.parent)
            found = self._deployment.read(goal, request.id)
            urn = self._deployment.urn_of(request.type, request.name, request.parent)
            return resource_pb2.ReadResourceResponse(urn=urn, id=found.id, properties=dump_struct(found.outputs))
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ResourceInvokeResponse:
        """Answer a provider function. Its failure goes to the program, which may catch it."""
        try:
            result = self._deployment.invoke(request.tok, parse_struct(request.args))
        except (ProviderError, UnsupportedValueError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"invocation of {request.tok} failed: {error}")
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(dump_struct(result))  # the field is called like a keyword
        return response

    def GetDeploymentInfo(self, request: Empty, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:  # noqa: ARG002, N802
        """Say which stack this is and what the engine can do."""
        run = self._deployment
        return resource_pb2.DeploymentInfo(
            project=run.project, stack=run.stack, dryRun=run.dry_run, supportedFeatures=_FEATURES
        )

    def SupportsFeature(  # noqa: N802
        self,
        request: resource_pb2.SupportsFeatureRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> resource_pb2.SupportsFeatureResponse:
        """Answer SDKs that ask for one feature at a time by its old name."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in {"secrets", "deletedWith"})

    def RegisterPackage(  # noqa: N802
        self, request: resource_pb2.RegisterPackageRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterPackageResponse:
        """Accept a plain package; a parameterised one would need a provider that is built on the fly."""
        if request.HasField("parameterization"):
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"package {request.name!r} is parameterised. This engine runs plain packages. "
                "Fix: run the program with the Pulumi CLI",
            )
        return resource_pb2.RegisterPackageResponse(ref=f"{request.name}@{request.version}")

    def SignalAndWaitForShutdown(self, request: Empty, context: grpc.ServicerContext) -> Empty:  # noqa: ARG002, N802
        """Let the program end: nothing of it is needed for removals."""
        return Empty()

    # ----------------------------------------------------------------------------------------------------- engine
    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> Empty:  # noqa: ARG002, N802
        """Keep a message of the program. After a failure its own errors only repeat that failure."""
        severity = _SEVERITIES.get(request.severity, Severity.INFO)
        repeats = severity is Severity.ERROR and self._journal.failed
        if not request.ephemeral and not repeats and severity is not Severity.DEBUG:
            self._journal.add(Diagnostic(severity=severity, message=request.message.rstrip("\n"), urn=request.urn))
        return Empty()

    def GetRootResource(  # noqa: N802
        self,
        request: engine_pb2.GetRootResourceRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> engine_pb2.GetRootResourceResponse:
        """Return the URN of the stack resource."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(  # noqa: N802
        self,
        request: engine_pb2.SetRootResourceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> engine_pb2.SetRootResourceResponse:
        """Remember the URN of the stack resource."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    # ---------------------------------------------------------------------------------------------------- refusals
    def _refuse_unsupported(self, request: resource_pb2.RegisterResourceRequest) -> None:
        options = {option for name, option in _UNSUPPORTED_OPTIONS.items() if getattr(request, name)}
        if request.hooks.ByteSize():  # the SDK always sends the field
            options.add("hooks")
        if request.HasField("replacement_trigger"):
            options.add("replacement_trigger")
        if options:
            raise UnsupportedValueError(
                f"it uses {', '.join(sorted(options))}, which the embedded engine does not do. "
                "Fix: leave it out, or run the program with the Pulumi CLI"
            )

    @contextmanager
    def _refusals(self, context: grpc.ServicerContext, kind: str, name: str) -> Iterator[None]:
        """End a failed call the way Pulumi's engine does when it shuts down, with the reason in the journal."""
        try:
            yield
        except EngineStoppedError:
            self._abort(context)
        except UnsupportedValueError as error:
            self._journal.fail(f"{kind} {name!r}: {error}")
            self._abort(context)
        except Exception as error:  # noqa: BLE001 - the boundary of the engine
            # A bug in a provider or in the engine must end the run with its place, not hang the program.
            _LOG.exception("registration of %s %r", kind, name)
            self._journal.fail(f"{kind} {name!r}: the engine failed ({type(error).__name__}: {error})")
            self._abort(context)

    def _abort(self, context: grpc.ServicerContext) -> NoReturn:
        context.abort(grpc.StatusCode.UNAVAILABLE, "the run has failed")
        raise AssertionError("unreachable: abort raises")


def _parse_goal(request: resource_pb2.RegisterResourceRequest) -> Goal:
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=parse_struct(request.object),
        parent=request.parent,
        provider=request.provider,
        version=request.version,
        dependencies=tuple(request.dependencies),
        property_dependencies={
            key: tuple(sorted(request.propertyDependencies[key].urns)) for key in sorted(request.propertyDependencies)
        },
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        deleted_with=request.deletedWith,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        secret_outputs=tuple(request.additionalSecretOutputs),
        aliases=tuple(Urn(urn) for urn in request.aliasURNs),
        ignore_changes=tuple(request.ignoreChanges),
        timeouts={
            name: _parse_duration(str(getattr(request.customTimeouts, name)))
            for name in _TIMED
            if getattr(request.customTimeouts, name)
        },
    )


def _parse_duration(text: str) -> float:
    """Return the seconds of a Go duration such as `1h30m`."""
    try:
        return parse_duration(text)
    except ValueError:
        what = f"{text!r} in custom_timeouts is no duration. Fix: write it like 30s or 1h30m"
        raise UnsupportedValueError(what) from None


@contextmanager
def serve(deployment: Deployment) -> Iterator[str]:
    """Serve one deployment on a free loopback port and yield `host:port`; stops when the block ends."""
    executor = futures.ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="engine")
    options = (("grpc.max_receive_message_length", _LIMIT_BYTES), ("grpc.max_send_message_length", _LIMIT_BYTES))
    server = grpc.server(executor, options=options)
    monitor = Monitor(deployment)
    add_services: tuple[Callable[[Monitor, grpc.Server], None], ...] = (
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server,
        engine_pb2_grpc.add_EngineServicer_to_server,
    )
    for add in add_services:
        add(monitor, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=1).wait()
        executor.shutdown()
