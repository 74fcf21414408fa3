"""The objects of an app, in the provider's own values, and the mounts that hold their files.

Not done here: access. Variables are replaced already, and the reader's rules held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import attrgetter

from provider_runtime.secret_objects import (
    Encoding,
    FailoverObject,
    FileTemplate,
    JsonKey,
    NonText,
    ObjectType,
    SecretObject,
    dump_objects,
)

from .access import DerivedFile, Manifest, Mount
from .environment import Environment
from .manifests import guard, secret_provider_class, volume, volume_mount
from .object_checks import default_file
from .region_reads import RegionRead, reads_of, regions_of
from .spec import (
    AppVariant,
    Identity,
    JsonKeyEntry,
    ObjectEntry,
    PodIdentityEntry,
    PodIdentityScope,
    Selector,
    Store,
)

_WITH_ONE_FAILOVER = 2
#: The provider's values of the spec's words: looked up here, because a fleet asks for each some ten thousand times.
_TYPES = {store: ObjectType(store.value) for store in Store}
_ENCODINGS = {encoding.value: encoding for encoding in Encoding}
_NON_TEXTS = {non_text.value: non_text for non_text in NonText}


def derive_mounts(
    variant: AppVariant, identity: Identity, role_arn: str, environment: Environment
) -> tuple[Mount, ...]:
    """Return the mounts that hold an object: the default one first, then the others by name."""
    paths = {"": variant.mount_path, **{mount.name: mount.path for mount in variant.mounts}}
    used = {entry.mount for entry in variant.objects}
    parameters = _identity_parameters(variant, identity, role_arn, environment)
    regions = regions_of(variant, environment)
    return tuple(_mount(name, path, variant, regions, parameters) for name, path in paths.items() if name in used)


def derive_guard(mounts: tuple[Mount, ...], environment: Environment) -> Manifest | None:
    """Return the init container that waits for every file that must be there; None where there is none to wait for.

    What an optional object makes may be missing, and so may a template, which may be made of it.
    """
    if environment.guard_image is None:
        return None
    expected = {
        mount.name: [f"{mount.path}/{file.path}" for file in mount.files if not file.optional and not file.is_template]
        for mount in mounts
    }
    waited_for = [mount for mount in mounts if expected[mount.name]]
    if not waited_for:
        return None
    files = [path for mount in waited_for for path in expected[mount.name]]
    return guard(image=environment.guard_image, files=files, volume_mounts=[each.volume_mount for each in waited_for])


def class_name(app: str, mount: str) -> str:
    """Return the name of a mount's SecretProviderClass."""
    return f"{app}-{mount}" if mount else app


def _mount(name: str, path: str, variant: AppVariant, regions: tuple[str, ...], parameters: Mapping[str, str]) -> Mount:
    entries = [entry for entry in variant.objects if entry.mount == name]
    objects = tuple(_secret_object(entry, regions) for entry in entries)
    files = tuple(sorted((file for entry in entries for file in _files(entry)), key=attrgetter("path")))
    own = {"objects": dump_objects(objects)}
    if any("/" in file.path for file in files):
        own["pathTranslation"] = "False"
    named = class_name((variant.renamed_from or (variant.app,))[0], name)
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
    if variant.chain:
        parameters["assumeRoleArn"] = variant.chain.role
        if variant.chain.external_id:
            parameters["externalId"] = variant.chain.external_id
    if identity is Identity.IRSA:
        return {**parameters, "roleArn": role_arn}
    return {**parameters, "usePodIdentity": "true", **_pod_identity_parameters(variant.pod_identity)}


def _pod_identity_parameters(settings: PodIdentityEntry | None) -> dict[str, str]:
    if settings is None:
        return {}
    parameters: dict[str, str] = {}
    # Where no session carries tags, none can decide, so pods of one account may share what was read.
    if settings.share_across_pods or settings.scope is PodIdentityScope.SESSION_POLICY:
        parameters["shareAcrossPods"] = "true"
    if settings.address_type:
        parameters["preferredAddressType"] = settings.address_type
    return parameters


def _secret_object(entry: ObjectEntry, regions: tuple[str, ...]) -> SecretObject:
    differences = _differences(entry, regions)
    # One failover region is written as the Go provider knows it; several are our list, the first for the first region.
    is_single = len(regions) == _WITH_ONE_FAILOVER
    return SecretObject(
        name=entry.name,
        type=_TYPES[entry.store],
        alias=file_of(entry),
        version=_version(entry.selector),
        version_label=_label(entry.selector),
        permission=entry.mode,
        json_keys=tuple([_json_key(key) for key in entry.keys]),
        failover=differences[0] if is_single and differences else None,
        failover_by_region=() if is_single else differences,
        optional=entry.optional,
        encoding=_ENCODINGS[entry.encoding],
        all_keys=entry.all_keys,
        non_text=_NON_TEXTS[entry.non_text],
        template=_template(entry),
    )


def _template(entry: ObjectEntry) -> FileTemplate | None:
    template = entry.template
    if template is None:
        return None
    return FileTemplate(alias=template.file, text=template.text, permission=template.mode or "")


def _json_key(key: JsonKeyEntry) -> JsonKey:
    return JsonKey(
        path=key.path,
        alias=key.file,
        permission=key.mode or "",
        encoding=_ENCODINGS[key.encoding],
        non_text=_NON_TEXTS[key.non_text],
    )


def _differences(entry: ObjectEntry, regions: tuple[str, ...]) -> tuple[FailoverObject, ...]:
    """Return what differs, one for each failover region, without the last ones in which nothing does."""
    if not entry.failover and not entry.name.startswith("arn:"):
        return ()  # every region reads the same name, by the same selector
    primary, *others = reads_of(entry, regions)
    found = [_difference(read, primary) for read in others]
    while found and found[-1] == FailoverObject():
        found.pop()
    return tuple(found)


def _difference(read: RegionRead, primary: RegionRead) -> FailoverObject:
    name = "" if read.name == primary.name else read.name
    differs = read.selector != primary.selector
    # An entry with a name of its own must repeat the version.
    version = _version(read.selector) if differs or name else ""
    return FailoverObject(name=name, version=version, version_label=_label(read.selector) if differs else "")


def _version(selector: Selector) -> str:
    return selector.version_id or ("" if selector.version is None else str(selector.version))


def _label(selector: Selector) -> str:
    return selector.stage or selector.label


def file_of(entry: ObjectEntry) -> str:
    """Return the file of the whole object."""
    return entry.file or default_file(entry.name)


def _files(entry: ObjectEntry) -> Iterator[DerivedFile]:
    whole = DerivedFile(
        path=file_of(entry), mode=int(entry.mode, 8), store=entry.store, source=entry.name, optional=entry.optional
    )
    yield whole
    for key in entry.keys:
        yield replace(whole, path=key.file, mode=int(key.mode or entry.mode, 8), json_path=key.path)
    if entry.template:
        mode = int(entry.template.mode or entry.mode, 8)
        yield replace(whole, path=entry.template.file, mode=mode, is_template=True)
