"""Derived values, rendered JSON and the preview of the real program say the same about the same access."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.derivation import Environment, dump_json, parse_specs, render_fleet, render_json
from components.derivation.diff import (
    About,
    FleetDocuments,
    diff_fleets,
    read_derived,
    read_preview,
    read_rendered,
    read_sides,
)
from components.derivation.diff.documents import SECOND_ROLE
from components.derivation.fleet import derive_fleet
from lockstep.engine import EngineResult, EngineState, run_program
from lockstep.preview.offline_provider import offline_providers
from lockstep.project import ProjectStack, load_project
from tests.derivation.random_specs import ACCOUNT, REGION, SpecText, spec_texts
from tests.derivation.test_derive import ENVIRONMENT

_RUNS: dict[str, EngineResult] = {}


def previewed(project: Path, stack: ProjectStack) -> EngineResult:
    """Run the real program on the embedded engine, once per stack."""
    if stack.name not in _RUNS:
        environment = stack.environment
        _RUNS[stack.name] = run_program(
            project_dir=project,
            stack=stack.name,
            mode="preview",
            state=EngineState(),
            providers=offline_providers(region=environment.region, account=environment.account),
            config_overrides={
                "lockstep:clusterEndpoint": "https://cluster.offline.invalid",
                "lockstep:clusterCertificate": "bm8gY2VydGlmaWNhdGU6IG5vIEFQSSBzZXJ2ZXI=",
            },
            show_sames=True,
        )
    return _RUNS[stack.name]


@pytest.fixture(params=["dev", "prod"])
def stack(request: pytest.FixtureRequest, project: Path) -> ProjectStack:
    return load_project(project).stack(request.param)


def test_the_preview_of_the_real_program_has_the_facts_of_the_derivation(project: Path, stack: ProjectStack) -> None:
    result = previewed(project, stack)
    assert result.ok, result.errors
    sides = read_sides(json.loads(json.dumps(result.digest)))
    before, after = read_preview(sides)
    assert before.apps == {}
    derived = read_derived(derive_fleet(stack.specs(), stack.environment))
    assert diff_fleets(derived, after).rows == ()
    assert diff_fleets(after, derived).rows == ()
    assert set(after.apps) == set(derived.apps), "and there is no app besides"


def test_rendered_json_has_the_facts_of_the_derivation(stack: ProjectStack) -> None:
    fleet = derive_fleet(stack.specs(), stack.environment)
    document: Any = json.loads(render_json(fleet.apps, stack.environment.name))
    assert diff_fleets(read_derived(fleet), read_rendered(document)).rows == ()


@given(spec=spec_texts(), first=st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rendered_json_says_everything_that_the_derivation_does(spec: SpecText, *, first: bool) -> None:
    """Second roles, associations, paths, owners and lines of the spec too; against nothing, so that all of it shows."""
    fleet = derive_fleet(parse_specs(spec.text, "app.yaml"), ENVIRONMENT)
    derived = read_derived(fleet)
    rendered = read_rendered(json.loads(dump_json(render_fleet(fleet))))
    empty = FleetDocuments(environment="dev")
    sides = (derived, rendered) if first else (rendered, derived)
    assert diff_fleets(*sides).rows == ()
    assert diff_fleets(empty, rendered).rows == diff_fleets(empty, derived).rows
    assert all(row.spec.startswith("app.yaml:") for row in diff_fleets(empty, rendered).rows if row.about == "read")


PLACE = Environment(
    name="prod", region=REGION, account=ACCOUNT, cluster="prod", oidc_issuer="https://oidc.example/id/X"
)


SECOND = "version: 1\napp: shop\nnamespace: shop\nsecrets:\n  - {name: prod/db, file: db}\n"
ROLE = "arn:aws:iam::999988887777:role/readers"


@pytest.mark.parametrize(
    "how",
    [f"assumeRole: {{role: '{ROLE}'}}\n", f"identity: podIdentity\npodIdentity: {{targetRole: '{ROLE}'}}\n"],
)
def test_an_input_without_the_second_roles_permissions_claims_nothing_about_them(how: str) -> None:
    """A preview has no resources of another account: that is no loss, and no mount that fails."""
    derived = read_derived(derive_fleet(parse_specs(SECOND + how), PLACE))
    app = derived.apps["shop"]
    previewed = replace(
        derived, apps={"shop": replace(app, policies={k: v for k, v in app.policies.items() if k != SECOND_ROLE})}
    )
    assert diff_fleets(derived, previewed).rows == ()
    assert diff_fleets(previewed, derived).rows == ()
    rows = diff_fleets(FleetDocuments(environment="prod"), previewed).rows
    assert About.MOUNT_WITHOUT_GRANT not in {row.about for row in rows}
    assert any(text.startswith("second role: ") for row in rows for text in row.after), "who reads is said"


def test_a_preview_against_the_deployed_state_shows_the_change_and_nothing_else(
    project: Path, stack: ProjectStack
) -> None:
    """The old side of a preview is what is deployed, the new one what the specs say."""
    before, after = read_preview(read_sides(previewed(project, stack).digest))
    rows = diff_fleets(before, after).rows
    assert {row.app for row in rows} == {"mailer", "payments", "reports"}
    assert rows == diff_fleets(FleetDocuments(environment=stack.name), after).rows
