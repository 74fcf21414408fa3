"""The whole program, for every stack, at preview and up: graph, providers, what is known and what is plain."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import pytest

from components.derivation import AppAccess, derive_all, load_specs
from components.settings import load_settings
from tests.infra.recording import (
    ADMISSION_BINDING,
    ASSOCIATION,
    CLASS,
    CLUSTER,
    DAEMON_SET,
    KUBERNETES_PROVIDER,
    NAMESPACE,
    OIDC_PROVIDER,
    RELEASE,
    ROLE,
    ROLE_POLICY,
    SECRET_POLICY,
    SERVICE_ACCOUNT,
    WORKLOAD,
    Recorded,
    Registration,
    run_stack,
    unknown,
)

STACKS = ("local", "dev", "staging", "prod")

#: Types of which AWS decides something, for a stack that makes its cluster. None of them decides an app's access.
MADE_BY_AWS = (
    "aws:cloudwatch/",
    "aws:ec2/",
    "aws:ecr/",
    "aws:eks/addon:",
    "aws:eks/cluster:",
    "aws:eks/nodeGroup:",
    "aws:kms/",
    "aws:vpc/",
    "pulumi:providers:kubernetes",
)

PARTS_OF_THE_PLATFORM = {
    "lockstep:index:AccessAdmission",
    "lockstep:index:ProviderDaemonSet",
    "lockstep:index:ProviderObservability",
    "lockstep:index:SecretsStoreCsiDriver",
}

#: Every stack and mode is run once; the tests only look.
_RUNS: dict[tuple[Path, str, bool], Recorded] = {}


@pytest.fixture(params=[(stack, mode) for stack in STACKS for mode in ("preview", "up")], ids="-".join)
def run(request: pytest.FixtureRequest, project: Path) -> Recorded:
    """Return what the program registers on each stack, at preview and at up."""
    stack, mode = request.param
    key = (project, stack, mode == "preview")
    if key not in _RUNS:
        _RUNS[key] = run_stack(project, stack, preview=mode == "preview")
    return _RUNS[key]


def derived(project: Path, stack: str) -> dict[str, AppAccess]:
    settings = load_settings(project, stack)
    specs = load_specs([project / path for path in settings.apps])
    return {str(app.app): app for app in derive_all(specs, settings.environment(settings.oidc_issuer or ""))}


# ------------------------------------------------------------------------------------------------- what decides access
def test_everything_that_decides_access_is_known_and_plain(run: Recorded) -> None:
    """Architecture decision 1: a reviewer, and a policy check, can read it before anything is placed."""
    decisive = {
        ROLE: ("name", "path", "assumeRolePolicy"),
        ROLE_POLICY: ("name", "role", "policy"),
        ASSOCIATION: ("clusterName", "namespace", "serviceAccount", "roleArn"),
        OIDC_PROVIDER: ("url", "clientIdLists"),
        SERVICE_ACCOUNT: ("metadata",),
        CLASS: ("metadata", "spec"),
        KUBERNETES_PROVIDER: ("clusterIdentifier",),
    }
    for resource_type, keys in decisive.items():
        for item in run.of_type(resource_type):
            for key in keys:
                assert item.is_plain(key), f"{item.label}.{key} is a secret or unknown at preview"


def test_nothing_is_unknown_at_preview_but_what_aws_decides_about_a_new_cluster(run: Recorded) -> None:
    guessed = {item.type for item in run.resources if unknown(item)}
    assert {each for each in guessed if not each.startswith(MADE_BY_AWS)} == set()
    if not run.of_type(CLUSTER):
        assert {each for each in guessed if not each.startswith("aws:ecr/")} == set()


def test_no_input_of_any_resource_is_a_secret(run: Recorded) -> None:
    """A policy that is a secret shows as `[secret]` in every preview."""
    assert [item.label for item in run.resources for key in item.inputs if item.is_secret(key)] == []


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_placed_is_what_was_derived(project: Path, stack: str) -> None:
    run = run_stack(project, stack, preview=True)
    apps = derived(project, stack)
    of_apps = [role.name for role in run.of_type(ROLE) if run.by_urn(role.parent).type == WORKLOAD]
    assert of_apps == sorted(apps)
    for name, access in apps.items():
        role = run.one(ROLE, name)
        assert role.inputs["assumeRolePolicy"] == access.trust.to_json()
        assert role.inputs.get("permissionsBoundary") == access.permissions_boundary
        assert (role.inputs["name"], role.inputs["path"]) == (access.role_name, access.role_path)
        for policy in access.policies:
            placed = run.one(ROLE_POLICY, f"{name}-{policy.name}")
            assert placed.inputs == {
                "name": policy.name,
                "policy": policy.document.to_json(),
                "role": access.role_name,
            }
        for mount in access.mounts:
            assert run.one(CLASS, f"{name}/{mount.class_name}").inputs == mount.secret_provider_class
        assert run.one(SERVICE_ACCOUNT, name).inputs == access.service_account_manifest


def test_an_app_with_pod_identity_gets_an_association_and_the_drivers_other_token(project: Path) -> None:
    run = run_stack(project, "dev", preview=True)
    apps = derived(project, "dev")
    associated = {name for name, access in apps.items() if access.association}
    assert associated, "the dev stack shows Pod Identity"
    assert {item.name for item in run.of_type(ASSOCIATION)} == associated
    for item in run.of_type(ASSOCIATION):
        assert item.inputs["roleArn"] == apps[item.name].role_arn
        assert run.dependencies(item) == {f"{ROLE}::{item.name}"}
    values = json.dumps(run.one(RELEASE).inputs["values"])
    assert "pods.eks.amazonaws.com" in values
    assert "sts.amazonaws.com" in values


# ------------------------------------------------------------------------------------------------------------ the graph
def test_every_resource_has_the_parent_that_its_type_says(run: Recorded) -> None:
    expected = {
        ROLE: WORKLOAD,
        ROLE_POLICY: WORKLOAD,
        ASSOCIATION: WORKLOAD,
        CLASS: "lockstep:index:AppAccess",
        "lockstep:index:WorkloadIdentity": "lockstep:index:AppAccess",
        RELEASE: "lockstep:index:SecretsStoreCsiDriver",
        DAEMON_SET: "lockstep:index:ProviderDaemonSet",
        NAMESPACE: "lockstep:index:AppNamespaces",
        OIDC_PROVIDER: "lockstep:index:ClusterConnection",
        KUBERNETES_PROVIDER: "lockstep:index:ClusterConnection",
        CLUSTER: "lockstep:index:EksCluster",
    }
    for item in run.resources:
        if item.type == ROLE and run.by_urn(item.parent).type == "lockstep:index:EksCluster":
            assert item.name in {"eks-control-plane", "eks-nodes", "eks-cni"}
        elif item.type in {ROLE, ROLE_POLICY} and item.name == "flow-logs":
            assert run.by_urn(item.parent).type == "lockstep:index:FlowLogs"
        elif item.type == "lockstep:index:NodeGroup":
            assert run.by_urn(item.parent).type == "lockstep:index:EksCluster"
        elif item.type in expected:
            parent = run.by_urn(item.parent)
            assert parent.type == expected[item.type], item.label
            if parent.type in {WORKLOAD, "lockstep:index:AppAccess"}:
                assert item.name == parent.name or item.name.startswith((f"{parent.name}-", f"{parent.name}/"))
        elif item.type in PARTS_OF_THE_PLATFORM:
            assert run.by_urn(item.parent).type == "lockstep:index:SecretsPlatform"
        elif item.type.startswith("lockstep:index:"):
            assert item.parent.endswith(f"::lockstep-{_stack_name(item)}")


def _stack_name(item: Registration) -> str:
    return item.urn.split("::")[0].removeprefix("urn:pulumi:")


def test_a_class_comes_after_everything_that_a_mount_needs(run: Recorded) -> None:
    for item in run.of_type(CLASS):
        app = run.by_urn(item.parent).name
        needed = {f"{ROLE}::{app}", f"{SERVICE_ACCOUNT}::{app}"}
        needed |= {policy.label for policy in run.of_type(ROLE_POLICY) if policy.name.startswith(f"{app}-")}
        needed |= {pair.label for pair in run.of_type(ASSOCIATION) if pair.name == app}
        needed |= {run.one(RELEASE).label, run.one(DAEMON_SET).label}
        needed |= {rule.label for rule in run.of_type(ADMISSION_BINDING)}
        needed |= {place.label for place in run.of_type(NAMESPACE) if place.name == f"namespaces/{_namespace(item)}"}
        assert run.dependencies(item) == needed


def _namespace(item: Registration) -> str:
    metadata = item.inputs["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["namespace"])


def test_a_policy_depends_on_its_role_so_that_a_replaced_role_gets_it_again(run: Recorded) -> None:
    for item in run.of_type(ROLE_POLICY):
        (role,) = run.dependencies(item)
        assert role.startswith(f"{ROLE}::")
        assert run.by_urn(item.parent) == run.by_urn(run.one(ROLE, role.rsplit("::", 1)[1]).parent)


def test_everything_in_the_cluster_goes_through_the_one_provider_and_nothing_else_does(run: Recorded) -> None:
    provider = run.one(KUBERNETES_PROVIDER)
    for item in run.resources:
        if item.type.startswith("kubernetes:"):
            assert item.provider.startswith(f"{provider.urn}::"), item.label
        elif item.custom and item.type.startswith("aws:"):
            assert item.provider == "", "aws resources use the default provider, which aws:* configures"


def test_the_kubernetes_provider_keeps_its_identity_when_the_endpoint_changes(run: Recorded) -> None:
    inputs = run.one(KUBERNETES_PROVIDER).inputs
    identifier = str(inputs["clusterIdentifier"])
    assert identifier.startswith("arn:aws:eks:")
    assert identifier not in str(inputs["kubeconfig"])
    if unknown(run.one(KUBERNETES_PROVIDER)):
        return
    assert "token" not in json.loads(str(inputs["kubeconfig"]))["users"][0]["user"], "no credential in a kubeconfig"


def test_a_namespace_that_the_stack_makes_is_never_deleted_with_what_is_in_it(run: Recorded) -> None:
    assert all(item.retain_on_delete for item in run.of_type(NAMESPACE))


def test_every_component_registers_its_outputs_once(run: Recorded) -> None:
    components = {item.urn for item in run.resources if not item.custom}
    assert components <= run.outputs.keys()


def test_names_and_urns_are_unique(run: Recorded) -> None:
    urns = [item.urn for item in run.resources]
    assert len(urns) == len(set(urns))


@pytest.mark.parametrize("stack", STACKS)
def test_preview_and_up_register_the_same(project: Path, stack: str) -> None:
    preview, up = (run_stack(project, stack, preview=mode) for mode in (True, False))
    graph = [{item.urn: (item.dependencies, item.parent) for item in run.resources} for run in (preview, up)]
    assert graph[0] == graph[1]
    for item in preview.resources:
        known = {key: value for key, value in item.inputs.items() if key not in unknown(item)}
        assert known.items() <= up.by_urn(item.urn).inputs.items(), item.label


# ------------------------------------------------------------------------------------------------------------- settings
def test_a_cluster_with_literal_facts_is_not_looked_up(project: Path) -> None:
    assert run_stack(project, "local", preview=True).invokes == []
    assert run_stack(project, "dev", preview=True).invokes == ["aws:eks/getCluster:getCluster"]
    assert run_stack(project, "staging", preview=True).invokes == [
        "aws:eks/getClusters:getClusters",
        "aws:eks/getCluster:getCluster",
    ]


def test_an_issuer_that_is_looked_up_gives_the_same_access_as_the_literal(project: Path) -> None:
    literal = run_stack(project, "dev", preview=True)
    looked_up = run_stack(project, "dev", preview=True, overrides={"lockstep:oidcIssuer": ""})
    for resource_type in (ROLE, ROLE_POLICY, OIDC_PROVIDER, CLASS):
        assert [item.inputs for item in literal.of_type(resource_type)] == [
            item.inputs for item in looked_up.of_type(resource_type)
        ]


def test_an_issuer_of_another_cluster_ends_the_program_before_anything_is_placed(project: Path) -> None:
    other = "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER"
    with pytest.raises(pulumi.RunError, match=r"lockstep:oidcIssuer is .*/OTHER, the cluster dev has .*Fix: correct"):
        run_stack(project, "dev", preview=True, overrides={"lockstep:oidcIssuer": other})


def test_settings_that_are_wrong_end_the_program_with_all_of_them(project: Path) -> None:
    wrong = {"lockstep:identity": "none", "lockstep:refreshIntervall": "1s"}
    with pytest.raises(pulumi.RunError) as caught:
        run_stack(project, "dev", preview=True, overrides=wrong)
    assert "stacks/Pulumi.dev.yaml lockstep:identity:" in str(caught.value)
    assert "did you mean 'lockstep:refreshInterval'?" in str(caught.value)


def test_specs_that_are_wrong_end_the_program_with_their_place(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\napp: Bad App\n")
    with pytest.raises(pulumi.RunError, match=r"bad\.yaml:2:6 app: .*\[SPEC"):
        run_stack(project, "dev", preview=True, overrides={"lockstep:apps": json.dumps([str(tmp_path / "bad.yaml")])})


def test_a_stack_can_leave_the_oidc_provider_and_the_namespaces_to_others(project: Path) -> None:
    overrides = {"lockstep:createOidcProvider": "false", "lockstep:createNamespaces": "false"}
    run = run_stack(project, "dev", preview=True, overrides=overrides)
    assert run.of_type(OIDC_PROVIDER) == []
    assert run.of_type(NAMESPACE) == []


def test_without_an_app_that_uses_irsa_no_oidc_provider_is_made(project: Path, tmp_path: Path) -> None:
    spec = tmp_path / "one.yaml"
    spec.write_text("version: 1\napp: one\nnamespace: one\nidentity: podIdentity\nsecrets:\n  - name: dev/one\n")
    run = run_stack(project, "dev", preview=True, overrides={"lockstep:apps": json.dumps([str(spec)])})
    assert run.of_type(OIDC_PROVIDER) == []
    assert "sts.amazonaws.com" not in json.dumps(run.one(RELEASE).inputs)


def _restricting(tmp_path: Path, secret: str, more: str = "") -> dict[str, str]:
    spec = tmp_path / "one.yaml"
    restrict = f"restrict: {{breakGlass: ['arn:aws:iam::111122223333:role/glass']{more}}}"
    spec.write_text(
        f"version: 1\napp: one\nrenamedFrom: [old]\nowner: team\nnamespace: one\nidentity: podIdentity\n"
        "podIdentity: {scope: sessionPolicy}\n"
        f"secrets:\n  - name: {secret}\n    {restrict}\n"
    )
    deployer = "arn:aws:iam::111122223333:role/deployer"
    return {"lockstep:apps": json.dumps([str(spec)]), "lockstep:deployerRole": deployer}


def test_a_restricted_secret_gets_its_policy_after_the_roles_that_it_names(project: Path, tmp_path: Path) -> None:
    run = run_stack(project, "dev", preview=True, overrides=_restricting(tmp_path, "dev/db"))
    placed = run.one(SECRET_POLICY)
    assert placed.inputs["secretArn"] == "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dev/db-Ab12Cd"
    assert placed.inputs["blockPublicPolicy"] is True
    assert f"{ROLE}::one" in run.dependencies(placed)
    role = run.one(ROLE)
    assert role.inputs["name"] == "dev-eu-west-1-old", "a renamed app keeps its role"
    assert f"role/{role.inputs['name']}" in str(placed.inputs["policy"])
    association = run.one(ASSOCIATION)
    assert association.inputs["disableSessionTags"] is True
    assert "secretsmanager:GetSecretValue" in str(association.inputs["policy"])


def test_a_policy_of_somebody_else_ends_the_program_unless_it_is_adopted(project: Path, tmp_path: Path) -> None:
    overrides = _restricting(tmp_path, "dev/foreign")
    with pytest.raises(pulumi.RunError, match=r"'dev/foreign' carries a resource policy .* 'adopt: true'"):
        run_stack(project, "dev", preview=True, overrides=overrides)
    adopting = _restricting(tmp_path, "dev/foreign", ", adopt: true")
    assert len(run_stack(project, "dev", preview=True, overrides=adopting).of_type(SECRET_POLICY)) == 1


def test_extra_audiences_are_asked_for_beside_those_of_the_apps(project: Path) -> None:
    run = run_stack(project, "local", preview=True, overrides={"lockstep:extraAudiences": '["vault"]'})
    values = run.one(RELEASE).inputs["values"]
    assert isinstance(values, dict)
    assert values["tokenRequests"] == [{"audience": "sts.amazonaws.com"}, {"audience": "vault"}]


def test_the_stack_exports_what_an_operator_asks_for(project: Path) -> None:
    run = run_stack(project, "prod", preview=True)
    outputs = run.stack_outputs()
    assert outputs["clusterName"] == "prod"
    apps = outputs["apps"]
    assert isinstance(apps, dict)
    assert apps["payments"] == {
        "roleArn": "arn:aws:iam::444455556666:role/lockstep/prod-eu-west-1-payments",
        "mountPaths": {"payments": "/mnt/secrets"},
    }


def test_the_program_is_wiring_and_fits_on_a_page(project: Path) -> None:
    assert len((project / "__main__.py").read_text().splitlines()) <= 80
