r"""The access graph as Mermaid flowchart and as DOT, one cluster per stack.

Sources: Mermaid flowchart syntax (quoted labels, `#quot;` for a quote); Graphviz DOT language (quoted ids, `\"`).
"""

from __future__ import annotations

from collections.abc import Iterator

from components.derivation.answers.graph import AccessGraph, Edge, EdgeKind, Vertex, VertexKind

#: Opening and closing bracket of a shape in Mermaid, shape in DOT, fill colour in both.
_SHAPES = {
    VertexKind.NODE: ("[[", "]]", "box3d", "#e8eaf6"),
    VertexKind.OWNER: ("([", "])", "ellipse", "#fff3e0"),
    VertexKind.APP: ("[", "]", "box", "#e3f2fd"),
    VertexKind.SECRET: ("[(", ")]", "cylinder", "#fce4ec"),
    VertexKind.PARAMETER: ("[/", "/]", "parallelogram", "#f3e5f5"),
    VertexKind.ACCOUNT: ("{{", "}}", "hexagon", "#e8f5e9"),
}


def mermaid(graph: AccessGraph) -> str:
    """Return a flowchart that ends in a newline."""
    names = {vertex.id: f"v{number}" for number, vertex in enumerate(graph.vertices)}
    lines = ["flowchart LR"]
    for number, (stack, vertices) in enumerate(_by_stack(graph)):
        lines.append(f"  subgraph s{number} [{_mermaid_text(stack)}]")
        for vertex in vertices:
            opening, closing, *_ = _SHAPES[vertex.kind]
            label = _mermaid_text(vertex.label)
            lines.append(f"    {names[vertex.id]}{opening}{label}{closing}:::is-{vertex.kind}")
        lines.append("  end")
    lines += [
        f"  {names[edge.source]} -->|{_mermaid_text(_edge_label(edge))}| {names[edge.target]}" for edge in graph.edges
    ]
    # Mermaid marks every vertex with the class `node`, so that a class of that name would colour all of them.
    lines += [f"  classDef is-{kind} fill:{colour},stroke:#455a64,color:#000" for kind, (*_, colour) in _SHAPES.items()]
    return "\n".join(lines) + "\n"


def dot(graph: AccessGraph) -> str:
    """Return a directed graph that ends in a newline."""
    lines = ["digraph access {", "  rankdir=LR;", '  node [style=filled, fontname="sans-serif"];']
    for number, (stack, vertices) in enumerate(_by_stack(graph)):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_dot_text(stack)};"]
        for vertex in vertices:
            *_, shape, colour = _SHAPES[vertex.kind]
            attributes = [
                f"label={_dot_text(vertex.label)}",
                f"shape={shape}",
                f"fillcolor={_dot_text(colour)}",
                f"tooltip={_dot_text(vertex.detail or vertex.kind)}",
            ]
            lines.append(f"    {_dot_text(vertex.id)} [{', '.join(attributes)}];")
        lines.append("  }")
    lines += [
        f"  {_dot_text(edge.source)} -> {_dot_text(edge.target)} [label={_dot_text(_edge_label(edge))}];"
        for edge in graph.edges
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _by_stack(graph: AccessGraph) -> Iterator[tuple[str, list[Vertex]]]:
    for stack in dict.fromkeys(vertex.stack for vertex in graph.vertices):
        yield stack, [vertex for vertex in graph.vertices if vertex.stack == stack]


def _edge_label(edge: Edge) -> str:
    return f"reads in {', '.join(edge.regions)}" if edge.kind is EdgeKind.READS and edge.regions else edge.kind.value


def _mermaid_text(text: str) -> str:
    line = "".join(char if char.isprintable() else " " for char in text)  # a label ends with its line
    escaped = line.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    return f'"{escaped}"'


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
