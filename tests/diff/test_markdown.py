"""The report of a pull request: what comes first, what is cut and what never is, and that names stay names."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from components.derivation.diff import About, Change, Difference, Row
from lockstep.access_report.markdown_report import code, marker, render_markdown
from lockstep.access_report.report import Report, StackReport
from lockstep.access_report.text_report import render_text
from tests.diff.documents import secret

ROW = re.compile(r"^\| [-+~] \|.*`([0-9a-f]{16})`", re.MULTILINE)


def row(number: int, app: str = "shop") -> Row:
    return Row(
        environment="prod",
        app=app,
        about=About.READ,
        change=Change.GAINED,
        parts=(secret(f"prod/secret-{number:05}-??????", region=""),),
        regions=("eu-west-1",),
        after=("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
        why=("policy secrets, statement ReadSecrets",),
    )


def report(rows: int, *, app: str = "shop", stack: str = "prod") -> tuple[Report, StackReport]:
    difference = Difference(environment="prod", rows=tuple(row(number, app) for number in range(rows)))
    found = StackReport(stack=stack, difference=difference)
    return Report(project="lockstep", stacks=(found,)), found


def test_the_order_is_marker_diagnostics_sentences_table_plan() -> None:
    whole, stack = report(2)
    (page,) = render_markdown(whole, stack, first=["**The preview failed.**"], plan=["### Resources", "- create x"])
    places = [
        page.index(text)
        for text in ("<!-- lockstep", "**The preview failed", "### Access", "- **+** app", "<details>", "### Resources")
    ]
    assert places == sorted(places)
    assert places[0] == 0


@pytest.mark.parametrize("rows", [0, 1, 60, 500, 2000])
def test_no_page_is_too_long_and_no_row_is_ever_cut(rows: int) -> None:
    whole, stack = report(rows)
    pages = render_markdown(whole, stack, plan=[f"- create {n}" for n in range(5000)], limit=20_000)
    assert all(len(page) <= 20_000 for page in pages)
    assert [digest for page in pages for digest in ROW.findall(page)] == [item.identity for item in whole.rows]
    assert [page.splitlines()[0] for page in pages] == [marker("lockstep", "prod", n + 1) for n in range(len(pages))]


def test_the_plan_goes_before_the_columns_of_detail() -> None:
    whole, stack = report(10)
    long_plan = [f"- create {n}" for n in range(5000)]
    (page,) = render_markdown(whole, stack, plan=long_plan, limit=10_000)
    assert "why allowed" in page
    assert "The plan of the resources is left out: it has 5000 lines." in page
    (page,) = render_markdown(whole, stack, plan=long_plan, limit=3_000)
    assert "why allowed" not in page


HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "`code`",
    "@everyone",
    "</details>",
    "--> <!--",
    "[x](https://evil.example)",
    "![x](https://evil.example/pixel.png)",
    "line\nbreak",
    "\u202egnp.exe",
    "\x1b[2J",
    "**bold**",
    "#1",
]


class Tags(HTMLParser):
    """Collects what a browser would see as tags."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002, D102 - the base's
        self.seen.add(tag)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_markup(name: str) -> None:
    whole, stack = report(1, app=name, stack=name)
    (page,) = render_markdown(whole, stack)
    tags = Tags()
    tags.feed(page)
    assert tags.seen <= {"details", "summary", "code", "br"}
    assert page.count("<!--") == page.count("-->") == 1
    assert page.count("</details>") == 1
    outside = re.sub(r"<code>.*?</code>|`[^`\n]*`", "", page)
    for text in ("@everyone", "](", "alert(1)", "\u202e", "\x1b"):
        assert text not in outside
    table = [line for line in page.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in table} == {12}, "a name adds no column"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_controls_no_terminal(name: str) -> None:
    text = render_text(report(1, app=name, stack=name)[0])
    assert all(char.isprintable() or char == "\n" for char in text)
    assert len(text.splitlines()) == len(render_text(report(1)[0]).splitlines())


def test_markers_tell_projects_and_stacks_apart() -> None:
    keys = [("a", "b"), ("a", "b/c"), ("a/b", "c"), ("a", "b c"), ("a", "b-->c"), ("a", "bc")]
    assert len({marker(*key) for key in keys}) >= len(keys) - 1
    assert all(re.fullmatch(r"<!-- lockstep:access:[A-Za-z0-9._/-]+:1 -->", marker(*key)) for key in keys)


def test_code_keeps_what_needs_no_escape_readable() -> None:
    assert code("prod/payments/db") == "`prod/payments/db`"
    assert code("a|b") == "<code>a&#124;b</code>"
