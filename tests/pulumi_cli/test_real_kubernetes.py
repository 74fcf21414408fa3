"""The `local` stack on the real Pulumi CLI with Pulumi's own Kubernetes provider, on a real API server.

The program is unchanged: its kubeconfig asks `aws` for a token, its release comes from a chart repository. What is
compared is the embedded engine's run of the same story: the same steps, the same graph, and every object that it keeps
as a manifest is in the API server as it says. The provider adds to what it is given, so properties are held one way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.settings import load_settings
from local.emulator import Emulator
from tests.e2e import toolbox
from tests.e2e.control_plane import ControlPlane
from tests.e2e.kubernetes_api import KubernetesApi, object_path
from tests.pulumi_cli.conftest import STACK, Bench, make_real_bench
from tests.pulumi_cli.engines import RealEngine, Record, differences
from tests.pulumi_cli.installed_parts import InstalledParts, KubernetesPlugin, MissingParts, find_kubernetes_plugin
from tests.pulumi_cli.program_copy import change_settings, place_settings
from tests.pulumi_cli.real_cluster import ChartRepository, JobsThatEnd, TokenCommand, serve_chart
from tests.pulumi_cli.story import MOMENTS, Moment, change, play

#: What a record says of its resource but for its properties, which a provider completes.
_PROPERTIES: Final = ("inputs", "outputs")
#: Inputs that the SDK sends to tell the provider something and that the provider does not keep.
_NOT_KEPT: Final = ("compat",)
_RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_DOCTOR_SECONDS: Final = 120
_CLUSTER: Final = (toolbox.ETCD, toolbox.API_SERVER, toolbox.CONTROLLER_MANAGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the provider works on."""

    api: KubernetesApi
    jobs: JobsThatEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The story, as both told it, and what the API server had after each moment.

    `examined`: what `lockstep doctor` said after the first moment, by check.
    """

    real: Mapping[str, Moment]
    embedded: Mapping[str, Moment]
    found: Mapping[str, Mapping[str, Any]]
    tokens: TokenCommand
    examined: Mapping[str, Sequence[Mapping[str, str]]]
    taken: Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of an object that somebody changed by hand, before the stack was removed.

    `before`, `by_hand`, `after`: the class's parameters. `refused`, `forced`: the two runs of `pulumi up --refresh`.
    """

    before: Mapping[str, str]
    by_hand: Mapping[str, str]
    after: Mapping[str, str]
    refused: subprocess.CompletedProcess[str]
    forced: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChartRepository]:
    """Serve the driver's chart."""
    with serve_chart(tmp_path_factory.mktemp("repository")) as serving:
        yield serving


@pytest.fixture(scope="module")
def plugin() -> KubernetesPlugin:
    """Return the provider, or skip with the reason."""
    found = find_kubernetes_plugin()
    if isinstance(found, MissingParts):
        pytest.skip(found.reason)
    return found


@pytest.fixture(scope="module")
def cluster(plugin: KubernetesPlugin, copied_project: Path) -> Iterator[Cluster]:
    """Run an API server without the driver: the program's release brings it."""
    if toolbox.missing_go():
        pytest.skip(f"{plugin.program} needs an API server: {toolbox.missing_go()[0]}")
    missing = toolbox.missing_tools(_CLUSTER)
    if missing:
        pytest.skip(f"{', '.join(missing)} not built. Fix: make e2e-tools")
    issuer = load_settings(copied_project, STACK).oidc_issuer or ""
    with (
        tempfile.TemporaryDirectory(prefix="lse-pulumi-") as folder,
        ControlPlane(folder=Path(folder), issuer=issuer, brings_driver=False) as running,
        JobsThatEnd(api=running.admin) as jobs,
    ):
        yield Cluster(api=running.admin, jobs=jobs)


@pytest.fixture(scope="module")
def placed_project(copied_project: Path, cluster: Cluster, repository: ChartRepository) -> Path:
    """Return the copy of the program, told where cluster and chart are; nothing else of it is changed."""
    change_settings(copied_project, STACK, place_settings(cluster.api, repository.url))
    return copied_project


@pytest.fixture(scope="module")
def told(
    parts: InstalledParts,
    plugin: KubernetesPlugin,
    placed_project: Path,
    cluster: Cluster,
    repository: ChartRepository,
    make_emulator: Callable[[], Emulator],
    embedded: Bench,
    tmp_path_factory: pytest.TempPathFactory,
) -> Told:
    """Play the story on both."""
    folder = tmp_path_factory.mktemp("pulumi")
    (folder / "bin").mkdir()
    (folder / "bin" / plugin.program.name).symlink_to(plugin.program)
    tokens = TokenCommand.write(folder / "bin", cluster.api.token)
    bench = make_real_bench(
        parts,
        placed_project,
        make_emulator(),
        folder,
        plugins={},
        variables={"SSL_CERT_FILE": str(repository.authority)},
    )
    examined: dict[str, list[Mapping[str, str]]] = {}
    real: dict[str, Moment] = {}
    reference: dict[str, Moment] = {}
    found: dict[str, Mapping[str, Any]] = {}
    taken: Taken | None = None
    for moment in MOMENTS:
        if moment == "destroyed":
            taken = _take_a_class(cluster, bench)
        change(placed_project, moment)
        reference[moment] = play(embedded, moment)
        real[moment] = play(bench, moment)
        if moment == MOMENTS[0]:
            for check in _examine(placed_project, cluster, bench.emulator, folder):
                examined.setdefault(check["check"], []).append(check)
        found[moment] = {
            place: cluster.api.find(object_path(item))
            for each in reference.values()
            for place, item in each.objects.items()
            if item["kind"] != "Release"
        }
    assert taken is not None
    return Told(real=real, embedded=reference, found=found, tokens=tokens, examined=examined, taken=taken)


def _take_a_class(cluster: Cluster, bench: Bench) -> Taken:
    """Change a class beside Pulumi, as `kubectl apply --server-side --force-conflicts` does, and run `up` twice."""
    assert isinstance(bench.engine, RealEngine)
    cli = bench.engine.cli
    wanted = next(record["inputs"] for record in cli.resources() if record["type"].endswith(":SecretProviderClass"))
    place = object_path(wanted)
    before = cluster.api.call("GET", place)["spec"]["parameters"]
    by_hand = {**before, "region": "us-east-2"}
    cluster.api.apply({**wanted, "spec": {**wanted["spec"], "parameters": by_hand}})
    words = ("up", "--yes", "--skip-preview", "--refresh", "--stack", STACK)
    refused = cli.attempt(*words)
    seen = cluster.api.call("GET", place)["spec"]["parameters"]
    cli.environment["PULUMI_K8S_ENABLE_PATCH_FORCE"] = "true"
    forced = cli.attempt(*words)
    del cli.environment["PULUMI_K8S_ENABLE_PATCH_FORCE"]
    after = cluster.api.call("GET", place)["spec"]["parameters"]
    return Taken(before=before, by_hand=seen, after=after, refused=refused, forced=forced)


def _examine(project: Path, cluster: Cluster, emulator: Emulator, folder: Path) -> list[Mapping[str, str]]:
    """Run `lockstep doctor` against the cluster and the account, and return its checks."""
    config = {
        "current-context": "c",
        "clusters": [
            {"name": "c", "cluster": {"server": cluster.api.url, "certificate-authority": str(cluster.api.certificate)}}
        ],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": cluster.api.token}}],
    }
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    words = ["doctor", "--stack", STACK, "--kubeconfig", str(path), "--format", "json"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "lockstep", *words],
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(toolbox.PROJECT),
            "AWS_ACCESS_KEY_ID": emulator.access_key,
            "AWS_SECRET_ACCESS_KEY": emulator.secret_key,
            "AWS_ENDPOINT_URL": emulator.endpoint,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=_DOCTOR_SECONDS,
    )
    assert done.stdout, done.stderr
    checks: list[Mapping[str, str]] = json.loads(done.stdout)["checks"]
    return checks


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_real_provider_takes_the_same_steps(told: Told, moment: str) -> None:
    real, embedded = (
        {urn: step["op"] for urn, step in story[moment].plan.items()} for story in (told.real, told.embedded)
    )
    assert differences(real, embedded) == []
    assert told.real[moment].summary == told.embedded[moment].summary


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_real_provider_leaves_the_same_graph(told: Told, moment: str) -> None:
    real, embedded = (_without_properties(story[moment].graph) for story in (told.real, told.embedded))
    assert differences(real, embedded) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_real_provider_is_given_what_the_embedded_one_is_given(told: Told, moment: str) -> None:
    missing = [
        line
        for urn, record in told.embedded[moment].graph.items()
        for line in _missing(_kept(record), told.real[moment].graph[urn].get("inputs", {}), urn)
    ]
    assert missing == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_api_server_has_the_objects_that_the_embedded_engine_keeps(told: Told, moment: str) -> None:
    wanted = told.embedded[moment].objects
    missing = [
        line
        for place, found in told.found[moment].items()
        if place in wanted
        for line in _missing(wanted[place], found, place)
    ]
    assert missing == []
    assert [place for place, found in told.found[moment].items() if found and place not in wanted] == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_account_has_the_same(told: Told, moment: str) -> None:
    assert differences(told.real[moment].account, told.embedded[moment].account) == []


def test_in_the_end_nothing_is_left_but_the_namespaces(told: Told) -> None:
    """They hold what is not the stack's, so they stay (`retain_on_delete`)."""
    left = {found["kind"] for found in told.found["destroyed"].values() if found}
    assert left == {"Namespace"}


def test_helm_installed_the_driver_with_its_hooks(told: Told, cluster: Cluster) -> None:
    """The provider ran Helm: its hook job was made, and the driver's own objects went with the release."""
    (release,) = (item for item in told.real["new"].graph.values() if item["type"] == _RELEASE)
    assert release["outputs"]["status"]["status"] == "deployed"
    assert "kube-system/secrets-store-csi-driver-upgrade-crds" in cluster.jobs.seen
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/secrets-store-csi-driver"
    assert cluster.api.find(path) is None


def test_what_was_changed_by_hand_is_a_conflict_that_one_variable_settles(told: Told) -> None:
    """As docs/operations.md says: nothing is overwritten in silence, and the way out is Pulumi's own."""
    taken = told.taken
    printed = taken.refused.stdout + taken.refused.stderr
    assert taken.refused.returncode != 0, printed
    assert "conflict" in printed
    assert ".spec.parameters.region" in printed
    assert taken.by_hand == {**taken.before, "region": "us-east-2"}, "the refused run left it as it was"
    assert taken.forced.returncode == 0, taken.forced.stdout + taken.forced.stderr
    assert taken.after == taken.before


def test_the_doctor_finds_on_the_api_server_what_pulumi_and_helm_placed(told: Told) -> None:
    """A chart that Helm installed, its arguments and objects; nodes, secrets and EKS are not there, and it says so."""
    fine = {name for name, checks in told.examined.items() if {check["status"] for check in checks} == {"ok"}}
    bad = {name for name, checks in told.examined.items() if any(check["status"] == "fail" for check in checks)}
    assert fine >= {
        "cluster.issuer", "cluster.version", "cluster.clock", "driver.tokens", "driver.version", "driver.interval",
        "driver.sync", "driver.admission", "provider.image", "provider.socket", "app.account", "app.class",
        "aws.account", "iam.issuer", "iam.role",
    }, told.examined  # fmt: skip
    # Emulated IAM's simulator reads no ContextEntries and one resource only, so that it refuses whatever has a
    # condition, such as every Decrypt under a customer key; the rule itself is held by tests/doctor.
    assert bad <= {"eks.cluster", "object", "kms.key", "iam.access"}, told.examined
    simulated = {check["subject"]: check["status"] for check in told.examined["iam.access"]}
    assert simulated["mailer"] == "ok"


def test_the_token_came_from_the_command_that_the_kubeconfig_names(told: Told, placed_project: Path) -> None:
    settings = load_settings(placed_project, STACK)
    wanted = f"eks get-token --cluster-name {settings.cluster_name} --region {settings.region} --output json"
    assert told.tokens.calls() == {wanted}


def _without_properties(records: Mapping[str, Record]) -> dict[str, Record]:
    return {
        urn: {key: value for key, value in record.items() if key not in _PROPERTIES} for urn, record in records.items()
    }


def _kept(record: Record) -> Record:
    return {key: value for key, value in (record.get("inputs") or {}).items() if key not in _NOT_KEPT}


def _missing(wanted: Any, found: Any, place: str) -> list[str]:  # noqa: ANN401 - JSON
    """Say what of `wanted` is not in `found`; lists must be as long."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return [line for key, value in wanted.items() for line in _missing(value, found.get(key), f"{place} {key}")]
    if _is_list(wanted) and _is_list(found) and len(wanted) == len(found):
        return [
            line
            for index, pair in enumerate(zip(wanted, found, strict=True))
            for line in _missing(*pair, f"{place}[{index}]")
        ]
    return [] if wanted == found else [f"{place}: wanted {wanted!r}, found {found!r}"]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
