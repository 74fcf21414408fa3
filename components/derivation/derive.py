"""The one road from spec to access: `derive(spec, environment) -> AppAccess`.

Pure: the same spec and environment give the same bytes. Checked here is what needs the environment: whether an ARN or
a key lies where it will be read, whether names still fit and differ once the variables are replaced, and IAM's limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from components.derivation.access import AppAccess, DerivedFile, NamedPolicy, PodIdentityAssociation
from components.derivation.arn import Arn, cluster_arn, has_random_suffix, oidc_provider_arn, policy_arn, role_arn
from components.derivation.environment import Environment
from components.derivation.errors import Problem, ProblemList, SpecErrors, Spot
from components.derivation.grants import Grant, grant_for, policy_for
from components.derivation.iam import LIMITS, PolicyDocument, irsa_trust, pod_identity_trust
from components.derivation.manifests import secret_provider_class, service_account, volume, volume_mount
from components.derivation.naming import managed_policy_name, role_name
from components.derivation.object_checks import FileSet, check_file, check_name, default_file
from components.derivation.packing import DoesNotFitError, Packing, PolicyKind, pack
from components.derivation.spec import AppSpec, AppVariant, Identity, KeyEntry, ObjectEntry, Store, SyncEntry
from components.derivation.spec_shape import LABEL, SUBDOMAIN
from components.derivation.variables import substitute
from components.derivation.yaml_source import Scalar
from provider_runtime.secret_objects import FailoverObject, JsonKey, ObjectType, SecretObject

AUDIENCES = {Identity.IRSA: "sts.amazonaws.com", Identity.POD_IDENTITY: "pods.eks.amazonaws.com"}


def derive_all(specs: Iterable[AppSpec], environment: Environment) -> tuple[AppAccess, ...]:
    """Derive every app, sorted by name.

    Raises:
        SpecErrors: With the problems of all apps, and SPEC020 where two apps come to share a service account.
    """
    apps: list[AppAccess] = []
    problems = ProblemList()
    owners: dict[tuple[str, str], AppSpec] = {}
    found: list[Problem] = []
    for spec in sorted(specs, key=lambda spec: spec.app):
        try:
            access = derive(spec, environment)
        except SpecErrors as errors:
            found += errors.problems
            continue
        apps.append(access)
        other = owners.setdefault((access.namespace, access.service_account), spec)
        if other is not spec:
            account = f"{access.namespace}/{access.service_account}"
            what = f"in {environment.name} the service account {account} belongs to the app {str(other.app)!r} too"
            rule = "Pods of one service account share one role, so two apps would read each other's secrets"
            problems.add(spec.at, "SPEC020", what, rule, "give each app a 'serviceAccount:' of its own")
    if found:
        raise SpecErrors(found)
    problems.raise_if_any()
    return tuple(apps)


def derive(spec: AppSpec, environment: Environment) -> AppAccess:
    """Derive one app's access in one environment.

    Args:
        spec: As `load_specs` returns it.
        environment: The cluster, account and region.

    Returns:
        The access. Every object is granted in each region where it may be read, with its customer key; nothing else is.

    Raises:
        SpecErrors: What only shows in this environment, each problem at its line.
    """
    problems = ProblemList()
    variant = _resolve(spec.for_environment(environment.name), environment, problems)
    _check_places(variant, environment, problems)
    problems.raise_if_any()
    grants = tuple(_grants(variant, environment))
    identity = variant.identity or environment.default_identity
    name = role_name(cluster=environment.cluster, region=environment.region, app=variant.app)
    arn = role_arn(partition=environment.partition, account=environment.account, path=environment.role_path, name=name)
    trust = _trust(variant, identity, environment)
    packing = _packed(variant, policy_for(grants, environment), trust, problems)
    objects = tuple(_secret_object(entry, variant) for entry in variant.objects)
    association = PodIdentityAssociation(
        cluster=environment.cluster, namespace=variant.namespace, service_account=variant.service_account, role_arn=arn
    )
    return AppAccess(
        app=variant.app,
        environment=environment.name,
        namespace=variant.namespace,
        service_account=variant.service_account,
        identity=identity,
        audience=AUDIENCES[identity],
        role_name=name,
        role_path=environment.role_path,
        role_arn=arn,
        permissions_boundary=environment.permissions_boundary,
        trust=trust,
        policies=tuple(_named(packing, name, environment)),
        headroom=packing.headroom,
        association=association if identity is Identity.POD_IDENTITY else None,
        secret_provider_class=secret_provider_class(
            variant, objects, namespace=variant.namespace, identity=identity, role_arn=arn, environment=environment
        ),
        service_account_manifest=service_account(
            name=variant.service_account, namespace=variant.namespace, identity=identity, role_arn=arn
        ),
        volume=volume(variant.app),
        volume_mount=volume_mount(variant.mount_path),
        mount_path=variant.mount_path,
        objects=objects,
        files=tuple(sorted(_files(variant), key=lambda file: file.path)),
        needs_sync=bool(variant.sync),
    )


# ----------------------------------------------------------------------------------------------- variables and checks


def _resolve(variant: AppVariant, environment: Environment, problems: ProblemList) -> AppVariant:
    values = environment.variables()
    files = FileSet()
    objects = tuple(_resolve_object(entry, environment, files, problems) for entry in variant.objects)
    resolved = replace(
        variant,
        namespace=substitute(variant.namespace, values),
        service_account=substitute(variant.service_account, values),
        objects=objects,
        sync=tuple(_resolve_sync(entry, environment) for entry in variant.sync),
    )
    for shape, text in ((LABEL, resolved.namespace), (SUBDOMAIN, resolved.service_account)):
        shape.read(Scalar(text=text, kind="text", at=variant.at), problems)
    return resolved


def _resolve_object(entry: ObjectEntry, environment: Environment, files: FileSet, problems: ProblemList) -> ObjectEntry:
    values = environment.variables()
    name = substitute(entry.name, values)
    if name != entry.name:
        check_name(name, entry.store, entry.at, problems)
    file = entry.file or default_file(name)
    if check_file(file, entry.file_at, problems, derived_from_name=entry.file is None):
        files.add(file, entry.file_at, problems)
    for key in entry.keys:
        files.add(key.file, key.at, problems)
    kms_keys = tuple(replace(key, arn=substitute(key.arn, values)) for key in entry.kms_keys)
    return replace(entry, name=name, file=file, kms_keys=kms_keys)


def _resolve_sync(entry: SyncEntry, environment: Environment) -> SyncEntry:
    # A default file name follows its object's name: a reference may carry the same variables.
    values = environment.variables()
    return replace(entry, data=tuple(replace(item, file=substitute(item.file, values)) for item in entry.data))


def _check_places(variant: AppVariant, environment: Environment, problems: ProblemList) -> None:
    if environment.region in variant.failover_regions:
        what = f"the failover region {environment.region!r} is the region itself"
        problems.add(variant.failover_at, "SPEC022", what, "A failover region is another one", "remove it")
    for entry in variant.objects:
        arn = Arn.parse(entry.name)
        if arn is not None:
            _check_place(arn, entry.at, environment, problems)
            _check_failover_arn(arn, entry, variant, problems)
        for key in entry.kms_keys:
            _check_key_place(key, environment, problems)
        if entry.kms_keys and not any(key.region in {None, environment.region} for key in entry.kms_keys):
            what = f"there is no key for the region {environment.region}"
            rule = "A mapping of keys has a line for every region that is read"
            problems.add(entry.kms_keys[0].at, "SPEC022", what, rule, f"add a line for {environment.region}")


def _check_place(arn: Arn, at: Spot, environment: Environment, problems: ProblemList) -> None:
    for kind, is_value, wanted in (
        ("partition", arn.partition, environment.partition),
        ("region", arn.region, environment.region),
    ):
        if is_value != wanted:
            what = f"{str(arn)!r} lies in the {kind} {is_value}, the environment {environment.name} in {wanted}"
            rule = f"An ARN is read in the {kind} that it names"
            problems.add(
                at, "SPEC011", what, rule, "name the secret without an ARN, or give this environment its own ARN"
            )


def _check_failover_arn(arn: Arn, entry: ObjectEntry, variant: AppVariant, problems: ProblemList) -> None:
    if not variant.failover_regions:
        return
    if len(variant.failover_regions) > 1:
        what = f"{entry.name!r} is an ARN, and there are {len(variant.failover_regions)} failover regions"
        rule = "A class names one other ARN for an object"
        problems.add(entry.at, "SPEC011", what, rule, "write the friendly name, which is the same in every region")
    elif entry.store is Store.SECRETS_MANAGER and not has_random_suffix(arn):
        what = f"{entry.name!r} has no random suffix, and the failover region reads it by its ARN"
        rule = "A replica is asked by its full ARN"
        problems.add(entry.at, "SPEC011", what, rule, "write the ARN with its six characters, or the friendly name")


def _check_key_place(key: KeyEntry, environment: Environment, problems: ProblemList) -> None:
    arn = Arn.parse(key.arn)
    region = key.region or environment.region
    if arn is not None and arn.region != region:
        what = f"the key {key.arn!r} lies in {arn.region}, the secret is read in {region}"
        problems.add(key.at, "SPEC011", what, "A key serves its own region", f"name the key of {region}")


def _packed(variant: AppVariant, document: PolicyDocument, trust: PolicyDocument, problems: ProblemList) -> Packing:
    if trust.size() > LIMITS["trust policy"]:
        what = f"the app's trust takes {trust.size():,} characters of IAM's {LIMITS['trust policy']:,}"
        problems.add(variant.at, "SPEC025", what, "A trust policy has a limit", "shorten namespace or service account")
    try:
        packing = pack(document)
    except DoesNotFitError as error:
        what = (
            f"the app's access takes {error.used:,} characters in {error.documents} policies; a role carries "
            f"{LIMITS['managed policies per role']} of {LIMITS['managed policy']:,}"
        )
        problems.add(variant.at, "SPEC025", what, "A role's policies have a limit", "split the app into two")
        problems.raise_all()
    problems.raise_if_any()
    return packing


def _named(packing: Packing, role: str, environment: Environment) -> Iterator[NamedPolicy]:
    place = {"partition": environment.partition, "account": environment.account, "path": environment.role_path}
    for number, document in enumerate(packing.documents, start=1):
        if packing.kind is PolicyKind.INLINE:
            yield NamedPolicy(name="secrets", document=document)
        else:
            name = managed_policy_name(role, number)
            yield NamedPolicy(name=name, document=document, kind=packing.kind, arn=policy_arn(**place, name=name))


# ---------------------------------------------------------------------------------------------------------- derivation


def _regions(variant: AppVariant, environment: Environment) -> tuple[str, ...]:
    return (environment.region, *variant.failover_regions)


def _grants(variant: AppVariant, environment: Environment) -> Iterator[Grant]:
    for entry in variant.objects:
        for region in _regions(variant, environment):
            yield grant_for(entry.name, entry.store, region, _key_in(entry, region), environment)


def _key_in(entry: ObjectEntry, region: str) -> str:
    keys = {key.region: key.arn for key in entry.kms_keys}
    if region in keys:
        return keys[region]
    single = Arn.parse(keys.get(None, ""))
    # A multi-Region key keeps its id; the reader refused any other single key beside failover regions.
    return str(single.in_region(region)) if single else ""


def _trust(variant: AppVariant, identity: Identity, environment: Environment) -> PolicyDocument:
    place = {"partition": environment.partition, "account": environment.account}
    who = {"namespace": variant.namespace, "service_account": variant.service_account}
    if identity is Identity.IRSA:
        provider = oidc_provider_arn(**place, issuer_host=environment.issuer_host)
        return irsa_trust(provider_arn=provider, issuer_host=environment.issuer_host, **who)
    cluster = cluster_arn(**place, region=environment.region, cluster=environment.cluster)
    return pod_identity_trust(account=environment.account, cluster_arn=cluster, **who)


def _secret_object(entry: ObjectEntry, variant: AppVariant) -> SecretObject:
    arn = Arn.parse(entry.name)
    failover = None
    if arn is not None and len(variant.failover_regions) == 1:
        failover = FailoverObject(name=str(arn.in_region(variant.failover_regions[0])), version=_version(entry))
    return SecretObject(
        name=entry.name,
        type=ObjectType(entry.store.value),
        alias=entry.file or default_file(entry.name),
        version=_version(entry),
        version_label=entry.label or "",
        permission=entry.mode,
        json_keys=tuple(JsonKey(path=key.path, alias=key.file, permission=key.mode or "") for key in entry.keys),
        failover=failover,
    )


def _version(entry: ObjectEntry) -> str:
    return "" if entry.version is None else str(entry.version)


def _files(variant: AppVariant) -> Iterator[DerivedFile]:
    for entry in variant.objects:
        file = entry.file or default_file(entry.name)
        yield DerivedFile(path=file, mode=int(entry.mode, 8), store=entry.store, source=entry.name)
        for key in entry.keys:
            mode = int(key.mode or entry.mode, 8)
            yield DerivedFile(path=key.file, mode=mode, store=entry.store, source=entry.name, json_path=key.path)
