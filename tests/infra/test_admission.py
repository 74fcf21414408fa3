"""The admission rules: what they match, what they say, when they bind."""

from __future__ import annotations

from typing import Any

import pytest

from components.admission import AccessAdmission, AccessAdmissionArgs
from components.admission_rules import (
    RULES,
    TARGETS,
    derive_policy_spec,
    object_name,
    render_condition,
    render_volumes,
)
from components.platform_settings import AdmissionMode
from tests.infra.recording import ADMISSION_BINDING, ADMISSION_POLICY, Recorded, run_components


def admission(mode: AdmissionMode = AdmissionMode.DENY, *exempt: str) -> Recorded:
    args = AccessAdmissionArgs(mode=mode, exempt_namespaces=exempt)
    return run_components(lambda: AccessAdmission("rules", args))


def test_a_rule_that_cannot_be_evaluated_refuses() -> None:
    for policy in admission().of_type(ADMISSION_POLICY):
        spec: Any = policy.inputs["spec"]
        assert spec["failurePolicy"] == "Fail"


@pytest.mark.parametrize(("mode", "actions"), [(AdmissionMode.DENY, ["Deny"]), (AdmissionMode.WARN, ["Warn", "Audit"])])
def test_every_policy_is_bound_with_the_modes_actions(mode: AdmissionMode, actions: list[str]) -> None:
    run = admission(mode)
    bound: dict[str, Any] = {item.name: item.inputs["spec"] for item in run.of_type(ADMISSION_BINDING)}
    policies: list[Any] = [item.inputs["metadata"] for item in run.of_type(ADMISSION_POLICY)]
    assert sorted(spec["policyName"] for spec in bound.values()) == sorted(each["name"] for each in policies)
    assert all(spec["validationActions"] == actions for spec in bound.values())
    for item in run.of_type(ADMISSION_BINDING):
        assert len(run.dependencies(item)) == 1


@pytest.mark.parametrize("exempt", [(), ("vault", "azure", "vault")])
def test_what_is_placed_is_what_a_cluster_is_examined_for(exempt: tuple[str, ...]) -> None:
    items: list[Any] = [item.inputs for item in admission(AdmissionMode.DENY, *exempt).of_type(ADMISSION_POLICY)]
    placed = {item["metadata"]["name"]: item["spec"] for item in items}
    assert placed == {object_name(target): derive_policy_spec(target, exempt) for target in TARGETS}


def test_off_places_nothing() -> None:
    assert [item for item in admission(AdmissionMode.OFF).resources if item.custom] == []


def test_pods_are_asked_when_made_only_because_their_volumes_cannot_change() -> None:
    """A pod older than the rules must still take an annotation: that is how a refresh is asked for."""
    spec: Any = admission().one(ADMISSION_POLICY, "rules-pods").inputs["spec"]
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["pods"], ["CREATE"])
    assert "matchConditions" not in spec


def test_workloads_are_asked_when_their_template_is_new_so_that_controllers_can_touch_old_ones() -> None:
    spec: Any = admission().one(ADMISSION_POLICY, "rules-workloads").inputs["spec"]
    (condition,) = spec["matchConditions"]
    assert condition["expression"] == (
        "request.operation == 'CREATE' || object.spec.template != oldObject.spec.template"
    )
    resources = {name for rule in spec["matchConstraints"]["resourceRules"] for name in rule["resources"]}
    assert resources == {"daemonsets", "deployments", "jobs", "statefulsets"}
    assert "replicasets" not in resources


def test_each_target_looks_where_its_objects_describe_pods() -> None:
    where = {target.suffix: render_volumes(target).split(" ")[0] for target in TARGETS}
    assert where == {
        "pods": "has(object.spec.volumes)",
        "workloads": "has(object.spec.template.spec.volumes)",
        "cronjobs": "has(object.spec.jobTemplate.spec.template.spec.volumes)",
    }
    conditions = [render_condition(target) for target in TARGETS if target.template]
    assert all("oldObject." in condition for condition in conditions)


def test_every_message_says_what_to_do() -> None:
    assert all("Fix: " in rule.message for rule in RULES)


def test_exempt_namespaces_are_left_out_by_name_in_fixed_order() -> None:
    spec: Any = (
        admission(AdmissionMode.DENY, "vault", "azure", "vault").one(ADMISSION_POLICY, "rules-pods").inputs["spec"]
    )
    assert spec["matchConstraints"]["namespaceSelector"] == {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["azure", "vault"]}]
    }
