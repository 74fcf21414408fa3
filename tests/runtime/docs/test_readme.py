"""provider_runtime/README.md says what the code does: each table of it equals what the code knows."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest

from provider_runtime import class_parameters, mount_request, object_drafts
from provider_runtime.config import FLAGS
from provider_runtime.errors import ErrorCode, culprit_of
from provider_runtime.kubernetes_events import REASON, REPEAT_SECONDS
from provider_runtime.limits import LIMITS
from provider_runtime.volume_health import QUIET_SECONDS
from tests.contract.differences import DIFFERENCES
from tests.fakes.daemons import REPOSITORY
from tests.runtime.observability.exported import exported_metrics

README = (REPOSITORY / "provider_runtime" / "README.md").read_text(encoding="utf-8")
_CELL = re.compile(r"(?<!\\)\|")
_LATER_PARAMETERS = ("csi.storage.k8s.io/", "secretProviderClass")


def table(heading: str) -> list[list[str]]:
    """Rows of the first table below a heading, as cells, without its head."""
    section = re.split(r"^#+ ", README.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) > 1, f"no table below {heading!r}"
    return [[cell.strip().replace("\\|", "|") for cell in _CELL.split(row)[1:-1]] for row in rows[1:]]


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_flag_is_there_with_its_kind_default_and_meaning() -> None:
    expected = [
        [f"`--{flag.name}`", flag.kind.value, f"`{flag.default}`" if flag.default else "empty", flag.help]
        for flag in FLAGS
    ]
    assert table("Flags") == expected


def test_every_error_code_is_there_with_its_name_and_culprit() -> None:
    expected = [[code.value, f"`{code.name}`", culprit_of(code).value] for code in ErrorCode]
    assert [row[:3] for row in table("Error catalogue")] == expected


@pytest.mark.parametrize("row", table("Error catalogue"), ids=lambda row: str(row[0]))
def test_every_error_code_has_a_cause_and_a_fix(row: list[str]) -> None:
    cause, fix = row[3:]
    assert len(cause) > 10
    assert cause.endswith((".", ")."))
    assert len(fix) > 6
    assert fix.endswith(".")


def test_every_error_code_is_used_by_the_code() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((REPOSITORY / "provider_runtime").glob("*.py"))
        if path.name not in {"errors.py", "limits.py"}
    )
    unused = [code.name for code in ErrorCode if f"ErrorCode.{code.name}" not in sources]
    assert not unused


def _read_parameters() -> set[str]:
    """The names that the request's parsers look up in the attributes, by their source."""
    names: set[str] = set()
    for module in (mount_request, class_parameters):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            is_lookup = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "get"
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "values"
            )
            if is_lookup and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
                names.add(str(node.args[0].value))  # type: ignore[attr-defined]
    return {name for name in names if not name.startswith(_LATER_PARAMETERS)}


def test_every_class_parameter_that_is_read_is_there_and_no_other() -> None:
    documented = [_codes(row[0])[0] for row in table("Class parameters")]
    assert len(documented) == len(set(documented))
    assert set(documented) == _read_parameters()


def test_every_object_key_that_is_read_is_there_and_no_other() -> None:
    rows = {_codes(row[0])[0]: row for row in table("Object keys")}
    assert set(rows) == set(object_drafts._OBJECT_FIELDS)
    assert set(object_drafts._KEY_FIELDS) <= set(_codes(rows["jmesPath"][2]))
    assert set(object_drafts._FAILOVER_FIELDS) <= set(_codes(rows["failoverObject"][2]))
    assert set(object_drafts._TEMPLATE_FIELDS) <= set(_codes(rows["template"][2]))


@pytest.mark.parametrize("heading", ["Class parameters", "Object keys"])
def test_it_says_whose_each_key_is(heading: str) -> None:
    assert {row[1] for row in table(heading)} == {"upstream", "ours"}


def test_every_metric_is_there_with_its_type_and_labels() -> None:
    documented = {_codes(row[0])[0]: (row[1], frozenset(_codes(row[2]))) for row in table("Metrics")}
    exported = {
        name: (metric.kind, metric.labels)
        for name, metric in exported_metrics().items()
        if not name.startswith("process_")
    }
    assert documented == exported


def test_every_limit_is_there_with_its_amount_unit_and_code() -> None:
    expected = [[one.subject, str(int(one.amount)), one.unit, one.code.value] for one in LIMITS]
    assert table("Limits") == expected


def test_every_table_ends_before_the_next_text_so_that_it_renders() -> None:
    lines = README.splitlines()
    for row, line in itertools.pairwise(lines):
        assert not (row.startswith("|") and line and not line.startswith("|")), line


def test_every_deliberate_difference_is_there_with_its_reason() -> None:
    expected = [[one.subject, one.ours, one.reason] for one in DIFFERENCES]
    assert table("Coming from AWS's provider") == expected


def test_the_numbers_in_the_prose_are_those_of_the_code() -> None:
    assert (QUIET_SECONDS, REPEAT_SECONDS) == (300.0, 600.0), "README: five minutes, ten minutes"
    assert REASON in README
    assert "LockstepSecretRefreshFailing" in (REPOSITORY / "provider_runtime/observability/alerts.yaml").read_text(
        encoding="utf-8"
    )


def test_every_path_that_it_names_exists() -> None:
    for name in re.findall(r"`((?:observability|tests)/[\w./-]+)`", README):
        places = (REPOSITORY / "provider_runtime" / name, REPOSITORY / name)
        assert any(place.exists() for place in places), name
