"""The policy pack in its own environment: its policies called directly, and over Analyzer gRPC as the engine asks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi.runtime.proto import analyzer_pb2

from components.derivation.diff import read_sides
from components.derivation.diff.preview_resources import Resource
from components.policy_pack.rule import Rule, example
from components.policy_pack.rules import RULES
from lockstep.preview.preview_runs import preview_embedded
from tests.infra.recording import run_stack
from tests.policy_pack.analyzer import Analyzer, environment, running

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
OF_RESOURCE = [rule for rule in RULES if not rule.of_stack]
OF_STACK = [rule for rule in RULES if rule.of_stack]


@pytest.fixture(scope="module")
def analyzer(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyzer]:
    """Return the running pack, started by its path from the folder of somebody's program."""
    pack = project / "components" / "policy_pack"
    with running(project, cwd=tmp_path_factory.mktemp("program"), program=str(pack)) as started:
        yield started


def wicked() -> tuple[Resource, ...]:
    """Return one stack with every bad example, under names of their own."""
    return tuple(
        Resource(urn=f"{item.urn}-{number}", type=item.type, properties=item.properties)
        for number, item in enumerate(resource for rule in RULES for resource in rule.bad)
    )


def test_policies_answer_when_called_directly(project: Path) -> None:
    """Arguments in, violations out, through pulumi_policy's own types and its proxies of unknown values."""
    bad = [{"type": r.type, "urn": r.urn, "properties": r.properties} for rule in OF_RESOURCE for r in rule.bad]
    good = [{"type": r.type, "urn": r.urn, "properties": r.properties} for rule in OF_RESOURCE for r in rule.good]
    unknown = {"type": "aws:iam/role:Role", "urn": "urn:a", "properties": {"assumeRolePolicy": UNKNOWN}}
    exempt = [case | {"config": {"exempt": {case["urn"]: "it is a test"}}} for case in bad]
    script = str(Path(__file__).with_name("direct_validation.py"))
    asked = json.dumps([*bad, unknown, *good, *exempt])
    command = [environment(project), script]
    ended = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)  # noqa: S603 - our script
    answers = json.loads(ended.stdout)
    expected = [rule.name for rule in OF_RESOURCE for _ in rule.bad]
    for name, answer in zip(expected, answers, strict=False):
        assert answer[name][0].endswith(f"[{name}]")
    assert "known only after the deployment" in answers[len(bad)]["trust-is-exact"][0]
    assert answers[len(bad) + 1 :] == [{}] * (len(good) + len(exempt))


def test_the_engine_is_told_every_policy_and_that_it_is_mandatory(analyzer: Analyzer) -> None:
    info = analyzer.info()
    assert info.name == "lockstep"
    assert [policy.name for policy in info.policies] == [rule.name for rule in RULES]
    assert {policy.enforcementLevel for policy in info.policies} == {analyzer_pb2.MANDATORY}
    assert all(policy.description for policy in info.policies)


@pytest.mark.parametrize("rule", OF_RESOURCE, ids=lambda rule: rule.name)
def test_a_resource_is_refused_before_it_is_made(analyzer: Analyzer, rule: Rule) -> None:
    for resource in rule.bad:
        found = [item for item in analyzer.analyze(resource) if item.policyName == rule.name]
        assert [item.enforcementLevel for item in found] == [analyzer_pb2.MANDATORY]
        assert rule.fix in found[0].message
    assert [item for resource in rule.good for item in analyzer.analyze(resource)] == []


@pytest.mark.parametrize("rule", OF_STACK, ids=lambda rule: rule.name)
def test_a_stack_is_refused_for_what_only_all_of_it_shows(analyzer: Analyzer, rule: Rule) -> None:
    (found,) = analyzer.analyze_stack(rule.bad)
    assert (found.policyName, found.enforcementLevel) == (rule.name, analyzer_pb2.MANDATORY)
    assert found.urn == rule.bad[0].urn
    assert analyzer.analyze_stack(rule.good) == []


def test_unknown_values_are_findings_and_not_advice(analyzer: Analyzer) -> None:
    """Left alone, pulumi_policy says "can't run policy" as a mere advice, and the preview passes."""
    role = example("aws:iam/role:Role", assumeRolePolicy=UNKNOWN)
    endpoint = example("aws:eks/cluster:Cluster", vpcConfig={"endpointPublicAccess": UNKNOWN})
    found = [*analyzer.analyze(role), *analyzer.analyze(endpoint)]
    assert found
    assert {item.enforcementLevel for item in found} == {analyzer_pb2.MANDATORY}
    assert not any("can't run policy" in item.message for item in found)


def test_every_rule_fires_on_a_wicked_stack(analyzer: Analyzer) -> None:
    found = {item.policyName for resource in wicked() for item in analyzer.analyze(resource)}
    found |= {item.policyName for item in analyzer.analyze_stack(wicked())}
    assert found == {rule.name for rule in RULES}


def test_an_exemption_names_the_resource_and_a_reason(project: Path) -> None:
    """In a process of its own, because configuration stays; started the old way, from the pack's own folder."""
    rule = next(item for item in RULES if item.name == "secret-reads-are-exact")
    resource = rule.bad[0]
    pack = project / "components" / "policy_pack"
    with running(project, cwd=pack, program=".") as analyzer:
        for exempt in ({resource.urn: " "}, {"urn:b": "another resource"}):
            analyzer.configure({rule.name: {"exempt": exempt}})
            assert len(analyzer.analyze(resource)) == 1
        analyzer.configure({rule.name: {"exempt": {resource.urn: "break glass"}}})
        assert analyzer.analyze(resource) == []


def test_a_policy_of_aws_is_allowed_by_name_with_a_reason(project: Path) -> None:
    """By its ARN, or by its name in every partition; `allowed` means nothing to another rule."""
    rule = next(item for item in RULES if item.has_allowed)
    name = "AmazonRedshiftDataFullAccess"
    pack = project / "components" / "policy_pack"
    with running(project, cwd=pack, program=".") as analyzer:
        for allowed in ({name: ""}, {"AmazonRedshift": "only a part of it"}):
            analyzer.configure({rule.name: {"allowed": allowed}})
            assert len(analyzer.analyze_stack(rule.bad)) == 1
        for allowed in ({name: "queries a warehouse"}, {f"arn:aws:iam::aws:policy/{name}": "queries a warehouse"}):
            analyzer.configure({rule.name: {"allowed": allowed}})
            assert analyzer.analyze_stack(rule.bad) == []


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_the_stacks_of_this_project_break_no_rule(project: Path, stack: str) -> None:
    recorded = run_stack(project, stack, preview=True)
    resources = tuple(
        Resource(urn=item.urn, type=item.type, properties=item.inputs, parent=item.parent)
        for item in recorded.resources
    )
    assert {"aws:iam/role:Role", ROLE_POLICY} <= {item.type for item in resources}
    if stack == "staging":
        assert {"aws:eks/cluster:Cluster", "aws:ec2/launchTemplate:LaunchTemplate"} <= {r.type for r in resources}
    assert [rule.text(found) for rule in RULES for found in rule.findings(resources)] == []


def test_a_preview_of_the_embedded_engine_passes_the_pack(project: Path, analyzer: Analyzer) -> None:
    """What the engine plans for `prod`, sent to the running pack as Pulumi's own engine would send it."""
    run = preview_embedded(project, "prod", state=None, base=None)
    resources = read_sides(run.document).after
    assert not run.failed
    assert sum(item.type == ROLE_POLICY for item in resources) >= 3
    assert [item.message for resource in resources for item in analyzer.analyze(resource)] == []
    assert [item.message for item in analyzer.analyze_stack(resources)] == []
