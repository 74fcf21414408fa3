"""The whole system on this machine: emulator, program, provider and node, up in order and down in reverse.

Not done here: what is proved (proofs.py) and what is printed (report.py). Everything lives in one work folder, for the
owner only; every process that is started here is ended here, by its id.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from components.derivation import AppAccess, derive_all, load_specs
from components.settings import StackSettings, load_settings
from local.cluster_objects import ClusterObjects
from local.deployment import Deployment, NodeTokens
from local.driver import Driver
from local.emulator import Emulator
from local.node import Kubelet
from local.oidc_issuer import OidcIssuer, TokenCache
from local.pods import Pod, Volume, parse_volume
from local.provider_process import ProviderProcess
from local.report import Report
from local.seed import Seed, Source, sources_of
from lockstep.engine import AwsProvider, KubernetesManifests

STACK = "local"

#: Ages of this run: a person does not wait two minutes for a rotation.
FIRST_MOUNT_MAX_AGE_SECONDS = 1
REFRESH_INTERVAL_SECONDS = 2
#: Flag, value here, the provider's default.
AGES = (
    ("--first-mount-max-age", f"{FIRST_MOUNT_MAX_AGE_SECONDS}s", "10s"),
    ("--refresh-interval", f"{REFRESH_INTERVAL_SECONDS}s", "120s"),
)

_FOLDER_MODE = 0o700


@dataclass(slots=True)
class Stage:
    """A context manager: inside the block everything runs.

    Attributes:
        project: The checkout.
        report: Where progress is shown.
        keep: Leave processes and files at the end.
        provider_flags: Of the provider, beside the ages.
        work_dir: Sockets, logs, manifests, state and the pods' files.
        apps: What was derived from the stack's specs before anything ran.
        down: What is done at the end, last first.
    """

    project: Path
    report: Report
    keep: bool = False
    provider_flags: tuple[str, ...] = ()
    work_dir: Path = field(init=False)
    settings: StackSettings = field(init=False)
    apps: tuple[AppAccess, ...] = field(init=False)
    sources: tuple[Source, ...] = field(init=False)
    emulator: Emulator = field(init=False)
    seed: Seed = field(init=False)
    deployment: Deployment = field(init=False)
    provider: ProviderProcess = field(init=False)
    kubelet: Kubelet[Driver] = field(init=False)
    _issuer: OidcIssuer = field(init=False, repr=False)
    down: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False, repr=False)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as on_error:
            on_error.callback(self._tear_down)
            self._prepare()
            with self.report.step("emulated AWS starts, with IAM enforced"):
                self._start_emulator()
            with self.report.step(f"{len(self.sources)} secrets and parameters are made"):
                self.seed.create_all(self.sources)
            with self.report.step("the Pulumi program runs: preview, then up"):
                self._deploy()
            with self.report.step("the provider starts on its socket"):
                self.start_provider()
            self.start_node()
            on_error.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep:
            self._tear_down()

    def _tear_down(self) -> None:
        self.down.close()

    def _prepare(self) -> None:
        self.settings = load_settings(self.project, STACK)
        specs = load_specs([self.project / path for path in self.settings.apps])
        self.apps = derive_all(specs, self.settings.environment(self.settings.oidc_issuer or ""))
        self.sources = sources_of(self.apps)
        runs = self.project / ".local"
        runs.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        # A socket's path is at most 107 bytes long, so the name is short.
        self.work_dir = Path(tempfile.mkdtemp(prefix="run-", dir=runs))
        if not self.keep:
            self.down.callback(shutil.rmtree, self.work_dir, ignore_errors=True)

    def start_issuer(self, key_document: Path) -> None:
        """Start what signs the pods' tokens, and write its public keys."""
        self._issuer = OidcIssuer(self.settings.oidc_issuer or "")
        self._issuer.write_key_document(key_document)

    def _start_emulator(self) -> None:
        key_document = self.work_dir / "issuer-keys.json"
        self.start_issuer(key_document)
        self.emulator = Emulator(
            issuer=self.settings.oidc_issuer or "",
            jwks=key_document,
            work_dir=self.work_dir / "emulator",
            account=self.settings.account,
            kms_keys=sorted({source.key for source in self.sources if source.key}),
            secret_suffixes={item.friendly_name: item.suffix for item in self.sources if item.suffix},
            keep=self.keep,
        )
        self.emulator.start()
        self.down.callback(self.emulator.stop)
        self.seed = Seed(emulator=self.emulator, region=self.settings.region)

    def _deploy(self) -> None:
        self.deployment = self.make_deployment(self._aws())
        self.deployment.preview()
        self.deployment.up()

    def _aws(self) -> AwsProvider:
        return AwsProvider(
            endpoint_url=self.emulator.endpoint,
            region=self.settings.region,
            access_key=self.emulator.access_key,
            secret_key=self.emulator.secret_key,
        )

    def make_deployment(self, aws: AwsProvider) -> Deployment:
        """Return where the program's resources go."""
        return Deployment(
            project=self.project,
            stack=STACK,
            aws=aws,
            kubernetes=KubernetesManifests(self.work_dir / "manifests"),
            state_path=self.work_dir / "state.json",
        )

    def start_provider(self) -> None:
        """Start the provider."""
        socket_dir = self.work_dir / "providers"
        socket_dir.mkdir(mode=_FOLDER_MODE)
        self.provider = ProviderProcess(
            project=self.project,
            socket_dir=socket_dir,
            endpoint=self.emulator.endpoint,
            log_path=self.work_dir / "provider.log",
            flags=(*(f"{flag}={value}" for flag, value, _ in AGES), *self.provider_flags),
        )
        self.provider.start()
        self.down.callback(self.provider.stop)

    def start_node(self) -> None:
        """Start the node: driver and kubelet, with the settings that the program placed."""
        values = self.deployment.driver_values()
        driver = Driver(
            values.driver_settings(self.provider.socket_dir),
            find_class=self.deployment.find_class,
            cluster=ClusterObjects(self.work_dir / "cluster"),
        )
        self.kubelet = Kubelet(
            root=self.work_dir / "kubelet",
            driver=driver,
            tokens=NodeTokens(TokenCache(self._issuer)),
            audiences=values.audiences,
        )
        self.down.callback(driver.close)

    def app(self, name: str) -> AppAccess:
        """Return an app's access by name."""
        return next(app for app in self.apps if app.app == name)

    def pod(self, app: AppAccess, number: int, *, class_name: str | None = None) -> Pod:
        """Return a pod of an app, as its Deployment would make it; `class_name` mounts another class instead."""
        volumes = tuple(parse_volume(mount.volume) for mount in app.mounts)
        if class_name is not None:
            first = volumes[0]
            volumes = (Volume(name=first.name, attributes={**first.attributes, "secretProviderClass": class_name}),)
        name = f"{class_name or app.app}-{number}"
        return Pod(name=name, namespace=app.namespace, service_account=app.service_account, volumes=volumes)
