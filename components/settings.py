"""A stack's settings: the only reader of Pulumi configuration.

Not done here: reading files (stack_config.py) and the rules of derivation (derivation/environment.py, which is asked).
`parse_settings` is a pure function over a mapping; the program calls `read_settings`, everything else `load_settings`.
Every problem of a stack is reported at once; each names the key, the file and the fix. Unknown keys are refused,
because Pulumi accepts them silently and a typing error would then decide who may read what.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.derivation import Environment, Identity, SpecErrors
from components.stack_config import (
    ConfigKey,
    ConfigValue,
    SettingsErrors,
    SettingsProblem,
    load_stack_config,
    stack_file,
)

NAMESPACE = "lockstep"
REGION_KEY = "aws:region"
ALLOWED_ACCOUNTS_KEY = "aws:allowedAccountIds"

#: Stands for an issuer that is not known before the cluster was looked up, so that the other rules can be asked.
_ISSUER_TO_COME = "https://issuer.invalid"

_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?")
_DURATION = re.compile(r"(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")
_URL = re.compile(r"https://[^\s/]+(?:/\S*)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

#: Shortest refresh: below it every republish of kubelet (60 to 90 s a pod) would call AWS for nothing.
SHORTEST_REFRESH_SECONDS = 30

#: Field of `Environment` to the key that gives it; any other field is a key of the same name.
_ENVIRONMENT_KEYS = {"name": "lockstep:environment", "region": REGION_KEY, "cluster": "lockstep:clusterName"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """Everything that differs between stacks. Field by field the `config` of Pulumi.yaml, which documents them.

    Attributes:
        stack: Name of the stack.
        oidc_issuer: None when it is to be looked up; likewise endpoint and certificate, which go together.
        chart_version: Major, minor, patch as written.
        refresh_interval_seconds: At least `SHORTEST_REFRESH_SECONDS`.
    """

    stack: str
    environment_name: str
    region: str
    account: str
    partition: str
    cluster_name: str
    oidc_issuer: str | None
    cluster_endpoint: str | None
    cluster_certificate: str | None
    create_oidc_provider: bool
    create_namespaces: bool
    apps: tuple[str, ...]
    identity: Identity
    role_path: str
    permissions_boundary: str | None
    provider_image: str
    chart_repository: str
    chart_version: str
    refresh_interval_seconds: int
    extra_audiences: tuple[str, ...]

    def environment(self, oidc_issuer: str) -> Environment:
        """Return what access is derived from. `oidc_issuer` is the cluster's, given or looked up."""
        return Environment(
            name=self.environment_name,
            region=self.region,
            account=self.account,
            cluster=self.cluster_name,
            oidc_issuer=oidc_issuer,
            partition=self.partition,
            default_identity=self.identity,
            role_path=self.role_path,
            permissions_boundary=self.permissions_boundary,
        )


def read_settings() -> StackSettings:
    """Read the configuration of the running Pulumi program.

    Raises:
        SettingsErrors: Everything that is wrong with it.
    """
    import pulumi  # noqa: PLC0415 - everything else in this module works without Pulumi
    from pulumi.runtime import config  # noqa: PLC0415

    # pulumi.Config answers for keys that one knows; unknown ones are only seen in the map behind it.
    values = {**config.get_config_env(), **config.CONFIG.get()}
    file = stack_file(Path(pulumi.get_root_directory() or "."), pulumi.get_stack())
    return parse_settings({ConfigKey(key): value for key, value in values.items()}, pulumi.get_stack(), file)


def load_settings(project_dir: Path, stack: str, overrides: Mapping[str, ConfigValue] | None = None) -> StackSettings:
    """Read the configuration of a stack from its files, without Pulumi.

    Raises:
        SettingsErrors: A file cannot be read, or everything that is wrong with the settings.
    """
    config = load_stack_config(project_dir, stack, overrides)
    return parse_settings(config.values, stack, config.file)


def parse_settings(values: Mapping[ConfigKey, ConfigValue], stack: str, file: str) -> StackSettings:
    """Turn configuration into settings.

    Args:
        values: Full key to value, defaults of Pulumi.yaml included. Lists and booleans may be JSON text, as Pulumi
            hands them to a program.
        stack: Name of the stack.
        file: The file to mend, for messages.

    Raises:
        SettingsErrors: All problems at once.
    """
    reader = _Reader(values, file)
    settings = _read(reader, stack)
    _check_environment(settings, reader)
    reader.refuse_unknown()
    if reader.problems:
        raise SettingsErrors(tuple(reader.problems))
    return settings


def _read(reader: _Reader, stack: str) -> StackSettings:
    endpoint = reader.optional("clusterEndpoint", _URL, "It is an https URL")
    certificate = reader.optional("clusterCertificate", _BASE64, "It is base64 of a PEM certificate")
    if (endpoint is None) != (certificate is None):
        lonely, missing = ("clusterEndpoint", "clusterCertificate")[:: 1 if certificate is None else -1]
        rule = "Endpoint and certificate go together"
        reader.add(
            lonely, f"it stands without {missing}", rule, f"give {NAMESPACE}:{missing} too, or neither", "CFG009"
        )
    return StackSettings(
        stack=stack,
        environment_name=reader.text("environment"),
        region=reader.text(REGION_KEY),
        account=reader.text("account"),
        partition=reader.text("partition"),
        cluster_name=reader.text("clusterName"),
        oidc_issuer=reader.optional("oidcIssuer", _URL, "It is the issuer's https URL"),
        cluster_endpoint=endpoint,
        cluster_certificate=certificate,
        create_oidc_provider=reader.boolean("createOidcProvider"),
        create_namespaces=reader.boolean("createNamespaces"),
        apps=reader.texts("apps", at_least=1),
        identity=reader.identity("identity"),
        role_path=reader.text("rolePath"),
        permissions_boundary=reader.optional("permissionsBoundary", None, ""),
        provider_image=reader.matching(
            "providerImage",
            _IMAGE,
            "An image is named by digest, so that a tag cannot move under it",
            "write <repository>@sha256:<64 hex digits>, as the push of the image printed it",
        ),
        chart_repository=reader.matching(
            "csiDriverChartRepository", _URL, "It is an https URL", "write the repository's URL"
        ),
        chart_version=reader.matching(
            "csiDriverChartVersion", _VERSION, "A chart is pinned", "write an exact version such as 1.6.0"
        ),
        refresh_interval_seconds=reader.duration("refreshInterval"),
        extra_audiences=reader.texts("extraAudiences", at_least=0),
    )


def _check_environment(settings: StackSettings, reader: _Reader) -> None:
    """Ask the derivation's own rules, and hold the account against what the AWS provider allows."""
    try:
        settings.environment(settings.oidc_issuer or _ISSUER_TO_COME)
    except SpecErrors as errors:
        for problem in errors.problems:
            key = _ENVIRONMENT_KEYS.get(problem.spot.field, f"{NAMESPACE}:{problem.spot.field}")
            if key not in reader.broken:
                reader.add(key, problem.what, problem.rule, f"correct {key}", "CFG008")
    allowed = reader.texts(ALLOWED_ACCOUNTS_KEY, at_least=0)
    if allowed and settings.account not in allowed and "lockstep:account" not in reader.broken:
        rule = "Access is derived for lockstep:account and must be placed there"
        fix = f"list {settings.account!r}, or correct lockstep:account"
        reader.add(ALLOWED_ACCOUNTS_KEY, f"{settings.account!r} is not among {', '.join(allowed)}", rule, fix, "CFG010")


@dataclass(slots=True)
class _Reader:
    """Reads keys and collects problems; a broken key is reported once and gets a harmless stand-in."""

    values: Mapping[ConfigKey, ConfigValue]
    file: str
    problems: list[SettingsProblem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def add(self, key: str, what: str, rule: str, fix: str, code: str) -> None:
        full = _full(key)
        self.broken.add(full)
        self.problems.append(SettingsProblem(file=self.file, key=full, what=what, rule=rule, fix=fix, code=code))

    def value(self, key: str) -> ConfigValue:
        self.known.add(_full(key))
        return self.values.get(ConfigKey(_full(key)))

    def text(self, key: str) -> str:
        value = self.value(key)
        if value in (None, ""):
            self.add(key, "it is missing", "It has no default", f"add `{_full(key)}: ...` to {self.file}", "CFG006")
            return ""
        return self._as_text(key, value)

    def optional(self, key: str, pattern: re.Pattern[str] | None, rule: str) -> str | None:
        value = self.value(key)
        if value in (None, ""):
            return None
        text = self._as_text(key, value)
        if pattern is not None and _full(key) not in self.broken and not pattern.fullmatch(text):
            self.add(key, f"{text!r} does not fit", rule, "correct it, or leave it out to have it looked up", "CFG007")
        return text

    def matching(self, key: str, pattern: re.Pattern[str], rule: str, fix: str) -> str:
        text = self.text(key)
        if _full(key) not in self.broken and not pattern.fullmatch(text):
            self.add(key, f"{text!r} does not fit", rule, fix, "CFG007")
        return text

    def boolean(self, key: str) -> bool:
        value = self._parsed(self.value(key), lambda parsed: isinstance(parsed, bool))
        if not isinstance(value, bool):
            self.add(key, f"{value!r} is not a boolean", "It is true or false", "write true or false", "CFG005")
            return False
        return value

    def texts(self, key: str, *, at_least: int) -> tuple[str, ...]:
        value = self._parsed(self.value(key), lambda parsed: isinstance(parsed, list))
        if value is None and not at_least:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.add(key, f"{value!r} is not a list of texts", "It is a list", "write one `- text` per line", "CFG005")
            return ()
        if len(value) < at_least:
            self.add(key, "the list is empty", f"It has {at_least} or more entries", "name one", "CFG007")
        return tuple(str(item) for item in value)

    def identity(self, key: str) -> Identity:
        text = self.text(key)
        names = [str(identity.value) for identity in Identity]
        if text in names:
            return Identity(text)
        if _full(key) not in self.broken:
            near = difflib.get_close_matches(text, names, n=1)
            fix = f"did you mean {near[0]!r}?" if near else f"write {names[0]}"
            self.add(key, f"{text!r} does not fit", f"It is one of {', '.join(names)}", fix, "CFG007")
        return Identity.IRSA

    def duration(self, key: str) -> int:
        text = self.text(key)
        found = _DURATION.fullmatch(text)
        if _full(key) in self.broken:
            return SHORTEST_REFRESH_SECONDS
        parts = {name: int(part) for name, part in (found.groupdict() if found else {}).items() if part}
        if not parts:
            rule = "It is hours, minutes and seconds in whole numbers"
            self.add(key, f"{text!r} is not a duration", rule, "write it like 120s or 2m", "CFG007")
            return SHORTEST_REFRESH_SECONDS
        seconds = parts.get("hours", 0) * 3600 + parts.get("minutes", 0) * 60 + parts.get("seconds", 0)
        if seconds < SHORTEST_REFRESH_SECONDS:
            rule = f"Below {SHORTEST_REFRESH_SECONDS}s nothing is fresher: kubelet asks for a pod every 60 to 90 s"
            self.add(key, f"{text!r} is too short", rule, "write 30s or more", "CFG007")
        return seconds

    def refuse_unknown(self) -> None:
        """Refuse keys of this project that nothing has read. Other packages' keys are theirs."""
        for key in sorted(self.values):
            if not key.startswith(f"{NAMESPACE}:") or key in self.known:
                continue
            names = sorted(known.removeprefix(f"{NAMESPACE}:") for known in self.known)
            near = difflib.get_close_matches(key.removeprefix(f"{NAMESPACE}:"), names, n=1)
            fix = f"did you mean '{NAMESPACE}:{near[0]}'?" if near else "remove it"
            self.add(key, "the key is unknown", "Pulumi.yaml lists the settings", fix, "CFG011")

    def _as_text(self, key: str, value: ConfigValue) -> str:
        if isinstance(value, str):
            return value
        what = f"{value!r} is not text"
        self.add(key, what, "It is text; YAML reads it as something else", "put it in quotes", "CFG005")
        return ""

    @staticmethod
    def _parsed(value: ConfigValue, fits: Callable[[ConfigValue], bool]) -> ConfigValue:
        """Return what a text from Pulumi stands for when it is JSON of the wanted kind, else the value itself."""
        if not isinstance(value, str):
            return value
        try:
            parsed: ConfigValue = json.loads(value)
        except ValueError:
            return value
        return parsed if fits(parsed) else value


def _full(key: str) -> str:
    return key if ":" in key else f"{NAMESPACE}:{key}"
