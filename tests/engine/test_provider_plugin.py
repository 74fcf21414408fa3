"""The bridge between the real engine and our providers: each verb over real gRPC, with the toy provider behind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lockstep.engine.values import UNKNOWN, Json, dump_struct, parse_struct
from tests.engine.memory_provider import MemoryProvider
from tests.pulumi_cli.provider_plugin import ProviderPlugin

URN = "urn:pulumi:dev::proj::toy:index:Shelf$toy:index:Box::a"


@pytest.fixture
def toy() -> MemoryProvider:
    return MemoryProvider()


@pytest.fixture
def plugin(toy: MemoryProvider) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """Serve the toy provider as a plugin and return a client of it."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProviderPlugin("toy", toy), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(grace=None).wait()


def test_an_object_lives_from_check_to_delete(
    plugin: provider_pb2_grpc.ResourceProviderStub, toy: MemoryProvider
) -> None:
    inputs: dict[str, Json] = {"label": "a", "place": "here"}
    news = dump_struct(inputs)
    checked = plugin.Check(provider_pb2.CheckRequest(urn=URN, news=news))
    assert parse_struct(checked.inputs) == inputs
    assert not checked.failures

    planned = plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=news, preview=True))
    assert (planned.id, parse_struct(planned.properties)) == ("", {**inputs, "serial": UNKNOWN})
    assert toy.objects == {}

    made = plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=news))
    assert (made.id, parse_struct(made.properties)) == ("box-1", {**inputs, "serial": 1})
    read = plugin.Read(provider_pb2.ReadRequest(id="box-1", urn=URN, inputs=news))
    assert (read.id, parse_struct(read.properties), parse_struct(read.inputs)) == (
        "box-1",
        {**inputs, "serial": 1},
        inputs,
    )
    assert plugin.Read(provider_pb2.ReadRequest(id="box-9", urn=URN)).id == ""

    changed = dump_struct({**inputs, "label": "b"})
    update = provider_pb2.UpdateRequest(id="box-1", urn=URN, olds=made.properties, news=changed)
    update.preview = True
    assert parse_struct(plugin.Update(update).properties)["serial"] == 1
    assert toy.objects["box-1"]["label"] == "a"
    update.preview = False
    assert parse_struct(plugin.Update(update).properties) == {"label": "b", "place": "here", "serial": 1}
    plugin.Delete(provider_pb2.DeleteRequest(id="box-1", urn=URN, properties=made.properties))
    assert toy.objects == {}


def test_a_diff_says_what_changes_how_and_whether_the_object_is_replaced(
    plugin: provider_pb2_grpc.ResourceProviderStub, toy: MemoryProvider
) -> None:
    toy.delete_before_replace = True
    old = dump_struct({"label": "a", "place": "here", "note": "n"})

    def diff(news: dict[str, Json]) -> provider_pb2.DiffResponse:
        answer: provider_pb2.DiffResponse = plugin.Diff(
            provider_pb2.DiffRequest(id="box-1", urn=URN, old_inputs=old, news=dump_struct(news))
        )
        return answer

    same = diff({"label": "a", "place": "here", "note": "n"})
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    moved = diff({"label": "b", "place": "there"})
    assert moved.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(moved.replaces) == ["place"]
    assert moved.deleteBeforeReplace
    assert {path: (item.kind, item.inputDiff) for path, item in moved.detailedDiff.items()} == {
        "label": (provider_pb2.PropertyDiff.UPDATE, True),
        "note": (provider_pb2.PropertyDiff.DELETE, True),
        "place": (provider_pb2.PropertyDiff.UPDATE_REPLACE, True),
    }


def test_refusals_reach_the_engine_in_the_providers_own_words(plugin: provider_pb2_grpc.ResourceProviderStub) -> None:
    failed = plugin.Check(provider_pb2.CheckRequest(urn=URN, news=dump_struct({"lable": "a"})))
    assert [(item.property, item.reason) for item in failed.failures] == [("lable", "is no input")]
    with pytest.raises(grpc.RpcError, match="cannot make a broken box"):
        plugin.Create(provider_pb2.CreateRequest(urn=URN, properties=dump_struct({"label": "broken"})))
    with pytest.raises(grpc.RpcError, match="works here, not elsewhere"):
        plugin.Configure(provider_pb2.ConfigureRequest(args=dump_struct({"place": "elsewhere"})))
    with pytest.raises(grpc.RpcError, match="cannot make toy:index:Bed"):
        plugin.Check(provider_pb2.CheckRequest(urn=URN.replace("Box", "Bed"), news=dump_struct({})))
    with pytest.raises(grpc.RpcError, match="does not answer toy:index:fly"):
        plugin.Invoke(provider_pb2.InvokeRequest(tok="toy:index:fly"))


def test_settings_are_taken_and_functions_answered(
    plugin: provider_pb2_grpc.ResourceProviderStub, toy: MemoryProvider
) -> None:
    settings = dump_struct({"place": "here"})
    assert parse_struct(plugin.CheckConfig(provider_pb2.CheckRequest(news=settings)).inputs) == {"place": "here"}
    diff = plugin.DiffConfig(provider_pb2.DiffRequest(old_inputs=settings, news=dump_struct({"place": "there"})))
    assert list(diff.diffs) == ["place"]
    assert not diff.replaces
    configured = plugin.Configure(provider_pb2.ConfigureRequest(args=settings))
    assert configured.supportsPreview
    assert not configured.acceptSecrets
    assert toy.settings == [{"place": "here"}]
    request = provider_pb2.InvokeRequest(tok="toy:index:weigh", args=dump_struct({"label": "a"}))
    assert parse_struct(getattr(plugin.Invoke(request), "return")) == {"grams": 7, "of": "a"}
    plugin.GetPluginInfo(Empty())
    plugin.Cancel(Empty())
