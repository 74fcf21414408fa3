"""The access graph and its drawings: every relation is there once, any name is only text, and the page needs nothing.

The page is also opened in a real browser where `chromium` is on the path; its filters are set through the address.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from components.derivation.answers import Answers
from components.derivation.answers.graph import AccessGraph, Edge, EdgeKind, Vertex, VertexKind, access_graph
from lockstep.__main__ import main
from lockstep.access_map.diagrams import dot, mermaid
from lockstep.access_map.page import graph_json, page
from lockstep.exit_codes import ExitCode
from lockstep.project import load_project
from tests.fakes.patience import PATIENCE_SECONDS

HOSTILE = 'a"b\\c<d>#e</script><img src=x onerror=alert(1)>\u2028`${x}`'


@pytest.fixture(scope="module")
def graph(project: Path) -> AccessGraph:
    """Return the graph of the example stacks."""
    stacks = load_project(project).all_stacks()
    return access_graph({one.name: Answers(one.fleet()) for one in stacks}, {"general": ["payments", "mailer"]})


def hostile_graph() -> AccessGraph:
    app = Vertex(stack="s", kind=VertexKind.APP, label=HOSTILE, detail=HOSTILE)
    item = Vertex(stack="s", kind=VertexKind.SECRET, label="plain")
    return AccessGraph(vertices=(app, item), edges=(Edge(source=app.id, target=item.id, kind=EdgeKind.READS),))


# ---------------------------------------------------------------------------------------------------------------- graph


def test_every_relation_joins_two_things_of_the_graph(graph: AccessGraph) -> None:
    ids = [vertex.id for vertex in graph.vertices]
    assert len(ids) == len(set(ids))
    assert all(edge.source in ids and edge.target in ids for edge in graph.edges)
    assert {vertex.kind for vertex in graph.vertices} == set(VertexKind)
    assert {edge.kind for edge in graph.edges} == set(EdgeKind)


def test_reads_are_exactly_what_the_answers_allow(graph: AccessGraph, project: Path) -> None:
    answers = Answers(load_project(project).stack("prod").fleet())
    expected = {
        (f"prod/app/{app.app}", answer.item.shown)
        for app in answers.fleet.apps
        for answer in answers.what_reads(app.app)
    }
    labels = {vertex.id: vertex.label for vertex in graph.vertices}
    drawn = {(e.source, labels[e.target]) for e in graph.edges if e.kind is EdgeKind.READS and e.source[:5] == "prod/"}
    assert drawn == expected
    (mount,) = [
        edge for edge in graph.edges if edge.source == "prod/app/payments" and edge.target.endswith("payments/db")
    ]
    assert mount.regions == ("eu-west-1", "us-west-2")
    assert [place.rsplit(":", 1)[0].endswith("payments.yaml") for place in mount.places] == [True]


def test_a_node_runs_only_apps_that_the_stack_has(graph: AccessGraph, project: Path) -> None:
    runs = [edge.target for edge in graph.edges if edge.kind is EdgeKind.RUNS and edge.source == "dev/node/general"]
    assert runs == ["dev/app/mailer", "dev/app/payments"]
    answers = Answers(load_project(project).stack("dev").fleet())
    assert VertexKind.NODE not in {vertex.kind for vertex in access_graph({"dev": answers}, {"x": ["none"]}).vertices}


# -------------------------------------------------------------------------------------------------- Mermaid, DOT, JSON


@pytest.mark.parametrize("hostile", [False, True])
def test_mermaid_has_every_thing_and_relation_once(graph: AccessGraph, *, hostile: bool) -> None:
    drawn = hostile_graph() if hostile else graph
    lines = mermaid(drawn).splitlines()
    assert lines[0] == "flowchart LR"
    vertices = [line for line in lines if re.fullmatch(r'    v\d+\W+"[^"<>]*"\W+:::is-[a-z]+', line)]
    edges = [line for line in lines if re.fullmatch(r'  v\d+ -->\|"[^"<>]*"\| v\d+', line)]
    assert (len(vertices), len(edges)) == (len(drawn.vertices), len(drawn.edges))
    rest = [line for line in lines[1:] if line not in vertices and line not in edges]
    assert all(re.fullmatch(r'  (subgraph s\d+ \["[^"]*"\]|end|classDef is-\S+ \S+)', line) for line in rest)


@pytest.mark.parametrize("hostile", [False, True])
def test_dot_has_every_thing_and_relation_once(graph: AccessGraph, *, hostile: bool) -> None:
    drawn = hostile_graph() if hostile else graph
    text = dot(drawn)
    quoted = r'"(?:[^"\\]|\\.)*"'
    assert len(re.findall(rf"^    {quoted} \[label=", text, re.MULTILINE)) == len(drawn.vertices)
    assert len(re.findall(rf"^  {quoted} -> {quoted} \[label={quoted}\];$", text, re.MULTILINE)) == len(drawn.edges)
    outside = re.sub(quoted, "", text)
    assert outside.count("{") == outside.count("}")
    assert '"' not in outside, "every quote is part of a quoted text"


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz (dot) is not on the path")
def test_graphviz_reads_the_dot_text(graph: AccessGraph) -> None:
    for drawn in (graph, hostile_graph()):
        subprocess.run(
            ["dot", "-Tplain"],  # noqa: S607
            input=dot(drawn),
            text=True,
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )


# ------------------------------------------------------------------------------------------------------- the HTML page


def data_of(text: str) -> dict[str, list[dict[str, object]]]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match
    data: dict[str, list[dict[str, object]]] = json.loads(match[1])
    return data


def test_the_page_holds_the_whole_graph_and_loads_nothing(graph: AccessGraph) -> None:
    text = page(graph)
    assert data_of(text) == json.loads(json.dumps(graph_json(graph)))
    code = re.sub(r'(id="data">).*?(</script>)', r"\1\2", text, flags=re.DOTALL)
    assert set(re.findall(r"(?:https?:)?//[A-Za-z0-9./-]+", code)) == {"http://www.w3.org/2000/svg"}, "SVG's namespace"
    assert not re.search(
        r"<(?:link|img|iframe|object|embed|base)\b|\bsrc=|@import|url\(|fetch\(|XMLHttp|WebSocket", code
    )
    assert "__" not in re.sub(r'"[^"]*"', "", text), "no placeholder is left"


def test_the_page_allows_its_own_script_only() -> None:
    text = page(hostile_graph())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", policy[1])
    assert text.count("<script") == 2, "the data and the script, nothing that a name brought"
    assert data_of(text)["vertices"][0]["label"] == HOSTILE


class Browser:
    """A headless Chromium that opens a page and returns the document as the script left it."""

    def __init__(self, program: str, profile: Path) -> None:
        self._program, self._profile = program, profile

    def open(self, path: Path, **filters: str) -> str:
        """Return the document; filters stand in the address."""
        result = subprocess.run(  # noqa: S603 - the browser of the machine, and our own file
            [
                self._program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                f"--user-data-dir={self._profile}",
                "--virtual-time-budget=2000",
                "--dump-dom",
                f"file://{path}#{urlencode(filters)}",
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        return result.stdout


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not on the path (Debian: apt-get install chromium)")
    return Browser(program, tmp_path_factory.mktemp("profile"))


def rows(document: str) -> list[list[str]]:
    body = re.search(r'<tbody id="rows">(.*?)</tbody>', document, re.DOTALL)
    assert body
    return [
        [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    ]


def test_a_browser_draws_and_lists_every_read(browser: Browser, graph: AccessGraph, tmp_path: Path) -> None:
    (tmp_path / "map.html").write_text(page(graph), encoding="utf-8")
    document = browser.open(tmp_path / "map.html")
    reads = [edge for edge in graph.edges if edge.kind is EdgeKind.READS]
    assert 'data-ready="true"' in document
    assert len(rows(document)) == len(reads)
    assert document.count('class="reads"') == len(reads)
    assert len(re.findall(r'<g class="vertex ', document)) == len(graph.vertices)
    assert f"{len(reads)} of {len(reads)} reads</output>" in document


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"stack": "prod", "app": "mailer"}, {"prod mailer prod/shared/smtp", "prod mailer /prod/mailer/templates"}),
        ({"stack": "prod", "secret": "SMTP"}, {"prod mailer prod/shared/smtp", "prod payments prod/shared/smtp"}),
        ({"stack": "dev", "owner": "messaging", "app": "payments"}, {"dev payments dev/shared/smtp"}),
        ({"secret": "no such name"}, set()),
    ],
)  # fmt: skip
def test_filters_leave_what_fits(
    browser: Browser, graph: AccessGraph, tmp_path: Path, filters: dict[str, str], expected: set[str]
) -> None:
    (tmp_path / "map.html").write_text(page(graph), encoding="utf-8")
    document = browser.open(tmp_path / "map.html", **filters)
    assert {" ".join(row[:3]) for row in rows(document)} == expected
    assert document.count('class="reads"') == len(expected)


def test_a_hostile_name_stays_text_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "map.html").write_text(page(hostile_graph()), encoding="utf-8")
    document = browser.open(tmp_path / "map.html")
    assert 'data-ready="true"' in document
    assert rows(document)[0][1] == HOSTILE
    assert "<img" not in re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)


def test_too_many_reads_are_listed_in_part_and_not_drawn(browser: Browser, tmp_path: Path) -> None:
    apps = [Vertex(stack="s", kind=VertexKind.APP, label=f"app-{number}") for number in range(50)]
    items = [Vertex(stack="s", kind=VertexKind.SECRET, label=f"item-{number}") for number in range(50)]
    edges = [Edge(source=app.id, target=item.id, kind=EdgeKind.READS) for app in apps for item in items]
    big = AccessGraph(vertices=(*apps, *items), edges=tuple(edges))
    (tmp_path / "map.html").write_text(page(big), encoding="utf-8")
    document = browser.open(tmp_path / "map.html")
    assert "2500 reads are too many to draw" in document
    assert len(rows(document)) == 2_000
    assert browser.open(tmp_path / "map.html", app="app-7").count('class="reads"') == 50


# ------------------------------------------------------------------------------------------------------------- the verb


def test_the_verb_prints_every_format_and_writes_a_file(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    starts = {"mermaid": "flowchart LR", "dot": "digraph access {", "html": "<!doctype html>", "json": "{"}
    for form, start in starts.items():
        assert main(["map", "--stack", "prod", "--format", form]) == ExitCode.FINE
        text = capsys.readouterr().out
        assert text.startswith(start)
        assert "prod/payments/db" in text
        output = tmp_path / f"map.{form}"
        assert main(["map", "--stack", "prod", "--format", form, "--output", str(output)]) == ExitCode.FINE
        assert output.read_text(encoding="utf-8") == text
        assert "relations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--node", "general"], ExitCode.WRONG_USAGE, "--node is NAME=APP,APP"),
        (["--node", "general=zzz"], ExitCode.INVALID_INPUT, "there is no app 'zzz'"),
        (["--output", "/nowhere/at/all"], ExitCode.INVALID_INPUT, "/nowhere/at/all"),
        (["--format", "png"], ExitCode.WRONG_USAGE, "png"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    code: ExitCode,
    text: str,
) -> None:
    monkeypatch.chdir(project)
    assert main(["map", *arguments]) == code
    assert text in capsys.readouterr().err
