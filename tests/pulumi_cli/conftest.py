"""What the tests run on: Pulumi, skipped with the reason where the machine can have none, and emulated accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.settings import load_settings
from local.emulator import Emulator
from local.oidc_issuer import OidcIssuer
from lockstep.engine import AwsProvider, KubernetesManifests
from tests.pulumi_cli.engines import EmbeddedEngine, RealEngine
from tests.pulumi_cli.installed_parts import InstalledParts, MissingParts, find_parts
from tests.pulumi_cli.program_copy import copy_program
from tests.pulumi_cli.pulumi_cli import PulumiCli

STACK = "local"


@pytest.fixture(scope="session")
def parts() -> InstalledParts:
    """Return the CLI and the language host."""
    found = find_parts()
    if isinstance(found, MissingParts):
        if found.is_buildable:
            pytest.fail(f"{found.reason}. Fix: make e2e-pulumi")
        pytest.skip(found.reason)
    return found


@dataclass(slots=True, kw_only=True)
class Bench:
    """One engine on the `local` stack, with an emulated account and a folder of manifests of its own."""

    engine: RealEngine | EmbeddedEngine
    emulator: Emulator
    manifests: Path
    project: Path
    region: str

    def objects(self) -> dict[str, object]:
        """Return the Kubernetes objects that exist, by place."""
        return {"/".join(key): item for key, item in KubernetesManifests(self.manifests).objects.items()}

    def account(self) -> dict[str, object]:
        """Return what the stack can have made in the account."""
        iam = self.emulator.client("iam", self.region)
        found: dict[str, object] = {
            item["Arn"]: iam.get_open_id_connect_provider(OpenIDConnectProviderArn=item["Arn"])["ClientIDList"]
            for item in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        }
        for role in iam.list_roles()["Roles"]:
            name = role["RoleName"]
            policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
            found[role["Arn"]] = {
                "trust": role["AssumeRolePolicyDocument"],
                "policies": {
                    policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                    for policy in sorted(policies)
                },
            }
        return found


@pytest.fixture(scope="module")
def copied_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the program, with this environment; the CLI writes into it, and tests change its specs."""
    return copy_program(project, tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def make_emulator(copied_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Emulator]]:
    """Return a function that starts an emulated account; they end with the module."""
    settings = load_settings(copied_project, STACK)
    started: list[Emulator] = []

    def start() -> Emulator:
        folder = tmp_path_factory.mktemp("emulator")
        keys = folder / "issuer-keys.json"
        issuer = str(settings.oidc_issuer)
        OidcIssuer(issuer).write_key_document(keys)
        emulator = Emulator(issuer=issuer, jwks=keys, work_dir=folder / "work", account=settings.account)
        emulator.start()
        started.append(emulator)
        return emulator

    yield start
    for emulator in started:
        emulator.stop()


@pytest.fixture(scope="module")
def starts_plugins() -> bool:
    """Say whether the module's programs need a language host that starts plugins; a module may say otherwise."""
    return False


@pytest.fixture(scope="module")
def real(
    parts: InstalledParts,
    copied_project: Path,
    make_emulator: Callable[[], Emulator],
    tmp_path_factory: pytest.TempPathFactory,
    *,
    starts_plugins: bool,
) -> Bench:
    """Return the Pulumi CLI on a stack that nothing was done with yet."""
    folder = tmp_path_factory.mktemp("pulumi")
    return make_real_bench(
        parts,
        copied_project,
        make_emulator(),
        folder,
        plugins={"resource-kubernetes": "kubernetes_plugin"},
        variables={"LOCKSTEP_MANIFESTS": str(folder / "manifests")},
        starts_plugins=starts_plugins,
    )


def make_real_bench(
    parts: InstalledParts,
    project: Path,
    emulator: Emulator,
    folder: Path,
    *,
    plugins: Mapping[str, str],
    variables: Mapping[str, str],
    starts_plugins: bool = False,
) -> Bench:
    """Return the Pulumi CLI on a new stack, with the emulated account behind the AWS provider of the tests.

    Args:
        parts: Which CLI.
        project: A copy of the program.
        emulator: The account.
        folder: For everything that the CLI keeps.
        plugins: Further plugins of the tests; what is not named is looked for on PATH.
        variables: Further variables of CLI and plugins.
        starts_plugins: See `PulumiCli`.
    """
    region = load_settings(project, STACK).region
    cli = PulumiCli(
        parts=parts,
        project=project,
        stack=STACK,
        folder=folder,
        plugins={"resource-aws": "aws_plugin", **plugins},
        starts_plugins=starts_plugins,
        variables={
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_REGION": region,
            "AWS_ACCESS_KEY_ID": emulator.access_key,
            "AWS_SECRET_ACCESS_KEY": emulator.secret_key,
            **variables,
        },
    )
    cli.init()
    return Bench(
        engine=RealEngine(cli), emulator=emulator, manifests=folder / "manifests", project=project, region=region
    )


@pytest.fixture(scope="module")
def embedded(
    copied_project: Path, make_emulator: Callable[[], Emulator], tmp_path_factory: pytest.TempPathFactory
) -> Bench:
    """Return the embedded engine on the same stack, in an account of its own."""
    emulator = make_emulator()
    folder = tmp_path_factory.mktemp("embedded")
    region = load_settings(copied_project, STACK).region
    aws = AwsProvider(
        endpoint_url=emulator.endpoint, region=region, access_key=emulator.access_key, secret_key=emulator.secret_key
    )
    engine = EmbeddedEngine(
        project=copied_project,
        stack=STACK,
        providers={"aws": aws, "kubernetes": KubernetesManifests(folder / "manifests")},
    )
    return Bench(
        engine=engine, emulator=emulator, manifests=folder / "manifests", project=copied_project, region=region
    )
