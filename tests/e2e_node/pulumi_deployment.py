"""The program's objects brought to the node's API server by Pulumi: its CLI, its Kubernetes provider, and Helm in that.

Where these parts are there (`make e2e-pulumi` builds them). AWS resources go to emulated AWS through the provider of
`tests.pulumi_cli`. A release's hook is a Job, whose image nobody has here, and at the first run there is no node yet:
its pods are declared done, and the job controller sees to the rest.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import urllib3

from local.emulator import Emulator
from lockstep.engine import KubernetesManifests
from tests.e2e.kubernetes_api import ApiError, KubernetesApi
from tests.e2e_node.chart import render_release
from tests.e2e_node.node_deployment import NodeDeployment
from tests.pulumi_cli.installed_parts import (
    InstalledParts,
    KubernetesPlugin,
    MissingParts,
    find_kubernetes_plugin,
    find_parts,
)
from tests.pulumi_cli.program_copy import change_settings, copy_program, place_settings
from tests.pulumi_cli.pulumi_cli import PulumiCli
from tests.pulumi_cli.real_cluster import ChartRepository, TokenCommand

_KUBERNETES: Final = "kubernetes:"
_JOB_LABEL: Final = "batch.kubernetes.io/job-name"
_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PulumiParts:
    """What Pulumi there is."""

    engine: InstalledParts
    plugin: KubernetesPlugin

    def __str__(self) -> str:
        host = "its language host" if self.engine.language_host or self.engine.program_host else "the tests' own host"
        return f"with {host} and Kubernetes provider {self.plugin.version}"


def find_pulumi() -> PulumiParts | MissingParts:
    """Look for CLI and Kubernetes provider; see `installed_parts`."""
    engine = find_parts()
    if isinstance(engine, MissingParts):
        return engine
    plugin = find_kubernetes_plugin()
    return plugin if isinstance(plugin, MissingParts) else PulumiParts(engine=engine, plugin=plugin)


@dataclass(slots=True)
class PulumiDeployment(NodeDeployment):
    """See `Deployment`: the engine is Pulumi's, and nothing is applied beside it.

    Attributes:
        cli: On a copy of the program.
        parts: What it consists of.
    """

    cli: PulumiCli | None = None
    parts: PulumiParts | None = None
    _runs: int = field(default=0, init=False)

    @classmethod
    def start(
        cls,
        plain: NodeDeployment,
        *,
        parts: PulumiParts,
        emulator: Emulator,
        repository: ChartRepository,
        region: str,
    ) -> PulumiDeployment:
        """Take the place of a deployment that has not run yet.

        Args:
            plain: What would apply the objects without Pulumi.
            parts: Pulumi.
            emulator: Emulated AWS.
            repository: Where the driver's chart is.
            region: Of the stack.
        """
        api = _server(plain)
        folder = plain.work_dir / "pulumi"
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / parts.plugin.program.name).symlink_to(parts.plugin.program)
        TokenCommand.write(programs, api.token)
        cli = PulumiCli(
            parts=parts.engine,
            project=copy_program(plain.project, plain.work_dir / "program"),
            stack=plain.stack,
            folder=folder,
            plugins={"resource-aws": "aws_plugin"},
            variables={
                "AWS_ENDPOINT_URL": emulator.endpoint,
                "AWS_REGION": region,
                "AWS_ACCESS_KEY_ID": emulator.access_key,
                "AWS_SECRET_ACCESS_KEY": emulator.secret_key,
                "SSL_CERT_FILE": str(repository.authority),
            },
        )
        cli.init()
        return cls(
            project=plain.project,
            stack=plain.stack,
            aws=plain.aws,
            kubernetes=plain.kubernetes,
            state_path=plain.state_path,
            config={**plain.config, **place_settings(api, repository.url)},
            api=api,
            work_dir=plain.work_dir,
            cli=cli,
            parts=parts,
        )

    def describe(self) -> str:
        """Name the engine, as a noun with its versions."""
        assert self.cli is not None
        return f"Pulumi {self.cli.version()} {self.parts}"

    def preview(self, apps: Path | None = None) -> None:
        """See `Deployment`."""
        self._set_up(apps).preview()

    def up(self, apps: Path | None = None) -> None:
        """Let Pulumi place everything, and note what its records say that it placed."""
        cli = self._set_up(apps)
        with _hook_pods_that_end(_server(self)):
            cli.up()
        self._runs += 1
        self.kubernetes = _manifests(cli.resources(), self.work_dir / f"placed-{self._runs}")
        (release,) = [item for key, item in self.kubernetes.objects.items() if key.kind == "Release"]
        self.rendered = render_release(release, self.work_dir)

    def _set_up(self, apps: Path | None) -> PulumiCli:
        assert self.cli is not None
        assert apps is None, "the copy of the program has its specs"
        change_settings(self.cli.project, self.stack, self.config)
        return self.cli


@contextlib.contextmanager
def _hook_pods_that_end(api: KubernetesApi) -> Iterator[None]:
    """Play kubelet for the pods of Jobs."""
    over = threading.Event()

    def play() -> None:
        while not over.wait(_POLL_SECONDS):
            # A pod may be gone by now, or the scheduler has just written to it: the next round sees.
            with contextlib.suppress(ApiError, urllib3.exceptions.HTTPError):
                for pod in api.call("GET", f"/api/v1/pods?labelSelector={_JOB_LABEL}")["items"]:
                    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
                    api.merge_patch(path, {"status": {"phase": "Succeeded"}})

    thread = threading.Thread(target=play, name="hook-pods-that-end", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _server(deployment: NodeDeployment) -> KubernetesApi:
    assert deployment.api is not None
    return deployment.api


def _manifests(records: list[dict[str, Any]], folder: Path) -> KubernetesManifests:
    """Return the objects of a stack's records, as the embedded engine keeps them."""
    manifests = KubernetesManifests(folder)
    for record in records:
        if str(record["type"]).startswith(_KUBERNETES):
            manifests.create(record["type"], cast("dict[str, Any]", record["inputs"]))
    return manifests
