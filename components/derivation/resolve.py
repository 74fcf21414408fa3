"""A variant of an app in its environment: variables replaced, and everything checked that only then can be.

Whether an ARN or a key lies where it will be read, and whether names still fit and differ.
"""

from __future__ import annotations

from dataclasses import replace

from components.derivation.arn import Arn, has_random_suffix
from components.derivation.environment import Environment
from components.derivation.errors import ProblemList, Spot
from components.derivation.object_checks import FileSet, FileSets, check_file, check_name, default_file
from components.derivation.spec import AppVariant, KeyEntry, ObjectEntry, Store, SyncEntry
from components.derivation.spec_shape import LABEL, SUBDOMAIN
from components.derivation.variables import substitute
from components.derivation.yaml_source import Scalar


def resolve(variant: AppVariant, environment: Environment, problems: ProblemList) -> AppVariant:
    """Replace the variables and check the result; problems are added, none is raised."""
    resolved = _resolve(variant, environment, problems)
    _check_places(resolved, environment, problems)
    return resolved


def _resolve(variant: AppVariant, environment: Environment, problems: ProblemList) -> AppVariant:
    values = environment.variables()
    files = FileSets()
    objects = tuple(_resolve_object(entry, environment, files.of(entry.mount), problems) for entry in variant.objects)
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
