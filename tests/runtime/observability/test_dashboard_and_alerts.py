"""The dashboard and the alert rules use what the provider exports, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from provider_runtime.errors import Culprit
from tests.fakes.daemons import REPOSITORY
from tests.runtime.observability.exported import exported_metrics, query_names

_FOLDER = REPOSITORY / "provider_runtime" / "observability"
DASHBOARD: dict[str, Any] = json.loads((_FOLDER / "dashboard.json").read_text(encoding="utf-8"))
RULES: dict[str, Any] = yaml.safe_load((_FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
_METRIC = re.compile(r"\b(?:lockstep_provider|process)_[a-z0-9_]+")
_MATCHER = re.compile(r"([a-z_]+)(=~|!=|=)\"([^\"]*)\"")
_GROUPING = re.compile(r"\bby \(([^)]*)\)")
_OF_THE_SCRAPE = {"instance", "le"}


def _alerts() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def _queries() -> list[tuple[str, str]]:
    panels = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return panels + [(rule["alert"], rule["expr"]) for rule in _alerts()]


@pytest.mark.parametrize(("title", "query"), _queries())
def test_every_metric_and_label_of_a_query_is_exported(title: str, query: str) -> None:
    known = {name: metric for base, metric in exported_metrics().items() for name in query_names(base, metric.kind)}
    names = set(_METRIC.findall(query))
    assert names, title
    assert names <= set(known)
    labels = {label for name in names for label in known[name].labels} | _OF_THE_SCRAPE
    used = {label for label, _, _ in _MATCHER.findall(query)}
    used |= {label.strip() for group in _GROUPING.findall(query) for label in group.split(",")}
    assert used <= labels


@pytest.mark.parametrize(("title", "query"), _queries())
def test_the_texts_of_a_query_are_values_that_occur(title: str, query: str) -> None:
    del title
    known: dict[str, set[str]] = {
        "culprit": set(Culprit),
        "kind": {"fresh", "shared", "stale", "miss"},
        "outcome": {"ok", *Culprit},
    }
    for label, _, value in _MATCHER.findall(query):
        assert label not in known or value in known[label], f"{label}={value}"


@pytest.mark.parametrize(("title", "query"), _queries())
def test_parentheses_and_quotes_of_a_query_are_closed(title: str, query: str) -> None:
    del title
    for opening, closing in ("()", "{}", "[]"):
        assert query.count(opening) == query.count(closing)
    assert query.count('"') % 2 == 0


@pytest.mark.parametrize(("title", "query"), _queries())
def test_counters_are_read_as_rates_and_gauges_as_they_are(title: str, query: str) -> None:
    """The rate of a gauge and the plain sum of a counter are the two mistakes that no parser finds."""
    del title
    for found in _METRIC.finditer(query):
        is_rated = query[: found.start()].endswith(("rate(", "increase("))
        assert is_rated is found.group().endswith(("_total", "_bucket", "_sum", "_count"))


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {name for title, query in _queries() for name in _METRIC.findall(query)}
    for base, metric in exported_metrics().items():
        if base.startswith("lockstep_"):
            assert shown & set(query_names(base, metric.kind)), f"{base} is shown nowhere"


@pytest.mark.parametrize("rule", _alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_how_bad_it_is_and_what_it_means(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_names_are_unique() -> None:
    for names in ([rule["alert"] for rule in _alerts()], [panel["id"] for panel in DASHBOARD["panels"]]):
        assert len(names) == len(set(names))


def test_no_data_source_of_somebody_is_baked_in() -> None:
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${datasource}"}
