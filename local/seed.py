"""What the example apps read, made in the emulator: keys, secrets and parameters, with values drawn at run time.

What to make follows from the derived access, so a new object of a spec needs no change here: every JSON key that a
spec takes out of an object is put in, at its place. Every value is remembered, so that the stage can prove that none
was printed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from components.derivation import AppAccess, Store
from components.derivation.arn import Arn, has_random_suffix
from local.emulator import Emulator

#: Marks every value, so that a leak is found by searching for one word.
MARKER = "lockstep-local-value"

_SUFFIX_LENGTH = 7  # the hyphen and six characters that Secrets Manager appends
_ARN_SECRET_PREFIX = "secret:"  # noqa: S105 - a part of an ARN


class SeedError(Exception):
    """A spec asks for something that the seed cannot make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One secret or parameter to make.

    Attributes:
        store: Where.
        name: As the specs name it.
        json_paths: Every JSON key that a spec takes out of it; () for a plain value.
        key: ARN of its customer key, or "".
        version: Number of versions that a parameter needs.
        label: Label that the last version of a parameter gets, or "".
    """

    store: Store
    name: str
    json_paths: tuple[str, ...] = ()
    key: str = ""
    version: int = 1
    label: str = ""

    @property
    def friendly_name(self) -> str:
        """The name to create it by: an ARN without its place and random suffix."""
        arn = Arn.parse(self.name)
        if arn is None:
            return self.name
        if self.store is Store.PARAMETER_STORE:
            return "/" + arn.resource.removeprefix("parameter/")
        name = arn.resource.removeprefix(_ARN_SECRET_PREFIX)
        return name[:-_SUFFIX_LENGTH] if has_random_suffix(arn) else name

    @property
    def suffix(self) -> str | None:
        """The six characters that the specs expect in the secret's ARN, or None where any will do."""
        arn = Arn.parse(self.name)
        known = self.store is Store.SECRETS_MANAGER and arn is not None and has_random_suffix(arn)
        return self.name[1 - _SUFFIX_LENGTH :] if known else None


@dataclass(slots=True)
class Seed:
    """Makes sources in the emulator, and new versions of them."""

    emulator: Emulator
    region: str
    values: set[str] = field(default_factory=set)

    def create_all(self, sources: Iterable[Source]) -> None:
        """Make every source."""
        for source in sources:
            if source.store is Store.SECRETS_MANAGER:
                self._create_secret(source)
            else:
                self._create_parameter(source)

    def rotate_secret(self, source: Source) -> None:
        """Give a secret a new version in which every value is new."""
        self._secrets_manager().put_secret_value(SecretId=source.friendly_name, SecretString=self._document(source))

    def _secrets_manager(self) -> Any:  # noqa: ANN401 - boto3's clients have no static type
        return self.emulator.client("secretsmanager", self.region)

    def _create_secret(self, source: Source) -> None:
        key = {"KmsKeyId": source.key} if source.key else {}
        answer = self._secrets_manager().create_secret(
            Name=source.friendly_name, SecretString=self._document(source), **key
        )
        if source.suffix is not None and not answer["ARN"].endswith(f"-{source.suffix}"):
            raise SeedError(f"{source.name}: the emulator made {answer['ARN']}. The spec names the whole ARN.")

    def _create_parameter(self, source: Source) -> None:
        client = self.emulator.client("ssm", self.region)
        kind: dict[str, str] = {"Type": "SecureString", "KeyId": source.key} if source.key else {"Type": "SecureString"}
        for _ in range(source.version):
            client.put_parameter(Name=source.friendly_name, Value=self._document(source), Overwrite=True, **kind)
        if source.label:
            client.label_parameter_version(Name=source.friendly_name, Labels=[source.label])

    def _document(self, source: Source) -> str:
        if not source.json_paths:
            return self._value()
        document: dict[str, object] = {}
        for path in source.json_paths:
            _place(document, _steps(path), self._value())
        document["note"] = self._value()
        return json.dumps(document)

    def _value(self) -> str:
        value = f"{MARKER}-{secrets.token_hex(8)}"
        self.values.add(value)
        return value


def sources_of(apps: Iterable[AppAccess]) -> tuple[Source, ...]:
    """Return what all apps together read, each secret and parameter once, sorted."""
    found: dict[tuple[Store, str], Source] = {}
    for app in apps:
        keys = dict(_customer_keys(app))
        for item in app.objects:
            store = Store(item.type.value)
            name = (store, item.name)
            known = found.get(name, Source(store=store, name=item.name))
            paths = {*known.json_paths, *(key.path for key in item.json_keys)}
            found[name] = Source(
                store=store,
                name=item.name,
                json_paths=tuple(sorted(paths)),
                key=known.key or keys.get(_bare(store, item.name), ""),
                version=max(known.version, int(item.version or 1)),
                label=known.label or item.version_label,
            )
    return tuple(found[key] for key in sorted(found))


def _customer_keys(app: AppAccess) -> Iterator[tuple[str, str]]:
    """Yield the bare name and the key of each object with a customer key, as the Decrypt statements have them."""
    for policy in app.policies:
        for statement in policy.document.statements:
            if statement.actions != ("kms:Decrypt",):
                continue
            contexts = (test.values for test in statement.conditions if "EncryptionContext" in test.key)
            for resource in (value for values in contexts for value in values):
                arn = Arn.parse(resource)
                if arn is not None:
                    yield arn.resource.removesuffix("-??????"), statement.resources[0]


def _bare(store: Store, name: str) -> str:
    arn = Arn.parse(name)
    if arn is not None:
        return arn.resource
    return f"secret:{name}" if store is Store.SECRETS_MANAGER else f"parameter/{name.removeprefix('/')}"


def _steps(path: str) -> list[str]:
    """Return the keys that a JMESPath walks; only plain walks can be seeded."""
    try:
        return list(_walk(jmespath.compile(path).parsed))
    except (JMESPathError, KeyError) as error:
        raise SeedError(f"the JSON key {path!r} is no plain walk such as 'db.port'; the seed cannot make it") from error


def _walk(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "field":
        yield str(node["value"])
    elif node["type"] == "subexpression":
        for child in node["children"]:
            yield from _walk(child)
    else:
        raise KeyError(node["type"])


def _place(document: dict[str, object], steps: list[str], value: str) -> None:
    *parents, last = steps
    for step in parents:
        child = document.setdefault(step, {})
        if not isinstance(child, dict):
            raise SeedError(f"the JSON keys of one object need {step!r} as text and as an object")
        document = child
    document.setdefault(last, value)
