"""The access graph: apps, owners, secrets and parameters, accounts and nodes, and who reads, owns, holds and runs what.

A `reads` edge stands only where the evaluator says that the app can read. The graph has one canonical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..spec import Store
from .inventory import ObjectId
from .questions import Answers, ReadAnswer


class VertexKind(StrEnum):
    """What a vertex stands for, in the order in which they are drawn."""

    NODE = "node"
    OWNER = "owner"
    APP = "app"
    SECRET = "secret"  # noqa: S105 - a kind of vertex
    PARAMETER = "parameter"
    ACCOUNT = "account"


class EdgeKind(StrEnum):
    """What an edge says, from its source to its target."""

    RUNS = "runs"
    OWNS = "owns"
    READS = "reads"
    HELD_BY = "held by"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Vertex:
    """One thing. `id` is unique in the graph; `detail` is one line about it, "" for none."""

    stack: str
    kind: VertexKind
    label: str
    detail: str = ""

    @property
    def id(self) -> str:
        """Unique in the graph."""
        return f"{self.stack}/{self.kind}/{self.label}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edge:
    """One relation; `regions` and `places` (of the spec) are of a read."""

    source: str
    target: str
    kind: EdgeKind
    regions: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGraph:
    """Vertices and edges, sorted, each once."""

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]


def access_graph(stacks: Mapping[str, Answers], nodes: Mapping[str, Iterable[str]] | None = None) -> AccessGraph:
    """Build the graph.

    Args:
        stacks: Name of a stack → its answers.
        nodes: Name of a node → apps that run on it; an app that a stack does not have is left out there.
    """
    vertices: set[Vertex] = set()
    edges: set[Edge] = set()
    for stack, answers in stacks.items():
        for vertex_or_edge in _of_stack(stack, answers, nodes or {}):
            if isinstance(vertex_or_edge, Vertex):
                vertices.add(vertex_or_edge)
            else:
                edges.add(vertex_or_edge)
    order = list(VertexKind)
    return AccessGraph(
        vertices=tuple(sorted(vertices, key=lambda vertex: (vertex.stack, order.index(vertex.kind), vertex.label))),
        edges=tuple(sorted(edges)),
    )


def _of_stack(stack: str, answers: Answers, nodes: Mapping[str, Iterable[str]]) -> Iterator[Vertex | Edge]:
    environment = answers.fleet.environment
    for app in answers.fleet.apps:
        who = f"{app.namespace}/{app.service_account}, {app.identity}, {app.reader_arn}"
        vertex = Vertex(stack=stack, kind=VertexKind.APP, label=str(app.app), detail=who)
        yield vertex
        if app.owner:
            yield from _owned(stack, app.owner, vertex)
        for answer in answers.what_reads(app.app):
            if not answer.is_denied:
                yield from _read(stack, answers, vertex, answer)
        for node, apps in nodes.items():
            if app.app in set(apps):
                runner = Vertex(
                    stack=stack, kind=VertexKind.NODE, label=node, detail=f"of cluster {environment.cluster}"
                )
                yield runner
                yield Edge(source=runner.id, target=vertex.id, kind=EdgeKind.RUNS)


def _owned(stack: str, owner: str, vertex: Vertex) -> Iterator[Vertex | Edge]:
    owning = Vertex(stack=stack, kind=VertexKind.OWNER, label=owner)
    yield owning
    yield Edge(source=owning.id, target=vertex.id, kind=EdgeKind.OWNS)


def _read(stack: str, answers: Answers, app: Vertex, answer: ReadAnswer) -> Iterator[Vertex | Edge]:
    item = answer.item
    vertex = _object_vertex(stack, answers, item)
    yield vertex
    regions = dict.fromkeys(region.item.region for region in answer.regions if region.passes)
    places = tuple(f"{spot.source}:{spot.line}" for spot in answer.spots)
    yield Edge(source=app.id, target=vertex.id, kind=EdgeKind.READS, regions=tuple(regions), places=places)
    for owner in answers.inventory.owners(item):
        yield from _owned(stack, owner, vertex)
    account = Vertex(stack=stack, kind=VertexKind.ACCOUNT, label=item.account)
    yield account
    yield Edge(source=vertex.id, target=account.id, kind=EdgeKind.HELD_BY)


def _object_vertex(stack: str, answers: Answers, item: ObjectId) -> Vertex:
    kind = VertexKind.SECRET if item.store is Store.SECRETS_MANAGER else VertexKind.PARAMETER
    # Two accounts may hold one name.
    label = item.shown if item.account == answers.fleet.environment.account else f"{item.shown} of {item.account}"
    keys = answers.inventory.keys_anywhere(item)
    return Vertex(stack=stack, kind=kind, label=label, detail=f"key {', '.join(keys)}" if keys else "key of AWS")
