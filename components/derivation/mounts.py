"""The objects of an app, in the provider's own values, and the mounts that hold their files.

Not done here: access. Variables are replaced already, and the reader's rules held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from components.derivation.access import DerivedFile, Mount
from components.derivation.arn import Arn
from components.derivation.environment import Environment
from components.derivation.manifests import secret_provider_class, volume, volume_mount
from components.derivation.object_checks import default_file
from components.derivation.spec import AppVariant, Identity, ObjectEntry
from provider_runtime.secret_objects import FailoverObject, JsonKey, ObjectType, SecretObject, dump_objects


def derive_mounts(
    variant: AppVariant, identity: Identity, role_arn: str, environment: Environment
) -> tuple[Mount, ...]:
    """Return the mounts that hold an object: the default one first, then the others by name."""
    paths = {"": variant.mount_path, **{mount.name: mount.path for mount in variant.mounts}}
    used = {entry.mount for entry in variant.objects}
    parameters = _identity_parameters(variant, identity, role_arn, environment)
    return tuple(_mount(name, path, variant, parameters) for name, path in paths.items() if name in used)


def class_name(app: str, mount: str) -> str:
    """Return the name of a mount's SecretProviderClass."""
    return f"{app}-{mount}" if mount else app


def _mount(name: str, path: str, variant: AppVariant, parameters: Mapping[str, str]) -> Mount:
    entries = [entry for entry in variant.objects if entry.mount == name]
    objects = tuple(_secret_object(entry, variant) for entry in entries)
    files = tuple(sorted((file for entry in entries for file in _files(entry)), key=lambda file: file.path))
    own = {"objects": dump_objects(objects)}
    if any("/" in file.path for file in files):
        own["pathTranslation"] = "False"
    named = class_name(variant.app, name)
    return Mount(
        name=name,
        path=path,
        class_name=named,
        secret_provider_class=secret_provider_class(
            name=named,
            namespace=variant.namespace,
            parameters={**parameters, **own},
            sync=[entry for entry in variant.sync if entry.mount == name],
        ),
        volume=volume(name, named),
        volume_mount=volume_mount(name, path),
        objects=objects,
        files=files,
    )


def _identity_parameters(
    variant: AppVariant, identity: Identity, role_arn: str, environment: Environment
) -> dict[str, str]:
    """Return the parameters of every class of the app.

    They carry region and role, so that a mount costs no call to the Kubernetes API.
    """
    parameters = {"objectVersions": "content", "region": environment.region}
    if variant.failover_regions:
        plural = "failoverRegion" if len(variant.failover_regions) == 1 else "failoverRegions"
        parameters[plural] = ",".join(variant.failover_regions)
    if variant.refresh_interval_seconds is not None:
        parameters["refreshInterval"] = f"{variant.refresh_interval_seconds}s"
    if identity is Identity.IRSA:
        parameters["roleArn"] = role_arn
    else:
        parameters["usePodIdentity"] = "true"
    return parameters


def _secret_object(entry: ObjectEntry, variant: AppVariant) -> SecretObject:
    arn = Arn.parse(entry.name)
    failover = None
    if arn is not None and len(variant.failover_regions) == 1:
        failover = FailoverObject(name=str(arn.in_region(variant.failover_regions[0])), version=_version(entry))
    return SecretObject(
        name=entry.name,
        type=ObjectType(entry.store.value),
        alias=file_of(entry),
        version=_version(entry),
        version_label=entry.label or "",
        permission=entry.mode,
        json_keys=tuple(JsonKey(path=key.path, alias=key.file, permission=key.mode or "") for key in entry.keys),
        failover=failover,
    )


def _version(entry: ObjectEntry) -> str:
    return "" if entry.version is None else str(entry.version)


def file_of(entry: ObjectEntry) -> str:
    """Return the file of the whole object."""
    return entry.file or default_file(entry.name)


def _files(entry: ObjectEntry) -> Iterator[DerivedFile]:
    yield DerivedFile(path=file_of(entry), mode=int(entry.mode, 8), store=entry.store, source=entry.name)
    for key in entry.keys:
        mode = int(key.mode or entry.mode, 8)
        yield DerivedFile(path=key.file, mode=mode, store=entry.store, source=entry.name, json_path=key.path)
