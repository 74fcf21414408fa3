"""The access graph as one HTML page: no network, no library, filters by stack, app, owner and secret.

The page carries a content security policy that allows its own script by hash and nothing else, so that a page with the
names of all secrets cannot send them anywhere. The data stands in it as JSON, where no `<` can end the element.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from components.derivation.answers.graph import AccessGraph

_SCRIPT_START, _SCRIPT_END = "<script>", "</script>"
_DATA, _HASH = "__DATA__", "__SCRIPT_HASH__"


def page(graph: AccessGraph) -> str:
    """Return the whole page."""
    template = files("lockstep.access_map").joinpath("page.html").read_text(encoding="utf-8")
    script = template.split(_SCRIPT_START, 1)[1].split(_SCRIPT_END, 1)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.replace(_HASH, f"'sha256-{digest}'").replace(_DATA, _embedded(graph))


def graph_json(graph: AccessGraph) -> dict[str, object]:
    """Return the graph as data."""
    return {
        "vertices": [
            {
                "id": vertex.id,
                "stack": vertex.stack,
                "kind": vertex.kind.value,
                "label": vertex.label,
                "detail": vertex.detail or None,
            }
            for vertex in graph.vertices
        ],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "kind": edge.kind.value,
                "regions": list(edge.regions),
                "places": list(edge.places),
            }
            for edge in graph.edges
        ],
    }


def _embedded(graph: AccessGraph) -> str:
    text = json.dumps(graph_json(graph), ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
