"""How much of the limits an app uses: said by `what` and `render`, as text and as data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.derivation import SpecErrors, derive_fleet, parse_specs, render_fleet
from components.derivation.limit_use import limit_of, limits_of
from components.derivation.limits import ALL_LIMITS
from lockstep.__main__ import main
from tests.derivation.test_derive import ENVIRONMENT, MOUNTS, PAYMENTS, spread

BOUNDED = "identity: podIdentity\npodIdentity: {scope: sessionPolicy}\n"


def test_every_limit_that_an_app_can_reach_is_counted_as_aws_does() -> None:
    fleet = derive_fleet(parse_specs(f"{PAYMENTS}{BOUNDED}secrets: [{{name: db}}]\n"), ENVIRONMENT)
    (app,) = fleet.apps
    uses = {use.limit.subject: (use.used, use.of) for use in limits_of(app)}
    assert app.association is not None
    assert app.association.policy is not None
    assert uses == {
        "role inline policies": (app.policies[0].document.size(), 10_240),
        "trust policy": (app.trust.size(), 2_048),
        "session policy": (len(app.association.policy.to_json()), 2_048),
    }
    assert {use.limit for use in limits_of(app)} <= set(ALL_LIMITS)


def test_managed_policies_count_together_and_by_number() -> None:
    names = "".join(spread(index, f"{'long-name-' * 10}{index}") for index in range(70))
    mounts = "".join(MOUNTS.splitlines(keepends=True)[:3])
    (app,) = derive_fleet(parse_specs(f"{PAYMENTS}{mounts}secrets:\n{names}"), ENVIRONMENT).apps
    uses = {use.limit.subject: use for use in limits_of(app)}
    assert uses["managed policies per role"].used == len(app.policies) == 2
    assert uses["managed policy"].used == sum(policy.document.size() for policy in app.policies)
    assert uses["managed policy"].of == 10 * 6_144


def test_a_secrets_own_policy_has_its_limit_in_the_rendered_document() -> None:
    glass = "arn:aws:iam::111122223333:role/glass"
    text = f"{PAYMENTS}owner: team\nsecrets: [{{name: db, restrict: {{breakGlass: ['{glass}']}}}}]\n"
    fleet = derive_fleet(parse_specs(text), ENVIRONMENT)
    (policy,) = fleet.secret_policies
    used = limit_of(policy).used
    assert used == len(policy.document.to_json())
    rendered = json.loads(json.dumps(render_fleet(fleet)))
    assert rendered["secretPolicies"][0]["limits"] == [
        {"subject": "secret resource policy", "used": used, "limit": 20_480, "unit": "characters"}
    ]


def test_what_says_the_room_as_text_and_as_data(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert main(["what", "payments", "--stack", "prod", "--format", "json"]) == 0
    (room,) = json.loads(capsys.readouterr().out)["room"]
    assert (room["stack"], room["app"]) == ("prod", "payments")
    by_subject = {one["subject"]: one for one in room["limits"]}
    assert main(["what", "payments", "--stack", "prod"]) == 0
    text = capsys.readouterr().out
    for subject, one in by_subject.items():
        assert f"room: {subject}" in text
        assert f"{one['used']:,} of {one['limit']:,} characters" in text


def test_what_uses_its_whole_room_is_an_error_with_the_numbers() -> None:
    """The other end of the same count: a session policy that is too long is refused, not cut."""
    names = "".join(f"  - name: {'long-name-' * 10}{index}\n" for index in range(16))
    with pytest.raises(SpecErrors) as caught:
        derive_fleet(parse_specs(f"{PAYMENTS}{BOUNDED}secrets:\n{names}"), ENVIRONMENT)
    assert "characters of 2,048" in str(caught.value)
    assert "[SPEC025]" in str(caught.value)
