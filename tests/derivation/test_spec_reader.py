"""The strict reader: exactly the mistakes that are there, each at its line, and nothing else ever raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.derivation import SpecErrors, load_specs, parse_specs
from components.derivation.errors import CODES
from components.derivation.spec import Selector
from tests.derivation.mistakes import CATALOGUE, VALID, Mistake, plant
from tests.derivation.random_specs import SpecText, spec_texts

LAW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def found_in(text: str) -> list[tuple[int, str]]:
    with pytest.raises(SpecErrors) as caught:
        parse_specs(text, "app.yaml")
    return [(problem.spot.line, problem.code) for problem in caught.value.problems]


def codes_in(text: str) -> list[str]:
    """Return the codes of a text that may be valid; any other exception than SpecErrors fails the test."""
    try:
        parse_specs(text)
    except SpecErrors as errors:
        return [problem.code for problem in errors.problems]
    return []


@st.composite
def mistake_sets(draw: st.DrawFn) -> list[Mistake]:
    """Return mistakes at different places that the reader can judge together."""
    mistakes = draw(st.lists(st.sampled_from(CATALOGUE), unique_by=lambda item: item.place, min_size=1, max_size=12))
    if any(mistake.hides_files for mistake in mistakes):
        mistakes = [mistake for mistake in mistakes if not mistake.is_reference]
    return mistakes


@given(mistake_sets())
@LAW
def test_exactly_the_planted_mistakes_are_found_each_at_its_line(mistakes: list[Mistake]) -> None:
    text, expected = plant(mistakes)
    assert found_in(text) == expected


@pytest.mark.parametrize("mistake", CATALOGUE, ids=lambda item: f"{item.place}-{item.code}-{item.text.strip()}")
def test_each_mistake_is_found_alone(mistake: Mistake) -> None:
    text, expected = plant([mistake])
    assert found_in(text) == expected


@given(spec_texts(), mistake_sets())
@LAW
def test_mistakes_of_one_app_do_not_spread_to_another_in_the_same_file(spec: SpecText, mistakes: list[Mistake]) -> None:
    text, expected = plant(mistakes)
    valid = spec.text.replace(f"app: {spec.app!r}", "app: other-app", 1).replace(
        f"serviceAccount: {spec.app}-sa", "", 1
    )
    assert found_in(f"{text}---\n{valid}") == expected


@given(spec_texts())
@LAW
def test_a_valid_spec_has_no_problem(spec: SpecText) -> None:
    (app,) = parse_specs(spec.text)
    assert app.app == spec.app
    assert tuple(entry.name for entry in app.base.objects) == spec.names


@given(st.text(max_size=400))
@LAW
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    assert set(codes_in(text)) <= set(CODES)


@given(
    st.lists(
        st.sampled_from([text for _, text in VALID] + ["- - x", "? [a]", "<<: {a: b}", "!!python/x y", "&a b", "*a"])
    )
)
@LAW
def test_no_arrangement_of_lines_raises_anything_but_its_own_error(lines: list[str]) -> None:
    assert set(codes_in("\n".join(lines))) <= set(CODES)


def test_the_plain_catalogue_spec_is_valid() -> None:
    (spec,) = parse_specs(plant([])[0])
    assert sorted(spec.overlays) == ["dev", "prod"]
    assert spec.for_environment("prod").mount_path == "/mnt/prod"
    assert spec.for_environment("staging") is spec.base


def test_an_overlay_changes_the_entry_of_the_same_name_and_adds_others() -> None:
    (spec,) = parse_specs(
        "version: 1\napp: a\nnamespace: a\nsecrets:\n  - {name: x, file: x.json, mode: '0400'}\n"
        "parameters:\n  - {name: /p, version: 3}\n"
        "environments:\n  prod:\n    secrets:\n      - {name: x, mode: '0440'}\n      - {name: y}\n"
        "    parameters:\n      - {name: /p, label: blue}\n"
    )
    prod = spec.for_environment("prod").objects
    assert [(entry.name, entry.file, entry.mode) for entry in prod[:2]] == [
        ("x", "x.json", "0440"),
        ("y", None, "0644"),
    ]
    assert prod[2].selector == Selector(label="blue")
    assert [entry.mode for entry in spec.base.objects] == ["0400", "0644"]


def test_a_problem_that_only_an_overlay_makes_is_reported_at_the_overlay() -> None:
    text = (
        "version: 1\napp: a\nnamespace: a\nsecrets:\n  - {name: x, file: same}\n"
        "environments:\n  prod:\n    secrets:\n      - {name: y, file: same}\n"
    )
    assert found_in(text) == [(9, "SPEC013")]


def test_a_problem_of_the_base_is_reported_once_however_many_overlays_share_it() -> None:
    text = (
        "version: 1\napp: a\nnamespace: a\nsecrets:\n  - {name: x, file: same}\n  - {name: y, file: same}\n"
        "environments:\n  dev: {mountPath: /a}\n  prod: {mountPath: /b}\n"
    )
    assert found_in(text) == [(6, "SPEC013")]


def test_several_files_and_folders_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "b.yaml").write_text("version: 1\napp: b\nnamespace: b\nsecrets: [{name: x}]\n")
    (tmp_path / "apps" / "c.yml").write_text("version: 1\napp: c\nnamespace: c\nsecrets: [{name: x}]\n")
    (tmp_path / "apps" / "notes.txt").write_text("not a spec")
    (tmp_path / "a.yaml").write_text("version: 1\napp: a\nnamespace: a\nsecrets: [{name: x}]\n")
    assert [spec.app for spec in load_specs([tmp_path / "apps", tmp_path / "a.yaml"])] == ["a", "b", "c"]


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"app: caf\xe9\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecErrors) as caught:
        load_specs([tmp_path / "latin.yaml", tmp_path / "none.yaml", tmp_path / "empty"])
    assert [problem.code for problem in caught.value.problems] == ["SPEC027"] * 3
    assert all(str(tmp_path) in str(problem) for problem in caught.value.problems)


def test_a_file_without_an_app_is_said_to_be_empty() -> None:
    assert found_in("# nothing yet\n") == [(1, "SPEC021")]


def test_a_very_large_file_is_refused_before_it_is_parsed() -> None:
    assert found_in("#" * (1024 * 1024 + 1)) == [(1, "SPEC001")]


def test_deep_nesting_is_refused() -> None:
    assert found_in("[" * 5000)[0][1] == "SPEC001"


# -------------------------------------------------------------------------------------------------- folder defaults
SPEC = "version: 1\napp: a\nsecrets: [{name: x}]\n"


def test_defaults_of_a_folder_reach_its_specs_and_no_other(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "team"):
        folder.mkdir(exist_ok=True)
    (tmp_path / "_defaults.yaml").write_text("namespace: above\nrefreshInterval: 10m\n")
    (tmp_path / "team" / "_defaults.yaml").write_text("namespace: team\nowner: team\nfailoverRegions: [us-west-2]\n")
    (tmp_path / "team" / "a.yaml").write_text(SPEC)
    (tmp_path / "b.yaml").write_text(SPEC.replace("app: a", "app: b\nnamespace: own"))
    above, team = load_specs([tmp_path, tmp_path / "team"])[::-1]
    assert (team.base.namespace, team.base.owner, team.base.failover_regions) == ("team", "team", ("us-west-2",))
    assert team.base.refresh_interval_seconds is None, "a folder above gives nothing"
    assert (above.base.namespace, above.base.refresh_interval_seconds) == ("own", 600)
    assert team.base.failover_at.source.endswith("team/_defaults.yaml"), "a value keeps its own place"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secrets: [{name: y}]\n", [(1, "SPEC003")]),
        ("namespace: Not_A_Label\n", [(1, "SPEC006")]),
        ("namespace: a\n---\nowner: b\n", [(1, "SPEC039")]),
        ("namespace: [\n", [(2, "SPEC001")]),
    ],
)
def test_defaults_that_cannot_be_used_are_reported_at_their_place_once(
    tmp_path: Path, text: str, expected: list[tuple[int, str]]
) -> None:
    (tmp_path / "_defaults.yaml").write_text(text)
    for app in "ab":
        (tmp_path / f"{app}.yaml").write_text(SPEC.replace("app: a", f"app: {app}\nmountPath: /x"))
    with pytest.raises(SpecErrors) as caught:
        load_specs([tmp_path])
    problems = [problem for problem in caught.value.problems if problem.spot.source.endswith("_defaults.yaml")]
    found = [(problem.spot.line, problem.code) for problem in problems]
    assert found == expected
