"""Serves a provider of the embedded engine as a plugin of the real one, so that both engines place with the same code.

Not done here: any resource (`AwsProvider`, `KubernetesManifests`). Done here: Pulumi's provider protocol in front of
one `ResourceProvider`. What no case needs (Construct, Call, Parameterize, mappings) stays unimplemented: the
engine tolerates that or reports it by name.

The plugin takes no secrets: the engine then reveals them on the way in and marks them again on the way out, which is
what the embedded engine does, too.

Source: pulumi `proto/pulumi/provider.proto`, as generated in the SDK (`pulumi.runtime.proto`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lockstep.engine.resource_provider import ProviderError, ProviderObject, ResourceDiff, ResourceProvider
from lockstep.engine.values import Properties, UnsupportedValueError, diff_properties, dump_struct, parse_struct
from tests.pulumi_cli.plugin_process import serve_until_orphaned

_DIFF_KINDS: Final = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class ProviderPlugin(provider_pb2_grpc.ResourceProviderServicer):
    """One plugin process's service. Method names are the protocol's."""

    def __init__(self, package: str, provider: ResourceProvider, settings: Sequence[str] = ()) -> None:
        """Take a provider, and the names of its settings that programs in YAML may use; each is a text."""
        self._package = package
        self._settings = settings
        self._provider = provider

    # ---------------------------------------------------------------------------------------------------- the plugin
    def Handshake(  # noqa: N802 - the protocol's name
        self,
        request: provider_pb2.ProviderHandshakeRequest,  # noqa: ARG002 - the protocol's signature
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Accept neither secrets nor resource references nor output values."""
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: ARG002, N802
        """Name no version: the plugin goes for whichever one the program asks for."""
        return plugin_pb2.PluginInfo()

    def GetSchema(  # noqa: N802
        self,
        request: provider_pb2.GetSchemaRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> provider_pb2.GetSchemaResponse:
        """Return a schema without resources: programs in YAML ask for the provider's settings, others for nothing."""
        settings = {"inputProperties": {name: {"type": "string"} for name in self._settings}}
        schema = {"name": self._package, "version": "0.0.0", "provider": settings}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Empty:  # noqa: ARG002, N802
        """Go on as before: a process that serves by itself has no use for the engine's address."""
        return Empty()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:  # noqa: ARG002, N802
        """Let running calls end: each of them is bounded."""
        return Empty()

    # -------------------------------------------------------------------------------------------------- configuration
    def CheckConfig(  # noqa: N802
        self,
        request: provider_pb2.CheckRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> provider_pb2.CheckResponse:
        """Take the settings as they are; `Configure` refuses what does not fit."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Compare settings; another setting never replaces the provider."""
        with _refusals(context):
            changes = diff_properties(parse_struct(request.old_inputs), parse_struct(request.news))
            return _diff_response(ResourceDiff(changes=changes))
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Hand the settings over, and ask for old inputs with diffs and deletions."""
        with _refusals(context):
            self._provider.configure(parse_struct(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    # ------------------------------------------------------------------------------------------------------ resources
    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:  # noqa: N802
        """Return the inputs and what is wrong with them."""
        with _refusals(context):
            problems = self._provider.check(_type_of(request.urn), parse_struct(request.news))
            failures = [provider_pb2.CheckFailure(property=item.property, reason=item.reason) for item in problems]
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:  # noqa: N802
        """Compare inputs with the last run's."""
        with _refusals(context):
            old, new = parse_struct(request.old_inputs), parse_struct(request.news)
            return _diff_response(self._provider.diff(_type_of(request.urn), old, new))
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:  # noqa: N802
        """Make the object; at preview say what is known of it."""
        with _refusals(context):
            resource_type, inputs = _type_of(request.urn), parse_struct(request.properties)
            if request.preview:
                planned = self._provider.plan(resource_type, inputs, {})
                return provider_pb2.CreateResponse(properties=dump_struct(planned))
            made = self._provider.create(resource_type, inputs)
            return provider_pb2.CreateResponse(id=made.id, properties=dump_struct(made.outputs))
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:  # noqa: N802
        """Look an object up; an empty answer means that there is none."""
        with _refusals(context):
            found = self._provider.read(_type_of(request.urn), request.id)
            if found is None:
                return provider_pb2.ReadResponse()
            properties = dump_struct(found.outputs)
            return provider_pb2.ReadResponse(id=found.id, properties=properties, inputs=request.inputs)
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:  # noqa: N802
        """Change the object; at preview say what is known of it."""
        with _refusals(context):
            resource_type, inputs = _type_of(request.urn), parse_struct(request.news)
            prior = ProviderObject(id=request.id, outputs=parse_struct(request.olds))
            if request.preview:
                outputs: Properties = self._provider.plan(resource_type, inputs, prior.outputs)
            else:
                outputs = self._provider.update(resource_type, prior, inputs).outputs
            return provider_pb2.UpdateResponse(properties=dump_struct(outputs))
        raise AssertionError("unreachable: _refusals ends every failed call")

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        """Remove the object."""
        with _refusals(context):
            prior = ProviderObject(id=request.id, outputs=parse_struct(request.properties))
            self._provider.delete(_type_of(request.urn), prior)
        return Empty()

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:  # noqa: N802
        """Answer a function."""
        response = provider_pb2.InvokeResponse()
        with _refusals(context):
            result = self._provider.invoke(request.tok, parse_struct(request.args))
            getattr(response, "return").CopyFrom(dump_struct(result))  # the field is called like a keyword
        return response


def serve_provider(package: str, provider: ResourceProvider, settings: Sequence[str] = ()) -> None:
    """Serve one provider as the process of a plugin; returns when the engine is gone."""
    serve_until_orphaned(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(
            ProviderPlugin(package, provider, settings), server
        )
    )


@contextmanager
def _refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """End a failed call with the provider's own sentence."""
    try:
        yield
    except (ProviderError, UnsupportedValueError) as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _type_of(urn: str) -> str:
    """Return the resource's own type; a URN has its parents' types before it."""
    return urn.split("::")[2].rpartition("$")[2]


def _diff_response(diff: ResourceDiff) -> provider_pb2.DiffResponse:
    detailed = {
        change.path: provider_pb2.PropertyDiff(
            kind=_DIFF_KINDS[change.kind.value, change.root in diff.replace_keys], inputDiff=True
        )
        for change in diff.changes
    }
    some = provider_pb2.DiffResponse.DIFF_SOME
    return provider_pb2.DiffResponse(
        changes=some if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=diff.replace_keys,
        diffs=sorted({change.root for change in diff.changes}),
        deleteBeforeReplace=diff.delete_before_replace,
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )
