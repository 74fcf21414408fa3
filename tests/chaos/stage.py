"""The stage of a chaos run: driver and API server, real ones or stand-ins, and AWS behind a place where calls go wrong.

The apps are the run's own specs, placed by the Pulumi program like any stack's. Beside them stand what a program would
not write: two more roles that alpha's account may assume, and a class of beta's that names alpha's role.

Not done here: deciding what happens (plan.py), judging it (model.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components.derivation import derive_all, load_specs
from local.deployment import NodeTokens
from local.node import Kubelet
from local.oidc_issuer import TokenCache
from local.pods import Pod, TokenSource
from local.provider_process import ProviderProcess
from local.stage import Stage
from tests.chaos.faulty_aws import FaultyAws
from tests.chaos.model import Ages, Model
from tests.chaos.plan import TokenKind
from tests.chaos.world import APPS, CLASSES, PARAMETERS, PODS, SECRETS, TRUSTS, ClassRule, render_value
from tests.e2e.csi_driver import RealDriver
from tests.e2e.real_stage import ApiTokens, RealStage

#: Ages of the provider in a run, and how long it may take for one mount.
FIRST_MOUNT_MAX_AGE_SECONDS: Final = 1
REFRESH_INTERVAL_SECONDS: Final = 2
MOUNT_TIMEOUT_SECONDS: Final = 5
MAX_STALE_SECONDS: Final = 3600
AGES: Final = Ages(longest=REFRESH_INTERVAL_SECONDS, max_stale=MAX_STALE_SECONDS)

_FLAGS: Final = (
    f"--first-mount-max-age={FIRST_MOUNT_MAX_AGE_SECONDS}s",
    f"--refresh-interval={REFRESH_INTERVAL_SECONDS}s",
    f"--mount-timeout={MOUNT_TIMEOUT_SECONDS}s",
    f"--max-stale={MAX_STALE_SECONDS}s",
    "--shutdown-grace=6s",
    "--log-format=json",
    "--metrics-address=",
)
_DENIAL: Final = "chaos-denies"


@dataclass(slots=True)
class ChaosProvider(ProviderProcess):
    """The provider with its clock within reach, and perhaps one planted bug."""

    clock_file: Path = Path()
    plant: str = ""

    @property
    def command(self) -> tuple[str, ...]:
        """The command line; what ProviderProcess runs, through `tests.chaos.provider`."""
        interpreter, _, _, *flags = ProviderProcess.command.fget(self)  # type: ignore[attr-defined]
        plant = ("--plant", self.plant) if self.plant else ()
        return (interpreter, "-m", "tests.chaos.provider", "--clock-file", str(self.clock_file), *plant, *flags)


@dataclass(slots=True, kw_only=True)
class ChaosTokens:
    """Tokens of the API server, asked for once; and such that nobody should take.

    Attributes:
        source: Gives good ones.
        signing_key: The API server's own, in PEM: an expired token is right in everything else.
        kinds: Pod uid → the kind that its next mount gets.
    """

    source: TokenSource
    signing_key: str = field(repr=False)
    kinds: dict[str, TokenKind] = field(default_factory=dict)
    given: set[str] = field(default_factory=set, repr=False)

    def tokens(
        self, *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: Sequence[str]
    ) -> Mapping[str, Mapping[str, object]]:
        """Return a token per audience, of the kind that is the pod's turn."""
        good = self.source.tokens(
            namespace=namespace,
            service_account=service_account,
            pod_name=pod_name,
            pod_uid=pod_uid,
            audiences=audiences,
        )
        kind = self.kinds.get(pod_uid, TokenKind.GOOD)
        made = {
            audience: {**token, "token": self._spoil(str(token["token"]), kind)} for audience, token in good.items()
        }
        self.given.update(str(token["token"]) for token in made.values())
        return made

    def _spoil(self, token: str, kind: TokenKind) -> str:
        match kind:
            case TokenKind.GOOD:
                return token
            case TokenKind.GARBAGE:
                return f"{token.rpartition('.')[0]}.c3BvaWxlZA"
            case TokenKind.EXPIRED:
                claims = jwt.decode(token, options={"verify_signature": False})
                header = jwt.get_unverified_header(token)
                claims |= {"exp": int(time.time()) - 60}
                return jwt.encode(claims, self.signing_key, algorithm="RS256", headers={**header, "typ": None})


class ChaosStage(Stage):
    """A stage with a world of its own and the means to disturb it. Runs, one after the other, may share it.

    Attributes:
        faulty: Where calls of AWS go wrong.
        tokens: What kubelet hands over.
        pods: By name.
        clock_file: Seconds by which the provider's wall clock is moved.
        log_paths: Logs beside the provider's.
        kubelet_secrets: Whether tokens come as CSI secrets.
    """

    faulty: FaultyAws
    tokens: ChaosTokens
    pods: dict[str, Pod]
    clock_file: Path
    log_paths: tuple[Path, ...] = ()
    are_tokens_secrets = False
    _trusts: dict[str, Any]
    _numbers: Counter[str]

    def _prepare(self) -> None:
        super()._prepare()
        self.pods, self._trusts, self._numbers = {}, {}, Counter()
        specs = load_specs([APPS])
        self.apps = derive_all(specs, self.settings.environment(self.settings.oidc_issuer or ""))
        self.sources = ()
        self.clock_file = self.work_dir / "clock"

    def _deploy(self) -> None:
        for name in (*SECRETS, *PARAMETERS):
            self.write_value(name, 0)
        self.deployment = self.make_deployment(self._aws())
        self.deployment.up(APPS)

    def start_provider(self) -> None:
        """Start the place that breaks calls, and the provider behind it."""
        self.faulty = FaultyAws(upstream=self.emulator.endpoint, model=Model(AGES))
        self.down.enter_context(self.faulty)
        socket_dir = self.work_dir / "providers"
        socket_dir.mkdir(mode=0o700)
        self.provider = self.new_provider()
        self.provider.start()
        self.down.callback(self._stop_provider)

    def _stop_provider(self) -> None:
        self.provider.stop()  # whichever instance it is by then

    def new_provider(self, plant: str = "") -> ChaosProvider:
        """Return a provider that does not run yet."""
        return ChaosProvider(
            project=self.project,
            socket_dir=self.work_dir / "providers",
            endpoint=self.faulty.endpoint,
            log_path=self.work_dir / "provider.log",
            flags=_FLAGS,
            clock_file=self.clock_file,
            plant=plant,
        )

    def start_node(self) -> None:
        """Start driver and kubelet, then place roles, classes and pods."""
        super().start_node()
        self.tokens = self.make_tokens()
        self._place_roles()
        stolen = self.app("alpha").mounts[0].secret_provider_class["spec"]["parameters"]["objects"]  # type: ignore[index]
        for rule in CLASSES:
            if rule.name != rule.app:
                parameters = {"roleArn": self._role_arn(rule)}
                parameters |= {"objects": str(stolen)} if rule.app != "alpha" else {}
                self.deployment.write_class(self.app(rule.app).namespace, rule.name, rule.app, **parameters)
        for name, rule in PODS.items():
            number = int(name.rpartition("-")[2])
            self.pods[name] = self.pod(self.app(rule.app), number, class_name=rule.name)

    def make_tokens(self) -> ChaosTokens:
        """Return the tokens of the stand-in of the API server."""
        key = self._issuer._key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return ChaosTokens(source=NodeTokens(TokenCache(self._issuer)), signing_key=key.decode())

    def restart_driver(self) -> None:
        """Restart the driver; the stand-in is no process, so nothing happens."""

    def stop_api_server(self) -> None:
        """Stop the API server; nothing happens where there is none."""

    def start_api_server(self) -> None:
        """Start it again."""

    def limit_disk(self, target: Path, *, is_full: bool) -> bool:
        """Leave a mounted volume no room, or give it back; False where it cannot be done: here it is a folder."""
        del target, is_full
        return False

    def driver_of(self, pod_name: str) -> Any:  # noqa: ANN401 - a real one or the stand-in
        """Return the driver that mounts for a pod."""
        del pod_name
        return self.kubelet.driver

    def kubelet_for(self, pod_name: str, deadline_seconds: float) -> Any:  # noqa: ANN401 - as above
        """Return a pod's kubelet, with a deadline of its own."""
        return Kubelet(
            root=self.work_dir / "kubelet",
            driver=self.driver_of(pod_name),
            tokens=self.tokens,
            audiences=self.deployment.driver_values().audiences,
            are_tokens_secrets=self.are_tokens_secrets,
            deadline_seconds=deadline_seconds,
        )

    def write_value(self, name: str, number: int) -> None:
        """Give an object its `number`th value."""
        value = render_value(name, number)
        if name in PARAMETERS:
            ssm = self.emulator.client("ssm", self.settings.region)
            ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
        elif number == 0:
            self._secrets_manager().create_secret(Name=name, SecretString=value)
        else:
            self._secrets_manager().put_secret_value(SecretId=name, SecretString=value)

    def next_number(self, name: str) -> int:
        """Return a number that no value of this object has had on this stage."""
        self._numbers[name] += 1
        return self._numbers[name]

    def remove_parameter(self, name: str) -> None:
        """Delete a parameter."""
        self.emulator.client("ssm", self.settings.region).delete_parameter(Name=name)

    def deny(self, rule: ClassRule, objects: Sequence[str]) -> None:
        """Deny reads of these objects to the class's role, and allow all others; describing a secret stays allowed."""
        iam, role = self._iam(), rule.identity.role
        if not objects:
            iam.delete_role_policy(RoleName=role, PolicyName=_DENIAL)
            return
        statement = {
            "Effect": "Deny",
            "Action": ["secretsmanager:GetSecretValue", "ssm:GetParameters"],
            "Resource": [self._resource(name) for name in objects],
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName=_DENIAL, PolicyDocument=document)

    def trust(self, rule: ClassRule, *, is_trusted: bool) -> None:
        """Let the role be assumed as before, or by nobody."""
        document = dict(self._trusts[rule.identity.role])
        if not is_trusted:
            document["Statement"] = [{**item, "Effect": "Deny"} for item in document["Statement"]]
        self._iam().update_assume_role_policy(RoleName=rule.identity.role, PolicyDocument=json.dumps(document))

    def reset_aws(self) -> None:
        """Take back what an earlier run left: denials, distrust, missing parameters."""
        for rule in CLASSES:
            if rule.name in TRUSTS:
                names = self._iam().list_role_policies(RoleName=rule.identity.role)["PolicyNames"]
                if _DENIAL in names:
                    self.deny(rule, ())
                self.trust(rule, is_trusted=True)

    def _place_roles(self) -> None:
        """Make the roles that only the run has, and remember who trusts whom."""
        iam, (alpha, *_) = self._iam(), CLASSES
        document = iam.get_role(RoleName=alpha.identity.role)["Role"]["AssumeRolePolicyDocument"]
        for rule in CLASSES:
            if rule.name in {"twin", "lesser"}:
                iam.create_role(
                    RoleName=rule.identity.role, Path="/lockstep/", AssumeRolePolicyDocument=json.dumps(document)
                )
                statement = {
                    "Effect": "Allow",
                    "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameters"],
                    "Resource": [self._resource(name) for name in sorted(rule.may_read)],
                }
                policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
                iam.put_role_policy(RoleName=rule.identity.role, PolicyName="reads", PolicyDocument=policy)
        for name in TRUSTS:
            role = next(rule.identity.role for rule in CLASSES if rule.name == name)
            self._trusts[role] = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]

    def _role_arn(self, rule: ClassRule) -> str:
        return self.app("alpha").role_arn.rpartition("/")[0] + f"/{rule.identity.role}"

    def _resource(self, name: str) -> str:
        place = f"{self.settings.region}:{self.settings.account}"
        if name in PARAMETERS:
            return f"arn:aws:ssm:{place}:parameter{name}"
        return f"arn:aws:secretsmanager:{place}:secret:{name}-??????"

    def _secrets_manager(self) -> Any:  # noqa: ANN401 - boto3's clients have no static type
        return self.emulator.client("secretsmanager", self.settings.region)

    def _iam(self) -> Any:  # noqa: ANN401 - as above
        return self.emulator.client("iam", self.settings.region)


class RealChaosStage(ChaosStage, RealStage):
    """The same on the real driver and API server.

    Attributes:
        drivers: One for each of two nodes. A driver asks its API server 20 times a second at most, and a mount that
            succeeds is two requests: one driver alone would be what a run waits for.
    """

    are_tokens_secrets = True
    drivers: tuple[RealDriver, ...]

    def start_node(self) -> None:
        """Start the node; kubelet cannot tell by the driver's counters what came of a mount: many go on at a time."""
        super().start_node()
        second = self.new_driver(replace(self.driver.settings, node_name="node2"), name="csi2")
        self.drivers = (self.driver, second)
        for driver in self.drivers:
            driver.counts_outcomes = False
        logs = tuple(driver.folder / "driver.log" for driver in self.drivers)
        self.log_paths = (*logs, self.control_plane.api_server.log_path)

    def driver_of(self, pod_name: str) -> Any:  # noqa: ANN401 - as its base
        """Return the driver of the pod's node."""
        return self.drivers[list(PODS).index(pod_name) % len(self.drivers)]

    def make_tokens(self) -> ChaosTokens:
        """Return the API server's tokens."""
        key = (self.control_plane.folder / "keys" / "accounts.key").read_text(encoding="utf-8")
        return ChaosTokens(source=ApiTokens(kubelet=self.control_plane.kubelet), signing_key=key)

    def restart_driver(self) -> None:
        """End each driver and start another one."""
        for driver in self.drivers:
            driver.restart()

    def stop_api_server(self) -> None:
        """Stop the API server."""
        self.control_plane.api_server.stop()

    def start_api_server(self) -> None:
        """Start it on the same port, with the same data."""
        self.control_plane.api_server.start()

    def limit_disk(self, target: Path, *, is_full: bool) -> bool:
        """Leave the volume's memory file system no page beside what it has, or half of the memory again."""
        usage = os.statvfs(target)
        used = max(usage.f_frsize, (usage.f_blocks - usage.f_bfree) * usage.f_frsize)
        command = ["mount", "-o", f"remount,size={used if is_full else '50%'}", str(target)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own argument list
        return True
